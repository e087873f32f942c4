//! `wait`: follows operations to their end, or to a phase.

use std::time::Duration;

use clap::Args;
use dbscale_core::status::Phase;
use futures::future::{join, join_all};
use serde_json::{Value, json};

use super::change;
use crate::board::Board;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::Stop;
use crate::run::failure::{EXIT_FAILED, usage};
use crate::run::find::{self, Asked, Found};
use crate::run::goal::Goal;
use crate::run::growth::{self, Growing};
use crate::run::wait::{End, Follow};
use crate::{target, values};

/// `wait`
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Databases (mongodb/my-db), or OpsRequests (my-db-scale-1763937600)
    #[arg(required = true, value_name = "TARGET|OPSREQUEST")]
    pub targets: Vec<String>,
    /// Where following ends: at a good end, or at a phase of the OpsRequest
    #[arg(long = "for", value_name = "done|phase=PHASE", default_value = "done", value_parser = goal)]
    pub goal: Goal,
    /// How long to follow
    #[arg(long, value_parser = values::duration, default_value = "10m", value_name = "DURATION")]
    pub timeout: Duration,
}

fn goal(text: &str) -> Result<Goal, String> {
    if text == "done" {
        return Ok(Goal::Done);
    }
    let phase = text.strip_prefix("phase=").and_then(|word| {
        let known = Phase::ALL.into_iter().find(|phase| phase.word().eq_ignore_ascii_case(word));
        known.map(Goal::Phase)
    });
    phase.ok_or_else(|| {
        let words: Vec<&str> = Phase::ALL.iter().map(|phase| phase.word()).collect();
        format!("write done, or phase= and one of {}", words.join(", "))
    })
}

/// Follows what was named; answers the exit code.
///
/// # Errors
/// Where nothing can be followed at all.
pub async fn run(args: &WaitArgs, global: &Global) -> Result<u8, Failure> {
    let named = target::parse_named(&args.targets, global.selected()).map_err(usage)?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace_in(&cluster);
    let asked = find::requests(&cluster, &named, namespace, global.selector.as_deref()).await?;
    let (growing, warnings) = match args.goal {
        Goal::Done => growth::growing(&cluster, &asked, namespace).await,
        Goal::Phase(_) => (Vec::new(), Vec::new()), // volumes have none
    };
    for warning in &warnings {
        output::warning(warning);
    }
    let idle = || asked.iter().filter(|asked| !growing.iter().any(|growing| growing.is_of(asked)));
    find::tell_idle(idle());
    let unmet: Vec<Failure> = idle().filter_map(|asked| unmet(asked, args.goal)).collect();
    let mut requests: Vec<Found> = asked.into_iter().flat_map(|a| a.requests).collect();
    // One that was named and is among those of a named database is followed once.
    let mut seen = std::collections::HashSet::new();
    requests.retain(|found| seen.insert(found.path()));
    let board = Board::of_stderr();
    let stop = Stop::on_interrupt(board.clone());
    let follow = Follow::new(&cluster, &stop, &board, args.timeout, "--timeout");
    let ends = requests.iter().map(|r| follow.request(r.engine, &r.namespace, &r.operation.name, args.goal));
    let grown = growing.iter().map(|growing| growing.follow(&follow));
    let (ends, grown) = join(join_all(ends), join_all(grown)).await;
    let grown: Vec<Result<Phase, End>> =
        grown.into_iter().map(|end| end.map(|()| Phase::Successful).map_err(End::from)).collect();
    let failures = ends.iter().chain(&grown).filter_map(|end| Some(&end.as_ref().err()?.failure));
    let code = output::all_failed(failures.chain(&unmet));
    let of_requests = requests.iter().zip(&ends).map(|(found, end)| json_of(found.to_json(), end));
    let of_volumes = growing.iter().zip(&grown).map(|(growing, end)| json_of(growing.to_json(), end));
    let results: Vec<Value> = of_requests.chain(of_volumes).collect();
    match (global.output, results.as_slice()) {
        (Some(form @ (Output::Json | Output::Yaml)), [only]) => output::machine(form, only),
        (Some(form @ (Output::Json | Output::Yaml)), several) => {
            output::machine(form, &json!({"ops_requests": several}));
        }
        (Some(Output::Name), _) => {
            let resources = requests.iter().map(Found::resource).chain(growing.iter().map(Growing::resource));
            resources.for_each(|resource| data!("{resource}"));
        }
        _ => {}
    }
    Ok(code)
}

/// What keeps a database without an active operation from the goal: its newest operation ended otherwise, or it has none.
fn unmet(asked: &Asked, goal: Goal) -> Option<Failure> {
    let database = asked.database.as_ref().filter(|_| asked.requests.is_empty())?;
    let Some(ended) = &asked.ended else {
        return (goal != Goal::Done)
            .then(|| failed(format!("{database} has no operation that could reach what is waited for")));
    };
    let (name, phase) = (&ended.operation.name, ended.phase());
    // Of a database that is waited for without a name, what never ran is not waited for.
    let fine = goal.is_reached(phase) || goal == Goal::Done && phase != Phase::Failed;
    let because =
        if ended.operation.reason.is_empty() { String::new() } else { format!(": {}", ended.operation.reason) };
    (!fine).then(|| failed(format!("{name}, the newest of {database}, ended {phase}{because}")))
}

fn failed(message: String) -> Failure {
    Failure { exit_code: EXIT_FAILED, message, ..Failure::default() }
}

fn json_of(mut value: Value, end: &Result<Phase, End>) -> Value {
    let (phase, failure) = match end {
        Ok(phase) => (Some(*phase), None),
        Err(end) => (end.phase, Some(&end.failure)),
    };
    value["phase"] = json!(phase.map(Phase::word));
    if let Some(failure) = failure {
        value["error"] = output::error_of(failure);
    }
    value
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::done("done", Some(Goal::Done))]
    #[case::phase("phase=Progressing", Some(Goal::Phase(Phase::Progressing)))]
    #[case::any_case("phase=failed", Some(Goal::Phase(Phase::Failed)))]
    #[case::of_a_database("phase=Ready", None)]
    #[case::as_kubectl_has_it("condition=Ready", None)]
    fn goals(#[case] text: &str, #[case] wanted: Option<Goal>) {
        assert_eq!(goal(text).ok(), wanted);
    }
}
