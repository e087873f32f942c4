//! `replicas/quorum`: an even number of voters bears no more losses than one fewer.

use super::{EXIT_REFUSED, Rule};
use crate::change::{Source, What, Wish};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns of an even number of members that decide by majority, where nobody else breaks a tie.
pub const RULE: Rule = Rule {
    id: RuleId("replicas/quorum"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "A majority of 4 is 3, of 3 it is 2: both bear the loss of one. Two members stop as soon as one of them is away, so a pair fails more often than a single one.",
    source: "Raft, ZAB, Paxos and the elections of MongoDB and Galera all decide by majority; who votes stands in the engine's file",
    refused: "# controllers of a Kafka cluster\nhorizontalScaling:\n  topology: {controller: 2}",
    right: "# controllers of a Kafka cluster\nhorizontalScaling:\n  topology: {controller: 3}",
    fix: "Ask for an odd number. MongoDB's arbiter also breaks a tie; KubeDB gives Postgres and MSSQLServer one by itself.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    if matches!(case.change.source, Source::Create) {
        return Vec::new(); // how large a new database is was somebody's choice, and no operation's
    }
    let even = case.change.wishes.iter().filter_map(|wish| match wish.what {
        What::Replicas(n) if n >= 2 && n % 2 == 0 => Some((wish, n, voters(case, wish)?)),
        _ => None,
    });
    even.map(|(wish, n, who)| {
        let message = if n == 2 {
            format!("2 {who}: as soon as one is away, the other has no majority")
        } else {
            format!("{n} {who} bear the loss of {}, and so do {}", (n - 1) / 2, n - 1)
        };
        Finding::warn(RULE.id, &wish.path, message).remedy(format!("ask for {} or {}", n - 1, n + 1))
    })
    .collect()
}

/// What the members are called where they vote: as the database says, or as the catalog says of every database.
fn voters(case: &Case, wish: &Wish) -> Option<&'static str> {
    if let Some(database) = case.afterwards() {
        return wish.view(database)?.voters;
    }
    let votes = wish.component_of(case.change.engine).replicas.as_ref()?.votes.as_ref()?;
    votes.when.is_empty().then_some(votes.who.as_str())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{findings, replica_set, request, rules_of, verdict};
    use super::RULE;
    use crate::catalog::Catalog;
    use crate::facts::Facts;

    #[rstest]
    #[case::odd(5, Value::Null, false)]
    #[case::even(4, Value::Null, true)]
    #[case::a_pair(2, Value::Null, true)]
    #[case::one(1, Value::Null, false)]
    #[case::an_arbiter_breaks_the_tie(4, json!({}), false)]
    fn a_replica_set(#[case] n: i64, #[case] arbiter: Value, #[case] warned: bool) {
        let mut database = replica_set();
        database["spec"]["arbiter"] = arbiter;
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": n}}));
        assert_eq!(rules_of(&database, &ask).contains(&RULE.id.0), warned);
    }

    #[rstest]
    #[case::group("GroupReplication", true)]
    #[case::innodb_cluster("InnoDBCluster", true)]
    #[case::nobody_votes("SemiSync", false)]
    fn mysql(#[case] mode: &str, #[case] warned: bool) {
        let database = json!({"kind": "MySQL", "spec": {"replicas": 3, "topology": {"mode": mode}}});
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"member": 4}});
        assert_eq!(verdict(&database, &spec).iter().any(|f| f.rule == RULE.id), warned);
    }

    #[test]
    fn each_voting_component_is_warned_of_an_even_number_and_not_of_an_odd_one() {
        let mut voting = Vec::new();
        for engine in Catalog::builtin().engines() {
            for component in engine.components.values() {
                let Some(count) = component.replicas.as_ref().filter(|c| c.votes.is_some()) else { continue };
                let always = count.votes.as_ref().is_some_and(|v| v.when.is_empty());
                let Some(ask) = count.ask.as_ref().filter(|_| always) else { continue };
                let warned = |n: i64| {
                    let mut spec = json!({"type": "HorizontalScaling"});
                    ask.set(&mut spec, json!(n));
                    let ask = json!({"kind": engine.ops_kind(), "spec": spec});
                    findings(&ask, &Facts::default()).iter().any(|f| f.rule == RULE.id)
                };
                assert_eq!([2, 3, 4, 5].map(warned), [true, false, true, false], "{} {}", engine.name, component.name);
                voting.push(format!("{}/{}", engine.name, component.name));
            }
        }
        assert!(voting.contains(&"kafka/controller".to_owned()), "{voting:?}");
        assert!(voting.contains(&"zookeeper/node".to_owned()), "{voting:?}");
    }
}
