//! What went wrong, in the words and with the exit code that a person gets.

use dbscale_cluster::connect::ConnectError;
use dbscale_cluster::{ApiFailure, Kind};
use dbscale_core::catalog::Engine;
use dbscale_core::database::Database;
use dbscale_core::finding::Finding;
use dbscale_core::plan::PlanError;
use dbscale_core::rules;

use super::Subject;
use crate::outcome::Failure;

/// The exit code of an error that is nobody's rule.
pub const EXIT_ERROR: u8 = 1;
/// The exit code of an operation that failed.
pub const EXIT_FAILED: u8 = 6;
/// The exit code of an operation that did not end in time.
pub const EXIT_TIMEOUT: u8 = 7;

/// The exit code of a command that a person interrupts.
pub const EXIT_INTERRUPTED: u8 = 130;

/// A wrong use of the command line.
#[must_use]
pub fn usage(message: impl Into<String>) -> Failure {
    Failure { exit_code: rules::EXIT_USAGE, message: message.into(), ..Failure::default() }
}

/// No connection.
#[must_use]
pub fn of_connect(error: &ConnectError) -> Failure {
    let exit_code = match error {
        ConnectError::Impersonate { .. } => rules::EXIT_USAGE,
        _ => EXIT_ERROR,
    };
    Failure { exit_code, message: error.to_string(), chain: vec![error.to_string()], ..Failure::default() }
}

/// Findings of which at least one refuses.
#[must_use]
pub fn of_findings(mut findings: Vec<Finding>) -> Failure {
    findings.retain(Finding::refuses);
    let message = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Failure {
        exit_code: rules::exit_code(&findings),
        rule: findings.first().map(|f| f.rule.0.to_owned()),
        chain: vec![message.clone()],
        message,
        findings,
        ..Failure::default()
    }
}

/// No plan.
#[must_use]
pub fn of_plan(error: &PlanError) -> Failure {
    match error {
        PlanError::Findings(findings) => of_findings(findings.clone()),
        PlanError::Choose(choice) => Failure {
            choice: Some(choice.clone()),
            ..usage(format!("{} has several components; say which with --component", choice.target))
        },
        PlanError::Incomplete { component, missing } => usage(format!(
            "{missing} was not given, and {component} has none to take it from: give both --cpu and --memory, or a --size"
        )),
    }
}

/// The database is not there.
#[must_use]
pub fn of_missing(subject: &Subject) -> Failure {
    of_findings(vec![rules::missing_database(subject.engine, &subject.namespace, &subject.name)])
}

/// A person has asked to stop; `state` says how far this came.
#[must_use]
pub fn interrupted(state: &str) -> Failure {
    Failure { exit_code: EXIT_INTERRUPTED, message: format!("interrupted: {state}"), ..Failure::default() }
}

/// `--max-failures` was reached before this one.
#[must_use]
pub fn not_begun() -> Failure {
    let message = "not begun: as many databases had failed as --max-failures allows".to_owned();
    Failure { exit_code: EXIT_ERROR, message, ..Failure::default() }
}

/// A call to the API server, about one engine, that failed.
#[must_use]
pub fn of_api(failure: &ApiFailure, engine: &Engine) -> Failure {
    let mut told = of_any_api(failure);
    if failure.kind == Kind::NotInstalled {
        told.message = format!("KubeDB's {} is not installed in this cluster ({failure})", engine.kind);
        told.remedy =
            format!("install KubeDB with {} switched on, or name another cluster with --context", engine.kind);
        told.chain = vec![format!("{}: {}", failure.call, told.message)];
    }
    told
}

/// A call to the API server that failed.
#[must_use]
pub fn of_any_api(failure: &ApiFailure) -> Failure {
    let remedy = match failure.kind {
        Kind::Unreachable | Kind::Timeout => "look at the address and the network: kubectl cluster-info".to_owned(),
        Kind::Unauthenticated => "log in again, or name another context with --context".to_owned(),
        Kind::Forbidden => {
            "ask for that right, or use another context; see what you may do: kubectl auth can-i --list".to_owned()
        }
        Kind::Quota => {
            let namespace = failure.namespace().map(|n| format!(" -n {n}")).unwrap_or_default();
            format!("free some of it, or ask for a larger quota; see what is used: kubectl describe quota{namespace}")
        }
        Kind::NotAllowed => "it is no matter of rights: mend what the server names, and ask again".to_owned(),
        Kind::Conflict => "look at it, and ask again".to_owned(),
        _ => String::new(),
    };
    let message = failure.to_string();
    let rules_named = failure.rules();
    let exit_code = match failure.kind {
        Kind::Refused => {
            let codes = rules_named.iter().filter_map(|id| rules::find(id)).map(|r| r.exit.max(rules::EXIT_REFUSED));
            // A webhook or policy refused: 3, whatever its code, but for the rule about busy databases.
            codes.filter(|code| *code == rules::EXIT_ACTIVE).max().unwrap_or(rules::EXIT_REFUSED)
        }
        _ => EXIT_ERROR,
    };
    Failure {
        exit_code,
        rule: rules_named.into_iter().next(),
        chain: vec![format!("{}: {message}", failure.call)],
        message,
        remedy,
        ..Failure::default()
    }
}

/// The topology in words: `replica set, 3 members`.
#[must_use]
pub fn topology_words(database: &Database) -> String {
    let Some(topology) = database.topology else { return "unknown topology".to_owned() };
    let main = topology.main.as_ref().and_then(|main| database.components.iter().find(|c| c.key == main));
    let members = main.and_then(dbscale_core::database::ComponentView::replicas).map(|n| match n {
        1 => ", 1 member".to_owned(),
        n => format!(", {n} members"),
    });
    format!("{}{}", topology.title, members.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use dbscale_core::catalog::Catalog;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_right("User \"jane\" cannot create resource \"x\"", "kubectl auth can-i --list")]
    #[case::a_quota("exceeded quota: disk, used: count/x=3, limited: count/x=3", "kubectl describe quota -n demo")]
    #[case::an_ending_namespace("namespace demo is being terminated", "it is no matter of rights")]
    fn each_403_has_the_remedy_that_fits(#[case] why: &str, #[case] remedy: &str) {
        let body = format!(r#"{{"reason": "Forbidden", "message": {:?}}}"#, format!("x \"y\" is forbidden: {why}"));
        let failure = ApiFailure::of("POST /apis/ops.kubedb.com/v1alpha1/namespaces/demo/x", 403, body.as_bytes());
        let told = of_api(&failure, Catalog::builtin().find("mongodb").unwrap());
        assert_eq!(told.exit_code, EXIT_ERROR);
        assert!(told.remedy.contains(remedy), "{}", told.remedy);
    }
}
