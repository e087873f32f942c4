//! A process of which a record was kept, and which another may have followed under the same number since.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command that runs this very program again.
///
/// On Linux it is named by what runs, never by its path: a `cargo test` on the way may have built the program anew and
/// removed the file it was started from.
///
/// # Errors
/// Where the system does not tell the path.
pub fn this_program() -> Result<Command> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(Command::new(running)) } else { Ok(Command::new(std::env::current_exe()?)) }
}

/// How long a process may take to end.
const END_WITHIN: Duration = Duration::from_secs(30);

/// A process, by its number and by what no other process of that number has.
#[derive(Debug, PartialEq)]
pub struct Process {
    pid: u32,
    /// When it was started, in the system's own terms.
    mark: String,
}

impl Process {
    /// The process of that number; `None` where none lives.
    pub fn of(pid: u32) -> Option<Self> {
        let mark = if Path::new("/proc/self/stat").exists() { mark_of_proc(pid) } else { mark_of_ps(pid) };
        mark.map(|mark| Self { pid, mark })
    }

    /// Writes it down.
    pub fn record(&self, file: &Path) -> Result<()> {
        let text = format!("{}\n{}\n", self.pid, self.mark);
        fs::write(file, text).with_context(|| format!("could not write {}", file.display()))
    }

    /// Reads it again.
    pub fn recorded(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        let read = text.split_once('\n').and_then(|(pid, mark)| Some((pid.parse().ok()?, mark.trim().to_owned())));
        let (pid, mark) = read.with_context(|| {
            format!("{} holds '{}', which tells no process and its start: end it by hand", file.display(), text.trim())
        })?;
        Ok(Self { pid, mark })
    }

    /// Whether it lives; another process of its number does not count.
    pub fn lives(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Asks it to end, and waits until it has; nothing to do where it does not live.
    pub fn end(&self) -> Result<()> {
        if !self.lives() {
            return Ok(());
        }
        let status =
            Command::new("kill").arg("-TERM").arg(self.pid.to_string()).status().context("could not run kill")?;
        // It may have ended by itself just now.
        if !status.success() && self.lives() {
            bail!("process {} could not be asked to end", self.pid);
        }
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(&self) -> Result<()> {
        let began = Instant::now();
        while self.lives() {
            if began.elapsed() > END_WITHIN {
                bail!("process {} still runs after {END_WITHIN:?}; end it with: kill -KILL {}", self.pid, self.pid);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The start time out of `/proc/PID/stat`, in ticks since the machine was started. A process that has ended and waits for
/// its parent to notice counts as ended.
fn mark_of_proc(pid: u32) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name in parentheses, may hold blanks; the third is the state, the 22nd the start.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    match (fields.first(), fields.get(19)) {
        (Some(&"Z" | &"X"), _) => None,
        (_, start) => start.map(|start| (*start).to_owned()),
    }
}

/// The start time and the command line, where there is no `/proc`. Of a process that has ended the latter is not told.
fn mark_of_ps(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "lstart=", "-o", "command=", "-p"]).arg(pid.to_string()).stderr(Stdio::null());
    let answer = ps.output().ok().filter(|answer| answer.status.success())?;
    Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

#[cfg(test)]
pub mod tests {
    use std::process::Child;

    use super::*;

    /// A process that runs until its input ends.
    pub fn sleeper() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    /// The record of an earlier process that had the same number.
    pub fn predecessor(process: &Process) -> Process {
        Process { pid: process.pid, mark: format!("before {}", process.mark) }
    }

    #[test]
    fn a_process_is_known_again_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let mut child = sleeper();
        Process::of(child.id()).unwrap().record(&file).unwrap();
        let process = Process::recorded(&file).unwrap();
        assert_eq!(process.pid, child.id());
        assert!(process.lives());
        process.end().unwrap();
        // Nobody has taken notice of its end yet.
        assert!(!process.lives());
        child.wait().unwrap();
        assert_eq!(Process::of(child.id()), None);
        process.end().unwrap();
    }

    #[test]
    fn another_process_of_the_same_number_is_let_alone() {
        let mut child = sleeper();
        let process = predecessor(&Process::of(child.id()).unwrap());
        assert!(!process.lives());
        process.end().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn a_number_alone_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        fs::write(&file, "1").unwrap();
        assert!(Process::recorded(&file).unwrap_err().to_string().contains("end it by hand"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn both_ways_of_telling_processes_apart_agree_on_who_lives() {
        let mut child = sleeper();
        let (proc, ps) = (mark_of_proc(child.id()), mark_of_ps(child.id()));
        assert!(proc.is_some() && ps.is_some(), "{proc:?} {ps:?}");
        assert_eq!(mark_of_ps(child.id()), ps);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((mark_of_proc(child.id()), mark_of_ps(child.id())), (None, None));
    }
}
