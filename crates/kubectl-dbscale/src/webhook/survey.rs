//! Reads how the webhook stands. What cannot be read is a warning, and the rest is told all the same.

use std::collections::BTreeSet;

use dbscale_cluster::entries::{self, CERTIFICATE, DEPLOYMENT, KEY, SECRET};
use dbscale_cluster::{ApiFailure, Call, Cluster, Kind};
use dbscale_core::catalog::Catalog;
use dbscale_core::policy::{self, ENFORCEMENT};
use dbscale_serve::certificate::{Pair, unix_now_s};
use dbscale_serve::trust;
use futures::future::join4;
use jiff::Timestamp;
use serde_json::Value;

use super::standing::{Certificate, Entry, Namespace, Policies, Replicas, Standing};
use super::switch::{self, State};

const ENFORCE: &str = "enforce";
const WARN: &str = "warn";

/// Fills in everything about a ValidatingWebhookConfiguration.
pub async fn survey(cluster: &Cluster, object: Value) -> Standing {
    let (namespace, deployment) = DEPLOYMENT;
    let get = |path: String| async move { cluster.call(&Call::get(path)).await };
    let (secret, deployment, policies, namespaces) = join4(
        get(format!("/api/v1/namespaces/{namespace}/secrets/{SECRET}")),
        get(format!("/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")),
        policies(cluster),
        cluster.list("/api/v1/namespaces", Some(ENFORCEMENT)),
    )
    .await;
    let mut warnings = Vec::new();
    let state = State::of(&object).unwrap_or_else(|problem| {
        warnings.push(problem.to_string());
        State::On
    });
    let entries: Vec<Entry> = entries::ours(&object).map(|ours| ours.iter().map(entry).collect()).unwrap_or_default();
    for idle in entries.iter().filter(|entry| entry.kinds == 0) {
        warnings.push(format!("{} asks about nothing: no webhook has been ready since it was installed", idle.name));
    }
    let disabled = switch::before(&object).unwrap_or_default();
    if disabled.is_some() && state == State::On {
        warnings.push("it was disabled, and applied again since; 'webhook enable' takes the note away".to_owned());
    }
    let deployment = told(deployment, "its Deployment", &mut warnings);
    let enforcement = if deployment.as_ref().is_some_and(warns) { WARN } else { ENFORCE };
    let replicas = deployment.as_ref().map(replicas);
    if replicas.as_ref().is_some_and(|replicas| replicas.ready < replicas.wanted) {
        warnings.push(format!("not all replicas are ready: kubectl get pods -n {namespace}"));
    }
    let policies = told(policies, "the policies", &mut warnings);
    if let Some(some) = policies.as_ref().and_then(|p| p.missing.first().map(|first| (first, p.missing.len()))) {
        let (first, count) = some;
        warnings
            .push(format!("{count} policies or bindings are missing, such as {first}; apply manifests/base/policies"));
    }
    let namespaces = told(namespaces, "the namespaces", &mut warnings).unwrap_or_default();
    Standing {
        name: text(&object, "/metadata/name"),
        state,
        disabled,
        certificate: certificate(
            &object,
            told(kept(secret), "its Secret", &mut warnings).flatten().as_ref(),
            &mut warnings,
        ),
        entries,
        replicas,
        policies,
        enforcement: enforcement.to_owned(),
        namespaces: namespaces.iter().filter_map(namespace_of).filter(|n| n.enforcement != enforcement).collect(),
        warnings,
    }
}

fn told<T>(read: Result<T, ApiFailure>, what: &str, warnings: &mut Vec<String>) -> Option<T> {
    read.map_err(|failure| warnings.push(format!("{what} could not be read: {failure}"))).ok()
}

fn text(object: &Value, at: &str) -> String {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn entry(entry: &entries::Entry<'_>) -> Entry {
    let value = entry.value;
    let rules = || value["rules"].as_array().into_iter().flatten();
    let list = |rule: &Value, field: &str| rule[field].as_array().cloned().unwrap_or_default();
    let operations: BTreeSet<String> = rules()
        .flat_map(|rule| list(rule, "operations"))
        .filter_map(|operation| operation.as_str().map(str::to_owned))
        .collect();
    let service = || {
        let part = |field: &str| text(value, &format!("/clientConfig/service/{field}"));
        format!("{}.{}.svc", part("name"), part("namespace"))
    };
    let url = value["clientConfig"]["url"].as_str().map(str::to_owned);
    Entry {
        name: entry.name.to_owned(),
        failure_policy: text(value, "/failurePolicy"),
        operations: operations.into_iter().collect(),
        kinds: rules().map(|rule| list(rule, "resources").len()).sum(),
        calls: url.unwrap_or_else(service),
        ca_bundle: !text(value, "/clientConfig/caBundle").is_empty(),
    }
}

fn replicas(deployment: &Value) -> Replicas {
    let number = |at: &str| deployment.pointer(at).and_then(Value::as_i64);
    Replicas { ready: number("/status/readyReplicas").unwrap_or(0), wanted: number("/spec/replicas").unwrap_or(1) }
}

/// The certificate that a webhook keeps itself, held against what API servers trust; nothing where it may not be read.
pub async fn certificate_of(cluster: &Cluster, configuration: &Value) -> Certificate {
    let path = format!("/api/v1/namespaces/{}/secrets/{SECRET}", DEPLOYMENT.0);
    let secret = cluster.call(&Call::get(path)).await.ok();
    certificate(configuration, secret.as_ref(), &mut Vec::new())
}

/// What is kept in the Secret, held against what API servers trust. A certificate in files is not known here.
fn certificate(configuration: &Value, secret: Option<&Value>, warnings: &mut Vec<String>) -> Certificate {
    let field = |name: &str| secret.and_then(|secret| entries::secret_field(secret, name));
    let (Some(certificate), Some(key)) = (field(CERTIFICATE), field(KEY)) else {
        if secret.is_some() {
            warnings.push(format!("Secret {SECRET} holds no certificate: no webhook has made one yet"));
        }
        return Certificate::default();
    };
    let now_s = unix_now_s();
    let read = Pair::of_pem(&certificate, &key, [CERTIFICATE, KEY], now_s);
    let pair = match read {
        Ok(pair) => pair,
        Err(problem) => {
            warnings.push(format!("what Secret {SECRET} holds cannot be served: {problem}"));
            return Certificate { expires: None, trusted: Some(false) };
        }
    };
    let trusted = entries::hosts(configuration)
        .and_then(|hosts| Ok((hosts, entries::bundle(configuration)?)))
        .map_err(|problem| problem.to_string())
        .and_then(|(hosts, bundle)| trust::check(&bundle, &pair, &hosts, now_s).map_err(|problem| problem.to_string()));
    if let Err(problem) = &trusted {
        warnings.push(problem.clone());
    }
    let expires = i64::try_from(pair.not_after_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    Certificate { expires: expires.map(|at| at.to_string()), trusted: Some(trusted.is_ok()) }
}

/// Which of the policies that an install has are there.
pub async fn policies(cluster: &Cluster) -> Result<Policies, ApiFailure> {
    let mut found = [0, 0];
    let mut missing = Vec::new();
    let expected: Vec<Value> = Catalog::builtin().engines().flat_map(policy::beside_webhook).collect();
    let kinds = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];
    let plurals = ["validatingadmissionpolicies", "validatingadmissionpolicybindings"];
    for ((kind, plural), found) in kinds.into_iter().zip(plurals).zip(&mut found) {
        let list = cluster.list(&format!("/apis/admissionregistration.k8s.io/v1/{plural}"), None).await;
        let list = match list {
            Err(failure) if failure.kind == Kind::NotInstalled => Vec::new(), // before Kubernetes 1.30
            list => list?,
        };
        let there: BTreeSet<String> = list.iter().map(|object| text(object, "/metadata/name")).collect();
        for name in expected.iter().filter(|o| o["kind"] == kind).map(|o| text(o, "/metadata/name")) {
            if there.contains(&name) {
                *found += 1;
            } else {
                missing.push(name);
            }
        }
    }
    let [found, bindings] = found;
    Ok(Policies { found, bindings, missing })
}

fn namespace_of(object: &Value) -> Option<Namespace> {
    let enforcement = object["metadata"]["labels"][ENFORCEMENT].as_str()?.to_owned();
    Some(Namespace { name: text(object, "/metadata/name"), enforcement })
}

/// Whether a Deployment of the webhook's spares all namespaces that do not ask to be held to the rules.
fn warns(deployment: &Value) -> bool {
    let arguments = deployment.pointer("/spec/template/spec/containers/0/args").and_then(Value::as_array);
    let mut arguments = arguments.into_iter().flatten().filter_map(Value::as_str).peekable();
    while let Some(argument) = arguments.next() {
        let value = argument.strip_prefix("--enforcement=");
        let value = value.or_else(|| (argument == "--enforcement").then(|| arguments.peek().copied()).flatten());
        if let Some(value) = value {
            return value == WARN;
        }
    }
    false
}

/// The Secret of certificates that the webhook makes itself; with those of somebody else there is none.
fn kept(secret: Result<Value, ApiFailure>) -> Result<Option<Value>, ApiFailure> {
    match secret {
        Err(failure) if failure.kind == Kind::NotFound => Ok(None),
        secret => secret.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::as_it_is_shipped(json!(["--self-managed-certs"]), false)]
    #[case::warns(json!(["--self-managed-certs", "--enforcement=warn"]), true)]
    #[case::in_two(json!(["--enforcement", "warn"]), true)]
    #[case::enforces(json!(["--enforcement=enforce"]), false)]
    #[case::nothing(json!([]), false)]
    fn how_a_deployment_holds_namespaces(#[case] arguments: Value, #[case] wanted: bool) {
        let deployment = json!({"spec": {"template": {"spec": {"containers": [{"args": arguments}]}}}});
        assert_eq!(warns(&deployment), wanted);
    }
}
