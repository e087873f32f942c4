//! What scaling policies have to say of a review: those that cover it, and how many operations each of them counts.

use dbscale_cluster::cache::{Cache, ReadPolicy};
use dbscale_core::change::STANZAS;
use dbscale_core::facts::Facts;
use dbscale_core::json;
use dbscale_core::scaling_policy::{Labels, PolicyFact, ScalingPolicy};
use jiff::Timestamp;

use crate::asked::Asked;

/// Fills in the policies that the cache knows.
pub fn known(cache: &Cache, asked: &Asked, facts: &mut Facts) {
    let policies = cache.policies();
    if policies.is_empty() {
        (facts.policies, facts.unreadable_policies) = Default::default();
        return;
    }
    fill(cache, asked, &policies, &cache.namespace_labels(&asked.namespace), facts);
}

/// Fills in policies that were read, for a namespace with these labels. Operations are counted now: between here and the
/// answer nothing may be waited for, so of two requests that come at once the second counts the first.
pub fn fill(cache: &Cache, asked: &Asked, policies: &[ReadPolicy], labels: &Labels, facts: &mut Facts) {
    let (engine, namespace, name) = (asked.engine, asked.namespace.as_str(), asked.request_name());
    let now = Timestamp::now();
    let scales = asked.request().is_some_and(|request| {
        let ops_type = json::text(request, &["spec", "type"]);
        STANZAS.iter().any(|stanza| stanza.ops_type == ops_type)
    });
    let none = Labels::default();
    let labels_there = facts.database.here().map_or(&none, |database| &database.labels);
    let selected = |policy: &ScalingPolicy| policy.selects(labels_there);
    let covering = policies.iter().flatten().filter(|policy| policy.reaches(engine, labels));
    facts.policies = covering
        .map(|policy| {
            let counts = policy.spec.operations.is_some() && scales && selected(policy);
            let running = counts.then(|| cache.running(policy, engine, namespace, name, now));
            PolicyFact { policy: policy.clone(), running }
        })
        .collect();
    facts.unreadable_policies = policies.iter().filter_map(|policy| policy.as_ref().err().cloned()).collect();
}
