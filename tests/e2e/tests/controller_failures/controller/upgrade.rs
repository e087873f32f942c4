//! The whole of dbscale from one version to the next while operations run, and away again by the words of docs/upgrading.md.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dbscale_e2e::webhook::{Webhook, wrong};
use dbscale_testbed::balancer::Balancer;
use dbscale_testbed::shipped;
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::{Plane, database, patience, request};

/// Databases, each with an operation: of half of them it runs until the test lets it go on.
const DATABASES: usize = 6;

/// Long enough that a busy machine does not lose it; whoever is asked to end gives it back.
const LEASE: &str = "--lease-seconds=30";

/// What the one who asks finds, out of so many questions at least.
const QUESTIONS: usize = 20;

pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What docs/upgrading.md says to do about something, in order.
fn told(section: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("docs/upgrading.md")).unwrap();
    let (_, rest) = text.split_once(&format!("## {section}\n")).unwrap();
    let part = rest.split("\n## ").next().unwrap();
    let commands = part.lines().filter_map(|line| line.strip_prefix("    kubectl "));
    commands.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// What is shipped, with one difference: no pods answer here behind the webhook's Service, so an address is called.
async fn shipped_now(plane: &Plane, webhook: SocketAddr) -> Vec<Value> {
    let overlay = repository().join("manifests/overlays/default").display().to_string();
    let mut all: Vec<Value> = serde_saphyr::from_multiple(&plane.kubectl(&["kustomize", &overlay]).await).unwrap();
    for object in all.iter_mut().filter(|o| o["kind"] == "ValidatingWebhookConfiguration") {
        for entry in object["webhooks"].as_array_mut().unwrap() {
            entry["clientConfig"] = json!({"url": format!("https://{webhook}/validate")});
        }
    }
    all
}

/// The same as a version before might have been: other images, policies that hold less, and a record with a field less.
fn before(mut all: Vec<Value>) -> Vec<Value> {
    for object in &mut all {
        match object["kind"].as_str().unwrap() {
            "Deployment" => {
                let image = &mut object["spec"]["template"]["spec"]["containers"][0]["image"];
                *image = json!(image.as_str().unwrap().replace(":v", ":v0.0.0-before-"));
            }
            "ValidatingAdmissionPolicy" => {
                let validations = object["spec"]["validations"].as_array_mut().unwrap();
                validations.truncate((validations.len() - 1).max(1));
            }
            "CustomResourceDefinition" if object["metadata"]["name"] == "scalingrecords.dbscale.dev" => {
                let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
                object.pointer_mut(status).unwrap().as_object_mut().unwrap().remove("historyDropped").unwrap();
            }
            _ => {}
        }
    }
    all
}

async fn apply(plane: &Plane, all: &[Value]) {
    let file = plane.folder.path().join("all.yaml");
    // Not as one List, of which kubectl would judge itself what servers judge better.
    std::fs::write(&file, all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")).unwrap();
    // As docs/upgrading.md has it: nobody's fields are taken by force.
    plane.kubectl(&["apply", "--server-side", "--validate=strict", "-f", &file.display().to_string()]).await;
}

/// A webhook with the shipped arguments and account, once it is ready.
pub(super) async fn webhook(plane: &Plane) -> (Webhook, SocketAddr) {
    let control_plane = &plane.playground.plane;
    let kubeconfig = shipped::account(control_plane, "dbscale-webhook").await.unwrap().display().to_string();
    let mut arguments = shipped::arguments(control_plane, "dbscale-system", "dbscale-webhook").await.unwrap();
    arguments.push("--listen=127.0.0.1:0".to_owned());
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Webhook::spawn(&kubeconfig, &arguments)
    })
    .await
    .unwrap()
}

pub(super) async fn until_ready(webhook: Webhook) -> Webhook {
    let ready = tokio::task::spawn_blocking(move || {
        webhook.until_ready();
        webhook
    });
    ready.await.unwrap()
}

/// What became of what is wrong for sure.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    /// Refused since nobody answered the API server, by failurePolicy Fail: it has been seen to meet a connection that ends while
    /// webhooks change.
    unanswered: usize,
    otherwise: Vec<String>,
}

/// Asks for two things that are wrong for sure, again and again: what only the webhook knows, and what policies hold too.
fn ask(client: Client, stop: Arc<AtomicBool>) -> JoinHandle<Tally> {
    tokio::spawn(async move {
        let mut tally = Tally::default();
        while !stop.load(Ordering::Relaxed) {
            for (request, rule) in [(ask_wrong(), "[database/missing]"), (shrink(), "[storage/no-shrink]")] {
                match client.request_text(request).await {
                    Err(error) if error.to_string().contains(rule) => tally.refused += 1,
                    Err(error) if error.to_string().contains("failed calling webhook") => tally.unanswered += 1,
                    answer => tally.otherwise.push(format!("{rule}: {answer:?}")),
                }
            }
        }
        tally
    })
}

fn ask_wrong() -> Request<Vec<u8>> {
    let path = "/apis/ops.kubedb.com/v1alpha1/namespaces/default/redisopsrequests?dryRun=All";
    Request::post(path).header("content-type", "application/json").body(wrong().to_string().into_bytes()).unwrap()
}

fn shrink() -> Request<Vec<u8>> {
    let path = "/apis/kubedb.com/v1/namespaces/default/mongodbs/db-0?dryRun=All";
    let body = json!({"spec": {"storage": {"resources": {"requests": {"storage": "2Gi"}}}}});
    Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(body.to_string().into_bytes())
        .unwrap()
}

async fn until_refused(client: &Client) {
    let began = Instant::now();
    while !client.request_text(ask_wrong()).await.is_err_and(|e| e.to_string().contains("[database/missing]")) {
        assert!(began.elapsed() < patience(), "the API server does not ask the webhook");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Ends a process in order.
async fn end(mut child: Child) {
    let pid = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(child.wait().await.unwrap().success());
}

/// An operation that does well, at once or when it is let go on.
fn operation(index: usize) -> Value {
    let mut object = request(index, 1, 1);
    if index.is_multiple_of(2) {
        object["metadata"]["annotations"]["testbed.dbscale.dev/slow"] = json!("1h");
    }
    object
}

async fn phase(plane: &Plane, index: usize, wanted: &str) {
    plane.until_at(&format!("mongodbopsrequest/db-{index}-scale-1"), "/status/phase", wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_loses_no_operation_and_leaves_no_request_unjudged_and_a_removal_leaves_nothing_in_the_way() {
    let mut plane = Plane::without_dbscale(true).await;
    let client = dbscale_testbed::client(&plane.playground.plane.kubeconfig()).await.unwrap();
    let balancer = Balancer::start(Vec::new()).await.unwrap();
    let now = shipped_now(&plane, balancer.address).await;
    apply(&plane, &before(now.clone())).await;
    plane.kubeconfig = shipped::account(&plane.playground.plane, "dbscale-controller").await.unwrap();
    let (old_webhook, address) = webhook(&plane).await;
    balancer.route(vec![address]);
    until_refused(&client).await;
    let old_controllers = [plane.controller(&[LEASE]).0, plane.controller(&[LEASE]).0];
    plane.create((0..DATABASES).map(database).collect()).await;
    plane.until("scalingrecords", DATABASES, |o| o["status"]["phase"] == "Running").await;
    plane.create((0..DATABASES - 1).map(operation).collect()).await;
    phase(&plane, 0, "Progressing").await;

    let stop = Arc::new(AtomicBool::new(false));
    let asking = ask(client.clone(), Arc::clone(&stop));
    apply(&plane, &now).await;
    let policy = plane.get("validatingadmissionpolicy/dbscale-mongodb-database").await;
    assert_eq!(policy["metadata"]["generation"], 2, "the policies of before were others");
    // As the Deployments roll: the next one is ready before the last one goes.
    let (new_webhook, address) = webhook(&plane).await;
    let new_webhook = until_ready(new_webhook).await;
    balancer.route(vec![address]);
    let ended = tokio::task::spawn_blocking(move || {
        let mut old = old_webhook;
        old.end()
    })
    .await
    .unwrap();
    assert_eq!(ended, Some(0));
    let new_controllers = [plane.controller(&[LEASE]).0, plane.controller(&[LEASE]).0];
    let [first, second] = old_controllers;
    end(first).await;
    // In the middle of it a request comes that nobody has seen before.
    plane.create(vec![operation(DATABASES - 1)]).await;
    end(second).await;
    phase(&plane, 0, "Progressing").await;
    for index in (0..DATABASES).step_by(2) {
        let name = format!("mongodbopsrequest/db-{index}-scale-1");
        plane.kubectl(&["annotate", &name, "testbed.dbscale.dev/slow-"]).await;
    }
    let well = |o: &Value| {
        let history = o["status"]["history"].as_array().map(Vec::as_slice).unwrap_or_default();
        o["status"]["phase"] == "Running" && history.len() == 1 && history[0]["outcome"] == "Successful"
    };
    plane.until("scalingrecords", DATABASES, well).await;
    for index in 0..DATABASES {
        plane.told("ops_request_successful", &format!("db-{index}-scale-1"), &json!({"phase": "Successful"})).await;
    }
    stop.store(true, Ordering::Relaxed);
    let tally = asking.await.unwrap();
    assert!(tally.otherwise.is_empty(), "{:?}", tally.otherwise.first());
    assert!(tally.refused >= QUESTIONS && tally.unanswered * QUESTIONS <= tally.refused, "{tally:?}");
    println!(
        "{} wrong requests during the upgrade, all refused, {} of them since nobody answered; {DATABASES} operations, all recorded",
        tally.refused + tally.unanswered,
        tally.unanswered
    );

    // The definitions go last, by a command of their own.
    let mut removal = told("Removing");
    let last = removal.pop().unwrap();
    assert_eq!(removal.len(), 2, "{removal:?}");
    assert!(last.ends_with(&["manifests/crds".to_owned()]), "{last:?}");
    for command in &removal {
        run(&plane, command).await;
    }
    drop(new_webhook);
    drop(new_controllers);
    plane.until_says(&["get", "namespace", "dbscale-system", "--ignore-not-found", "-o", "name"], "").await;
    assert_eq!(left(&plane).await, ["scalingpolicies.dbscale.dev", "scalingrecords.dbscale.dev"]);
    plane.until("scalingrecords", DATABASES, well).await;
    run(&plane, &last).await;
    assert!(left(&plane).await.is_empty());
    nothing_is_in_the_way(&plane, &client).await;
}

/// Runs a command of the docs.
async fn run(plane: &Plane, arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = plane.command("kubectl", &arguments).current_dir(repository()).output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The names of what is left outside of namespaces.
pub(super) async fn left(plane: &Plane) -> Vec<String> {
    let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,\
        validatingadmissionpolicybindings,clusterroles,clusterrolebindings,customresourcedefinitions,namespaces";
    let kinds: String = kinds.split_whitespace().collect();
    let all = plane.kubectl(&["get", &kinds, "-o", "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}"]).await;
    let mut names: Vec<String> = all.lines().filter(|name| name.contains("dbscale")).map(str::to_owned).collect();
    names.sort();
    names
}

/// Everything is written, finished and deleted as on a cluster that never had dbscale.
async fn nothing_is_in_the_way(plane: &Plane, client: &Client) {
    let began = Instant::now();
    // API servers notice within moments that nobody is to be asked.
    for request in [ask_wrong, shrink] {
        while let Err(error) = client.request_text(request()).await {
            assert!(began.elapsed() < patience(), "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for kind in ["mongodbs", "mongodbopsrequests"] {
        let objects = plane.list(kind).await;
        assert_eq!(objects.len(), DATABASES);
        for object in objects {
            let finalizers = object["metadata"]["finalizers"].to_string();
            assert!(!finalizers.contains("dbscale.dev"), "{finalizers}");
        }
    }
    plane.create(vec![request(1, 2, 1)]).await;
    plane.until_at("mongodbopsrequest/db-1-scale-2", "/status/phase", "Successful").await;
    plane.kubectl(&["delete", "mongodbopsrequests", "--all", "--timeout=60s"]).await;
    plane.kubectl(&["delete", "mongodbs", "--all", "--timeout=60s"]).await;
}
