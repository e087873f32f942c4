//! The page `docs/rules.md`, made of the rules themselves.

use std::fmt::Write as _;

use super::{OF_WEBHOOK, Rule, all};
use crate::finding::Severity;
use crate::preflight::CHECKS;

/// The whole page. `cargo xtask docs` writes it, and a test compares it with the file.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    for rule in all() {
        let anchor = rule.id.0.replace('/', "");
        row(&mut page, &format!("| [`{}`](#{anchor}) | {} | {} |", rule.id, says(rule), first_sentence(rule.reason)));
    }
    for rule in all() {
        section(&mut page, rule);
    }
    page
}

const HEAD: &str = "\
# The rules

Made from the rules' own words by `cargo xtask docs`; do not edit it here.

The plugin runs these rules before it asks anything of a cluster, `kubectl dbscale lint` runs them on files, and the
admission webhook on what anybody asks. Those under `preflight/` are [checks of the surroundings](preflight.md), which the
plugin alone makes. All that is found is told at once. `kubectl dbscale explain RULE` prints one of
them. What KubeDB lets through and these rules do not is shown, one example each, in
[what KubeDB admits](kubedb-admits.md); where they decide otherwise than KubeDB on purpose, in
[differences](differences.md).

| Rule | It | Why |
|---|---|---|
";

fn row(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}

fn says(rule: &Rule) -> &'static str {
    match rule.severity {
        Severity::Deny => "refuses",
        Severity::Warn => "warns",
    }
}

/// Up to the first full stop that ends a sentence; a table has room for no more.
fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

fn section(page: &mut String, rule: &Rule) {
    let what = match rule.severity {
        _ if OF_WEBHOOK.iter().any(|own| own.id == rule.id) => {
            "The webhook alone says it; whether it refuses or warns is a flag of the webhook.".to_owned()
        }
        _ if is_check(rule) => checked(rule),
        Severity::Deny => format!("It refuses; the plugin then exits with {}.", rule.exit),
        Severity::Warn => "It warns, and refuses nothing.".to_owned(),
    };
    let (wrong, good) = match rule.severity {
        Severity::Deny => ("Refused", "Right"),
        Severity::Warn => ("Warned of", "Not warned of"),
    };
    row(page, &format!("\n## {}\n\n{}\n\n{what}\n", rule.id, rule.reason));
    for (title, example) in [(wrong, rule.refused), (good, rule.right)] {
        row(page, &format!("{title}:\n\n```{}\n{example}\n```\n", language(example)));
    }
    row(page, &format!("- What to do: {}\n- Source: {}.", rule.fix, rule.source.trim_end_matches('.')));
}

fn is_check(rule: &Rule) -> bool {
    CHECKS.iter().any(|check| check.rule.id == rule.id)
}

/// What a check of the surroundings does, and how somebody chooses otherwise.
fn checked(rule: &Rule) -> String {
    let name = rule.id.0.trim_start_matches("preflight/");
    let (does, otherwise) = match rule.severity {
        Severity::Deny => ("refuses", format!("`--force {name}` makes it a warning")),
        Severity::Warn => ("warns", "`--preflight enforce` makes it refuse".to_owned()),
    };
    let exit = rule.exit;
    format!(
        "The plugin alone says it, which looks around before it asks. It {does}; {otherwise}. Where it refuses, the plugin exits with {exit}. See [preflight.md](preflight.md)."
    )
}

/// What an example is written in: a command begins with the program, a sentence has no colon at a line's end or key.
fn language(example: &str) -> &'static str {
    if example.starts_with("kubectl") {
        "sh"
    } else if example.contains(": ") || example.ends_with(':') {
        "yaml"
    } else {
        "text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_row_its_section_and_an_anchor_that_github_makes() {
        let page = markdown();
        for rule in all() {
            assert_eq!(page.matches(&format!("\n## {}\n", rule.id)).count(), 1, "{}", rule.id);
            assert!(page.contains(&format!("](#{})", rule.id.0.replace('/', ""))), "{}", rule.id);
        }
        assert!(!page.contains(".."), "two full stops");
    }

    #[test]
    fn a_command_is_shell_and_a_manifest_is_yaml() {
        assert_eq!(["kubectl get x", "a: b", "two requests"].map(language), ["sh", "yaml", "text"]);
    }
}
