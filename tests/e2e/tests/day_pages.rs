//! The examples of docs/commands/*.md, run as they stand there.
//!
//! Each page has two databases of its own in namespace demo: mongodb/my-db and postgres/crm. A line `...` stands for any
//! lines, `(exit 3)` for an exit code that is not 0; lines of an operation on its way are not compared. `DBSCALE_PAGES=overwrite` writes what the commands answer into the
//! pages; read the difference before you keep it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dbscale_e2e::{World, databases, settled};
use serde_json::{Value, json};

/// How many pages are run at a time.
const AT_ONCE: usize = 4;
/// The second in the names that the pages show; the next name has the next minute.
const SECOND: u64 = 1_763_937_600;

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands")).to_owned()
}

/// The pages' databases, Ready.
fn world() -> World {
    let world = World::new("pages");
    let sized = |mut object: Value, name: &str, replicas: i64, cpu: &str, size: &str| {
        object["metadata"]["name"] = json!(name);
        object["spec"]["replicas"] = json!(replicas);
        object["spec"]["podTemplate"]["spec"]["containers"][0]["resources"] = databases::resources(cpu, "2Gi");
        object["spec"]["storage"] = databases::storage(size);
        object
    };
    world.create(&sized(databases::mongodb(), "my-db", 3, "2", "20Gi"));
    world.create(&sized(databases::postgres(), "crm", 2, "1", "10Gi"));
    world.until("mongodb/my-db", ".status.phase", "Ready");
    world.until("postgres/crm", ".status.phase", "Ready");
    world
}

/// One page's run: where, and which name of the page is which of the cluster.
struct Run {
    world: World,
    place: tempfile::TempDir,
    names: BTreeMap<String, String>,
}

impl Run {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("bin")).unwrap();
        let examples = place.path().join("examples");
        fs::create_dir(&examples).unwrap();
        for entry in fs::read_dir(folder().join("examples")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), examples.join(entry.file_name())).unwrap();
        }
        Self { world: world(), place, names: BTreeMap::new() }
    }

    /// Runs a command of the page; what it answers, in the page's names.
    fn answer(&mut self, command: &str) -> String {
        let mut real = command.to_owned();
        for (page, cluster) in &self.names {
            real = real.replace(page, cluster);
        }
        let words: Vec<&str> = real.strip_prefix("kubectl ").expect("a command of kubectl").split(' ').collect();
        let kubectl = World::command(&[]);
        let mut shell = std::process::Command::new("sh");
        for (key, value) in kubectl.get_envs() {
            shell.env(key, value.unwrap_or_default());
        }
        // Both streams in one, as on a screen; every command is for the page's namespace.
        let quoted: Vec<String> = words
            .iter()
            .map(|word| if word.starts_with('\'') { (*word).to_owned() } else { format!("'{word}'") })
            .collect();
        let namespaced = words[0] == "dbscale" && words.get(1) != Some(&"completion");
        let namespace = if namespaced { format!(" -n {}", self.world.namespace) } else { String::new() };
        let script = format!("{} {}{namespace} 2>&1", kubectl.get_program().to_string_lossy(), quoted.join(" "));
        let output = shell.args(["-c", &script]).current_dir(self.place.path()).output().unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        if let Some(code) = output.status.code().filter(|code| *code != 0) {
            let _ = writeln!(text, "(exit {code})");
        }
        let mut text = text.replace(&self.world.namespace, "demo");
        for name in made(&text) {
            if !self.names.values().any(|known| *known == name) {
                let (before, _) = name.rsplit_once('-').unwrap();
                let second = SECOND + 60 * u64::try_from(self.names.len()).unwrap();
                self.names.insert(format!("{before}-{second}"), name);
            }
        }
        for (page, cluster) in &self.names {
            text = text.replace(cluster, page);
        }
        text.lines().fold(String::new(), |all, line| all + line.trim_end() + "\n")
    }
}

/// The names in a text that dbscale has made, in their order.
fn made(text: &str) -> Vec<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split(|c| !inner(c)).filter(|word| {
        word.rsplit_once("-scale-")
            .is_some_and(|(_, second)| second.len() == 10 && second.bytes().all(|b| b.is_ascii_digit()))
    });
    words.map(str::to_owned).collect()
}

/// Whether a line tells where an operation is on its way: how many there are depends on when it was looked at.
fn is_on_the_way(line: &str) -> bool {
    line.contains("  Pending  ") || line.contains("  Progressing  ")
}

/// A line that names an operation which another waits for: whether that has begun depends on the moment, too.
fn without_phase(line: &str) -> String {
    line.replace(" is Progressing: this one waits", " is Pending: this one waits")
}

/// Whether the answer is as the page has it; `...` stands for any lines.
fn fits(page: &[String], answer: &[String]) -> bool {
    match page.split_first() {
        None => answer.is_empty(),
        Some((dots, rest)) if dots == "..." => (0..=answer.len()).any(|skipped| fits(rest, &answer[skipped..])),
        Some((line, rest)) => answer.first() == Some(line) && fits(rest, &answer[1..]),
    }
}

/// Runs a page; the page as it would be overwritten, and what does not fit.
fn run(text: &str) -> (String, Vec<String>) {
    let mut run = Run::new();
    let (mut page, mut wrong) = (String::new(), Vec::new());
    let mut lines = text.lines().peekable();
    let mut is_console = false;
    while let Some(line) = lines.next() {
        is_console = if line.starts_with("```") { line == "```console" } else { is_console };
        let _ = writeln!(page, "{line}");
        let Some(command) = line.strip_prefix("$ ").filter(|_| is_console) else { continue };
        let mut told = String::new();
        while let Some(line) = lines.next_if(|next| !next.starts_with("$ ") && !next.starts_with("```")) {
            let _ = writeln!(told, "{line}");
        }
        let answer = run.answer(command);
        let (told, settled_answer) = (settled(told.trim_end()), settled(answer.trim_end()));
        let lasting =
            |text: &'_ str| text.lines().filter(|line| !is_on_the_way(line)).map(without_phase).collect::<Vec<_>>();
        if !fits(&lasting(&told), &lasting(&settled_answer)) {
            wrong.push(format!("$ {command}\nthe page says\n{told}the command answers\n{settled_answer}"));
        }
        page.push_str(answer.trim_end());
        page.push_str(if answer.trim().is_empty() { "" } else { "\n" });
        if lines.peek().is_some_and(|next| next.starts_with("$ ")) {
            page.push('\n');
        }
    }
    (page, wrong)
}

#[test]
fn every_example_answers_as_its_page_says() {
    let mut pages: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
    pages.sort();
    let chosen = std::env::var("DBSCALE_PAGE").unwrap_or_default();
    pages.retain(|path| chosen.is_empty() || path.file_stem().is_some_and(|stem| *stem == *chosen));
    assert!(pages.len() > 20 || !chosen.is_empty(), "{} pages", pages.len());
    let overwrites = std::env::var("DBSCALE_PAGES").is_ok_and(|what| what == "overwrite");
    let (left, wrong) = (Mutex::new(pages), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(path) = left.lock().unwrap().pop() else { return };
                    let text = fs::read_to_string(&path).unwrap();
                    let (page, faults) = run(&text);
                    if overwrites {
                        fs::write(&path, page).unwrap();
                    } else {
                        let name = path.file_name().unwrap().to_string_lossy().into_owned();
                        wrong.lock().unwrap().extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} examples answer otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
