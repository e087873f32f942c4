//! Least rights: what the shipped roles grant is what their accounts use, no less and no more.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use dbscale_core::catalog::{DATABASE_GROUP, OPS_GROUP};
use dbscale_testbed::assets;
use dbscale_testbed::audit::{self, Asked};
use serde_json::Value;

/// One verb on one resource, of one account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    account: String,
    group: String,
    resource: String,
    verb: String,
}

impl Right {
    fn new(account: &str, group: &str, resource: &str, verb: &str) -> Self {
        // One engine stands for all: the lists of their kinds are made from the catalog, and another test holds them to it.
        let resource = match group {
            DATABASE_GROUP => "(databases)",
            OPS_GROUP => "(OpsRequests)",
            _ => resource,
        };
        let [account, group, resource, verb] = [account, group, resource, verb].map(str::to_owned);
        Self { account, group, resource, verb }
    }

    fn words(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}: {} {}{dot}{}", self.account, self.verb, self.resource, self.group)
    }
}

/// Fails where an account was refused something by its own role, and where it never used something that the role grants.
/// `logs` are the audit logs of the whole suite.
pub fn check(logs: &Path) -> Result<()> {
    let asked = audit::read(logs)?;
    let kustomize = Command::new(assets::find_or_build()?.join("kubectl"))
        .args(["kustomize", "manifests/base"])
        .current_dir(assets::workspace())
        .output()
        .context("could not run kubectl kustomize")?;
    ensure!(kustomize.status.success(), "manifests/base: {}", String::from_utf8_lossy(&kustomize.stderr));
    let granted = granted(&documents(&String::from_utf8(kustomize.stdout)?)?)?;
    let wrong = compare(&granted, &asked);
    ensure!(wrong.is_empty(), "the roles of manifests/base are not what their accounts need:\n{}", wrong.join("\n"));
    eprintln!("    {} rights are granted, all are used, and no other was asked for", granted.len());
    Ok(())
}

fn documents(text: &str) -> Result<Vec<Value>> {
    text.split("\n---\n").map(|part| Ok(serde_saphyr::from_str(part)?)).collect()
}

/// What the accounts may do, by the roles that are bound to them.
fn granted(documents: &[Value]) -> Result<BTreeSet<Right>> {
    let of_kind =
        |end: &'static str| documents.iter().filter(move |d| d["kind"].as_str().is_some_and(|k| k.ends_with(end)));
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| Some(v.as_str()?.to_owned())).collect()
    };
    let mut granted = BTreeSet::new();
    for binding in of_kind("RoleBinding") {
        let (kind, name) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
        let role = of_kind("Role").find(|r| r["kind"] == *kind && r["metadata"]["name"] == *name);
        let role = role.with_context(|| format!("{kind} {name} is bound and not there"))?;
        // What everybody may read is no account's of ours.
        let subjects = binding["subjects"].as_array().into_iter().flatten().filter(|s| s["kind"] != "Group");
        for subject in subjects {
            let account = subject["name"].as_str().unwrap_or_default();
            for rule in role["rules"].as_array().into_iter().flatten() {
                for (group, resource) in texts(&rule["apiGroups"])
                    .iter()
                    .flat_map(|g| texts(&rule["resources"]).into_iter().map(move |r| (g.clone(), r)))
                {
                    for verb in texts(&rule["verbs"]) {
                        if [&group, &resource, &verb].into_iter().any(|t| t == "*") {
                            bail!("{kind} {name} grants '*', which nobody can need");
                        }
                        granted.insert(Right::new(account, &group, &resource, &verb));
                    }
                }
            }
        }
    }
    ensure!(!granted.is_empty(), "manifests/base grants nothing");
    Ok(granted)
}

/// What is wrong, one sentence each.
fn compare(granted: &BTreeSet<Right>, asked: &[Asked]) -> Vec<String> {
    let right = |a: &Asked| Right::new(&a.account, &a.group, &a.resource, &a.verb);
    let refused: BTreeSet<String> = audit::refused(asked)
        .into_iter()
        .map(|a| format!("refused, and asked for: {} ({})", right(a).words(), a.uri))
        .collect();
    let mut used: BTreeSet<Right> = asked.iter().filter(|a| !a.forbidden).map(right).collect();
    // Whoever applies what is not there yet needs the right to create it as well.
    let made = asked.iter().filter(|a| a.verb == "patch" && a.code == 201);
    used.extend(made.map(|a| Right::new(&a.account, &a.group, &a.resource, "create")));
    let idle = granted.difference(&used).map(|r| format!("granted, and never used: {}", r.words()));
    refused.into_iter().chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "kind: ClusterRole
metadata: { name: r }
rules:
  - apiGroups: [kubedb.com]
    resources: [mongodbs, redises]
    verbs: [list]
  - apiGroups: [\"\"]
    resources: [pods]
    verbs: [list, get]
---
kind: ClusterRoleBinding
roleRef: { kind: ClusterRole, name: r }
subjects: [{ kind: ServiceAccount, name: a }]
";

    fn asked(verb: &str, group: &str, resource: &str, forbidden: bool) -> Asked {
        let text = str::to_owned;
        let (verb, group, resource) = (text(verb), text(group), text(resource));
        Asked { account: text("a"), verb, group, resource, uri: text("/x"), code: 200, forbidden }
    }

    #[test]
    fn one_engine_stands_for_all_and_what_is_idle_or_refused_is_told() {
        let granted = granted(&documents(ROLE).unwrap()).unwrap();
        let mut calls = vec![asked("list", "kubedb.com", "redises", false), asked("list", "", "pods", false)];
        assert_eq!(compare(&granted, &calls), ["granted, and never used: a: get pods"]);
        calls.push(asked("get", "", "pods", false));
        assert!(compare(&granted, &calls).is_empty());
        calls.push(Asked { uri: "/x?limit=1".to_owned(), ..asked("get", "", "pods", true) });
        assert!(compare(&granted, &calls).is_empty(), "a binding that the API server had not seen yet");
        calls.push(asked("watch", "apps", "statefulsets", true));
        assert_eq!(compare(&granted, &calls), ["refused, and asked for: a: watch statefulsets.apps (/x)"]);
    }

    #[test]
    fn whoever_applies_what_was_not_there_has_created_it() {
        let role = ROLE.replace("[list, get]", "[patch, create]").replace("[list]", "[]");
        let granted = granted(&documents(&role).unwrap()).unwrap();
        let mut call = asked("patch", "", "pods", false);
        assert_eq!(compare(&granted, std::slice::from_ref(&call)), ["granted, and never used: a: create pods"]);
        call.code = 201;
        assert!(compare(&granted, &[call]).is_empty());
    }

    #[test]
    fn a_star_and_a_role_that_is_not_there_are_refused() {
        let star = documents(&ROLE.replace("[list, get]", "[\"*\"]")).unwrap();
        assert!(granted(&star).unwrap_err().to_string().contains("grants '*'"));
        let lost = documents(&ROLE.replace("name: r }\nsubjects", "name: x }\nsubjects")).unwrap();
        assert!(granted(&lost).unwrap_err().to_string().contains("is bound and not there"));
    }
}
