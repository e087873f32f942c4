//! The answer to a review. kubectl prints of a refusal either `status.message` or, for 422, each cause's field and message
//! alone: so each of these begins with the rule's id in brackets.

use dbscale_core::finding::{Finding, Severity};
use dbscale_core::rules::{DIRECT_EDIT, OF_POLICIES};
use serde::Serialize;

use crate::review::{API_VERSION, KIND, Review};

/// Whether a rule says who may do something, how, or how much, where the object itself is right.
fn is_policy(id: &str) -> bool {
    id.starts_with(OF_POLICIES) || id == "audit/requested-by" || id == DIRECT_EDIT.id.0
}

/// The code and reason of a refusal.
///
/// 400 tells a client that combined two changes to send them one by one, so it is said of nothing else. Never 409: `kubectl
/// apply` would try again for 17 s.
#[must_use]
pub fn code(findings: &[Finding]) -> (u16, &'static str) {
    let all = |is: fn(&Finding) -> bool| findings.iter().filter(|f| f.refuses()).all(is);
    if all(|f| f.rule.0 == "stanza/ignored") {
        (400, "BadRequest")
    } else if all(|f| is_policy(f.rule.0)) {
        (403, "Forbidden")
    } else {
        (422, "Invalid")
    }
}

/// The answer, as JSON.
#[must_use]
pub fn write(review: &Review<'_>, findings: &[Finding]) -> Vec<u8> {
    let refusing: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Deny).collect();
    let status = (!refusing.is_empty()).then(|| {
        let (code, reason) = code(findings);
        let (group, kind) = review.kind.split_once('/').unwrap_or_default();
        let causes: Vec<Cause<'_>> =
            refusing.iter().map(|f| Cause { reason: f.rule.0, field: &f.path, message: f.to_string() }).collect();
        let lines: Vec<&str> = causes.iter().map(|c| c.message.as_str()).collect();
        let message = lines.join("\n");
        Failure {
            status: "Failure",
            message,
            reason,
            code,
            details: Details { name: &review.name, group, kind, causes },
        }
    });
    let response = Response {
        uid: &review.uid,
        allowed: refusing.is_empty(),
        status,
        warnings: findings.iter().filter(|f| f.severity == Severity::Warn).map(warning).collect(),
    };
    // Of strings, numbers and lists of them: nothing in it can fail.
    serde_json::to_vec(&Answer { api_version: API_VERSION, kind: KIND, response }).unwrap_or_default()
}

/// A warning in one line: it becomes an HTTP header.
fn warning(finding: &Finding) -> String {
    let text = if finding.path.is_empty() { finding.to_string() } else { format!("{finding} ({})", finding.path) };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: Response<'a>,
}

#[derive(Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Failure<'a> {
    status: &'a str,
    message: String,
    reason: &'a str,
    code: u16,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    name: &'a str,
    group: &'a str,
    kind: &'a str,
    causes: Vec<Cause<'a>>,
}

#[derive(Serialize)]
struct Cause<'a> {
    reason: &'a str,
    field: &'a str,
    message: String,
}

#[cfg(test)]
mod tests {
    use dbscale_core::finding::RuleId;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::review::read;

    fn deny(id: &'static str) -> Finding {
        Finding::deny(RuleId(id), "spec.x", "no").remedy("yes")
    }

    #[rstest]
    #[case::only_ignored(&["stanza/ignored", "stanza/ignored"], 400, "BadRequest")]
    #[case::ignored_and_more(&["stanza/ignored", "replicas/minimum"], 422, "Invalid")]
    #[case::only_a_policy(&["audit/requested-by"], 403, "Forbidden")]
    #[case::another_policy(&["database/direct-edit", "audit/requested-by"], 403, "Forbidden")]
    #[case::a_scaling_policy(&["policy/replicas", "audit/requested-by"], 403, "Forbidden")]
    #[case::a_scaling_policy_and_more(&["policy/replicas", "replicas/minimum"], 422, "Invalid")]
    #[case::a_policy_and_ignored(&["audit/requested-by", "stanza/ignored"], 422, "Invalid")]
    #[case::anything_else(&["storage/no-shrink"], 422, "Invalid")]
    fn codes(#[case] ids: &[&'static str], #[case] code: u16, #[case] reason: &str) {
        let mut findings: Vec<Finding> = ids.iter().map(|id| deny(id)).collect();
        findings.push(Finding::warn(RuleId("gitops/tracked"), "", "hm"));
        assert_eq!(super::code(&findings), (code, reason));
    }

    fn answer(findings: &[Finding]) -> Value {
        let body = json!({"apiVersion": API_VERSION, "kind": KIND, "request": {
            "uid": "u-1", "name": "ask", "operation": "DELETE",
            "kind": {"group": "ops.kubedb.com", "kind": "MongoDBOpsRequest"}}})
        .to_string();
        serde_json::from_slice(&write(&read(body.as_bytes()).unwrap(), findings)).unwrap()
    }

    #[test]
    fn a_refusal_tells_all_causes_and_their_ids_twice() {
        let warned = Finding::warn(RuleId("gitops/tracked"), "spec", "Git\nwins");
        let wanted = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": "u-1", "allowed": false,
            "status": {
                "status": "Failure", "code": 422, "reason": "Invalid",
                "message": "[a/b] no; yes\n[c/d] no; yes",
                "details": {"name": "ask", "group": "ops.kubedb.com", "kind": "MongoDBOpsRequest", "causes": [
                    {"reason": "a/b", "field": "spec.x", "message": "[a/b] no; yes"},
                    {"reason": "c/d", "field": "spec.x", "message": "[c/d] no; yes"},
                ]},
            },
            "warnings": ["[gitops/tracked] Git wins (spec)"],
        }});
        assert_eq!(answer(&[deny("a/b"), warned, deny("c/d")]), wanted);
    }

    #[test]
    fn an_admission_is_short() {
        let wanted = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "response": {"uid": "u-1", "allowed": true}});
        assert_eq!(answer(&[]), wanted);
    }
}
