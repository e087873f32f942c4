//! `preflight/limit-range`: new pods and larger claims must be within the namespace's limit ranges.

use super::amounts::Amounts;
use super::moves::{Move, Moved};
use super::object::{Container, Limit, LimitRange, Pod, Resources};
use super::{Check, Situation, Taken, quota, usage};
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;
use crate::rules::{EXIT_PRECHECK, Rule};

/// Refuses pods and claims that a limit range does not let be made.
pub(super) const CHECK: Check = Check {
    rule: Rule {
        id: RuleId("preflight/limit-range"),
        severity: Severity::Deny,
        exit: EXIT_PRECHECK,
        reason: "The API server does not let a pod be made that is outside a limit range of its namespace. KubeDB has deleted the old pod by then, and the operation cannot end.",
        source: "Kubernetes documentation, \"Limit Ranges\"",
        refused: "# a container is to have 16Gi\nlimits:\n- type: Container\n  max: {memory: 8Gi}",
        right: "# a container is to have 16Gi\nlimits:\n- type: Container\n  max: {memory: 32Gi}",
        fix: "Ask for an amount within the range, or for another range: kubectl describe limitrange -n NAMESPACE.",
        check: |_| Vec::new(),
    },
    check,
};

fn check(situation: &Situation, _: &mut Taken) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let ranges = situation.around.limit_ranges.iter().flatten();
    let ranges: Vec<&LimitRange> = ranges.filter(|range| situation.is_near(&range.metadata)).collect();
    if ranges.is_empty() {
        return findings;
    }
    let mut tell = |path: &str, range: &LimitRange, limit: &Limit, subject: &str, problem: String| {
        let name = &range.metadata.name;
        let message = format!("limit range {name} does not let {subject} be: {problem}");
        let same = |f: &Finding| f.message.ends_with(&problem) && f.message.contains(&format!("limit range {name} "));
        if !findings.iter().any(same) {
            let remedy = format!(
                "ask for an amount within it ({}), or for another range; see kubectl describe limitrange {name} -n {}",
                told(limit),
                situation.database.namespace
            );
            findings.push(situation.say(&CHECK, path, message).remedy(remedy));
        }
    };
    for (moved, one) in situation.moves() {
        let Some(pod) = one.after() else { continue };
        let subject = format!("pod {}", pod.metadata.name);
        for range in &ranges {
            for limit in &range.spec.limits {
                for problem in of_pod(limit, pod) {
                    tell(&moved.path, range, limit, &subject, problem);
                }
            }
        }
    }
    for (path, name, _, after) in quota::growing(situation) {
        for range in &ranges {
            for limit in range.spec.limits.iter().filter(|limit| limit.kind == "PersistentVolumeClaim") {
                for problem in of_claim(limit, &after.spec.resources.requests) {
                    tell(&path, range, limit, &format!("claim {name}"), problem);
                }
            }
        }
    }
    findings
}

/// `min memory 1Gi; max memory 8Gi`
fn told(limit: &Limit) -> String {
    let parts =
        [("min", &limit.min), ("max", &limit.max), ("limit to request at most", &limit.max_limit_request_ratio)];
    let parts = parts.into_iter().filter(|(_, amounts)| !amounts.is_empty());
    parts.map(|(word, amounts)| format!("{word} {amounts}")).collect::<Vec<_>>().join("; ")
}

/// Gives the containers of pods that will be made what they do not say, as the API server does before it judges them. A
/// resize is judged as it is.
pub(super) fn give_defaults(moved: &mut [Moved], ranges: &[LimitRange], namespace: &str) {
    let near = ranges.iter().filter(|range| range.metadata.namespace == namespace);
    let limits: Vec<&Limit> = near.flat_map(|r| &r.spec.limits).filter(|limit| limit.kind == "Container").collect();
    for one in moved.iter_mut().flat_map(|moved| &mut moved.moves) {
        let (Move::Comes { after } | Move::Restarts { after, .. }) = one else { continue };
        for container in after.spec.containers.iter_mut().chain(&mut after.spec.init_containers) {
            for limit in &limits {
                fill(&mut container.resources.limits, &limit.default);
                fill(&mut container.resources.requests, &limit.default_request);
            }
        }
    }
}

fn fill(amounts: &mut Amounts, defaults: &Amounts) {
    for (name, amount) in defaults.iter() {
        if amounts.find(name).is_none() {
            amounts.set(name, amount);
        }
    }
}

fn of_pod(limit: &Limit, pod: &Pod) -> Vec<String> {
    match limit.kind.as_str() {
        "Container" => {
            let of = |c: &Container| {
                outside(limit, &c.resources.requests, &c.resources.limits, &format!("container {}", c.name))
            };
            let all = || pod.spec.containers.iter().chain(&pod.spec.init_containers);
            all().flat_map(of).chain(all().flat_map(|c| crossed(limit, c))).collect()
        }
        "Pod" => outside(limit, &usage::bare_requests(pod), &usage::bare_limits(pod), "the pod"),
        _ => Vec::new(),
    }
}

/// A limit that the range gives, and that is less than what the container asks for.
fn crossed(limit: &Limit, container: &Container) -> Vec<String> {
    let Resources { requests, limits } = &container.resources;
    let given = limit.default.iter().filter(|(name, amount)| limits.find(name) == Some(*amount));
    let crossed = given.filter(|(name, most)| requests.get(name) > *most);
    let told = crossed.map(|(name, most)| {
        let asks = requests.get(name);
        format!("container {} asks for {name} {asks}, and the limit that it would be given is {most}", container.name)
    });
    told.collect()
}

/// What the API server finds fault with. Source: `PodValidateLimitFunc` of Kubernetes' plugin LimitRanger.
fn outside(limit: &Limit, requests: &Amounts, limits: &Amounts, who: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, least) in limit.min.iter() {
        match (requests.find(name), limits.find(name)) {
            (None, _) => problems.push(format!("{who} asks for no {name}, and {least} is the least")),
            (Some(asks), _) if asks < least => {
                problems.push(format!("{who} would ask for {name} {asks}, and {least} is the least"));
            }
            (_, Some(most)) if most < least => {
                problems.push(format!("the limit of {who} would be {name} {most}, and {least} is the least"));
            }
            _ => {}
        }
    }
    for (name, most) in limit.max.iter() {
        match (requests.find(name), limits.find(name)) {
            (_, None) => problems.push(format!("{who} has no limit of {name}, and {most} is the most")),
            (_, Some(has)) if has > most => {
                problems.push(format!("the limit of {who} would be {name} {has}, and {most} is the most"));
            }
            (Some(asks), _) if asks > most => {
                problems.push(format!("{who} would ask for {name} {asks}, and {most} is the most"));
            }
            _ => {}
        }
    }
    for (name, ratio) in limit.max_limit_request_ratio.iter() {
        let (asks, has) = (requests.get(name), limits.get(name));
        if asks.is_zero() || has.is_zero() {
            problems.push(format!(
                "{who} needs a request and a limit of {name}, of which a limit may be {ratio} times the request"
            ));
        } else if exceeds(has, asks, ratio) {
            problems.push(format!("the limit of {who} would be {name} {has} with a request of {asks}, and {ratio} times the request is the most"));
        }
    }
    problems
}

/// Whether `limit` is more than `ratio` times `request`.
fn exceeds(limit: Quantity, request: Quantity, ratio: Quantity) -> bool {
    const UNIT: i128 = 1_000_000_000;
    // In thousandths, as the API server has it, so that no product is too large.
    let thousandth = |q: Quantity| q.nanos() / (UNIT / 1000);
    match (thousandth(limit).checked_mul(1000), thousandth(request).checked_mul(thousandth(ratio))) {
        (Some(limit), Some(most)) => limit > most,
        _ => false,
    }
}

fn of_claim(limit: &Limit, requests: &Amounts) -> Vec<String> {
    let asks = requests.get("storage");
    let least = limit.min.find("storage").filter(|least| asks < *least);
    let most = limit.max.find("storage").filter(|most| asks > *most);
    let least = least.map(|least| format!("it would ask for storage {asks}, and {least} is the least"));
    least
        .into_iter()
        .chain(most.map(|most| format!("it would ask for storage {asks}, and {most} is the most")))
        .collect()
}

#[cfg(test)]
#[path = "limit_range_tests.rs"]
mod tests;
