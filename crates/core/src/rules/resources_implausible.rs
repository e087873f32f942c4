//! `resources/implausible`: amounts that no machine has, or no process can live in.

use super::{EXIT_REFUSED, Rule};
use crate::amount::{Amount, Side};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;

/// Refuses CPU and memory beyond what a Linux machine can have or a container can start in; warns where a unit was
/// probably forgotten.
pub const RULE: Rule = Rule {
    id: RuleId("resources/implausible"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "cpu: 500 asks for 500 cores where 500m was meant, memory: 4 for four bytes. The pod is never scheduled, or killed at once, after the old one has gone.",
    source: "Linux: at most 8192 CPUs and 4Pi of memory (x86-64, 52 address bits); container runtimes: at least 6Mi; Kubernetes: CPU in steps of 1m. The warning from 256 CPUs on is dbscale's own",
    refused: "resources:\n  limits:\n    memory: 4",
    right: "resources:\n  limits:\n    memory: 4Gi",
    fix: "Write the unit: 500m are half a core, 4Gi are 4·2^30 bytes.",
    check,
};

/// The most CPUs that a Linux kernel runs (CONFIG_NR_CPUS with MAXSMP on x86-64).
const MOST_CPU: Quantity = Quantity::from_units(8192);
/// More than nearly every machine that a cloud rents: a number from here on is more often a forgotten `m`.
const MANY_CPU: Quantity = Quantity::from_units(256);
/// The least step of CPU that Kubernetes knows, 1m, in nano-units.
const LEAST_CPU_NANOS: i128 = 1_000_000;
/// The most memory that 52 address bits reach.
const MOST_MEMORY: Quantity = Quantity::from_bytes(1 << 52);
/// The least that a container can start in: Docker takes no limit below 6Mi, CRI-O none below 12Mi.
const LEAST_MEMORY: Quantity = Quantity::from_bytes(6 << 20);

fn check(case: &Case) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wish in &case.change.wishes {
        let What::Resources(set) = &wish.what else { continue };
        for side in Side::ALL {
            for (name, judge) in [("cpu", cpu as fn(Quantity, Amount) -> _), ("memory", memory)] {
                let Some(amount) = set.amount(side, name) else { continue };
                // Nothing and less is told by resources/invalid.
                let Some(quantity) = amount.quantity().filter(|q| *q > Quantity::ZERO) else { continue };
                let Some((severity, message, remedy)) = judge(quantity, amount) else { continue };
                // A container starts with less set aside; only a bare number is more often a forgotten unit.
                let small = quantity < LEAST_MEMORY && name == "memory" && side == Side::Requests;
                if small && !amount.text().bytes().all(|b| b.is_ascii_digit()) {
                    continue;
                }
                let path = format!("{}.{}.{name}", wish.path, side.field());
                let finding = Finding { severity, ..Finding::deny(RULE.id, path, message) };
                findings.push(finding.remedy(remedy));
            }
        }
    }
    findings
}

type Verdict = Option<(Severity, String, String)>;

fn cpu(amount: Quantity, written: Amount) -> Verdict {
    if amount < MANY_CPU && amount.nanos() >= LEAST_CPU_NANOS {
        return None;
    }
    let text = written.text();
    let meant = || format!("write {text}m if thousandths were meant");
    if amount > MOST_CPU {
        Some((Severity::Deny, format!("{text} CPUs are more than any machine has ({MOST_CPU})"), meant()))
    } else if amount.nanos() < LEAST_CPU_NANOS {
        let message = format!("cpu of {text} is less than the least step of 1m");
        Some((Severity::Deny, message, "ask for 1m or more".to_owned()))
    } else {
        Some((Severity::Warn, format!("{text} CPUs are more than nearly any machine has"), meant()))
    }
}

fn memory(amount: Quantity, written: Amount) -> Verdict {
    if (LEAST_MEMORY..=MOST_MEMORY).contains(&amount) {
        return None;
    }
    let text = written.text();
    if amount > MOST_MEMORY {
        let message = format!("memory of {text} is more than any machine has ({MOST_MEMORY})");
        Some((Severity::Deny, message, "look at the unit".to_owned()))
    } else {
        let bare = text.bytes().all(|b| b.is_ascii_digit());
        let remedy = if bare {
            format!("write {text}Gi or {text}Mi if that was meant")
        } else {
            format!("ask for {LEAST_MEMORY} or more")
        };
        let unit = if bare { " bytes (no unit was given)" } else { "" };
        let message = format!("memory of {text}{unit} is less than a container can start in ({LEAST_MEMORY})");
        Some((Severity::Deny, message, remedy))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;
    use crate::finding::Severity;

    #[rstest]
    #[case::fine("cpu", "2", None)]
    #[case::the_least("cpu", "1m", None)]
    #[case::below_the_least("cpu", "999u", Some(Severity::Deny))]
    #[case::a_large_machine("cpu", "255", None)]
    #[case::millis_forgotten("cpu", "500", Some(Severity::Warn))]
    #[case::the_most("cpu", "8192", Some(Severity::Warn))]
    #[case::no_machine("cpu", "8193", Some(Severity::Deny))]
    #[case::unit_forgotten("memory", "4", Some(Severity::Deny))]
    #[case::thousandths_of_a_byte("memory", "512m", Some(Severity::Deny))]
    #[case::an_exporter("memory", "6Mi", None)]
    #[case::the_largest_machine("memory", "32Ti", None)]
    #[case::no_memory_so_large("memory", "5Pi", Some(Severity::Deny))]
    #[case::told_by_another_rule("memory", "0", None)]
    fn limits(#[case] name: &str, #[case] amount: &str, #[case] said: Option<Severity>) {
        let spec = json!({"verticalScaling": {"replicaSet": {"resources": {"limits": {name: amount}}}}});
        let found = findings(&request("VerticalScaling", spec), &facts(&replica_set()));
        assert_eq!(found.iter().find(|f| f.rule == RULE.id).map(|f| f.severity), said);
    }
}
