//! `kubectl dbscale webhook` on what the playground runs: how it stands, out of the way, and back exactly as it was.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::time::{Duration, Instant};

use dbscale_e2e::webhook::wrong;
use dbscale_e2e::{Answer, World};
use serde_json::{Value, json};

const NAME: &str = "validatingwebhookconfiguration.admissionregistration.k8s.io/dbscale";
const SOON: Duration = Duration::from_secs(60);

/// The object of the playground's webhook. At the end it is set back, whatever a test has done to it.
struct Shipped {
    world: World,
    webhooks: Value,
}

impl Shipped {
    fn new(world: World) -> Self {
        let webhooks = read(&world)["webhooks"].clone();
        Self { world, webhooks }
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        let patch = json!([{"op": "replace", "path": "/webhooks", "value": self.webhooks},
            {"op": "add", "path": "/metadata/annotations", "value": {}}]);
        let _ = self.world.kubectl(&["patch", NAME, "--type=json", "-p", &patch.to_string()]);
    }
}

fn read(world: &World) -> Value {
    serde_json::from_str(&world.must(&["get", NAME, "-o", "json"])).unwrap()
}

fn patch(world: &World, steps: &Value) {
    world.must(&["patch", NAME, "--type=json", "-p", &steps.to_string()]);
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ask(world: &World) -> Answer {
    world.try_create(&wrong(), &["--dry-run=server"])
}

/// The text with `PORT` and `TIME` for what differs from run to run, without the namespaces: other tests label theirs.
fn lasting(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines().filter(|line| !line.starts_with("namespaces")) {
        let line = match line.split_once("https://127.0.0.1:") {
            Some((before, after)) => format!("{before}https://127.0.0.1:PORT/{}", after.split_once('/').unwrap().1),
            None => line.to_owned(),
        };
        let words: Vec<&str> = line
            .split(' ')
            .map(|word| match word.trim_end_matches(',') {
                stamp if stamp.len() == 20 && stamp.ends_with('Z') => word.strip_prefix(stamp).map_or("", |_| "TIME"),
                _ => word,
            })
            .collect();
        lines.push_str(words.join(" ").trim_end());
        lines.push('\n');
    }
    lines
}

#[test]
fn it_stands_as_shipped_goes_out_of_the_way_and_comes_back() {
    let shipped = Shipped::new(World::new("switch"));
    let world = &shipped.world;
    world.must(&["label", "namespace", &world.namespace, "dbscale.dev/enforcement=warn"]);
    standing(world);
    refused_without_a_word(world);
    off_and_back(world);
    fail_open_and_back(world);
}

fn standing(world: &World) {
    let ready = "jsonpath={.status.readyReplicas}";
    world.until_output(&["get", "deployment", "dbscale-webhook", "-n", "dbscale-system", "-o", ready], "2");
    let status = world.dbscale(&["webhook", "status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    let wanted = "\
webhook dbscale: on

ENTRY                    ON FAILURE  ASKS ABOUT                  CA BUNDLE  CALLS
opsrequests.dbscale.dev  Fail        CREATE, UPDATE of 32 kinds  set        https://127.0.0.1:PORT/validate
databases.dbscale.dev    Ignore      CREATE, UPDATE of 32 kinds  set        https://127.0.0.1:PORT/validate
reverts.dbscale.dev      Fail        UPDATE of 32 kinds          set        https://127.0.0.1:PORT/validate

certificate  valid until TIME trusted by API servers
replicas     2 of 2 ready
policies     64 with 128 bindings
";
    assert_eq!(lasting(&status.stdout), wanted);
    assert_eq!(status.stderr, "");
    let told = world.dbscale(&["webhook", "status", "-o", "json"]).json();
    assert_eq!((&told["state"], &told["disabled"]), (&json!("on"), &Value::Null));
    assert_eq!(told["policies"], json!({"found": 64, "bindings": 128, "missing": []}));
    assert_eq!(told["certificate"]["trusted"], true);
    let own = json!({"name": world.namespace, "enforcement": "warn"});
    assert!(told["namespaces"].as_array().unwrap().contains(&own), "{told}");
}

fn refused_without_a_word(world: &World) {
    for (arguments, says) in [
        (
            &["webhook", "disable"][..],
            "error: say how: --fail-open lets everything in while the webhook does not answer; --off does not ask it at all\n",
        ),
        (
            &["webhook", "disable", "--off"],
            "error: the webhook would be disabled: Nobody asks the webhook: OpsRequests and edits of databases are not judged. The policies hold.; add -y to confirm\n",
        ),
        (&["webhook", "status", "--off"], "error: --fail-open and --off go with disable\n"),
    ] {
        let refused = world.dbscale(arguments);
        assert_eq!((refused.code, refused.stdout.as_str(), refused.stderr.as_str()), (2, "", says));
    }
    assert_eq!(world.dbscale(&["webhook", "enable"]).stdout, format!("{NAME} already on\n"));
}

/// Everything but what every write changes.
fn lasts(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["resourceVersion", "generation", "managedFields"] {
        metadata.remove(field);
    }
    if metadata.get("annotations").is_some_and(|all| *all == json!({})) {
        metadata.remove("annotations");
    }
    object
}

fn off_and_back(world: &World) {
    let before = read(world);
    let tried = world.dbscale(&["webhook", "disable", "--off", "--dry-run=server"]);
    assert_eq!(tried.stdout, format!("{NAME} off (server dry run)\n"), "{}", tried.stderr);
    assert_eq!(read(world), before);
    world.must(&["label", "namespace", &world.namespace, "dbscale.dev/enforcement-"]);
    until("it is asked again", || ask(world).stderr.contains("[database/missing]"));

    let done = world.dbscale(&["webhook", "disable", "--off", "-y"]);
    assert_eq!((done.code, done.stdout), (0, format!("{NAME} off\n")));
    assert_eq!(
        done.stderr,
        "Nobody asks the webhook: OpsRequests and edits of databases are not judged. The policies hold.\n\
         Bring it back: kubectl dbscale webhook enable\n"
    );
    until("nobody asks it", || ask(world).code == 0);
    assert_eq!(world.dbscale(&["webhook", "disable", "--off"]).stdout, format!("{NAME} already off\n"));
    let status = world.dbscale(&["webhook", "status", "-o", "json"]).json();
    assert_eq!((&status["state"], &status["disabled"]["mode"]), (&json!("off"), &json!("off")));
    assert_eq!(status["disabled"]["entries"]["databases.dbscale.dev"]["failurePolicy"], "Ignore");

    // The webhook sets what is its own, and lets this be.
    patch(world, &json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]));
    until("the webhook looks after its entries", || !read(world)["webhooks"][0]["clientConfig"]["caBundle"].is_null());
    assert_eq!(ask(world).code, 0);
    // Neither does applying the manifests again end an emergency unasked.
    let held = "with \"kubectl-dbscale\"";
    let applied = apply(world);
    assert!(applied.code == 1 && applied.stderr.contains(held), "{}", applied.stderr);

    let done = world.dbscale(&["webhook", "enable", "-o", "json"]);
    assert_eq!(done.json(), json!({"name": "dbscale", "state": "on", "changed": true}), "{}", done.stderr);
    assert_eq!(lasts(&read(world)), lasts(&before));
    until("it is asked again", || ask(world).stderr.contains("[database/missing]"));
    assert!(!apply(world).stderr.contains(held), "nothing is held any more");
}

fn apply(world: &World) -> Answer {
    let file = format!("{}/../../manifests/base/webhook-configuration.yaml", env!("CARGO_MANIFEST_DIR"));
    world.kubectl(&["apply", "--server-side", "--dry-run=server", "-f", &file])
}

fn fail_open_and_back(world: &World) {
    let url = read(world)["webhooks"][0]["clientConfig"]["url"].clone();
    let call =
        |url: &Value| patch(world, &json!([{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": url}]));
    call(&json!("https://127.0.0.1:1/validate"));
    until("nobody answers", || ask(world).stderr.contains("failed calling webhook \"opsrequests.dbscale.dev\""));
    let done = world.dbscale(&["webhook", "disable", "--fail-open", "-y", "-o", "name"]);
    assert_eq!((done.code, done.stdout), (0, format!("{NAME}\n")), "{}", done.stderr);
    until("it is let in unjudged", || ask(world).code == 0);
    call(&url);
    until("who answers is still asked", || ask(world).stderr.contains("[database/missing]"));
    assert_eq!(world.dbscale(&["webhook", "enable"]).stdout, format!("{NAME} on\n"));
    assert_eq!(read(world)["webhooks"][0]["failurePolicy"], "Fail");
}
