//! `kubectl dbscale`: scales KubeDB databases safely.

mod board;
mod cli;
mod commands;
mod completion;
mod fold;
mod help;
mod log;
mod outcome;
mod output;
mod run;
mod status;
mod target;
mod times;
mod values;
mod webhook;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::commands::{
    apply, cancel, change, cleanup, completion as scripts, describe, doctor, history, lint, plan, policy, reference,
    retry, rollback, version, wait,
};
use crate::outcome::Failure;
use crate::run::failure::EXIT_ERROR;

fn main() -> ExitCode {
    if let Some(words) = completion::asked_for(std::env::args_os()) {
        completion::run(&words);
        return ExitCode::SUCCESS;
    }
    let cli = Cli::of_process();
    log::start(&cli.global);
    let form = cli.global.output;
    let done = match &cli.command {
        Command::Lint(args) => lint::run(args),
        Command::Engines { engine } => reference::engines(engine.as_deref(), form).map(|()| 0),
        Command::Sizes { sizes } => reference::sizes(sizes.as_ref(), form).map(|()| 0),
        Command::Explain { rule } => reference::explain(rule.as_deref(), form).map(|()| 0),
        Command::Completion(args) => scripts::run(args).map(|()| 0),
        Command::Version(args) => block_on(version::run(args, &cli.global)),
        Command::Doctor(args) => block_on(doctor::run(args, &cli.global)),
        Command::Vertical(_) | Command::Horizontal(_) | Command::Set(_) | Command::Storage(_) | Command::Plan(_) => {
            return ExitCode::from(with_cluster(&cli));
        }
        Command::Status(args) => block_on(status::run(args, &cli.global)),
        Command::Apply(args) => block_on(apply::run(args, &cli.global)),
        Command::History(args) => block_on(history::run(args, &cli.global)),
        Command::Describe(args) => block_on(describe::run(args, &cli.global)),
        Command::Rollback(args) => block_on(rollback::run(args, &cli.global)),
        Command::Retry(args) => block_on(retry::run(args, &cli.global)),
        Command::Cancel(args) => block_on(cancel::run(args, &cli.global)),
        Command::Cleanup(args) => block_on(cleanup::run(args, &cli.global)),
        Command::Wait(args) => block_on(wait::run(args, &cli.global)),
        Command::Policy(args) => block_on(policy::run(args, &cli.global)),
        Command::Webhook(args) => block_on(webhook::run(args, &cli.global)),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::failed("", &failure);
            ExitCode::from(failure.exit_code)
        }
    }
}

fn with_cluster(cli: &Cli) -> u8 {
    let wanted = match change::wanted(&cli.command, &cli.global) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return 0,
        Err(failure) => {
            tracing::error!(error = failure.message, backtrace = failure.chain.join(": "), "scaling_operation_failed");
            output::failed("", &failure);
            return failure.exit_code;
        }
    };
    let done = block_on(async {
        Ok(match &cli.command {
            Command::Plan(args) => plan::run(wanted, args, &cli.global).await,
            _ => change::run(wanted, &cli.global).await,
        })
    });
    done.unwrap_or_else(|failure| {
        output::failed("", &failure);
        failure.exit_code
    })
}

/// Runs to the end. One thread: the work is a few calls over one connection, and threads cost memory at every start.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure {
        exit_code: EXIT_ERROR,
        message: format!("the program could not start: {error}"),
        ..Failure::default()
    })?;
    runtime.block_on(work)
}
