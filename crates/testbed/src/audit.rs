//! What the shipped accounts have asked of an API server: its audit log, which is about them alone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::shipped::{NAMESPACE, TEAM};

/// A folder for the audit logs of all control planes of a run, in place of each one's own.
pub const FOLDER: &str = "DBSCALE_AUDIT";

/// One request to an API server that it has answered; of a watch, that it has begun to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Of the shipped accounts the one that asked: `dbscale-controller`, or a team's own: `my-team/dbscale-controller`.
    pub account: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// The API group; empty for the core's, and where no resource was asked for.
    pub group: String,
    /// The resource, with its subresource: `scalingrecords/status`; empty where none was asked for.
    pub resource: String,
    /// The path with its query.
    pub uri: String,
    /// The status code.
    pub code: u64,
    /// Whether the account had no right to ask it.
    pub forbidden: bool,
}

/// Where a control plane at `address` keeps its log.
pub(crate) fn log_of(folder: &Path, address: &str) -> PathBuf {
    let port = address.rsplit(':').next().unwrap_or_default();
    match env::var_os(FOLDER) {
        Some(all) => PathBuf::from(all).join(format!("audit-{}-{port}.log", std::process::id())),
        None => folder.join("logs").join("audit.log"),
    }
}

/// The policy: one line for each request of a shipped account, and nothing of anybody else's.
pub(crate) fn policy() -> Value {
    let shipped = [NAMESPACE, TEAM].map(|namespace| format!("system:serviceaccounts:{namespace}"));
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "userGroups": shipped}, {"level": "None"}],
    })
}

/// All that was asked, by one log or by all logs of a folder; nothing where there is none.
///
/// # Errors
/// Where a log cannot be read.
pub fn read(path: &Path) -> Result<Vec<Asked>> {
    let logs = match fs::read_dir(path) {
        Ok(entries) => entries.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?,
        Err(_) => vec![path.to_owned()],
    };
    let mut all = Vec::new();
    for log in logs.into_iter().filter(|log| log.exists()) {
        let text = fs::read_to_string(&log).with_context(|| format!("could not read {}", log.display()))?;
        let mut known = HashSet::new();
        // The last line may still be written; a watch has a second one at its end.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for event in lines.filter(|event| known.insert(event["auditID"].as_str().unwrap_or_default().to_owned())) {
            all.extend(asked(&event));
        }
    }
    Ok(all)
}

/// Those for which an account had no right.
///
/// The API server refuses for some moments what a binding has just granted: the very request that is let through at another
/// time is no missing right.
#[must_use]
pub fn refused(asked: &[Asked]) -> Vec<&Asked> {
    let request = |a: &Asked| (a.account.clone(), a.verb.clone(), a.uri.split('?').next().map(str::to_owned));
    let allowed: HashSet<_> = asked.iter().filter(|a| !a.forbidden).map(request).collect();
    asked.iter().filter(|a| a.forbidden && !allowed.contains(&request(a))).collect()
}

fn asked(event: &Value) -> Option<Asked> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let subresource = text("/objectRef/subresource");
    let resource = text("/objectRef/resource");
    let user = text("/user/username");
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let account = match namespace {
        NAMESPACE => name.to_owned(),
        TEAM => format!("{TEAM}/{name}"),
        _ => return None,
    };
    Some(Asked {
        account,
        verb: text("/verb"),
        group: text("/objectRef/apiGroup"),
        resource: if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") },
        uri: text("/requestURI"),
        code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or(0),
        forbidden: text("/annotations/authorization.k8s.io~1decision") == "forbid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, user: &str, stage: &str, decision: &str) -> String {
        json!({"auditID": id, "stage": stage, "verb": "patch", "requestURI": "/apis/x?y=z", "user": {"username": user},
            "objectRef": {"apiGroup": "dbscale.dev", "resource": "scalingrecords", "subresource": "status"},
            "responseStatus": {"code": 403}, "annotations": {"authorization.k8s.io/decision": decision}})
        .to_string()
    }

    #[test]
    fn a_request_counts_once_and_only_of_a_shipped_account() {
        let folder = tempfile::tempdir().unwrap();
        let ours = "system:serviceaccount:dbscale-system:dbscale-controller";
        let lines = [
            event("1", ours, "ResponseStarted", "allow"),
            event("1", ours, "ResponseComplete", "allow"),
            event("2", "system:serviceaccount:other:dbscale-controller", "ResponseComplete", "forbid"),
            event("3", ours, "ResponseComplete", "forbid"),
            "{\"auditID\": \"4\", \"us".to_owned(),
        ];
        fs::write(folder.path().join("one.log"), lines.join("\n")).unwrap();
        let found = read(folder.path()).unwrap();
        assert_eq!(found.iter().map(|a| a.forbidden).collect::<Vec<_>>(), [false, true]);
        let first = &found[0];
        assert_eq!((first.account.as_str(), first.group.as_str()), ("dbscale-controller", "dbscale.dev"));
        assert_eq!((first.verb.as_str(), first.resource.as_str(), first.code), ("patch", "scalingrecords/status", 403));
        assert_eq!(read(&folder.path().join("none.log")).unwrap(), []);
    }

    #[test]
    fn what_is_let_through_at_another_time_is_no_missing_right() {
        let folder = tempfile::tempdir().unwrap();
        let teams = format!("system:serviceaccount:{TEAM}:dbscale-controller");
        let line = |id, decision| event(id, &teams, "ResponseComplete", decision);
        let log = folder.path().join("one.log");
        fs::write(&log, line("1", "forbid")).unwrap();
        let found = read(&log).unwrap();
        assert_eq!(refused(&found).len(), 1);
        assert_eq!(found[0].account, "my-team/dbscale-controller");
        fs::write(&log, [line("1", "forbid"), line("2", "allow")].join("\n")).unwrap();
        assert!(refused(&read(&log).unwrap()).is_empty());
    }
}
