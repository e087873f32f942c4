//! `demo`: the main job, from nothing to scaled databases, on a machine without a cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anstyle::{Color, RgbColor};
use anyhow::{Context, Result, bail, ensure};
use dbscale_testbed::assets;

use crate::{playground, screen};

/// How long a database or an operation may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How wide the terminal of a picture is.
const COLUMNS: u16 = 112;

/// The picture's colours: light text on a dark ground, legible on either page.
const WHITE: Color = Color::Rgb(RgbColor(0xe6, 0xe6, 0xe6));
const BLACK: Color = Color::Rgb(RgbColor(0x1c, 0x1f, 0x26));

struct Demo<'d> {
    dir: &'d Path,
    checked: u32,
    /// What [`Demo::film`] has shown, with its colours, by the picture's name.
    film: BTreeMap<&'static str, String>,
}

/// Runs the demo; an outcome that is not as promised ends it with an error.
///
/// `pictures` names a folder for SVG files with some of the commands and their output as a terminal shows them.
pub fn run(keep: bool, pictures: Option<&Path>) -> Result<()> {
    let dir = assets::workspace().join("target/demo");
    say("A control plane on this machine: a real API server and scheduler, with KubeDB's operator simulated");
    let playground = playground::hold(&dir, &[])?;
    let mut demo = Demo { dir: &dir, checked: 0, film: BTreeMap::new() };
    let done = demo.scenes();
    let film = std::mem::take(&mut demo.film);
    if keep {
        playground.let_go()?;
        eprintln!("\nIt keeps running. End it with: cargo xtask down --dir {}", dir.display());
    } else {
        playground.end()?;
    }
    done?;
    for (name, film) in
        pictures.into_iter().flat_map(|folder| film.iter().map(move |(name, text)| (folder.join(name), text)))
    {
        let svg = anstyle_svg::Term::new()
            .palette(anstyle_svg::WIN10_CONSOLE)
            .fg_color(WHITE)
            .bg_color(BLACK)
            .render_svg(film);
        std::fs::write(&name, svg).with_context(|| format!("could not write {}", name.display()))?;
    }
    println!(
        "\nDone: {} outcomes checked. Three databases were resized and given more members, shards and storage through\n\
         ordinary OpsRequests and one guarded patch; what would have hurt them was refused, with the reason.",
        demo.checked
    );
    Ok(())
}

impl Demo<'_> {
    fn scenes(&mut self) -> Result<()> {
        say("Three databases");
        self.apply(DATABASES)?;
        for database in ["mongodb/my-db", "postgres/crm", "redis/cache"] {
            self.until(&["get", database, "-o", "jsonpath={.status.phase}"], "Ready")?;
        }
        self.show(0, &["kubectl", "get", "mongodb,postgres,redis"])?;

        say("More memory: db.t3.small to db.t3.medium");
        self.film(
            "demo.svg",
            0,
            &["kubectl", "dbscale", "vertical", "mongodb/my-db", "--size", "db.t3.medium", "--wait"],
        )?;
        let memory = ["get", "pod", "my-db-0", "-o", "jsonpath={.spec.containers[0].resources.limits.memory}"];
        self.until(&memory, "4Gi")?;

        say("More members: 3 to 5");
        self.show(0, &["kubectl", "dbscale", "horizontal", "mongodb/my-db", "--replicas", "5", "--wait"])?;
        let five =
            ["get", "pods", "-l", "app.kubernetes.io/instance=my-db", "-o", "jsonpath={.items[*].metadata.name}"];
        self.until(&five, "my-db-0 my-db-1 my-db-2 my-db-3 my-db-4")?;

        say("More shards of a Redis cluster: 3 to 4, each with its replica");
        self.show(0, &["kubectl", "dbscale", "horizontal", "redis/cache", "--shards", "4", "--wait"])?;
        self.until(&["get", "pod", "cache-shard3-1", "-o", "jsonpath={.status.phase}"], "Running")?;

        say("Both at once: KubeDB would drop one of two wishes in a request, so two requests are made");
        self.show(
            0,
            &["kubectl", "dbscale", "set", "postgres/crm", "--replicas", "3", "--size", "db.t3.large", "--wait"],
        )?;
        self.until(&["get", "postgres", "crm", "-o", "jsonpath={.spec.replicas}"], "3")?;

        say("Going on the way: a size and members of a database that takes its time");
        let slow = ["annotate", "postgres", "crm", "testbed.dbscale.dev/slow=4s"];
        self.read(&slow)?;
        self.show(0, &["kubectl", "dbscale", "vertical", "postgres/crm", "--size", "db.t3.medium", "--wait"])?;
        let recorded = ["get", "scalingrecord", "postgres-crm", "-o", "jsonpath={.status.last}"];
        self.until(&recorded, "VerticalScaling Successful")?;
        let created = self.read(&["dbscale", "vertical", "postgres/crm", "--size", "db.t3.large", "-o", "name"])?;
        self.show(0, &["kubectl", "dbscale", "horizontal", "postgres/crm", "--replicas", "5"])?;
        let name = created.rsplit('/').next().unwrap_or_default().to_owned();
        self.until(&["get", "postgresopsrequest", &name, "-o", "jsonpath={.status.phase}"], "Progressing")?;
        self.film("status.svg", 0, &["kubectl", "dbscale", "status"])?;
        self.film_wait(&name)?;
        self.show(0, &["kubectl", "dbscale", "wait", "postgres/crm"])?;
        self.read(&["annotate", "postgres", "crm", "testbed.dbscale.dev/slow-"])?;

        say("A plan of everything at once, and then more storage: 20Gi to 50Gi");
        self.film(
            "demo.svg",
            0,
            &["kubectl", "dbscale", "plan", "mongodb/my-db", "--size", "db.t3.large", "--storage", "50Gi"],
        )?;
        self.show(0, &["kubectl", "dbscale", "storage", "mongodb/my-db", "--to", "50Gi", "--wait"])?;
        let capacity = ["get", "pvc", "datadir-my-db-0", "-o", "jsonpath={.status.capacity.storage}"];
        self.until(&capacity, "50Gi")?;

        say("What is refused, and why");
        self.film("demo.svg", 3, &["kubectl", "dbscale", "storage", "mongodb/my-db", "--to", "20Gi"])?;
        self.show(3, &["kubectl", "dbscale", "storage", "mongodb/my-db", "--to", "500M"])?;
        self.film("demo.svg", 3, &["kubectl", "dbscale", "horizontal", "mongodb/my-db", "--replicas", "0"])?;
        self.show(2, &["kubectl", "dbscale", "storage", "mongodb/my-db", "--to", "100GB"])?;
        self.show(2, &["kubectl", "dbscale", "vertical", "redis/cache", "--size", "db.t3.meduim"])?;
        self.show(3, &["kubectl", "dbscale", "vertical", "mongodb/no-such-db", "--size", "db.t3.medium"])?;

        say("Whoever goes around the plugin is held to the same rules, by the webhook");
        let shrink = r#"{"spec":{"storage":{"resources":{"requests":{"storage":"20Gi"}}}}}"#;
        self.show(1, &["kubectl", "patch", "mongodb", "my-db", "--type=merge", "-p", shrink])?;
        self.until(&["get", "mongodb", "my-db", "-o", "jsonpath={.spec.storage.resources.requests.storage}"], "50Gi")
    }

    /// Runs a command with its words and output shown, and checks its exit code.
    fn show(&mut self, code: i32, command: &[&str]) -> Result<()> {
        println!("\n$ {}", command.join(" "));
        let status = self.command(command[0]).args(&command[1..]).status().context("could not run kubectl")?;
        if code != 0 {
            println!("(exit {})", status.code().unwrap_or(-1));
        }
        ensure!(status.code() == Some(code), "`{}` ended with {status}, not with {code}", command.join(" "));
        self.checked += 1;
        Ok(())
    }

    /// Shows a command as [`Demo::show`] does, in the colours of a terminal, and keeps it for the picture.
    fn film(&mut self, picture: &'static str, code: i32, command: &[&str]) -> Result<()> {
        let (mut output, writer) = std::io::pipe()?;
        let mut child = {
            let mut run = self.command(command[0]);
            run.args(&command[1..]).env("CLICOLOR_FORCE", "1").stdout(writer.try_clone()?).stderr(writer);
            run.spawn().context("could not run kubectl")?
        };
        let mut text = String::new();
        output.read_to_string(&mut text)?;
        let status = child.wait()?;
        println!("\n$ {}\n{}", command.join(" "), text.trim_end());
        ensure!(status.code() == Some(code), "`{}` ended with {status}, not with {code}", command.join(" "));
        let film = self.film.entry(picture).or_default();
        let _ = write!(film, "$ {}\n{text}\n", command.join(" "));
        self.checked += 1;
        Ok(())
    }

    /// Follows an operation on a terminal, and keeps the line as it was when most was done and it still ran.
    fn film_wait(&mut self, name: &str) -> Result<()> {
        let command = ["kubectl", "dbscale", "wait", name];
        println!("\n$ {}", command.join(" "));
        let lines = screen::drawn(self.command(command[0]).args(&command[1..]), COLUMNS)?;
        let last = lines.last().context("nothing was told")?;
        println!("{last}");
        ensure!(last.contains("Successful"), "{name} is told as '{last}'");
        let on_the_way = lines
            .iter()
            .filter(|line| line.contains("Progressing") && line.contains('░'))
            .max_by_key(|line| line.matches('█').count());
        let line = on_the_way.unwrap_or(last);
        self.film.insert("wait.svg", format!("$ {}\n{line}\n", command.join(" ")));
        self.checked += 1;
        Ok(())
    }

    /// What a kubectl command prints.
    fn read(&self, command: &[&str]) -> Result<String> {
        let answer = self.command("kubectl").args(command).output()?;
        ensure!(
            answer.status.success(),
            "`kubectl {}`: {}",
            command.join(" "),
            String::from_utf8_lossy(&answer.stderr)
        );
        Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
    }

    /// Waits until a kubectl command answers with a text.
    fn until(&mut self, command: &[&str], wanted: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.command("kubectl").args(command).stderr(Stdio::null()).output()?;
            let answer = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            if answer == wanted {
                self.checked += 1;
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("`kubectl {}` still answers '{answer}', not '{wanted}'", command.join(" "));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn apply(&self, manifests: &str) -> Result<()> {
        let file = self.dir.join("databases.yaml");
        std::fs::write(&file, manifests)?;
        let status = self.command("kubectl").args(["create", "--validate=false", "-f"]).arg(&file).status()?;
        ensure!(status.success(), "the databases could not be created");
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let bin = self.dir.join("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(bin.join(program));
        command.env("PATH", path).env("KUBECONFIG", self.dir.join("kubeconfig"));
        command
    }
}

fn say(text: &str) {
    println!("\n=== {text}");
}

const DATABASES: &str = r#"
apiVersion: kubedb.com/v1
kind: MongoDB
metadata: {name: my-db}
spec:
  version: 4.4.26
  replicaSet: {name: rs0}
  replicas: 3
  storageType: Durable
  storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 20Gi}}}
  podTemplate: {spec: {containers: [{name: mongodb, resources: {requests: {cpu: "2", memory: 2Gi}, limits: {cpu: "2", memory: 2Gi}}}]}}
---
apiVersion: kubedb.com/v1
kind: Postgres
metadata: {name: crm}
spec:
  version: "16.4"
  replicas: 2
  storageType: Durable
  storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
  podTemplate: {spec: {containers: [{name: postgres, resources: {requests: {cpu: "1", memory: 2Gi}, limits: {cpu: "1", memory: 2Gi}}}]}}
---
apiVersion: kubedb.com/v1
kind: Redis
metadata: {name: cache}
spec:
  version: 7.4.0
  mode: Cluster
  cluster: {shards: 3, replicas: 2}
  storageType: Durable
  storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}
  podTemplate: {spec: {containers: [{name: redis, resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 500m, memory: 1Gi}}}]}}
"#;
