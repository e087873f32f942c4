//! `kubectl dbscale`: scales KubeDB databases safely.

mod cli;
mod commands;
mod log;
mod outcome;
mod output;
mod run;
mod target;
mod values;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::commands::{change, lint, plan, reference};

fn main() -> ExitCode {
    let cli = Cli::of_process();
    log::start(&cli.global);
    let form = cli.global.output;
    let done = match &cli.command {
        Command::Lint(args) => lint::run(args),
        Command::Engines { engine } => reference::engines(engine.as_deref(), form).map(|()| 0),
        Command::Sizes { sizes } => reference::sizes(sizes.as_ref(), form).map(|()| 0),
        Command::Explain { rule } => reference::explain(rule.as_deref(), form).map(|()| 0),
        Command::Version => {
            reference::version(form);
            Ok(0)
        }
        Command::Vertical(_) | Command::Horizontal(_) | Command::Set(_) | Command::Storage(_) | Command::Plan(_) => {
            return ExitCode::from(with_cluster(&cli));
        }
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
    // One thread: the work is a few calls over one connection, and threads cost memory at every start.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program could not start: {error}");
            return 1;
        }
    };
    runtime.block_on(async {
        match &cli.command {
            Command::Plan(args) => plan::run(wanted, args, &cli.global).await,
            _ => change::run(wanted, &cli.global).await,
        }
    })
}
