//! `up` and `down`: a control plane that outlives the command that started it.
//!
//! `up` starts this program again in the background (`serve`), which holds the control plane and the simulator in one
//! process; `down` asks that process to end, and it takes everything with it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dbscale_testbed::assets;
use dbscale_testbed::playground::Playground;

/// How long everything may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(600);

/// Starts a playground and returns when it is ready.
pub fn up(dir: &Path, without: &[String]) -> Result<()> {
    if let Some(unknown) = without.iter().find(|w| !["simulator", "webhook", "controller"].contains(&w.as_str())) {
        bail!("--without {unknown}: the parts are simulator, webhook, controller");
    }
    if dir.join("pid").exists() {
        bail!("{} is in use; end it first: cargo xtask down --dir {}", dir.display(), dir.display());
    }
    let tools = assets::find_or_build()?; // here, so that its words are seen
    build_plugin()?;
    fs::create_dir_all(dir.join("bin"))?;
    let dir = dir.canonicalize()?;
    for (name, from) in [("kubectl", tools.join("kubectl")), ("kubectl-dbscale", plugin())] {
        let link = dir.join("bin").join(name);
        let _ = fs::remove_file(&link); // a stale link of an earlier run
        std::os::unix::fs::symlink(from.canonicalize()?, link)?;
    }
    let log = fs::File::create(dir.join("serve.log"))?;
    let mut serve = Command::new(std::env::current_exe()?);
    serve
        .arg("serve")
        .arg("--dir")
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    if without.iter().any(|w| w == "simulator") {
        serve.arg("--without-simulator");
    }
    let mut child = serve.spawn().context("could not start the background process")?;
    fs::write(dir.join("pid"), child.id().to_string())?;
    let began = Instant::now();
    while !dir.join("ready").exists() {
        let ended = child.try_wait()?;
        if ended.is_some() || began.elapsed() > READY_WITHIN {
            let _ = child.kill();
            let log = fs::read_to_string(dir.join("serve.log")).unwrap_or_default();
            let _ = fs::remove_file(dir.join("pid"));
            bail!("the playground did not start:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!(
        "ready after {:.0} s: export KUBECONFIG={}/kubeconfig PATH={}/bin:$PATH",
        began.elapsed().as_secs_f32(),
        dir.display(),
        dir.display()
    );
    Ok(())
}

/// Ends a playground and removes its folder.
pub fn down(dir: &Path) -> Result<()> {
    let pid = fs::read_to_string(dir.join("pid")).with_context(|| format!("nothing runs in {}", dir.display()))?;
    let status = Command::new("kill").arg("-TERM").arg(pid.trim()).status().context("could not run kill")?;
    let began = Instant::now();
    while status.success() && Path::new("/proc").join(pid.trim()).exists() && began.elapsed() < Duration::from_secs(30)
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::remove_dir_all(dir).with_context(|| format!("could not remove {}", dir.display()))?;
    Ok(())
}

/// Runs a playground until it is asked to end.
#[tokio::main]
pub async fn serve(dir: &Path, with_simulator: bool) -> Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let plane = dir.join("plane");
    let playground = tokio::select! {
        started = Playground::start(&plane, with_simulator) => started?,
        _ = term.recv() => return Ok(()),
    };
    fs::copy(playground.plane.kubeconfig(), dir.join("kubeconfig"))?;
    fs::write(dir.join("origin"), format!("{:?}", playground.origin))?;
    fs::write(dir.join("ready"), "")?;
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    drop(playground);
    Ok(())
}

/// Builds the plugin as it is shipped, but for the optimiser.
pub fn build_plugin() -> Result<()> {
    let status = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "kubectl-dbscale"]).status()?;
    if status.success() { Ok(()) } else { bail!("the plugin could not be built") }
}

fn plugin() -> std::path::PathBuf {
    assets::workspace().join("target/debug/kubectl-dbscale")
}
