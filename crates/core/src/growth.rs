//! Volumes that follow the database object: which are smaller than it says, and how far they have come.
//!
//! KubeDB does not document what it does with a direct change of the size, and a workload's claim template keeps the old
//! one. So growth looks at what is there, not at what has happened: every claim that is smaller is grown, also those that
//! come later.

use std::collections::BTreeMap;

use crate::amount::Written;
use crate::database::{ComponentView, Database};
use crate::facts::ClaimFact;
use crate::quantity::Quantity;
use crate::record::{Delta, Growth};
use jiff::Timestamp;

/// How the volumes of a database stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volumes {
    /// They cannot be told: another operation is at work on them, or none was found.
    Unknown,
    /// Nobody looks after them.
    Left,
    /// Some are smaller than the object says. The time in it is not filled in.
    Growing(Growth),
    /// All have their size, which is the one of each component here.
    Settled(BTreeMap<String, Quantity>),
}

/// A claim that is to ask for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smaller {
    /// Its name.
    pub claim: String,
    /// The size that the database object has.
    pub size: Quantity,
}

/// The claims that ask for less than the object says. One that is not bound yet cannot be changed, and comes later; one
/// that no pod uses any more is left alone.
#[must_use]
pub fn smaller(database: &Database, claims: &[ClaimFact]) -> Vec<Smaller> {
    let bound = claims.iter().filter(|c| c.capacity.is_some() && !c.idle);
    bound
        .filter_map(|claim| {
            let size = size_for(database, claim)?;
            (claim.requested < size).then(|| Smaller { claim: claim.name.clone(), size })
        })
        .collect()
}

/// The claims of a component that has volumes smaller than the object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lagging {
    /// The component.
    pub component: String,
    /// The size that the object has for them.
    pub size: Quantity,
    /// All of its claims that are bound and in use, those that have the size already among them.
    pub claims: Vec<String>,
}

/// The components whose volumes have not all the size yet that the object says, whoever grows them.
#[must_use]
pub fn lagging(database: &Database, claims: &[ClaimFact]) -> Vec<Lagging> {
    let mut components: BTreeMap<&str, Vec<(&ClaimFact, Quantity)>> = BTreeMap::new();
    for (claim, size) in sized(database, claims).filter(|(claim, _)| claim.capacity.is_some()) {
        components.entry(&claim.component).or_default().push((claim, size));
    }
    components.retain(|_, sized| sized.iter().any(lacks));
    let lagging = components.into_iter().map(|(component, sized)| Lagging {
        component: component.to_owned(),
        size: sized[0].1, // one component, one size
        claims: sized.iter().map(|(claim, _)| claim.name.clone()).collect(),
    });
    lagging.collect()
}

/// The claims in use, each with the size that the object has for it.
fn sized<'c>(database: &Database, claims: &'c [ClaimFact]) -> impl Iterator<Item = (&'c ClaimFact, Quantity)> {
    claims.iter().filter(|c| !c.idle).filter_map(|c| Some((c, size_for(database, c)?)))
}

fn lacks((claim, size): &(&ClaimFact, Quantity)) -> bool {
    claim.capacity.is_some_and(|has| has < *size)
}

/// How the volumes stand. the pair names the change of the object that they follow and who made it; `refused` tells, by
/// the claim's name, what the API server said when it was asked to grow one.
#[must_use]
pub fn look(
    database: &Database,
    claims: &[ClaimFact],
    (request_id, requested_by): (&str, Option<&str>),
    refused: &BTreeMap<String, String>,
) -> Volumes {
    let sized: Vec<(&ClaimFact, Quantity)> = sized(database, claims).collect();
    let lacking: Vec<&(&ClaimFact, Quantity)> = sized.iter().filter(|sized| lacks(sized)).collect();
    if sized.is_empty() {
        return Volumes::Unknown;
    }
    if lacking.is_empty() {
        return Volumes::Settled(sized.iter().map(|(claim, size)| (claim.component.clone(), *size)).collect());
    }
    let mut changes: Vec<Delta> = Vec::new();
    for (claim, size) in &lacking {
        if !changes.iter().any(|c| c.component == claim.component) {
            let before = claim.capacity.map(|q| q.to_string());
            let (component, field) = (claim.component.clone(), "storage".to_owned());
            changes.push(Delta { component, field, before, after: size.to_string() });
        }
    }
    let said = lacking.iter().find_map(|(claim, _)| {
        let message = refused.get(&claim.name).or(claim.failed.as_ref())?;
        Some(format!("claim {}: {message}", claim.name))
    });
    Volumes::Growing(Growth {
        request_id: request_id.to_owned(),
        requested_by: requested_by.map(str::to_owned),
        started_at: Timestamp::default(),
        changes,
        grown: sized.len() - lacking.len(),
        volumes: sized.len(),
        message: said.unwrap_or_default(),
    })
}

/// The size that the object has for a claim; the smallest where the places of a component differ, as a claim does not
/// tell its place.
fn size_for(database: &Database, claim: &ClaimFact) -> Option<Quantity> {
    let view = database.components.iter().find(|c| c.name() == claim.component)?;
    of_view(view)
}

fn of_view(view: &ComponentView) -> Option<Quantity> {
    view.places.iter().filter_map(|p| p.storage.as_ref().and_then(Written::quantity)).min()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn database() -> Database {
        let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db"},
            "spec": {"replicaSet": {"name": "rs0"}, "storage": {"resources": {"requests": {"storage": "50Gi"}}}}});
        Database::of(Catalog::builtin().find("mongodb").unwrap(), &object)
    }

    fn claim(ordinal: usize, requested: &str, capacity: Option<&str>) -> ClaimFact {
        ClaimFact {
            name: format!("datadir-db-{ordinal}"),
            component: "replicaSet".to_owned(),
            class: None,
            attributes: Vec::new(),
            requested: requested.parse().unwrap(),
            capacity: capacity.map(|c| c.parse().unwrap()),
            failed: None,
            idle: false,
        }
    }

    #[rstest]
    #[case::smaller("20Gi", Some("20Gi"), true)]
    #[case::asked_already("50Gi", Some("20Gi"), false)]
    #[case::other_spelling("51200Mi", Some("50Gi"), false)]
    #[case::larger_than_the_object("60Gi", Some("60Gi"), false)]
    #[case::not_bound_yet("20Gi", None, false)]
    fn claims_to_grow(#[case] requested: &str, #[case] capacity: Option<&str>, #[case] grows: bool) {
        let wanted = Smaller { claim: "datadir-db-0".to_owned(), size: "50Gi".parse().unwrap() };
        let found = smaller(&database(), &[claim(0, requested, capacity)]);
        assert_eq!(found, if grows { vec![wanted] } else { Vec::new() });
    }

    #[rstest]
    #[case::growing("50Gi", Some("20Gi"), true)]
    #[case::asked_for_by_nobody("20Gi", Some("20Gi"), true)]
    #[case::grown("50Gi", Some("50Gi"), false)]
    #[case::not_bound_yet("50Gi", None, false)]
    fn volumes_that_lag(#[case] requested: &str, #[case] capacity: Option<&str>, #[case] lags: bool) {
        let names = if capacity.is_some() { vec!["datadir-db-0", "datadir-db-1"] } else { vec!["datadir-db-0"] };
        let wanted = Lagging {
            component: "replicaSet".to_owned(),
            size: "50Gi".parse().unwrap(),
            claims: names.into_iter().map(str::to_owned).collect(),
        };
        let idle = ClaimFact { idle: true, ..claim(2, "20Gi", Some("20Gi")) };
        let claims = [claim(0, "50Gi", Some("50Gi")), claim(1, requested, capacity), idle];
        assert_eq!(lagging(&database(), &claims), if lags { vec![wanted] } else { Vec::new() });
    }

    #[test]
    fn progress_counts_what_the_volumes_have_not_what_they_ask_for() {
        let claims = [claim(0, "50Gi", Some("50Gi")), claim(1, "50Gi", Some("20Gi")), claim(2, "20Gi", Some("20Gi"))];
        let Volumes::Growing(growth) = look(&database(), &claims, ("id", None), &BTreeMap::new()) else {
            panic!("it grows")
        };
        assert_eq!((growth.grown, growth.volumes, growth.message.as_str()), (1, 3, ""));
        assert_eq!(growth.changes[0].before.as_deref(), Some("20Gi"));
        let sizes = BTreeMap::from([("replicaSet".to_owned(), "50Gi".parse().unwrap())]);
        assert_eq!(look(&database(), &claims[..1], ("id", None), &BTreeMap::new()), Volumes::Settled(sizes));
        assert_eq!(look(&database(), &[], ("id", None), &BTreeMap::new()), Volumes::Unknown);
    }

    #[rstest]
    #[case::refused_by_the_server(None, Some("forbidden"), "claim datadir-db-0: forbidden")]
    #[case::driver(Some("NodeResizeInfeasible"), None, "claim datadir-db-0: NodeResizeInfeasible")]
    #[case::nothing(None, None, "")]
    fn what_stands_in_the_way(#[case] failed: Option<&str>, #[case] refused: Option<&str>, #[case] message: &str) {
        let refused = refused.map(|text| ("datadir-db-0".to_owned(), text.to_owned())).into_iter().collect();
        let claims = [ClaimFact { failed: failed.map(str::to_owned), ..claim(0, "20Gi", Some("20Gi")) }];
        let Volumes::Growing(growth) = look(&database(), &claims, ("id", None), &refused) else { panic!("it grows") };
        assert_eq!(growth.message, message);
    }
}
