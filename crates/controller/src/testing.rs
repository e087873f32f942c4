//! What a watch would tell.

use dbscale_cluster::cache::{Event, Topic};
use dbscale_cluster::watch::Audience as _;
use jiff::Timestamp;
use serde_json::Value;

use crate::store::Store;

/// A list of a kind, from its beginning to its end.
pub fn list(store: &Store, topic: Topic, objects: &[Value]) {
    let tell = |event: &Event<'_>| store.tell(topic, event, Timestamp::UNIX_EPOCH);
    tell(&Event::Begin);
    for object in objects {
        tell(&Event::Apply(object));
    }
    tell(&Event::Complete);
}
