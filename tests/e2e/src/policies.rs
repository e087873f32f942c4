//! Policies that hold in the namespaces of one test alone, and what they say beside what the rules say.

use std::time::{Duration, Instant};

use dbscale_cluster::ApiFailure;
use dbscale_core::finding::Finding;
use dbscale_core::policy::ENFORCEMENT;
use serde_json::{Value, json};

use crate::World;

/// How long the check of types may take.
const CHECKED: Duration = Duration::from_secs(400);

/// What these policies ask for in place of [`ENFORCEMENT`]: whatever else runs in the playground leaves their namespaces alone.
const STAND_IN: &str = "e2e.dbscale.dev/enforcement";

/// The label that such namespaces bear.
const LABEL: &str = "e2e.dbscale.dev/policies";

/// Policies and bindings under names of their own. Dropping them takes them away.
pub struct Policies {
    mark: String,
    count: usize,
}

impl Policies {
    /// Creates them, strictly.
    ///
    /// # Panics
    /// Where one is refused.
    #[must_use]
    pub fn install(world: &World, objects: &[Value]) -> Self {
        let mark = world.namespace.clone();
        let mut policies = Self { mark: mark.clone(), count: 0 };
        let mut list = Vec::new();
        for object in objects {
            let mut object = object.clone();
            let name = format!("{mark}-{}", object["metadata"]["name"].as_str().unwrap_or_default());
            object["metadata"]["name"] = json!(name);
            object["metadata"]["labels"] = json!({LABEL: mark});
            if let Some(policy) = object["spec"]["policyName"].as_str() {
                object["spec"]["policyName"] = json!(format!("{mark}-{policy}"));
                let selector = &mut object["spec"]["matchResources"]["namespaceSelector"];
                selector["matchLabels"] = json!({LABEL: mark});
                assert_eq!(selector["matchExpressions"][0]["key"], ENFORCEMENT);
                selector["matchExpressions"][0]["key"] = json!(STAND_IN);
            } else {
                policies.count += 1;
            }
            list.push(object);
        }
        let all = json!({"apiVersion": "v1", "kind": "List", "items": list});
        let file = world.write("policies.json", &all.to_string());
        world.must(&["create", "--validate=strict", "-f", &file]);
        policies
    }

    /// Puts a namespace under them, with a word on how refusals are taken there.
    pub fn hold_in(&self, world: &World, enforcement: &str) {
        let mark = format!("{LABEL}={}", self.mark);
        let (label, others) = (format!("{STAND_IN}={enforcement}"), format!("{ENFORCEMENT}=off"));
        world.must(&["label", "namespace", &world.namespace, &mark, &label, &others]);
    }

    /// Waits until the controller manager has checked the types of each; it does so one by one, long after they hold.
    ///
    /// # Panics
    /// Where that check warns of anything, or takes too long.
    pub fn until_checked(&self, world: &World) {
        let began = Instant::now();
        let selector = format!("{LABEL}={}", self.mark);
        loop {
            let answer = world.kubectl(&["get", "validatingadmissionpolicies", "-l", &selector, "-o", "json"]).json();
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            for policy in &items {
                let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
                assert!(warnings.is_null(), "{}: {warnings:#}", policy["metadata"]["name"]);
            }
            let checked = |p: &&Value| p["status"]["observedGeneration"] == p["metadata"]["generation"];
            if items.len() == self.count && items.iter().all(|p| checked(&p)) {
                return;
            }
            assert!(began.elapsed() < CHECKED, "the types of the policies are not checked in time");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        let selector = format!("{LABEL}={}", self.mark);
        for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
            let _ = World::command(&["delete", kind, "-l", &selector, "--wait=false"]).output();
        }
    }
}

/// Both verdicts of every case, and where they differ.
pub struct Verdicts {
    speaks: &'static [&'static str],
    tried: usize,
    refused: usize,
    apart: Vec<String>,
}

impl Verdicts {
    /// None yet; `speaks` are the rules that the policies hold.
    #[must_use]
    pub fn new(speaks: &'static [&'static str]) -> Self {
        Self { speaks, tried: 0, refused: 0, apart: Vec::new() }
    }

    /// Compares what the rules find in a case with what the policies answer.
    pub fn compare(&mut self, case: &str, rules: &[Finding], policy: &Result<Value, ApiFailure>) {
        self.tried += 1;
        let by_rules: Vec<&str> =
            rules.iter().filter(|f| f.refuses()).map(|f| f.rule.0).filter(|id| self.speaks.contains(id)).collect();
        let by_policy = policy.as_ref().err().map(|failure| {
            let told = failure.message.contains("ValidatingAdmissionPolicy '");
            let id = failure.message.split_once('[').and_then(|(_, rest)| Some(rest.split_once(']')?.0));
            let answer =
                if id.is_some_and(|id| id.starts_with("policy/")) { (403, "Forbidden") } else { (422, "Invalid") };
            id.filter(|_| told && (failure.code, failure.reason.as_str()) == answer).unwrap_or(&failure.message)
        });
        self.refused += usize::from(by_policy.is_some());
        let same = by_policy.map_or(by_rules.is_empty(), |id| by_rules.contains(&id));
        if !same {
            self.apart.push(format!("{case}: the rules say {by_rules:?}, the policy {by_policy:?}"));
        }
    }

    /// That both say the same, of at least so many cases, of which at least so many are refused.
    ///
    /// # Panics
    /// Where they do not.
    pub fn agree(self, tried: usize, refused: usize) {
        let (apart, all) = (self.apart, self.tried);
        assert!(apart.is_empty(), "{} of {all} are judged apart:\n{}", apart.len(), apart.join("\n"));
        assert!(all >= tried && self.refused >= refused, "{all} were tried, {} refused", self.refused);
    }
}
