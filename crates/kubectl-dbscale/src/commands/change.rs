//! The commands that change databases: from flags to a job, from outcomes to an answer.

use std::cell::Cell;
use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use dbscale_cluster::Cluster;
use dbscale_cluster::connect::{Connect, connect};
use dbscale_core::plan::{Intent, StorageVia};
use dbscale_core::preflight::Choice;
use dbscale_core::quantity::Quantity;
use dbscale_core::rules;
use serde_json::json;

use super::reference::read_sizes;
use crate::board::Board;
use crate::cli::args::{ChangeArgs, Combined, CountArgs, FollowArgs, SetArgs, SizeArgs, Via};
use crate::cli::{Command, DryRun, Global, Output};
use crate::outcome::{Failure, Outcome};
use crate::output::{self, data};
use crate::run::failure::{self, usage};
use crate::run::{self, Job, Stage, Stop, Subject};
use crate::target::{self, Target};

/// What `--request-timeout 0` means: in kubectl no limit, here still a bound.
const NO_LIMIT: Duration = Duration::from_secs(3600);

/// What a command line asks for, before any cluster was asked.
pub struct Wanted {
    /// The change.
    pub job: Job,
    /// The targets.
    pub targets: Vec<Target>,
}

/// Reads a changing command; `None` for the others.
///
/// # Errors
/// Where a value, a name or a flag cannot be used.
pub fn wanted(command: &Command, global: &Global) -> Result<Option<Wanted>, Failure> {
    let wanted = match command {
        Command::Vertical(args) => {
            if args.size.size.is_none() && args.size.cpu.is_none() && args.size.memory.is_none() {
                return Err(usage(
                    "say which size: --size CLASS, or --cpu and --memory (kubectl dbscale sizes lists them)",
                ));
            }
            let mut intent = sized(&args.size)?;
            intent.vertical_mode.clone_from(&args.mode);
            job(intent, &args.change, global)?
        }
        Command::Horizontal(args) => {
            if args.count.replicas.is_none() && args.count.shards.is_none() {
                return Err(usage("say how many: --replicas N, --shards N, or both"));
            }
            job(counted(Intent::default(), &args.count), &args.change, global)?
        }
        Command::Storage(args) => {
            if args.mode.is_some() && args.via == Via::Patch {
                return Err(usage(
                    "--mode belongs to KubeDB's VolumeExpansion: add --via ops-request, or leave it out",
                ));
            }
            let via = match args.via {
                Via::Patch => StorageVia::Patch,
                Via::OpsRequest => StorageVia::OpsRequest,
            };
            let storage = Some(quantity("--to", &args.to)?);
            let intent = Intent { storage, via, volume_mode: args.mode.clone(), ..Intent::default() };
            job(intent, &args.change, global)?
        }
        Command::Set(args) => set(args, global)?,
        Command::Plan(args) => set(&args.set, global)?,
        _ => return Ok(None),
    };
    Ok(Some(wanted))
}

fn set(args: &SetArgs, global: &Global) -> Result<Wanted, Failure> {
    let mut intent = counted(sized(&args.size)?, &args.count);
    intent.storage = args.storage.as_deref().map(|text| quantity("--storage", text)).transpose()?;
    let counts = intent.replicas.or(intent.shards).is_some();
    if !counts && intent.cpu.or(intent.memory).or(intent.storage).is_none() {
        return Err(usage("say what to change: --replicas, --shards, --size, --cpu, --memory or --storage"));
    }
    let mut wanted = job(intent, &args.change, global)?;
    wanted.job.combined = args.combined;
    wanted.job.ordered = args.ordered;
    Ok(wanted)
}

/// The wish with the numbers of the flags.
#[must_use]
pub fn counted(intent: Intent, args: &CountArgs) -> Intent {
    Intent { replicas: args.replicas, shards: args.shards, ..intent }
}

/// A wish for what the flags say of CPU and memory.
///
/// # Errors
/// Where a value cannot be read, or the file of size classes.
pub fn sized(args: &SizeArgs) -> Result<Intent, Failure> {
    let mut intent = Intent::default();
    if let Some(name) = &args.size {
        let sizes = read_sizes(args.sizes.as_ref())?;
        intent.size = Some(name.clone());
        // A name that is not known may be a class of a scaling policy's own, which only the cluster can tell.
        if let Ok(class) = sizes.find(name) {
            (intent.cpu, intent.memory) = (Some(class.cpu), Some(class.memory));
        }
    } else {
        intent.cpu = args.cpu.as_deref().map(|text| quantity("--cpu", text)).transpose()?;
        intent.memory = args.memory.as_deref().map(|text| quantity("--memory", text)).transpose()?;
    }
    Ok(intent)
}

/// Reads the amount that a flag gives.
///
/// # Errors
/// What is wrong with it.
pub fn quantity(flag: &str, text: &str) -> Result<Quantity, Failure> {
    text.parse().map_err(|error| failure::of_findings(vec![rules::unreadable(flag, &error)]))
}

fn job(mut intent: Intent, args: &ChangeArgs, global: &Global) -> Result<Wanted, Failure> {
    let targets = target::parse(&args.targets, global.selected()).map_err(usage)?;
    if args.name.is_some() && (targets.len() > 1 || targets.iter().any(|t| t.name.is_none())) {
        return Err(usage("--name fits one database only"));
    }
    intent.component.clone_from(&args.component);
    intent.apply.clone_from(&args.apply);
    intent.timeout.clone_from(&args.timeout);
    intent.max_retries = args.max_retries;
    let (parallel, max_failures, name) = (args.parallel, args.max_failures, args.name.clone());
    let preflight = args.checks.choice();
    let job = Job { preflight, parallel, max_failures, name, ..plain_job(intent, &args.follow, global) };
    Ok(Wanted { job, targets })
}

/// The job of a command that says no more than whether to follow.
#[must_use]
pub fn plain_job(intent: Intent, follow: &FollowArgs, global: &Global) -> Job {
    Job {
        intent,
        preflight: Choice::default(),
        dry_run: global.dry_run,
        combined: Combined::Auto,
        ordered: false,
        wait: follow.wait,
        patience: follow.wait_timeout,
        stop: Stop::never(),
        board: Board::of_stderr(),
        parallel: 1,
        max_failures: None,
        name: None,
        field_manager: global.field_manager.clone(),
        impersonate: global.impersonate.clone(),
    }
}

/// Connects as the flags say.
///
/// # Errors
/// Where there is no connection to be had.
pub async fn cluster(global: &Global) -> Result<Cluster, Failure> {
    let options = Connect {
        kubeconfig: global.kubeconfig.clone(),
        context: global.context.clone(),
        impersonate: global.impersonate.clone(),
        request_timeout: global.request_timeout.map(|limit| if limit.is_zero() { NO_LIMIT } else { limit }),
        user_agent: format!("kubectl-dbscale/{}", env!("CARGO_PKG_VERSION")),
    };
    connect(&options).await.map_err(|error| failure::of_connect(&error))
}

/// Looks at the targets; who is asking is found out at the same time.
///
/// # Errors
/// Where the cluster cannot be read, or nothing matches.
pub async fn look(
    cluster: &Cluster,
    wanted: &Wanted,
    global: &Global,
) -> Result<(Vec<Subject>, Option<String>), Failure> {
    let namespace = global.namespace_in(cluster);
    let (subjects, user) = futures::join!(
        run::look(cluster, &wanted.job, &wanted.targets, namespace, global.selector.as_deref()),
        run::who(cluster, &wanted.job)
    );
    let subjects = subjects?;
    if subjects.is_empty() {
        return Err(usage("no database matches; see what is there with kubectl get, or widen -n and -l"));
    }
    Ok((subjects, user))
}

/// Connects and looks at the targets. Where that fails and a size is a name that only a policy in the cluster could explain, it is
/// told as what it most likely is, a slip.
///
/// # Errors
/// As [`cluster`] and [`look`].
pub async fn ready(wanted: &Wanted, global: &Global) -> Result<(Cluster, Vec<Subject>, Option<String>), Failure> {
    let ready = async {
        let cluster = cluster(global).await?;
        let (subjects, user) = look(&cluster, wanted, global).await?;
        Ok((cluster, subjects, user))
    };
    ready.await.map_err(|failure| run::policies::unknown_size(&wanted.job.intent).unwrap_or(failure))
}

/// Runs a changing command to its exit code.
pub async fn run(wanted: Wanted, global: &Global) -> u8 {
    let ready = async {
        let (cluster, subjects, user) = ready(&wanted, global).await?;
        if subjects.len() > 1 && wanted.job.dry_run == DryRun::None {
            confirm(&subjects, global)?;
        }
        Ok::<_, Failure>((cluster, subjects, user))
    };
    let (cluster, subjects, user) = match ready.await {
        Ok(ready) => ready,
        Err(failure) => {
            for target in &wanted.targets {
                tracing::error!(
                    name = target.name,
                    engine = target.engine.name,
                    replicas = wanted.job.intent.replicas,
                    size = wanted.job.intent.size,
                    error = failure.message,
                    backtrace = failure.chain.join(": "),
                    "scaling_operation_failed"
                );
            }
            output::failed("", &failure);
            return failure.exit_code;
        }
    };
    let single = subjects.len() == 1 && wanted.targets.iter().all(|t| t.name.is_some());
    let job = wanted.job.clone();
    let make = |subject: &Subject, index: usize| {
        let stamp = run::stamp(&job, user.clone(), index);
        run::plan_for(subject, &job, &stamp).map(|plan| (plan, stamp))
    };
    send(&cluster, wanted.job, subjects, &make, single, global).await
}

/// Carries out the plan that `make` has for each subject, and tells what came of it; the exit code. `single`: one database
/// was named.
pub async fn send(
    cluster: &Cluster,
    mut job: Job,
    subjects: Vec<Subject>,
    make: &run::Make<'_>,
    single: bool,
    global: &Global,
) -> u8 {
    let text = !matches!(global.output, Some(Output::Json | Output::Yaml | Output::Name));
    let told = Cell::new(false);
    let board = job.board.clone();
    let tell = |stage: Stage, outcome: &Outcome| match stage {
        Stage::Asked if text && single => {
            told.set(true);
            board.aside(|| output::asked(outcome));
        }
        Stage::Ended if text && !single => board.aside(|| output::row(outcome)),
        Stage::Asked | Stage::Ended => {}
    };
    // From here on something may be written: an interrupt no longer ends the program in the middle.
    job.stop = Stop::on_interrupt(job.board.clone());
    let outcomes = run::run(cluster, &job, subjects, make, &tell).await;
    answer(&outcomes, single, told.get(), global);
    outcomes.iter().map(Outcome::exit_code).max().unwrap_or(0)
}

/// Prints what came of it. `told`: what was asked for the only target has been told already.
fn answer(outcomes: &[Outcome], single: bool, told: bool, global: &Global) {
    match (global.output, outcomes) {
        (Some(form @ (Output::Json | Output::Yaml)), [only]) if single => {
            output::warnings(only);
            if let Some(failure) = &only.failure {
                output::failed(&only.target(), failure);
            }
            // What was done is told also where a later step failed; where nothing was, stdout stays empty.
            if only.failure.is_none() || !only.operations.is_empty() {
                output::machine(form, &output::json_of(only));
            }
        }
        (Some(form @ (Output::Json | Output::Yaml)), several) => {
            let results: Vec<_> = several.iter().map(output::json_of).collect();
            output::machine(form, &json!({"results": results}));
            output::total(several);
        }
        (Some(Output::Name), all) => {
            for outcome in all {
                outcome.operations.iter().for_each(|o| data!("{}", o.resource));
                output::warnings(outcome);
                if let Some(failure) = &outcome.failure {
                    output::failed(&outcome.target(), failure);
                }
            }
        }
        (_, [only]) if single => {
            if !told {
                output::asked(only);
            }
            output::ended(only);
        }
        (_, several) => output::total(several),
    }
}

/// Asks before several databases are changed.
///
/// # Errors
/// Where nobody confirms it.
pub fn confirm(subjects: &[Subject], global: &Global) -> Result<(), Failure> {
    let names: Vec<String> = subjects.iter().map(|s| format!("{}/{}", s.namespace, s.name)).collect();
    confirmed(&names, "databases", ["Change", "changed"], global)
}

/// Asks before something is done to several; without a terminal, -y is needed.
///
/// # Errors
/// Where nobody confirms it.
pub fn confirmed(names: &[String], what: &str, [do_it, done]: [&str; 2], global: &Global) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    let list = match names.len() {
        0..=5 => names.join(", "),
        many => format!("{}, and {} more", names[..5].join(", "), many - 5),
    };
    let refuse = |why: &str| usage(format!("{} {what} would be {done} ({list}); {why}", names.len()));
    agreed(&format!("  {}\n{do_it} these {} {what}?", names.join("\n  "), names.len()), done, refuse)
}

/// Asks a question on the terminal, to which only `yes` is a yes.
///
/// # Errors
/// What `refuse` makes of the reason: there is no terminal, or the answer was another one.
pub fn agreed(question: &str, done: &str, refuse: impl Fn(&str) -> Failure) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(refuse("add -y to confirm"));
    }
    eprint!("{question} Type yes: ");
    let mut typed = String::new();
    // An unreadable terminal is an answer too: not yes.
    let _ = std::io::stdin().lock().read_line(&mut typed);
    if typed.trim() == "yes" { Ok(()) } else { Err(refuse(&format!("nothing was {done}"))) }
}
