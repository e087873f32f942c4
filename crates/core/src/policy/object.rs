//! `ValidatingAdmissionPolicy` and its bindings as objects of the API.

use serde_json::{Value, json};

use crate::finding::RuleId;
use crate::rules;

/// The label of a namespace that says how refusals are taken there: `enforce` (as without it), `warn` or `off`.
pub const ENFORCEMENT: &str = "dbscale.dev/enforcement";

/// A policy for one kind.
pub(super) struct Policy {
    /// The name of the object.
    pub name: String,
    /// The API group of the kind.
    pub group: &'static str,
    /// The served versions: each is listed, so that nothing has to be converted.
    pub versions: Vec<String>,
    /// The resource name of the kind. Its subresources, such as `status`, are not judged.
    pub resource: String,
    /// `CREATE`, `UPDATE`.
    pub operations: &'static [&'static str],
    /// The kind of object that each request is compared with: (apiVersion, kind).
    pub compared: Option<(String, String)>,
    /// What becomes of a request that cannot be judged: `Fail` refuses it, `Ignore` lets it in.
    pub failure: &'static str,
    /// What a request must be to be judged: (name, expression).
    pub conditions: Vec<(&'static str, String)>,
    /// Expressions with a name, worked out once where they are used.
    pub variables: Vec<(&'static str, String)>,
    /// What must hold, the most important first: of those that do not, the first is told.
    pub validations: Vec<Validation>,
}

/// Something that must hold.
pub(super) struct Validation {
    /// The rule that is broken where it does not.
    pub rule: RuleId,
    /// What must hold.
    pub holds: String,
    /// What is wrong, without the id: an expression that makes one line.
    pub says: String,
}

impl Policy {
    /// The policy and its two bindings: one refuses, the other warns in namespaces that ask for it.
    pub fn objects(&self) -> Vec<Value> {
        let deny = json!({"key": ENFORCEMENT, "operator": "NotIn", "values": ["warn", "off"]});
        let warn = json!({"key": ENFORCEMENT, "operator": "In", "values": ["warn"]});
        vec![self.policy(), self.binding("deny", "Deny", &deny), self.binding("warn", "Warn", &warn)]
    }

    fn policy(&self) -> Value {
        let conditions = self.conditions.iter().map(|(name, e)| json!({"name": name, "expression": e}));
        let variables = self.variables.iter().map(|(name, e)| json!({"name": name, "expression": e}));
        let mut spec = json!({
            "failurePolicy": self.failure,
            "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": [{
                "apiGroups": [self.group], "apiVersions": self.versions, "resources": [self.resource],
                "operations": self.operations, "scope": "Namespaced",
            }]},
            "matchConditions": conditions.collect::<Vec<_>>(),
            "variables": variables.collect::<Vec<_>>(),
            "validations": self.validations.iter().map(Validation::object).collect::<Vec<_>>(),
        });
        if let Some((version, kind)) = &self.compared {
            spec["paramKind"] = json!({"apiVersion": version, "kind": kind});
        }
        object("ValidatingAdmissionPolicy", &self.name, &spec)
    }

    fn binding(&self, suffix: &str, action: &str, namespaces: &Value) -> Value {
        let mut spec = json!({
            "policyName": self.name,
            "validationActions": [action, "Audit"],
            "matchResources": {"namespaceSelector": {"matchExpressions": [namespaces]}},
        });
        if self.compared.is_some() {
            // Every object of the request's namespace, or of the cluster where its kind has none; where there is no object,
            // another rule has to say so.
            spec["paramRef"] = json!({"selector": {}, "parameterNotFoundAction": "Allow"});
        }
        object("ValidatingAdmissionPolicyBinding", &format!("{}-{suffix}", self.name), &spec)
    }
}

impl Validation {
    fn object(&self) -> Value {
        // The fixed message is for what cannot be put into words there, such as a text beyond 5 KB.
        let reason = rules::find(self.rule.0).map(|r| r.reason).unwrap_or_default();
        json!({
            "expression": self.holds,
            "message": format!("[{}] {reason}", self.rule),
            "messageExpression": format!("'[{}] ' + {}", self.rule, self.says),
            "reason": if self.rule.0.starts_with("policy/") { "Forbidden" } else { "Invalid" },
        })
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "dbscale"}},
        "spec": spec,
    })
}
