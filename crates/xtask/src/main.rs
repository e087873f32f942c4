//! `cargo xtask`: the project's own tasks.

mod bench;
mod bench_controller;
mod bench_lint;
mod bench_preflight;
mod bench_webhook;
mod chart;
mod demo;
mod dist;
mod docs;
mod manifests;
mod playground;
mod policies;
mod process;
mod rights;
mod screen;
mod soak;
mod suite;
mod targets;
mod zig;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a local control plane with KubeDB simulated, and run the main job on it
    Demo {
        /// Leave it running
        #[arg(long)]
        keep: bool,
        /// Write SVG pictures of some of it into this folder
        #[arg(long, value_name = "DIR")]
        pictures: Option<PathBuf>,
    },
    /// Start a local control plane in the background, with KubeDB simulated
    Up {
        /// Where its data, kubeconfig and programs are
        #[arg(long, default_value = ".dbscale")]
        dir: PathBuf,
        /// Parts to leave out: simulator, webhook, controller
        #[arg(long, value_delimiter = ',')]
        without: Vec<String>,
    },
    /// End what `up` has started
    Down {
        /// As for `up`
        #[arg(long, default_value = ".dbscale")]
        dir: PathBuf,
    },
    /// Write the pages of docs/ that are made from the rules
    Docs,
    /// Write the parts of manifests/ that are made from the catalog and the rules
    Manifests,
    /// Run all tests
    Test,
    /// Check that the plugin compiles for Windows and macOS, as far as the toolchain allows
    Targets,
    /// Build what a release holds: archives, sums, what each program is made of, krew's manifest, the programs of the images
    Dist(dist::Options),
    /// Measure: `plugin` and `status` compare kubectl dbscale with kubectl, side by side; `lint` judges 10,000 documents; `webhook` compares
    /// the webhook with a server that does nothing, and with controller-runtime; `controller` follows operations among many
    /// databases; `preflight` checks the surroundings of one among 1,000 nodes and 10,000 pods
    Bench {
        /// What to measure
        #[arg(value_parser = ["plugin", "status", "lint", "webhook", "controller", "preflight"])]
        what: String,
        /// With how many databases the controller is measured, one after the other
        #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
        databases: Vec<usize>,
    },
    /// Run the long forms of the tests under load and in trouble: `webhook`, `controller`, and of made-up cases: `preflight`
    Soak {
        /// What to try
        #[arg(value_parser = ["webhook", "controller", "preflight"])]
        what: String,
    },
    /// Runs one command and prints its time and peak memory
    #[command(hide = true)]
    Measure {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// What `up` leaves in the background
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        without: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    match Cli::parse().task {
        Task::Demo { keep, pictures } => demo::run(keep, pictures.as_deref()),
        Task::Up { dir, without } => playground::up(&dir, &without),
        Task::Down { dir } => playground::down(&dir),
        Task::Docs => docs::run(),
        Task::Manifests => manifests::run(),
        Task::Test => suite::run(),
        Task::Targets => targets::check(),
        Task::Dist(options) => dist::run(&options),
        Task::Bench { what, .. } if what == "lint" => bench_lint::run(),
        Task::Bench { what, .. } if what == "status" => bench::status(),
        Task::Bench { what, .. } if what == "preflight" => bench_preflight::run(),
        Task::Bench { what, .. } if what == "webhook" => bench_webhook::run(),
        Task::Bench { what, databases } if what == "controller" => bench_controller::run(&databases),
        Task::Bench { .. } => bench::plugin(),
        Task::Soak { what } if what == "controller" => soak::controller(),
        Task::Soak { what } if what == "preflight" => soak::preflight(),
        Task::Soak { .. } => soak::webhook(),
        Task::Measure { command } => bench::measure(&command),
        Task::Serve { dir, without } => playground::serve(&dir, &without),
    }
}
