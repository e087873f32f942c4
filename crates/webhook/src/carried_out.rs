//! KubeDB writes what an OpsRequest wished into the database object, at its end. Such a write is never judged.

use dbscale_cluster::cache::Seen;
use dbscale_core::amount::{Amount, ResourceSet, Side};
use dbscale_core::catalog::Engine;
use dbscale_core::change::{Change, What, Wish};
use dbscale_core::database::Database;
use serde_json::json;

/// Takes out of an update what an OpsRequest, active or ended a short while ago, has wished.
pub fn leave_out(change: &mut Change, database: &Database, operations: &[Seen]) {
    if change.wishes.is_empty() {
        return;
    }
    let wished: Vec<Wish> = operations.iter().flat_map(|seen| wishes(database.engine, seen, database)).collect();
    change.wishes.retain(|written| !wished.iter().any(|wish| covers(wish, written)));
}

fn wishes(engine: &'static Engine, seen: &Seen, database: &Database) -> Vec<Wish> {
    Change::of_request(engine, &json!({"spec": seen.spec()}), Some(database)).wishes
}

/// Whether a write is what was wished.
fn covers(wish: &Wish, written: &Wish) -> bool {
    let same_place = wish.component == written.component && wish.item == written.item;
    same_place
        && match (&wish.what, &written.what) {
            (What::Storage(wish), What::Storage(written)) => {
                wish.quantity().is_some() && wish.quantity() == written.quantity()
            }
            (What::Resources(wish), What::Resources(written)) => contains(wish, written),
            (wish, written) => wish == written,
        }
}

/// Whether every amount that is written is one that was wished. KubeDB's defaulting sets a request where only the limit was
/// given, and the other way round, so either side may have it.
fn contains(wish: &ResourceSet, written: &ResourceSet) -> bool {
    Side::ALL.into_iter().all(|side| {
        written.amounts(side).all(|(name, amount)| {
            let wished = |side| wish.amount(side, name).and_then(Amount::quantity);
            amount.quantity().is_some() && Side::ALL.into_iter().any(|side| wished(side) == amount.quantity())
        })
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;
    use dbscale_core::catalog::Catalog;

    fn database(replicas: i64, size: &str, memory: &str) -> Database {
        let resources = json!({"requests": {"cpu": "1", "memory": memory}, "limits": {"memory": memory}});
        let object = json!({"apiVersion": "kubedb.com/v1", "metadata": {"name": "db"}, "spec": {
            "replicaSet": {"name": "rs0"}, "replicas": replicas,
            "storage": {"resources": {"requests": {"storage": size}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}},
        }});
        Database::of(Catalog::builtin().find("mongodb").unwrap(), &object)
    }

    #[rstest]
    #[case::members(json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 5}}), database(5, "10Gi", "1Gi"), 0)]
    #[case::other_members(json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 7}}), database(5, "10Gi", "1Gi"), 1)]
    #[case::volumes_spelled_otherwise(json!({"type": "VolumeExpansion", "volumeExpansion": {"replicaSet": "20Gi"}}), database(3, "20480Mi", "1Gi"), 0)]
    #[case::volumes_of_another_component(json!({"type": "VolumeExpansion", "volumeExpansion": {"hidden": "20Gi"}}), database(3, "20Gi", "1Gi"), 1)]
    #[case::resources_whose_requests_were_defaulted(json!({"type": "VerticalScaling", "verticalScaling": {"replicaSet": {"resources": {"limits": {"memory": "2Gi"}}}}}), database(3, "10Gi", "2Gi"), 0)]
    #[case::one_of_two(json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 5}}), database(5, "20Gi", "1Gi"), 1)]
    fn what_was_wished_is_left_out(#[case] spec: Value, #[case] new: Database, #[case] left: usize) {
        let old = database(3, "10Gi", "1Gi");
        let request = json!({"metadata": {"name": "ask"}, "spec": spec});
        let seen = Seen::of(&request, old.engine, Timestamp::UNIX_EPOCH);
        let mut change = Change::of_update(&old, new);
        leave_out(&mut change, &old, &[seen]);
        assert_eq!(change.wishes.len(), left, "{:?}", change.wishes);
    }
}
