//! `lint`: what the rules say of files, without a cluster.

use std::path::PathBuf;

use anstream::eprintln;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use kubectl_dbscale::lint::report::printable;
use kubectl_dbscale::lint::{self, Ask};

use crate::cli::Output;
use crate::outcome::Failure;
use crate::output::{self, RED};
use crate::run::failure::{EXIT_ERROR, usage};

/// How many documents that are passed over are told one by one: a chart may be full of templates.
const PASSED_OVER: usize = 10;

/// `lint`
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files of any name, folders, or - for standard input
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// Read the folders below a folder, too
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// What was there before: judge databases as updates of it, too
    #[arg(long, value_name = "FILE|-")]
    pub old: Option<PathBuf>,
    /// Refuse what names a database or a storage class that is not among the files
    #[arg(long)]
    pub strict: bool,
    // The same name and type as the flag of all commands, whose place it takes here.
    /// The form of the answer
    #[arg(short, long, value_name = "text|json|github", hide_possible_values = true, value_parser = form())]
    pub output: Option<Output>,
}

fn form() -> impl TypedValueParser<Value = Output> {
    PossibleValuesParser::new(["text", "json", "github"]).map(|form| match form.as_str() {
        "json" => Output::Json,
        "github" => Output::Github,
        _ => Output::Text,
    })
}

/// Reads and judges the files and prints what was found; answers the exit code.
///
/// # Errors
/// Where the command line makes no sense, or the program cannot work at all.
pub fn run(args: &LintArgs) -> Result<u8, Failure> {
    let from_stdin = args.files.iter().chain(&args.old).filter(|p| p.as_os_str() == "-").count();
    if from_stdin > 1 {
        return Err(usage("standard input can be read once: name one - only"));
    }
    let ask = Ask { files: args.files.clone(), recursive: args.recursive, old: args.old.clone(), strict: args.strict };
    let report = lint::lint(&ask).map_err(|error| Failure {
        exit_code: EXIT_ERROR,
        message: format!("the files could not be read: {error}"),
        ..Failure::default()
    })?;
    match args.output {
        Some(Output::Json) => output::write_out(|out| report.json(out)),
        Some(Output::Github) => output::text_out(&report.github()),
        _ => output::text_out(&report.text()),
    }
    for passed_over in report.passed_over.iter().take(PASSED_OVER) {
        output::warning(&printable(&passed_over.to_string()));
    }
    if let Some(more) = report.passed_over.len().checked_sub(PASSED_OVER).filter(|more| *more > 0) {
        output::warning(&format!("{more} more documents were passed over"));
    }
    for unreadable in &report.unreadable {
        eprintln!("{RED}error{RED:#}: {}", printable(&unreadable.to_string()));
    }
    eprintln!("{}", report.summary());
    Ok(report.exit_code())
}
