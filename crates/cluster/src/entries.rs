//! The ValidatingWebhookConfiguration: whom API servers call for it, whom they trust, and what they ask about.
//!
//! The manifest has everything but the authorities and the rules, so nothing is asked, and nothing refused, before a webhook
//! is there that can be asked. Both are fields that no manifest owns: applying it again leaves them alone.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use dbscale_core::entries::{DATABASES, ENTRIES, OPS_REQUESTS, REVERTS, rules};
use serde_json::{Value, json};

/// The ValidatingWebhookConfiguration, as it is shipped.
pub const CONFIGURATION: &str = "dbscale";
/// Where the webhook runs, as it is shipped: the namespace and the Deployment.
pub const DEPLOYMENT: (&str, &str) = ("dbscale-system", "dbscale-webhook");
/// The Secret of its certificate, in the same namespace, as it is shipped.
pub const SECRET: &str = "dbscale-webhook-certificates";
/// The field of the certificate in that Secret.
pub const CERTIFICATE: &str = "tls.crt";
/// The field of its key.
pub const KEY: &str = "tls.key";

/// What is wrong with a ValidatingWebhookConfiguration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// An entry is not there.
    #[error("it has no entry {0}; apply the manifests again")]
    Missing(&'static str),
    /// Nobody can tell whom API servers call.
    #[error("entry {0} names neither a service nor a URL with a host; apply the manifests again")]
    NoAddress(String),
}

/// One of our entries.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'v> {
    /// Its place in `webhooks`.
    pub index: usize,
    /// Its name.
    pub name: &'static str,
    /// All of it.
    pub value: &'v Value,
}

fn find<'v>(configuration: &'v Value, name: &'static str) -> Option<Entry<'v>> {
    let mut all = configuration["webhooks"].as_array()?.iter().enumerate();
    all.find(|(_, entry)| entry["name"] == name).map(|(index, value)| Entry { index, name, value })
}

/// Our entries of a ValidatingWebhookConfiguration.
///
/// # Errors
/// [`EntriesError::Missing`]: one is not there.
pub fn ours(configuration: &Value) -> Result<[Entry<'_>; 3], EntriesError> {
    let find = |name| find(configuration, name).ok_or(EntriesError::Missing(name));
    Ok([find(OPS_REQUESTS)?, find(DATABASES)?, find(REVERTS)?])
}

/// The path of a ValidatingWebhookConfiguration in the API.
#[must_use]
pub fn path(name: &str) -> String {
    format!("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}")
}

/// How API servers call one of our entries.
#[derive(Debug)]
pub struct Called {
    /// The entry.
    pub entry: &'static str,
    /// The name that the certificate has to be for.
    pub host: String,
    /// The authorities that are trusted, PEM; empty where there are none.
    pub bundle: Vec<u8>,
}

/// Those of our entries that are there, whoever has written them.
///
/// # Errors
/// [`EntriesError`]: there is none, or one names nobody to call.
pub fn called(configuration: &Value) -> Result<Vec<Called>, EntriesError> {
    let mut called = Vec::new();
    for entry in ENTRIES {
        let Some(Entry { name: entry, value, .. }) = find(configuration, entry) else { continue };
        let client = &value["clientConfig"];
        let host = host(client).ok_or_else(|| EntriesError::NoAddress(entry.to_owned()))?;
        called.push(Called { entry, host, bundle: decoded(&client["caBundle"]) });
    }
    if called.is_empty() { Err(EntriesError::Missing(OPS_REQUESTS)) } else { Ok(called) }
}

/// The names that API servers call our entries by, each once: those that a certificate has to be for.
///
/// # Errors
/// [`EntriesError`]: what is wrong with the object.
pub fn hosts(configuration: &Value) -> Result<Vec<String>, EntriesError> {
    let mut hosts = Vec::new();
    for entry in ours(configuration)? {
        let host = host(&entry.value["clientConfig"]).ok_or_else(|| EntriesError::NoAddress(entry.name.to_owned()))?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// API servers ask a service's certificate for `<name>.<namespace>.svc`.
fn host(client: &Value) -> Option<String> {
    if let (Some(name), Some(namespace)) = (client["service"]["name"].as_str(), client["service"]["namespace"].as_str())
    {
        return Some(format!("{name}.{namespace}.svc"));
    }
    let uri: http::Uri = client["url"].as_str()?.parse().ok()?;
    uri.host().map(|host| host.trim_matches(['[', ']']).to_owned())
}

/// The operations of a JSON Patch that make our entries trust `bundle` and, once we can `answer`, ask about what we judge;
/// none where all is so. Other entries are left alone.
///
/// # Errors
/// [`EntriesError`]: what is wrong with the object.
pub fn changes(configuration: &Value, bundle: &str, answer: bool) -> Result<Vec<Value>, EntriesError> {
    let bundle = json!(BASE64_STANDARD.encode(bundle));
    let mut changes = Vec::new();
    for Entry { index, name, value } in ours(configuration)? {
        let mut set = |path: &str, present: &Value, wanted: &Value| {
            if present != wanted {
                changes.push(json!({"op": "add", "path": format!("/webhooks/{index}/{path}"), "value": wanted}));
            }
        };
        set("clientConfig/caBundle", &value["clientConfig"]["caBundle"], &bundle);
        if answer {
            set("rules", &value["rules"], &rules(name));
        }
    }
    Ok(changes)
}

/// The authorities that API servers trust for all of our entries, PEM; empty where an entry has none, or they differ.
///
/// # Errors
/// [`EntriesError`]: what is wrong with the object.
pub fn bundle(configuration: &Value) -> Result<Vec<u8>, EntriesError> {
    let [first, others @ ..] = ours(configuration)?.map(|entry| &entry.value["clientConfig"]["caBundle"]);
    let alike = others.iter().all(|other| *other == first);
    Ok(if alike { decoded(first) } else { Vec::new() })
}

fn decoded(bundle: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(bundle.as_str().unwrap_or_default()).unwrap_or_default()
}

/// A field of a Secret, decoded; `None` where it is missing or empty.
#[must_use]
pub fn secret_field(secret: &Value, name: &str) -> Option<Vec<u8>> {
    let text = secret.get("data")?.get(name)?.as_str()?;
    BASE64_STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn configuration(client: &Value) -> Value {
        let entry = |name: &str| json!({"name": name, "clientConfig": client});
        json!({"webhooks": [entry("others.example.com"), entry(OPS_REQUESTS), entry(DATABASES), entry(REVERTS)]})
    }

    /// The object after a patch of `add`s.
    fn patched(mut object: Value, changes: &[Value]) -> Value {
        for change in changes {
            let (parent, field) = change["path"].as_str().unwrap().rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[field] = change["value"].clone();
        }
        object
    }

    #[rstest]
    #[case::service(json!({"service": {"name": "w", "namespace": "n"}}), Ok("w.n.svc"))]
    #[case::url(json!({"url": "https://localhost:8443/validate"}), Ok("localhost"))]
    #[case::address(json!({"url": "https://127.0.0.1:8443/validate"}), Ok("127.0.0.1"))]
    #[case::address_of_version_6(json!({"url": "https://[::1]:8443/validate"}), Ok("::1"))]
    #[case::neither(json!({}), Err(EntriesError::NoAddress(OPS_REQUESTS.to_owned())))]
    #[case::no_url(json!({"url": "/validate"}), Err(EntriesError::NoAddress(OPS_REQUESTS.to_owned())))]
    fn the_names_are_those_that_are_called(#[case] client: Value, #[case] host: Result<&str, EntriesError>) {
        assert_eq!(hosts(&configuration(&client)), host.map(|h| vec![h.to_owned()]));
    }

    #[test]
    fn rules_come_after_the_authorities_and_nothing_else_is_touched() {
        let fresh = configuration(&json!({"service": {"name": "w", "namespace": "n"}}));
        assert_eq!(bundle(&fresh), Ok(Vec::new()));
        let trusted = patched(fresh.clone(), &changes(&fresh, "one", false).unwrap());
        assert_eq!(bundle(&trusted), Ok(b"one".to_vec()));
        assert_eq!(trusted["webhooks"][1]["rules"], Value::Null);
        let asked = patched(trusted.clone(), &changes(&trusted, "one", true).unwrap());
        assert_eq!(asked["webhooks"][0], fresh["webhooks"][0]);
        assert_eq!(changes(&asked, "one", true), Ok(Vec::new()));
        assert_eq!([1, 2, 3].map(|i| asked["webhooks"][i]["rules"].clone()), ENTRIES.map(rules));
        // A rotation changes what is trusted, and leaves the rules.
        let rotated = changes(&asked, "two", false).unwrap();
        assert_eq!(rotated.len(), 3);
        assert_eq!(patched(asked, &rotated)["webhooks"][1]["rules"], rules(OPS_REQUESTS));
    }

    #[test]
    fn authorities_that_differ_are_none() {
        let mut object = configuration(&json!({"caBundle": "b25l"}));
        assert_eq!(bundle(&object), Ok(b"one".to_vec()));
        object["webhooks"][2]["clientConfig"]["caBundle"] = json!("dHdv");
        assert_eq!(bundle(&object), Ok(Vec::new()));
        object["webhooks"][3]["name"] = json!("renamed");
        assert_eq!(bundle(&object), Err(EntriesError::Missing(REVERTS)));
    }
}
