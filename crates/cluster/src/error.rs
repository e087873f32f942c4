//! What an API server says when it does not do what was asked, whole.

use std::fmt;

use serde::Deserialize;

/// A call that failed.
#[derive(Debug, Clone)]
pub struct ApiFailure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The HTTP status code; 0 where no answer came.
    pub code: u16,
    /// The reason of the answer: `Invalid`, `AlreadyExists`; may be empty.
    pub reason: String,
    /// The message of the answer, or what went wrong on the way.
    pub message: String,
    /// The causes: (field, message).
    pub causes: Vec<(String, String)>,
    /// What was asked: `POST /apis/…`.
    pub call: String,
    /// Seconds to wait before the next try, where the server said so.
    pub retry_after: Option<u64>,
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No answer came, or it broke off: nobody knows whether the server has acted.
    Unreachable,
    /// The time for all tries together is over.
    Timeout,
    /// 401: the server does not know who is asking.
    Unauthenticated,
    /// 403 by RBAC, or by whatever else decides on rights.
    Forbidden,
    /// 403 by a quota that has no room left.
    Quota,
    /// 403 by another check of the API server's own: a limit range, a namespace that ends, a claim that cannot grow.
    NotAllowed,
    /// An admission webhook or policy refused, whatever its code.
    Refused,
    /// The API (the CRD) is not there.
    NotInstalled,
    /// The object is not there.
    NotFound,
    /// An object of that name exists.
    AlreadyExists,
    /// Another writer was faster.
    Conflict,
    /// 429.
    TooMany,
    /// Another 4xx: the request itself is wrong.
    Invalid,
    /// 5xx.
    Server,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    reason: String,
    message: String,
    details: Option<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    name: String,
    causes: Vec<Cause>,
    #[serde(rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    field: String,
    message: String,
}

impl ApiFailure {
    /// A call that got no answer.
    #[must_use]
    pub fn unreachable(call: &str, message: String) -> Self {
        Self {
            kind: Kind::Unreachable,
            code: 0,
            reason: String::new(),
            message,
            causes: Vec::new(),
            call: call.to_owned(),
            retry_after: None,
        }
    }

    /// Reads an answer with a code of 400 or more.
    #[must_use]
    pub fn of(call: &str, code: u16, body: &[u8]) -> Self {
        let status: Status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
            message: String::from_utf8_lossy(&body[..body.len().min(2000)]).trim().to_owned(),
            ..Status::default()
        });
        let details = status.details.unwrap_or_default();
        let admission = status.message.contains("admission webhook \"")
            && status.message.contains("denied the request")
            || status.message.contains("ValidatingAdmissionPolicy '");
        let kind = match (code, status.reason.as_str()) {
            _ if admission => Kind::Refused,
            (401, _) => Kind::Unauthenticated,
            (403, _) => of_forbidden(&status.message),
            // An object that is missing is named; an API that is missing is not.
            (404, _) if details.name.is_empty() => Kind::NotInstalled,
            (404, _) => Kind::NotFound,
            (_, "AlreadyExists") => Kind::AlreadyExists,
            (409, _) => Kind::Conflict,
            (429, _) => Kind::TooMany,
            (500.., _) => Kind::Server,
            _ => Kind::Invalid,
        };
        Self {
            kind,
            code,
            reason: status.reason,
            message: status.message,
            causes: details.causes.into_iter().map(|c| (c.field, c.message)).collect(),
            call: call.to_owned(),
            retry_after: details.retry_after_seconds,
        }
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::TooMany | Kind::Server)
    }

    /// Whether it leaves open what becomes of the request: the server may be at it still.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.may_pass() || self.kind == Kind::Timeout
    }

    /// Whether the server may have done what was asked though it answered so. A webhook that cannot be called is one that
    /// was called before anything was written.
    pub(crate) fn may_have_acted(&self) -> bool {
        self.kind == Kind::Server && !self.message.contains("failed calling webhook")
    }

    /// Whether a `test` of a JSON Patch did not hold. The API server has no reason of its own for that.
    pub(crate) fn is_failed_test(&self) -> bool {
        self.code == 422 && self.message.contains("the server rejected our request due to an error in our request")
            || self.message.contains("testing value")
            || self.message.contains("test failed")
    }

    /// The namespace that was asked about; `None` where it was the whole cluster.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        namespace_of(&self.call)
    }

    /// The rule ids in brackets in the message and the causes, each once: `storage/no-shrink`.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        let texts = std::iter::once(&self.message).chain(self.causes.iter().map(|(_, message)| message));
        let mut rules: Vec<String> = Vec::new();
        for text in texts {
            for part in text.split('[').skip(1) {
                let Some((id, _)) = part.split_once(']') else { continue };
                let is_rule = id.contains('/') && id.bytes().all(|b| b.is_ascii_lowercase() || b == b'/' || b == b'-');
                if is_rule && !rules.iter().any(|r| r == id) {
                    rules.push(id.to_owned());
                }
            }
        }
        rules
    }
}

/// Tells the 403s apart, which all have one reason. Who lacks a right is told `User "jane" cannot …`; what the API server
/// itself does not admit is told `… is forbidden: why` (`apierrors.NewForbidden`). A proxy's words are taken for a right.
fn of_forbidden(message: &str) -> Kind {
    let lacks_right = message.contains("User \"") && message.contains("\" cannot ");
    match message.split_once(" is forbidden: ") {
        Some((_, why)) if why.starts_with("exceeded quota: ") || why.starts_with("failed quota: ") => Kind::Quota,
        Some(_) if !lacks_right => Kind::NotAllowed,
        _ => Kind::Forbidden,
    }
}

/// The namespace in a path of the API.
pub(crate) fn namespace_of(path: &str) -> Option<&str> {
    path.split_once("/namespaces/")?.1.split('/').next()
}

impl fmt::Display for ApiFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code == 0 {
            return write!(f, "{}: {}", self.call, self.message);
        }
        write!(f, "{} ({}", self.message, self.code)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        write!(f, ")")?;
        for (field, message) in &self.causes {
            if !self.message.contains(message.as_str()) {
                let colon = if field.is_empty() { "" } else { ": " };
                write!(f, "\n  {field}{colon}{message}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ApiFailure {}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::object_missing(404, json!({"reason": "NotFound", "message": "mongodbs \"x\" not found", "details": {"name": "x"}}), Kind::NotFound)]
    #[case::api_missing(404, json!({"reason": "NotFound", "message": "the server could not find the requested resource", "details": {}}), Kind::NotInstalled)]
    #[case::rbac(403, json!({"reason": "Forbidden", "message": "User \"x\" cannot create resource"}), Kind::Forbidden)]
    #[case::rbac_whole(403, json!({"reason": "Forbidden", "message": "mongodbs.kubedb.com \"x\" is forbidden: User \"jane\" cannot get resource \"mongodbs\" in API group \"kubedb.com\" in the namespace \"demo\""}), Kind::Forbidden)]
    #[case::impersonation(403, json!({"reason": "Forbidden", "message": "users \"bob\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"}), Kind::Forbidden)]
    #[case::of_a_proxy(403, json!("<html>access denied</html>"), Kind::Forbidden)]
    #[case::quota(403, json!({"reason": "Forbidden", "message": "persistentvolumeclaims \"data-0\" is forbidden: exceeded quota: disk, requested: requests.storage=10Gi, used: requests.storage=95Gi, limited: requests.storage=100Gi"}), Kind::Quota)]
    #[case::quota_that_asks_for_more(403, json!({"reason": "Forbidden", "message": "pods \"x\" is forbidden: failed quota: cpu: must specify limits.cpu for: mongodb"}), Kind::Quota)]
    #[case::limit_range(403, json!({"reason": "Forbidden", "message": "persistentvolumeclaims \"data-0\" is forbidden: maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi"}), Kind::NotAllowed)]
    #[case::ending_namespace(403, json!({"reason": "Forbidden", "message": "mongodbopsrequests.ops.kubedb.com \"x\" is forbidden: unable to create new content in namespace demo because it is being terminated"}), Kind::NotAllowed)]
    #[case::webhook(403, json!({"reason": "Forbidden", "message": "admission webhook \"w\" denied the request: [policy/max] no"}), Kind::Refused)]
    #[case::webhook_400(400, json!({"message": "admission webhook \"w\" denied the request: [stanza/ignored] no"}), Kind::Refused)]
    #[case::policy(422, json!({"reason": "Invalid", "message": "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: [storage/no-shrink] no"}), Kind::Refused)]
    #[case::taken(409, json!({"reason": "AlreadyExists", "message": "exists"}), Kind::AlreadyExists)]
    #[case::conflict(409, json!({"reason": "Conflict", "message": "modified"}), Kind::Conflict)]
    #[case::schema(422, json!({"reason": "Invalid", "message": "spec.type: Required value"}), Kind::Invalid)]
    #[case::busy(429, json!({"reason": "TooManyRequests", "message": "later"}), Kind::TooMany)]
    #[case::proxy(502, json!("bad gateway"), Kind::Server)]
    fn kinds(#[case] code: u16, #[case] body: Value, #[case] kind: Kind) {
        assert_eq!(ApiFailure::of("GET /x", code, body.to_string().as_bytes()).kind, kind);
    }

    #[test]
    fn rules_are_read_out_of_message_and_causes() {
        let body = json!({"message": "admission webhook \"w\" denied the request: [storage/no-shrink] no", "details": {"causes": [
            {"field": "spec.x", "message": "[replicas/minimum] 0 is too few"}, {"message": "[storage/no-shrink] no"}]}});
        let failure = ApiFailure::of("POST /x", 422, body.to_string().as_bytes());
        assert_eq!(failure.rules(), ["storage/no-shrink", "replicas/minimum"]);
    }
}
