//! `up` and `down`: a control plane that outlives the command that started it; and one that does not.
//!
//! This program is started again in the background (`serve`), and holds the control plane and the simulator in one process,
//! which takes everything with it when it ends. It ends when `down` asks it to, and as long as the command that started it
//! has not let it go, it also ends with that command, in whatever way that ends: it reads from a pipe which breaks then.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dbscale_testbed::controller::Controller;
use dbscale_testbed::playground::Playground;
use dbscale_testbed::webhook::Webhook;
use dbscale_testbed::{assets, shipped};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::process::{Process, this_program};

/// The controller's package and program.
const CONTROLLER: &str = "dbscale-controller";

/// How long everything may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(600);

/// The webhook's package and program.
const WEBHOOK: &str = "dbscale-webhook";

/// What is built from this workspace and found in `bin`.
const PROGRAMS: [&str; 3] = ["kubectl-dbscale", WEBHOOK, CONTROLLER];

/// A playground that ends with its holder, also where that panics or is killed.
pub struct Held {
    dir: PathBuf,
    serve: Child,
    /// The pipe that tells the background process of its holder's end; `None` once it was let go.
    pipe: Option<ChildStdin>,
    /// How long it took to be ready, without what had to be built before.
    ready_after: Duration,
}

impl Held {
    /// Ends it and removes its folder.
    pub fn end(mut self) -> Result<()> {
        self.close()
    }

    /// Lets it run on by itself, until [`down`].
    pub fn let_go(mut self) -> Result<()> {
        let mut pipe = self.pipe.take().context("it was let go already")?;
        pipe.write_all(b"\n").context("the background process has ended")
    }

    fn close(&mut self) -> Result<()> {
        drop(self.pipe.take());
        if let Some(process) = Process::of(self.serve.id()) {
            process.wait()?;
        }
        self.serve.wait()?;
        remove(&self.dir)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.pipe.is_some()
            && let Err(error) = self.close()
        {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Starts a playground that runs on when this command has ended.
pub fn up(dir: &Path, without: &[String]) -> Result<()> {
    let playground = start(dir, without, &[])?;
    let (dir, seconds) = (playground.dir.display().to_string(), playground.ready_after.as_secs_f32());
    playground.let_go()?;
    eprintln!("ready after {seconds:.0} s: export KUBECONFIG={dir}/kubeconfig PATH={dir}/bin:$PATH");
    Ok(())
}

/// Starts a playground for one command, in place of one that an earlier run has left there.
pub fn hold(dir: &Path, without: &[String]) -> Result<Held> {
    hold_with(dir, without, &[])
}

/// As [`hold`], with more in its environment.
pub fn hold_with(dir: &Path, without: &[String], environment: &[(&str, OsString)]) -> Result<Held> {
    if dir.join("pid").exists() {
        down(dir)?;
    }
    start(dir, without, environment)
}

/// Starts a playground and returns when it is ready.
fn start(dir: &Path, without: &[String], environment: &[(&str, OsString)]) -> Result<Held> {
    if let Some(unknown) = without.iter().find(|w| !["simulator", "webhook", "controller"].contains(&w.as_str())) {
        bail!("--without {unknown}: the parts are simulator, webhook, controller");
    }
    if dir.join("pid").exists() {
        bail!("{} is in use; end it first: cargo xtask down --dir {}", dir.display(), dir.display());
    }
    // The folder is removed in the end, with all that is in it.
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} holds other files; name an empty or a new folder with --dir", dir.display());
    }
    let tools = assets::find_or_build()?; // here, so that its words are seen
    build_programs()?;
    fs::create_dir_all(dir.join("bin"))?;
    let dir = dir.canonicalize()?;
    let programs = PROGRAMS.map(|name| (name, program(name)));
    for (name, from) in programs.into_iter().chain([("kubectl", tools.join("kubectl"))]) {
        std::os::unix::fs::symlink(from.canonicalize()?, dir.join("bin").join(name))?;
    }
    let log = fs::File::create(dir.join("serve.log"))?;
    let mut serve = this_program()?;
    serve
        .arg("serve")
        .arg("--dir")
        .arg(&dir)
        .envs(environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Its own group: an interrupt on the terminal reaches the holder alone, whose end then reaches it.
        .process_group(0);
    for part in without {
        serve.arg("--without").arg(part);
    }
    let mut serve = serve.spawn().context("could not start the background process")?;
    let pipe = serve.stdin.take();
    let mut held = Held { dir, serve, pipe, ready_after: Duration::ZERO };
    if let Some(process) = Process::of(held.serve.id()) {
        process.record(&held.dir.join("pid"))?;
    }
    let began = Instant::now();
    while !held.dir.join("ready").exists() {
        if held.serve.try_wait()?.is_some() || began.elapsed() > READY_WITHIN {
            let log = fs::read_to_string(held.dir.join("serve.log")).unwrap_or_default();
            bail!("the playground did not start:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    held.ready_after = began.elapsed();
    Ok(held)
}

/// Ends a playground and removes its folder.
pub fn down(dir: &Path) -> Result<()> {
    let record = dir.join("pid");
    if !record.exists() {
        bail!("nothing runs in {}", dir.display());
    }
    let process = Process::recorded(&record)?;
    if !process.lives() {
        eprintln!("what ran in {} has ended already", dir.display());
    }
    // The folder stays as long as the process lives: its record is the only way to find it again.
    process.end()?;
    remove(dir)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Why a playground ends.
enum End {
    /// By a signal; whoever sent it removes the folder.
    Asked,
    /// Its holder has ended.
    Abandoned,
}

/// Runs a playground until it is asked to end, or until its holder ends.
#[tokio::main]
pub async fn serve(dir: &Path, without: &[String]) -> Result<()> {
    let end = end()?;
    tokio::pin!(end);
    let started = tokio::select! {
        started = parts(dir, without) => Ok(started?),
        end = &mut end => Err(end),
    };
    let end = match started {
        Ok((playground, parts)) => {
            fs::write(dir.join("origin"), format!("{:?}", playground.origin))?;
            fs::write(dir.join("ready"), "")?;
            let end = end.await;
            drop(parts);
            drop(playground);
            end
        }
        Err(end) => end,
    };
    match end {
        End::Asked => Ok(()),
        End::Abandoned => remove(dir),
    }
}

/// Starts all parts but those that are left out.
async fn parts(dir: &Path, without: &[String]) -> Result<(Playground, (Option<Webhook>, Option<Controller>))> {
    let with = |part: &str| !without.iter().any(|w| w == part);
    let playground = Playground::start(&dir.join("plane"), with("simulator")).await?;
    let plane = &playground.plane;
    // Everything that is shipped is there also without its processes: people ask for records, and nothing is asked of a
    // webhook that has not told what.
    shipped::install(plane).await?;
    fs::copy(plane.kubeconfig(), dir.join("kubeconfig"))?;
    let kubeconfig = shipped::account(plane, CONTROLLER).await?;
    fs::copy(&kubeconfig, dir.join("controller.kubeconfig"))?;
    let (mut webhook, mut controller) = (None, None);
    if with("webhook") {
        webhook = Some(Webhook::start(plane, &program(WEBHOOK), &dir.join("webhook.log")).await?);
    }
    if with("controller") {
        let started = Controller::start(&program(CONTROLLER), &kubeconfig, &[], &dir.join("controller.log"))?;
        fs::write(dir.join("controller.address"), started.address.to_string())?;
        controller = Some(started);
    }
    Ok((playground, (webhook, controller)))
}

/// Waits for the end of a playground; signals are noticed from now on.
fn end() -> Result<impl Future<Output = End>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let abandoned = abandoned();
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => End::Asked,
            _ = interrupt.recv() => End::Asked,
            () = abandoned => End::Abandoned,
        }
    })
}

/// Waits until the pipe breaks that the holder has; for ever, where the holder lets go before.
fn abandoned() -> impl Future<Output = ()> {
    let (tell, told) = oneshot::channel();
    // A thread of its own: the runtime would wait at its end for a read that it had begun.
    std::thread::spawn(move || {
        if broke(std::io::stdin()) {
            let _ = tell.send(()); // nobody listens where the playground has ended already
        }
    });
    async move {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether a pipe ends before anything comes out of it.
fn broke(mut pipe: impl Read) -> bool {
    pipe.read_exact(&mut [0]).is_err()
}

/// Builds the programs as they are shipped, but for the optimiser.
pub fn build_programs() -> Result<()> {
    for program in PROGRAMS {
        // One by one: together they would be built with one another's features.
        let status = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", program]).status()?;
        if !status.success() {
            bail!("{program} could not be built");
        }
    }
    Ok(())
}

fn program(name: &str) -> PathBuf {
    assets::workspace().join("target/debug").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::{predecessor, sleeper};

    #[test]
    fn down_lets_a_process_alone_that_it_has_not_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("playground");
        fs::create_dir(&dir).unwrap();
        let mut other = sleeper();
        predecessor(&Process::of(other.id()).unwrap()).record(&dir.join("pid")).unwrap();
        down(&dir).unwrap();
        assert!(!dir.exists());
        assert_eq!(other.try_wait().unwrap(), None);
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
    }

    #[test]
    fn down_ends_what_it_has_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("playground");
        fs::create_dir(&dir).unwrap();
        let mut serve = sleeper();
        Process::of(serve.id()).unwrap().record(&dir.join("pid")).unwrap();
        down(&dir).unwrap();
        assert!(!dir.exists());
        assert!(!serve.wait().unwrap().success());
        assert_eq!(down(&dir).unwrap_err().to_string(), format!("nothing runs in {}", dir.display()));
    }

    #[test]
    fn a_folder_with_other_files_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis"), "").unwrap();
        let refused = start(folder.path(), &[], &[]).err().unwrap();
        assert!(refused.to_string().contains("holds other files"), "{refused}");
    }

    #[test]
    fn a_pipe_that_breaks_is_told_from_one_that_lets_go() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        assert!(broke(reader));
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"\n").unwrap();
        drop(writer);
        assert!(!broke(reader));
    }
}
