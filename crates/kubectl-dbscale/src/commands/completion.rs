//! `completion`: the shells' scripts, and the link by which kubectl finds this program as its completer.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::failure::{EXIT_ERROR, usage};

/// What kubectl looks for on the PATH when `kubectl dbscale` is to be completed.
pub const COMPLETER: &str = "kubectl_complete-dbscale";

/// `completion`
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// A shell's script, or the link through which kubectl's own completion asks this program
    #[arg(value_enum, value_name = "bash|zsh|fish|install", hide_possible_values = true)]
    pub what: What,
    /// Where the link is made; beside this program unless given
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What is printed or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// For bash.
    Bash,
    /// For zsh.
    Zsh,
    /// For fish.
    Fish,
    /// The link.
    Install,
}

/// Prints a script, or makes the link.
///
/// # Errors
/// Where the link cannot be made.
pub fn run(args: &CompletionArgs) -> Result<(), Failure> {
    match args.what {
        What::Bash => output::text_out(include_str!("../completion/bash.sh")),
        What::Zsh => output::text_out(include_str!("../completion/zsh.sh")),
        What::Fish => output::text_out(include_str!("../completion/fish.fish")),
        What::Install => return install(args.dir.as_deref()),
    }
    if args.dir.is_some() {
        return Err(usage("--dir belongs to completion install"));
    }
    Ok(())
}

/// Makes the link; a program of ours that is there already is left as it is.
fn install(dir: Option<&Path>) -> Result<(), Failure> {
    let failed = |what: &str, error: std::io::Error| Failure {
        exit_code: EXIT_ERROR,
        message: format!("{what}: {error}"),
        remedy: "name a folder of your PATH that you may write, with --dir".to_owned(),
        ..Failure::default()
    };
    let program = std::env::current_exe().map_err(|e| failed("this program cannot be found", e))?;
    // Where a plugin manager put a link to the program, that is what lasts: the program's own folder goes with its version.
    let called = std::env::args_os().next().map(PathBuf::from).filter(|called| called.is_absolute());
    let program = called.unwrap_or(program);
    let dir = dir.or_else(|| program.parent()).unwrap_or(Path::new("."));
    let suffix = program.extension().and_then(OsStr::to_str).map(|e| format!(".{e}")).unwrap_or_default();
    let link = dir.join(format!("{COMPLETER}{suffix}"));
    let there = std::fs::canonicalize(&link).ok();
    if there.is_some() && there == std::fs::canonicalize(&program).ok() {
        data!("{} is there already", link.display());
        return Ok(());
    }
    make(&program, &link).map_err(|e| failed(&format!("{} cannot be made", link.display()), e))?;
    data!("{} made", link.display());
    Ok(())
}

#[cfg(unix)]
fn make(program: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

/// A link needs a right there that few have; a copy does the same.
#[cfg(not(unix))]
fn make(program: &Path, link: &Path) -> std::io::Result<()> {
    if link.exists() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    std::fs::copy(program, link).map(|_| ())
}

#[cfg(all(test, unix))]
mod tests {
    use rstest::rstest;

    /// Runs the script of bash with a program that answers `answer` and tells what it was asked.
    #[rstest]
    #[case::no_blank(&["vertical", "mongo"], "mongodb/\tMongoDB\n:6", "asked vertical mongo\ncompopt -o nospace\nmongodb/\n")]
    #[case::a_whole_word(&["ver"], "vertical\tCPU\nversion\tall\n:4", "asked ver\nvertical\nversion\n")]
    #[case::files(&["lint", "-f", ""], ":0", "asked lint -f \ncompopt -o default\n")]
    #[case::value_begun(&["set", "--size", "=", "db.t"], "--size=db.t3.small\n:4", "asked set --size=db.t\ndb.t3.small\n")]
    #[case::value_not_begun(&["set", "--size", "="], "--size=db.t3.small\n:4", "asked set --size=\ndb.t3.small\n")]
    #[case::behind_a_value(&["set", "--size", "=", "a", "--na"], "--name\n:4", "asked set --size=a --na\n--name\n")]
    fn bash_takes_an_answer_as_it_is_meant(#[case] words: &[&str], #[case] answer: &str, #[case] wanted: &str) {
        let test = r#"
            kubectl-dbscale() { shift; echo "asked $*" >&3; printf '%s\n' "$answer"; }
            compopt() { echo "compopt $*"; }
            answer=$1; shift
            COMP_WORDS=(kubectl-dbscale "$@"); COMP_CWORD=$#
            exec 3>&1
            _kubectl_dbscale
            for word in "${COMPREPLY[@]}"; do echo "$word"; done
        "#;
        let script = format!("{}{test}", include_str!("../completion/bash.sh"));
        let output =
            std::process::Command::new("bash").args(["-c", &script, "bash", answer]).args(words).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
    }
}
