//! Certificates that two replicas keep together, on the real API server: nothing is asked before it is trusted, and a new one
//! takes the old one's place without a call that fails.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use dbscale_e2e::World;
use dbscale_e2e::databases::mongodb;
use dbscale_e2e::webhook::{Webhook, until_asked, wrong};
use serde_json::{Value, json};

/// Short, and with a third that a busy machine can make and spread a new one in.
const LIFE_S: &str = "90";

/// How long the replacement at two thirds of a life may take, on a machine that is busy.
const REPLACED_WITHIN: Duration = Duration::from_secs(180);

/// Addresses that nobody listens on.
fn free<const N: usize>() -> [SocketAddr; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap())
}

/// A Secret without data, and entries without rules that call the replicas by URL, for one namespace.
fn install(world: &World, replicas: [SocketAddr; 2]) {
    world.create(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certificates"}}));
    let entry = |name: &str, replica: usize| {
        json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            "clientConfig": {"url": format!("https://localhost:{}/validate", replicas[replica].port())}})
    };
    let entries =
        [entry("opsrequests.dbscale.dev", 0), entry("databases.dbscale.dev", 1), entry("reverts.dbscale.dev", 1)];
    world.create(&json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": world.namespace}, "webhooks": entries}));
}

/// A kubeconfig whose namespace is the world's.
fn kubeconfig(world: &World) -> String {
    let text = world.must(&["config", "view", "--raw", "-o", "json"]);
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(world.namespace);
    world.write("kubeconfig", &kubeconfig.to_string())
}

/// What API servers trust for the world's entries.
fn trusted(world: &World) -> String {
    let path = "jsonpath={.webhooks[*].clientConfig.caBundle}";
    world.must(&["get", "validatingwebhookconfiguration", &world.namespace, "-o", path])
}

#[test]
fn a_certificate_is_replaced_while_it_is_in_use() {
    let world = World::unjudged("rotated");
    let addresses = free::<2>();
    install(&world, addresses);
    // Nobody is there yet, and nothing is refused because of that.
    assert_eq!(world.try_create(&wrong(), &["--dry-run=server"]).code, 0);

    let kubeconfig = kubeconfig(&world);
    let replicas = addresses.map(|address| {
        let address = address.to_string();
        let own = ["--listen", &address, "--self-managed-certs", "--certificate-life", LIFE_S];
        let names = ["--secret", "certificates", "--configuration", &world.namespace];
        Webhook::spawn(&kubeconfig, &[&own[..], &names].concat()).0.registered_as(&world.namespace)
    });
    until_asked(&world);
    for replica in &replicas {
        replica.until_ready();
    }
    world.create(&mongodb());
    let (first, certificate) = (trusted(&world), world.value("secret/certificates", ".data.tls\\.crt"));
    assert_eq!(first.split(' ').count(), 3, "{first}");
    assert!(!certificate.is_empty());

    // Both replicas are asked all the while, each about its own kinds: each call reaches a webhook that is trusted.
    let began = Instant::now();
    let mut asked_after = 0;
    while asked_after < 40 {
        let refused = world.try_create(&wrong(), &["--dry-run=server"]);
        assert!(refused.stderr.contains("[database/missing]"), "{}", refused.stderr);
        let patch = json!({"spec": {"replicas": 0}}).to_string();
        let patched = ["patch", "-n", &world.namespace, "mongodb/db", "--type=merge", "--dry-run=server", "-p", &patch];
        let refused = world.kubectl(&patched);
        assert!(refused.stderr.contains("[replicas/minimum]"), "{}", refused.stderr);
        // Some more after the new one was made: it is served some seconds later.
        let replaced = world.value("secret/certificates", ".data.tls\\.crt") != certificate;
        asked_after += usize::from(replaced);
        assert!(replaced || began.elapsed() < REPLACED_WITHIN, "the certificate is not replaced");
    }
    assert_ne!(trusted(&world), first);
    for replica in &replicas {
        let (code, missing) = replica.probe("/readyz");
        assert_eq!(code, 200, "{missing}");
    }
}
