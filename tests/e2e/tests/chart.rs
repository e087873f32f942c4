//! The Helm chart renders what kustomize does. Helm is taken from `HELM` or the PATH; without it that is said.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use dbscale_e2e::World;
use rstest::rstest;
use serde_json::Value;

fn manifests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
}

/// What Helm answers; `None` where there is none.
fn helm(arguments: &[&str]) -> Option<Output> {
    let helm = std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned());
    let output = Command::new(helm).args(arguments).output().ok();
    if output.is_none() {
        println!("SKIPPED: there is no helm; name one with HELM");
    }
    output
}

fn rendered(namespace: &str, more: &[&str]) -> Option<Output> {
    let chart = manifests().join("chart").display().to_string();
    let fixed = ["template", "dbscale", chart.as_str(), "--kube-version", "1.36.0", "--namespace", namespace];
    helm(&[&fixed[..], more].concat())
}

/// Objects by what they are, so that order and spelling do not matter.
fn objects(yaml: &str) -> BTreeMap<String, Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    let name = |object: &Value| format!("{}/{}", object["kind"], object["metadata"]["name"]);
    all.into_iter().filter(|object| !object.is_null()).map(|object| (name(&object), object)).collect()
}

/// Helm makes the namespace by itself (`--create-namespace`), without our labels.
#[rstest]
#[case::default("default", &[])]
#[case::cert_manager("cert-manager", &["--set", "certManager.enabled=true"])]
#[case::warn_only("warn-only", &["--set", "enforcement=warn"])]
#[case::monitoring("monitoring", &["--set", "monitoring.enabled=true"])]
fn the_chart_renders_what_kustomize_does(#[case] overlay: &str, #[case] values: &[&str]) {
    let world = World::new("chart");
    let Some(output) = rendered("dbscale-system", values) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = objects(&String::from_utf8(output.stdout).unwrap());
    let folder = manifests().join("overlays").join(overlay).display().to_string();
    let mut wanted = objects(&world.must(&["kustomize", &folder]));
    assert!(wanted.remove("\"Namespace\"/\"dbscale-system\"").is_some());
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&wanted));
    for (name, object) in &wanted {
        assert_eq!(found[name], *object, "{name}");
    }
}

/// Every value changes what it should, and nothing that is rendered is unknown to the API server.
#[test]
fn values_change_what_they_say() {
    let world = World::new("chart-values");
    let sets = [
        "registry=registry.example/x/",
        "tag=v9",
        "webhook.replicas=3",
        "webhook.extraArgs[0]=--direct-edits=deny",
        "webhook.nodeSelector.disk=ssd",
        "webhook.priorityClassName=high",
        "webhook.tolerations[0].operator=Exists",
        "imagePullSecrets[0].name=pull",
        "controller.enabled=false",
        "policies.enabled=false",
        "networkPolicies.enabled=false",
    ];
    let values: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let Some(output) = rendered("dbscale-system", &values) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let all = objects(&text);
    for word in ["controller", "NetworkPolicy", "ValidatingAdmissionPolicy"] {
        assert!(!all.keys().any(|name| name.contains(word)), "{word}");
    }
    let spec = &all["\"Deployment\"/\"dbscale-webhook\""]["spec"];
    assert_eq!(spec["replicas"], 3);
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.example/x/dbscale-webhook:v9");
    assert_eq!(pod["containers"][0]["args"][1], "--direct-edits=deny");
    assert_eq!(pod["nodeSelector"]["disk"], "ssd");
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["tolerations"][0]["operator"], "Exists");
    assert_eq!(pod["imagePullSecrets"][0]["name"], "pull");
    let file = world.write("deployment.json", &all["\"Deployment\"/\"dbscale-webhook\""].to_string());
    world.must(&["apply", "--server-side", "--validate=strict", "--force-conflicts", "--dry-run=server", "-f", &file]);
}

#[rstest]
#[case::namespace("elsewhere", &[], "dbscale runs in the namespace dbscale-system")]
#[case::unknown_value("dbscale-system", &["--set", "replica=3"], "replica")]
#[case::no_replica("dbscale-system", &["--set", "webhook.replicas=0"], "replicas")]
#[case::enforcement("dbscale-system", &["--set", "enforcement=off"], "enforcement")]
#[case::registry("dbscale-system", &["--set", "registry=registry.example"], "registry")]
fn wrong_values_are_told(#[case] namespace: &str, #[case] values: &[&str], #[case] words: &str) {
    let Some(output) = rendered(namespace, values) else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(words), "{said}");
}
