//! What the end-to-end tests share: the running playground, a namespace a test, kubectl, and waiting for conditions.
#![allow(clippy::panic, reason = "test support: a panic is how a test fails")]
#![allow(clippy::must_use_candidate, reason = "`must` is called for its effect as often as for its answer")]

pub mod databases;
pub mod line;
pub mod policies;
pub mod screen;
pub mod webhook;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(120);

/// The playground of this run, made by `cargo xtask test` or `cargo xtask up`.
///
/// # Panics
/// Where `DBSCALE_PLAYGROUND` does not name one: a test that cannot run must not look as if it had.
#[must_use]
pub fn playground() -> PathBuf {
    let dir = std::env::var_os("DBSCALE_PLAYGROUND").map(PathBuf::from);
    dir.expect("set DBSCALE_PLAYGROUND to the folder of `cargo xtask up --dir …`, or run `cargo xtask test`")
}

/// Whether the playground has KubeDB's own resource definitions; others refuse less.
#[must_use]
pub fn has_kubedbs_definitions() -> bool {
    std::fs::read_to_string(playground().join("origin")).is_ok_and(|origin| origin == "Real")
}

/// A namespace of one test, deleted at its end.
pub struct World {
    /// Its name.
    pub namespace: String,
}

/// What a command answered.
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl World {
    /// Makes a namespace.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::labelled(name, &json!({}))
    }

    /// Makes a namespace that the playground's webhook lets be: for what has a webhook of its own, and for what is about
    /// others than it.
    #[must_use]
    pub fn unjudged(name: &str) -> Self {
        Self::labelled(name, &json!({"dbscale.dev/enforcement": "off"}))
    }

    fn labelled(name: &str, labels: &Value) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let world = Self { namespace: format!("{name}-{}-{count}", std::process::id()) };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": world.namespace, "labels": labels}});
        let file = world.write("namespace", &namespace.to_string());
        world.must(&["create", "-f", &file]);
        world
    }

    /// Runs kubectl.
    ///
    /// # Panics
    /// Where kubectl cannot be started.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Answer {
        let output = Self::command(arguments).output().expect("kubectl starts");
        Answer::of(&output)
    }

    /// Runs kubectl, which must succeed; answers what it printed.
    ///
    /// # Panics
    /// Where it does not.
    pub fn must(&self, arguments: &[&str]) -> String {
        let answer = self.kubectl(arguments);
        assert_eq!(answer.code, 0, "kubectl {}: {}", arguments.join(" "), answer.stderr);
        answer.stdout
    }

    /// Runs `kubectl dbscale` in the namespace.
    #[must_use]
    pub fn dbscale(&self, arguments: &[&str]) -> Answer {
        let mut all = vec!["dbscale"];
        all.extend(arguments);
        all.extend(["-n", self.namespace.as_str()]);
        self.kubectl(&all)
    }

    /// Creates an object.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn create(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or("object");
        let file = self.write(name, &object.to_string());
        self.must(&["create", "--validate=false", "-n", &self.namespace, "-f", &file]);
    }

    /// Tries to create an object.
    #[must_use]
    pub fn try_create(&self, object: &Value, more: &[&str]) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap_or("object");
        let file = self.write(name, &object.to_string());
        let mut all = vec!["create", "--validate=false", "-n", &self.namespace, "-f", &file];
        all.extend(more);
        self.kubectl(&all)
    }

    /// Writes a file of this test; answers its path. It goes with the playground.
    ///
    /// # Panics
    /// Where the playground cannot be written.
    #[must_use]
    pub fn write(&self, name: &str, text: &str) -> String {
        let folder = playground().join("files");
        std::fs::create_dir_all(&folder).expect("the playground can be written");
        let file = folder.join(format!("{}-{name}", self.namespace));
        std::fs::write(&file, text).expect("the playground can be written");
        file.display().to_string()
    }

    /// One value of an object in the namespace; empty where there is none.
    #[must_use]
    pub fn value(&self, object: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.kubectl(&["get", "-n", &self.namespace, object, "-o", &path]).stdout.trim().to_owned()
    }

    /// Waits until a value is as wanted.
    ///
    /// # Panics
    /// Where it does not become so in time.
    pub fn until(&self, object: &str, path: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let value = self.value(object, path);
            if value == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{object} {path} is '{value}', not '{wanted}'");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until a quota has counted so much of a resource, and the API server knows it without looking into the store, as the
    /// admission and the checks before a change ask it.
    ///
    /// # Panics
    /// Where it does not in time.
    pub fn until_counted(&self, quota: &str, resource: &str, wanted: &str) {
        let began = Instant::now();
        let path = format!("/api/v1/namespaces/{}/resourcequotas?resourceVersion=0", self.namespace);
        loop {
            let list: Value = serde_json::from_str(&self.must(&["get", "--raw", &path])).expect("a list is JSON");
            let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let counted = items.iter().find(|item| item["metadata"]["name"] == quota);
            let used = counted.map(|item| item["status"]["used"][resource].clone()).unwrap_or_default();
            if used == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "quota {quota} has counted {used} of {resource}, not '{wanted}'");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until kubectl prints what is wanted.
    ///
    /// # Panics
    /// Where it does not in time.
    pub fn until_output(&self, arguments: &[&str], wanted: &str) {
        let began = Instant::now();
        loop {
            let printed = self.kubectl(arguments).stdout.trim().to_owned();
            if printed == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "kubectl {} prints '{printed}', not '{wanted}'", arguments.join(" "));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// How many OpsRequests of a kind there are.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.must(&["get", "-n", &self.namespace, kind, "-o", "name"]).lines().count()
    }

    /// A kubectl command that is not started yet.
    #[must_use]
    pub fn command(arguments: &[&str]) -> Command {
        let dir = playground();
        let bin = dir.join("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(bin.join("kubectl"));
        command.args(arguments).env("PATH", path).env("KUBECONFIG", dir.join("kubeconfig")).stdin(Stdio::null());
        command
    }
}

/// The text with `TIME` for what a clock has written at the end of a line: `12s`, `1m3s`, `2h5m`.
#[must_use]
pub fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        let units = word.bytes().all(|b| b.is_ascii_digit() || b"dhms".contains(&b));
        units && word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with(['d', 'h', 'm', 's'])
    };
    let lines = text.lines().map(|line| match line.rsplit_once("  ") {
        Some((before, last)) if is_time(last) => format!("{before}  TIME\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// The text with its columns two blanks apart, `TIME` for what a clock has written, and `N` for the seconds in names that
/// dbscale makes: what two runs of one command have in common.
#[must_use]
pub fn settled(text: &str) -> String {
    let is_time = |cell: &str| {
        let parts = cell.split_inclusive(|c: char| c.is_ascii_lowercase());
        let part = |p: &str| {
            p.len() > 1 && p.ends_with(['d', 'h', 'm', 's']) && p[..p.len() - 1].bytes().all(|b| b.is_ascii_digit())
        };
        !cell.is_empty() && parts.clone().all(part)
    };
    let is_stamp = |word: &str| word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    let word = |word: &str| {
        if is_stamp(word) {
            return "TIME".to_owned();
        }
        let Some((before, rest)) = word.split_once("-scale-1") else { return word.to_owned() };
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{before}-scale-N{after}")
    };
    let cell = |cell: &str| {
        if is_time(cell) { "TIME".to_owned() } else { cell.split(' ').map(word).collect::<Vec<_>>().join(" ") }
    };
    let line = |line: &str| {
        let indent = if line.starts_with("  ") { "  " } else { "" };
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        format!("{indent}{}\n", cells.map(cell).collect::<Vec<_>>().join("  "))
    };
    text.lines().map(line).collect()
}

impl Drop for World {
    fn drop(&mut self) {
        // Its end takes seconds, and nobody waits for it.
        let _ = Self::command(&["delete", "namespace", &self.namespace, "--wait=false"]).output();
    }
}

impl Answer {
    /// What a command that has ended answered.
    #[must_use]
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What was printed, as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }
}
