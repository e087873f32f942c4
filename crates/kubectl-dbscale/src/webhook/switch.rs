//! The switch: what `disable` and `enable` change in the ValidatingWebhookConfiguration. Only `failurePolicy` and
//! `namespaceSelector`, which the webhook itself never sets; what was there before is kept in an annotation.

use std::collections::BTreeMap;

use dbscale_cluster::entries::{self, EntriesError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The annotation with what was there before.
pub const BEFORE: &str = "dbscale.dev/webhook-before";

/// Every namespace bears this label, so a selector that wants it absent takes none.
const OF_EVERY_NAMESPACE: &str = "kubernetes.io/metadata.name";

/// How it is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// An answer that does not come lets everything in.
    FailOpen,
    /// Nobody asks.
    Off,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it is shipped, as far as this goes.
    On,
    /// As [`Mode::FailOpen`].
    FailOpen,
    /// As [`Mode::Off`].
    Off,
}

/// What was there before, who has changed it, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// How it was disabled.
    pub mode: Mode,
    /// Who did it; empty where the server did not say.
    pub by: String,
    /// When.
    pub at: String,
    /// The values of before, by the entry's name.
    pub entries: BTreeMap<String, Was>,
}

/// The values of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Was {
    /// `Fail` or `Ignore`.
    failure_policy: Value,
    /// Which namespaces.
    namespace_selector: Value,
}

/// Why nothing can be switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The object is not as it is shipped.
    #[error(transparent)]
    Entries(#[from] EntriesError),
    /// The annotation is nothing that this program has written.
    #[error("its annotation {BEFORE} cannot be read: {0}")]
    Annotation(#[from] serde_json::Error),
    /// It is off, and nobody knows from what.
    #[error("it is off, and there is no annotation {BEFORE} that tells what was there before")]
    ByHand,
}

impl Mode {
    /// How it stands then.
    #[must_use]
    pub fn state(self) -> State {
        match self {
            Self::FailOpen => State::FailOpen,
            Self::Off => State::Off,
        }
    }

    /// What follows from it, for people.
    #[must_use]
    pub fn consequence(self) -> &'static str {
        match self {
            Self::FailOpen => {
                "While the webhook does not answer, OpsRequests and ways back are let in unjudged. The policies hold."
            }
            Self::Off => {
                "Nobody asks the webhook: OpsRequests and edits of databases are not judged. The policies hold."
            }
        }
    }
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::FailOpen => "fail-open",
            Self::Off => "off",
        }
    }

    /// How the webhook stands by its entries. `Ignore` alone may be anybody's wish; fail-open is what the note says, too.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub fn of(configuration: &Value) -> Result<Self, SwitchError> {
        let ours = entries::ours(configuration)?;
        if ours.iter().any(|entry| takes_none(&entry.value["namespaceSelector"])) {
            return Ok(Self::Off);
        }
        let noted = before(configuration)?.is_some_and(|noted| noted.mode == Mode::FailOpen);
        let open = ours.iter().all(|entry| entry.value["failurePolicy"] == "Ignore");
        Ok(if noted && open { Self::FailOpen } else { Self::On })
    }
}

/// What the annotation says.
///
/// # Errors
/// Where it is nothing that this program has written.
pub fn before(configuration: &Value) -> Result<Option<Before>, serde_json::Error> {
    let text = configuration["metadata"]["annotations"][BEFORE].as_str();
    text.map(serde_json::from_str).transpose()
}

/// The steps of a JSON Patch that disable it; none where it is so already.
///
/// # Errors
/// [`SwitchError`].
pub fn disable(configuration: &Value, mode: Mode, by: &str, now: Timestamp) -> Result<Vec<Value>, SwitchError> {
    let state = State::of(configuration)?;
    if state == mode.state() {
        return Ok(Vec::new());
    }
    let ours = entries::ours(configuration)?;
    let noted = before(configuration)?;
    let was = match (state, noted) {
        // What was noted long ago is not what is there now, when somebody has applied the manifests since.
        (State::On, _) => ours.iter().map(|entry| (entry.name.to_owned(), Was::of(entry.value))).collect(),
        (_, Some(noted)) => noted.entries,
        (_, None) => return Err(SwitchError::ByHand),
    };
    let mut steps = Vec::new();
    for entry in ours {
        let Some(mut wanted) = was.get(entry.name).cloned() else { continue };
        match mode {
            Mode::FailOpen => wanted.failure_policy = json!("Ignore"),
            Mode::Off => take_none(&mut wanted.namespace_selector),
        }
        steps.extend(wanted.steps(&entry));
    }
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let note = serde_json::to_string(&Before { mode, by: by.to_owned(), at, entries: was })?;
    if !configuration["metadata"]["annotations"].is_object() {
        steps.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    steps.push(json!({"op": "add", "path": annotation(), "value": note}));
    Ok(steps)
}

/// The steps that bring back what was there before; none where nothing is to do.
///
/// # Errors
/// [`SwitchError`].
pub fn enable(configuration: &Value) -> Result<Vec<Value>, SwitchError> {
    let state = State::of(configuration)?;
    let Some(noted) = before(configuration)? else {
        return if state == State::On { Ok(Vec::new()) } else { Err(SwitchError::ByHand) };
    };
    let mut steps = Vec::new();
    // Where the manifests have been applied since, what is there is newer than the note.
    if state != State::On {
        for entry in entries::ours(configuration)? {
            steps.extend(noted.entries.get(entry.name).into_iter().flat_map(|was| was.steps(&entry)));
        }
    }
    steps.push(json!({"op": "remove", "path": annotation()}));
    Ok(steps)
}

/// The steps after which `manager` owns no field; `None` where it owns none.
pub fn let_go(configuration: &Value, manager: &str) -> Option<Vec<Value>> {
    let all = configuration["metadata"]["managedFields"].as_array()?;
    let kept: Vec<&Value> = all.iter().filter(|fields| fields["manager"] != manager).collect();
    // An empty list would make the server begin anew, with a manager of its own.
    let fewer = kept.len() < all.len() && !kept.is_empty();
    fewer.then(|| vec![json!({"op": "replace", "path": "/metadata/managedFields", "value": kept})])
}

impl Was {
    fn of(entry: &Value) -> Self {
        Self { failure_policy: entry["failurePolicy"].clone(), namespace_selector: entry["namespaceSelector"].clone() }
    }

    /// The steps that make the entry so.
    fn steps(&self, entry: &entries::Entry<'_>) -> Vec<Value> {
        let fields = [("failurePolicy", &self.failure_policy), ("namespaceSelector", &self.namespace_selector)];
        let differs = fields.into_iter().filter(|(field, wanted)| entry.value[*field] != **wanted);
        let step = |(field, wanted): (&str, &Value)| json!({"op": "add", "path": format!("/webhooks/{}/{field}", entry.index), "value": wanted});
        differs.map(step).collect()
    }
}

fn takes_none(selector: &Value) -> bool {
    let wants = selector["matchExpressions"].as_array().into_iter().flatten();
    wants.into_iter().any(|want| *want == nobody())
}

fn take_none(selector: &mut Value) {
    let mut wants = selector["matchExpressions"].as_array().cloned().unwrap_or_default();
    wants.push(nobody());
    if !selector.is_object() {
        *selector = json!({});
    }
    selector["matchExpressions"] = json!(wants);
}

fn nobody() -> Value {
    json!({"key": OF_EVERY_NAMESPACE, "operator": "DoesNotExist"})
}

fn annotation() -> String {
    format!("/metadata/annotations/{}", BEFORE.replace('/', "~1"))
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
