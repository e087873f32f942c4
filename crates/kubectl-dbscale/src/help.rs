//! The first screen of help: the commands in groups, in the order in which a person comes to need them.

use std::fmt::Write as _;

use clap::Command;

/// The groups.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Scale", &["vertical", "horizontal", "storage", "set", "apply"]),
    ("Follow", &["status", "describe", "history", "wait"]),
    ("Undo", &["rollback", "retry", "cancel", "cleanup"]),
    ("Check", &["plan", "lint", "policy", "doctor"]),
    ("Operate", &["webhook"]),
    ("Reference", &["engines", "sizes", "explain", "completion", "version"]),
];

/// The command with its subcommands in groups. Flags stand in each one's own help: nobody chooses a command by them.
pub fn grouped(command: Command) -> Command {
    let name_width = command.get_subcommands().map(|c| c.get_name().len()).max().unwrap_or_default();
    let mut groups = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(groups, "{title}");
        for command in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(groups, "  {:name_width$}  {about}", command.get_name());
        }
        groups.push('\n');
    }
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{groups}Each command's flags, with those of all (-n, -A, -l, -o, \
         --context ...): COMMAND --help{{after-help}}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_stands_in_one_group() {
        let command = Cli::command();
        let shown = command.get_subcommands().filter(|c| !c.is_hide_set());
        let commands: Vec<&str> = shown.map(Command::get_name).collect();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.len(), commands.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), commands.into_iter().collect());
    }

    #[test]
    fn every_command_ends_with_two_examples() {
        for command in Cli::command().get_subcommands() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = after.strip_prefix("Examples:\n").unwrap_or_default().lines();
            assert_eq!(examples.count(), 2, "{}: {after}", command.get_name());
            assert!(
                after.lines().skip(1).all(|line| line.contains("kubectl dbscale ") && line.len() <= 100),
                "{after}"
            );
        }
    }
}
