//! Completion through `kubectl __complete`: names of the live cluster, fast, and silent on every error.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::process::Command;
use std::time::{Duration, Instant};

use dbscale_e2e::screen::Screen;
use dbscale_e2e::{World, databases, playground};
use serde_json::json;
use tempfile::TempDir;

/// A folder with the link that `completion install` makes.
fn installed(world: &World) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = world.kubectl(&["dbscale", "completion", "install", "--dir", folder.path().to_str().unwrap()]);
    let link = folder.path().join("kubectl_complete-dbscale");
    assert_eq!((made.code, made.stdout), (0, format!("{} made\n", link.display())), "{}", made.stderr);
    let again = world.kubectl(&["dbscale", "completion", "install", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!((again.code, again.stdout), (0, format!("{} is there already\n", link.display())), "{}", again.stderr);
    folder
}

/// What kubectl answers: the candidates, and what it says beside them.
fn complete(folder: &TempDir, words: &[&str]) -> (Vec<String>, String) {
    let mut command = World::command(&[&["__complete", "dbscale"], words].concat());
    let path = command.get_envs().find(|(key, _)| *key == "PATH").and_then(|(_, value)| value).unwrap().to_owned();
    let path = format!("{}:{}", folder.path().display(), path.display());
    let output = command.env("PATH", path).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let words = lines.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned());
    let said = String::from_utf8(output.stderr).unwrap();
    let said = said.lines().filter(|line| !line.starts_with("[Debug] ")); // kubectl's own
    (words.collect(), said.collect::<Vec<_>>().join("\n"))
}

#[test]
fn kubectl_offers_commands_engines_and_the_names_of_databases() {
    let world = World::new("complete");
    let folder = installed(&world);
    for name in ["my-db", "my-other", "crm"] {
        let mut object = databases::mongodb();
        object["metadata"]["name"] = json!(name);
        world.create(&object);
    }
    // What has not come in time is left out of an answer: on a machine that does other things it is asked anew.
    let offers = |typed: &[&str], wanted: &[&str]| {
        let began = Instant::now();
        loop {
            let (words, _) = complete(&folder, typed);
            if words == wanted {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{typed:?} offers {words:?}, not {wanted:?}");
        }
    };
    offers(&["vert"], &["vertical", ":4"]);
    offers(&["vertical", "mongo"], &["mongodb/", ":6"]);
    let namespace = world.namespace.as_str();
    offers(&["-n", namespace, "vertical", "mongodb/my"], &["mongodb/my-db", "mongodb/my-other", ":4"]);
    offers(&["-n", namespace, "vertical", "mg", "c"], &["crm", ":4"]);
    offers(&["-n", namespace, "policy", "check", "mongodb/c"], &["mongodb/crm", ":4"]);
    offers(&["-n", namespace, "policy", "check", "mongodb/my-db", "mongodb/c"], &["mongodb/crm", ":4"]);
    offers(&["vertical", "-n", &namespace[..namespace.len() - 1]], &[namespace, ":4"]);
    offers(&["vertical", "mg/x", "--size", "db.t3.me"], &["db.t3.medium", ":4"]);
    world.until("mongodb/my-db", ".status.phase", "Ready");
    let made = world.dbscale(&["vertical", "mg/my-db", "--memory", "512Mi", "--name", "my-db-resize"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    for command in ["wait", "cancel", "retry"] {
        offers(&["-n", namespace, command, "my-db-re"], &["my-db-resize", ":4"]);
    }
    offers(&["-n", namespace, "rollback", "--to="], &["--to=my-db-resize", ":4"]);

    // The program alone: kubectl needs its own time before it asks. Once in time is enough, for the machine does other things.
    let began = Instant::now();
    loop {
        let mut command = Command::new(folder.path().join("kubectl_complete-dbscale"));
        command.args(["-n", namespace, "vertical", "mongodb/my"]).env("KUBECONFIG", playground().join("kubeconfig"));
        let asked = Instant::now();
        let told = command.output().unwrap().stdout;
        let took = asked.elapsed();
        if told == b"mongodb/my-db\nmongodb/my-other\n:4\n" && took < Duration::from_millis(200) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{told:?} after {took:?}");
    }
}

#[test]
fn an_error_gives_no_candidates_and_no_words() {
    let world = World::new("complete-error");
    let folder = installed(&world);
    let calm = "Completion ended with directive: ShellCompDirectiveNoFileComp";
    for flags in [["--context", "gone"], ["--kubeconfig", "/nonexistent"], ["--as", "nobody"]] {
        let (words, said) = complete(&folder, &[&flags[..], &["vertical", "mongodb/"]].concat());
        assert_eq!((words, said.as_str()), (vec![":4".to_owned()], calm), "{flags:?}");
    }
    let dead = world.write(
        "kubeconfig",
        &json!({"clusters": [{"name": "c", "cluster": {"server": "http://192.0.2.1:1"}}], "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"})
        .to_string(),
    );
    let began = Instant::now();
    let (words, said) = complete(&folder, &["--kubeconfig", &dead, "vertical", "mongodb/"]);
    assert_eq!((words, said.as_str()), (vec![":4".to_owned()], calm));
    assert!(began.elapsed() < Duration::from_secs(2), "a cluster that does not answer is not waited for");
}

/// Starts a shell that reads the script of its kind and nothing of a person's; `None` where it is not installed.
fn shell(name: &str, home: &TempDir) -> Option<(std::process::Child, Screen)> {
    let is_there = Command::new(name).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("skipped: {name} is not installed");
        return None;
    }
    let made = Command::new(playground().join("bin/kubectl-dbscale")).args(["completion", name]).output().unwrap();
    let script = String::from_utf8(made.stdout).unwrap();
    let (file, text) = match name {
        "bash" => ("rc", script + "\nPS1='ready> '\n"),
        "zsh" => (".zshrc", format!("PS1='ready> '\nautoload -Uz compinit\ncompinit -u -D\n{script}")),
        _ => ("rc", script + "\nfunction fish_prompt; echo 'ready> '; end\nset -g fish_greeting\n"),
    };
    let (file, home) = (home.path().join(file), home.path().to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let rc = file.to_str().unwrap();
    let source = format!("source {rc}");
    let words = match name {
        "bash" => vec!["bash", "--rcfile", rc, "-i"],
        "zsh" => vec!["zsh", "-i"],
        _ => vec!["fish", "--no-config", "-i", "-C", &source],
    };
    Some(Screen::of_shell(&words, &[("HOME", home), ("ZDOTDIR", home), ("XDG_DATA_HOME", home)]))
}

#[test]
fn the_shells_complete_what_is_typed() {
    for name in ["bash", "zsh", "fish"] {
        let home = tempfile::tempdir().unwrap();
        let plan = home.path().join("the-only-one.json");
        std::fs::write(&plan, "{}").unwrap();
        let begun = home.path().join("the-only");
        let no_plan = format!("{} is no plan", plan.display());
        let no_config = format!("the kubeconfig {} cannot be used", plan.display());
        let Some((mut running, mut screen)) = shell(name, &home) else { continue };
        for (typed, answer) in [
            ("kubectl-dbscale expl\tstorage/no-sh\t\r".to_owned(), "Kubernetes can grow a volume, never shrink it."),
            ("kubectl-dbscale sizes --outp\tna\t\r".to_owned(), "db.t3.medium"),
            (format!("kubectl-dbscale apply {}\t\r", begun.display()), no_plan.as_str()),
            (format!("kubectl-dbscale status --kubeconfig={}\t\r", begun.display()), no_config.as_str()),
        ] {
            screen.until("ready> ");
            screen.enter(&typed);
            screen.until(answer);
        }
        screen.enter("exit\r");
        let _ = screen.to_end();
        running.wait().unwrap();
    }
}
