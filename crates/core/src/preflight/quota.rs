//! `preflight/quota`: what the change needs must be left in every quota of the namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::amounts::{Amounts, minus, plus};
use super::moves::{Move, Moved};
use super::object::{Claim, ClaimStatus, Pod, Quota, Requirement, Scope};
use super::{Check, Situation, Taken, before_it, selector, usage};
use crate::change::What;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;
use crate::rules::{EXIT_PRECHECK, Rule};

/// Refuses what a quota has no room for. Quotas are taken pod by pod, as the API server does: a pod that is deleted gives
/// its part back before the next one takes a larger one.
pub(super) const CHECK: Check = Check {
    rule: Rule {
        id: RuleId("preflight/quota"),
        severity: Severity::Deny,
        exit: EXIT_PRECHECK,
        reason: "KubeDB deletes a pod, and the API server does not let it be made again: the database runs with a member less, and the operation cannot end. It is the same with new members, and with volumes that are to grow.",
        source: "Kubernetes documentation, \"Resource Quotas\"",
        refused: "# 36Gi of 40Gi are used by three members of 12Gi each\nhard:\n  requests.memory: 40Gi   # and the members are to have 16Gi",
        right: "# for three members of 16Gi each\nhard:\n  requests.memory: 48Gi",
        fix: "Ask for a larger quota, ask for less, or free some of it: kubectl describe quota -n NAMESPACE.",
        check: |_| Vec::new(),
    },
    check,
};

/// What is used of a quota, with what other databases of the command take.
#[derive(Debug, Clone)]
pub(super) struct Used {
    amounts: Amounts,
    /// How many of them take something.
    databases: usize,
}

fn check(situation: &Situation, taken: &mut Taken) -> Vec<Finding> {
    let quotas = situation.around.quotas.iter().flatten().enumerate().filter(|(_, q)| situation.is_near(&q.metadata));
    quotas.flat_map(|(index, quota)| judged(situation, quota, index, &mut taken.quotas)).collect()
}

fn judged(situation: &Situation, quota: &Quota, index: usize, taken: &mut BTreeMap<usize, Used>) -> Vec<Finding> {
    let Some(mut ledger) = Ledger::of(situation, quota, taken.remove(&index)) else { return Vec::new() };
    let mut findings = Vec::new();
    for (moved, one) in situation.moves() {
        ledger.pod(situation, moved, one, &mut findings);
        if let Move::Comes { after } = one {
            for claim in new_claims(situation, moved, after).iter().filter(|claim| covers_claim(quota, claim)) {
                let what = format!("a new volume of {} takes", moved.component);
                ledger.take(situation, &moved.path, &claim_charge(claim), &Amounts::default(), &what, &mut findings);
            }
        }
    }
    for (path, name, before, after) in growing(situation).into_iter().filter(|(.., after)| covers_claim(quota, after)) {
        let what = format!("claim {name} takes");
        ledger.take(situation, &path, &claim_charge(&after), &claim_charge(&before), &what, &mut findings);
    }
    let databases = ledger.found.databases + usize::from(ledger.used != ledger.found.amounts);
    taken.insert(index, Used { amounts: ledger.used, databases });
    findings
}

/// A quota, and what is used of it after each step.
struct Ledger<'a> {
    quota: &'a Quota,
    hard: Amounts,
    now: Amounts,
    /// What this database has found.
    found: Used,
    used: Amounts,
    told: BTreeSet<String>,
}

impl<'a> Ledger<'a> {
    /// `None` where nobody can tell what is used.
    fn of(situation: &Situation, quota: &'a Quota, found: Option<Used>) -> Option<Self> {
        let mut hard = quota.spec.hard.clone();
        let now = if quota.is_new() {
            // Pods that have ended were not read, and count here.
            hard.remove("count/pods");
            computed(situation, quota)?
        } else {
            quota.status.used.clone()
        };
        let found = found.unwrap_or_else(|| Used { amounts: now.clone(), databases: 0 });
        Some(Self { quota, hard, used: found.amounts.clone(), found, now, told: BTreeSet::new() })
    }

    /// `6Gi are used now`, and what other databases of the command take.
    fn used_before(&self, name: &str) -> String {
        let now = self.now.get(name);
        let more = minus(self.found.amounts.get(name), now);
        let others = format!("; {} {more} more", before_it(self.found.databases));
        format!("{now} are used now{}", if more > Quantity::ZERO { others.as_str() } else { "" })
    }

    fn pod(&mut self, situation: &Situation, moved: &Moved, one: &Move, findings: &mut Vec<Finding>) {
        let charge = |pod: &Pod| if covers(self.quota, pod) { usage::charged(pod) } else { Amounts::default() };
        let before = one.before().map(charge).unwrap_or_default();
        let Some(after) = one.after() else { return self.used.give_back(&before) };
        let after_charge = charge(after);
        let name = &after.metadata.name;
        let was = one.before().map(|_| before.clone()).unwrap_or_default();
        let what = format!("pod {name} takes");
        if covers(self.quota, after) {
            for (resource, container) in unsaid(&self.hard, after) {
                if self.told.insert(format!("unsaid {resource}")) {
                    let quota = &self.quota.metadata.name;
                    let message = format!(
                        "quota {quota} asks every container for {resource}, and container {container} of pod {name} has none"
                    );
                    let remedy = format!(
                        "give it one, or a limit range with a default; kubectl describe quota {quota} -n {}",
                        situation.database.namespace
                    );
                    findings.push(situation.say(&CHECK, &moved.path, message).remedy(remedy));
                }
            }
        }
        // A restart takes all anew; a resize only what is more.
        let anew = matches!(one, Move::Restarts { .. } | Move::Comes { .. });
        if anew {
            self.used.give_back(&before);
            self.take_of(situation, &moved.path, &after_charge, &was, &what, true, findings);
        } else {
            self.take(situation, &moved.path, &after_charge, &was, &what, findings);
        }
    }

    /// Takes the difference, where it is more.
    fn take(
        &mut self,
        situation: &Situation,
        path: &str,
        after: &Amounts,
        before: &Amounts,
        what: &str,
        findings: &mut Vec<Finding>,
    ) {
        self.used.give_back(before);
        self.take_of(situation, path, after, before, what, false, findings);
    }

    #[expect(clippy::too_many_arguments, reason = "what is taken, from what, and where that is told")]
    fn take_of(
        &mut self,
        situation: &Situation,
        path: &str,
        after: &Amounts,
        before: &Amounts,
        what: &str,
        anew: bool,
        findings: &mut Vec<Finding>,
    ) {
        for (name, hard) in self.hard.clone().iter() {
            let (takes, took) = (after.get(name), before.get(name));
            let then = plus(self.used.get(name), takes);
            let asks = if anew { !takes.is_zero() } else { takes > took };
            if then <= hard || !asks || !self.told.insert(name.to_owned()) {
                continue;
            }
            let quota = &self.quota.metadata.name;
            let instead = if took.is_zero() { String::new() } else { format!(" in place of {took}") };
            let message = format!(
                "quota {quota} has no room: {name} would come to {then} of {hard} ({}; {what} {takes}{instead})",
                self.used_before(name)
            );
            let remedy = format!(
                "ask for a larger quota, ask for less, or free {}; see kubectl describe quota {quota} -n {}",
                minus(then, hard),
                situation.database.namespace
            );
            findings.push(situation.say(&CHECK, path, message).remedy(remedy));
        }
        self.used.add(after);
    }
}

/// What is used, out of the pods and claims themselves: a quota that was made just now has no status yet. A resource that
/// they do not tell of counts as unused.
fn computed(situation: &Situation, quota: &Quota) -> Option<Amounts> {
    let (pods, claims) = (situation.around.pods.as_ref()?, situation.around.claims.as_ref()?);
    let mut used = Amounts::default();
    pods.iter()
        .filter(|pod| situation.is_near(&pod.metadata) && covers(quota, pod))
        .for_each(|pod| used.add(&usage::charged(pod)));
    claims
        .iter()
        .filter(|c| situation.is_near(&c.metadata) && covers_claim(quota, c))
        .for_each(|claim| used.add(&claim_charge(claim)));
    Some(used)
}

/// Whether a quota is about a pod: all of its scopes hold.
fn covers(quota: &Quota, pod: &Pod) -> bool {
    scopes(quota).all(|scope| match scope.scope_name.as_str() {
        "Terminating" => pod.spec.active_deadline_seconds.is_some(),
        "NotTerminating" => pod.spec.active_deadline_seconds.is_none(),
        "BestEffort" => usage::is_best_effort(pod),
        "NotBestEffort" => !usage::is_best_effort(pod),
        "PriorityClass" => is_of(&scope, &pod.spec.priority_class_name),
        "CrossNamespacePodAffinity" => crosses(pod),
        _ => false,
    })
}

/// Whether a quota is about a claim: those with scopes for pods are not.
fn covers_claim(quota: &Quota, claim: &Claim) -> bool {
    let is_its = |scope: &Scope| match claim.attributes().count() {
        0 => is_of(scope, ""),
        _ => claim.attributes().any(|class| is_of(scope, class)),
    };
    scopes(quota).all(|scope| scope.scope_name == "VolumeAttributesClass" && is_its(&scope))
}

fn scopes(quota: &Quota) -> impl Iterator<Item = Scope> {
    let plain = |name: &String| Scope { scope_name: name.clone(), operator: "Exists".to_owned(), values: Vec::new() };
    quota.spec.scopes.iter().map(plain).chain(quota.spec.scope_selector.match_expressions.iter().cloned())
}

fn is_of(scope: &Scope, class: &str) -> bool {
    let (operator, values) = (scope.operator.clone(), scope.values.clone());
    let class = Some(class.to_owned()).filter(|class| !class.is_empty());
    selector::meets(&Requirement { key: String::new(), operator, values }, class.as_ref())
}

fn crosses(pod: &Pod) -> bool {
    let affinity = [&pod.spec.affinity.pod_affinity, &pod.spec.affinity.pod_anti_affinity];
    let terms =
        affinity.into_iter().flat_map(|a| a.required.iter().chain(a.preferred.iter().map(|w| &w.pod_affinity_term)));
    terms.into_iter().any(|term| !term.namespaces.is_empty() || term.namespace_selector.is_some())
}

/// The resources that a quota makes every container name, and the first that does not.
fn unsaid(hard: &Amounts, pod: &Pod) -> Vec<(String, String)> {
    if !pod.spec.resources.requests.is_empty() || !pod.spec.resources.limits.is_empty() {
        return Vec::new(); // the pod as a whole says it
    }
    let named = |name: &str| {
        let bare = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits.")).unwrap_or(name);
        ["cpu", "memory"].contains(&bare)
    };
    let asked = hard.iter().map(|(name, _)| name).filter(|name| named(name));
    let lacking = |name: &str| {
        let lacks = |c: &&super::object::Container| {
            usage::named(&c.resources.requests, &c.resources.limits).find(name).is_none()
        };
        pod.spec.containers.iter().chain(&pod.spec.init_containers).find(lacks).map(|c| c.name.clone())
    };
    asked.filter_map(|name| Some((name.to_owned(), lacking(name)?))).collect()
}

/// What a claim is charged for.
fn claim_charge(claim: &Claim) -> Amounts {
    const OF_CLASS: &str = ".storageclass.storage.k8s.io/";
    let one = Quantity::from_units(1);
    let asked = claim.spec.resources.requests.get("storage");
    let size = asked.max(claim.status.allocated_resources.get("storage"));
    let class = &claim.spec.storage_class_name;
    let mut charge = Amounts::default();
    charge.set("count/persistentvolumeclaims", one);
    for (name, amount) in [("persistentvolumeclaims", one), ("requests.storage", size)] {
        charge.set(name, amount);
        if !class.is_empty() {
            charge.set(&format!("{class}{OF_CLASS}{name}"), amount);
        }
    }
    charge
}

/// The claims of a new member: as many as another member has, of the size that its workload's template or the change says.
fn new_claims(situation: &Situation, moved: &Moved, after: &Pod) -> Vec<Claim> {
    let Some(pattern) = moved.members.values().flatten().next() else { return Vec::new() };
    let facts = situation.facts;
    let known = facts.claims.iter().find(|c| c.component == moved.component);
    let size = wanted_size(situation, &moved.component)
        .or_else(|| facts.templates.get(&moved.component).copied())
        .or_else(|| known.map(|c| c.requested));
    // A member that was scaled away has left its claims behind: those are there, and counted.
    let is_there = |name: &str| {
        let template = name.strip_suffix(&pattern.metadata.name);
        let name = template.map(|template| format!("{template}{}", after.metadata.name));
        let near = situation.around.claims.iter().flatten().filter(|c| situation.is_near(&c.metadata));
        let known = near.map(|c| &c.metadata.name).chain(facts.claims.iter().map(|c| &c.name));
        name.is_some_and(|name| known.into_iter().any(|known| *known == name))
    };
    let claims = pattern.claims().filter(|name| !is_there(name)).map(|name| {
        let like = situation
            .around
            .claims
            .iter()
            .flatten()
            .find(|c| situation.is_near(&c.metadata) && c.metadata.name == name);
        let is_data = facts.claims.iter().any(|c| c.name == name);
        let mut claim = like.cloned().unwrap_or_default();
        claim.status = ClaimStatus::default();
        if let Some(size) = size.filter(|_| is_data || like.is_none()) {
            claim.spec.resources.requests.set("storage", size);
        }
        if let Some(class) = known.and_then(|c| c.class.clone()).filter(|_| like.is_none()) {
            claim.spec.storage_class_name = class;
        }
        claim
    });
    claims.collect()
}

/// The size that volumes of a component are to have.
fn wanted_size(situation: &Situation, component: &str) -> Option<Quantity> {
    let wishes = situation.changes.iter().flat_map(|change| change.wishes.iter().map(move |wish| (change, wish)));
    wishes.filter(|(change, wish)| wish.component_name(change.engine) == component).find_map(|(_, wish)| {
        match &wish.what {
            What::Storage(size) => size.quantity(),
            _ => None,
        }
    })
}

/// The claims that a change of storage lets grow: where that is asked, the name, and the claim before and after.
pub(super) fn growing(situation: &Situation) -> Vec<(String, String, Claim, Claim)> {
    let mut all = Vec::new();
    for change in situation.changes {
        for wish in &change.wishes {
            let What::Storage(size) = &wish.what else { continue };
            let (Some(size), component) = (size.quantity(), wish.component_name(change.engine)) else { continue };
            for fact in situation.facts.claims.iter().filter(|c| c.component == component && c.requested < size) {
                let mut before = Claim::default();
                before.metadata.name.clone_from(&fact.name);
                before.spec.storage_class_name = fact.class.clone().unwrap_or_default();
                before.spec.resources.requests.set("storage", fact.requested);
                // Which is which makes no difference to a quota.
                let [asked, current, target] = [0, 1, 2].map(|n| fact.attributes.get(n).cloned().unwrap_or_default());
                before.spec.volume_attributes_class_name = asked;
                before.status.current_volume_attributes_class_name = current;
                before.status.modify_volume_status.target_volume_attributes_class_name = target;
                let mut after = before.clone();
                after.spec.resources.requests.set("storage", size);
                all.push((wish.path.clone(), fact.name.clone(), before, after));
            }
        }
    }
    all
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
