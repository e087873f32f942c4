//! How the webhook stands, for people.

use std::fmt::Write as _;

use super::standing::{Policies, Standing};
use super::switch::State;
use crate::output;

/// How many namespaces are named; `-o json` has all.
const NAMESPACES: usize = 5;

/// All of it, without the warnings.
pub fn of(standing: &Standing) -> String {
    let mut page = format!("webhook {}: {}", standing.name, standing.state.word());
    if let Some(disabled) = standing.disabled.as_ref().filter(|_| standing.state != State::On) {
        let by = if disabled.by.is_empty() { "somebody" } else { &disabled.by };
        let _ = write!(page, " since {}, by {by}; bring it back: kubectl dbscale webhook enable", disabled.at);
    }
    page.push_str("\n\n");
    let rows: Vec<Vec<String>> = standing
        .entries
        .iter()
        .map(|entry| {
            let asked = format!("{} of {} kinds", entry.operations.join(", "), entry.kinds);
            let asked = if entry.kinds == 0 { "nothing".to_owned() } else { asked };
            let trust = if entry.ca_bundle { "set" } else { "none" };
            vec![entry.name.clone(), entry.failure_policy.clone(), asked, trust.to_owned(), entry.calls.clone()]
        })
        .collect();
    page.push_str(&output::table(&["ENTRY", "ON FAILURE", "ASKS ABOUT", "CA BUNDLE", "CALLS"], &rows));
    page.push('\n');
    let mut line = |title: &str, text: &str| {
        let _ = writeln!(page, "{title:12} {text}");
    };
    let expires = standing.certificate.expires.as_ref().map_or_else(String::new, |at| format!("valid until {at}, "));
    let trusted = match standing.certificate.trusted {
        Some(true) => "trusted by API servers",
        Some(false) => "not trusted by API servers",
        None => "not known",
    };
    line("certificate", &format!("{expires}{trusted}"));
    line(
        "replicas",
        &standing.replicas.as_ref().map_or("not known".to_owned(), |r| format!("{} of {} ready", r.ready, r.wanted)),
    );
    let policies = standing.policies.as_ref();
    let missing = |p: &Policies| match p.missing.len() {
        0 => String::new(),
        n => format!(", {n} missing"),
    };
    let there = |p: &Policies| format!("{} with {} bindings{}", p.found, p.bindings, missing(p));
    line("policies", &policies.map_or_else(|| "not known".to_owned(), there));
    let named: Vec<String> =
        standing.namespaces.iter().take(NAMESPACES).map(|n| format!("{} {}", n.name, n.enforcement)).collect();
    let more = standing.namespaces.len() - named.len();
    let held = if standing.enforcement == "warn" { "warnings alone" } else { "enforced" };
    line(
        "namespaces",
        &match (named.len(), more) {
            (0, _) => format!("{held} in all"),
            (_, 0) => format!("{held} in all but {}", named.join(", ")),
            _ => format!("{held} in all but {}, and {more} more", named.join(", ")),
        },
    );
    page
}
