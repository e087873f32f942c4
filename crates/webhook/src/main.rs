//! The admission webhook's program.

use std::process::ExitCode;

use clap::Parser as _;
use dbscale_webhook::args::Args;
use dbscale_webhook::program;

fn main() -> ExitCode {
    let args = Args::parse();
    dbscale_serve::log::start(args.log_level);
    // One thread: a review takes some microseconds, and handing it between threads costs more than judging it.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(program::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
