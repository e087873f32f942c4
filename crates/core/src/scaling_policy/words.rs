//! A policy in words: what it asks, and why it covers a database or does not.

use std::fmt::Display;

use super::{DirectEdits, Expression, Labels, Operator, Range, ScalingPolicy, Selector, Span, Spec, WayBack};
use crate::catalog::Engine;
use crate::quantity::Quantity;

impl ScalingPolicy {
    /// Why it covers a database, or, as the error, why it does not.
    ///
    /// # Errors
    /// The first of its parts that does not fit.
    pub fn why(&self, engine: &Engine, namespace: &Labels, database: &Labels) -> Result<String, String> {
        let mut because = Vec::new();
        if !self.spec.engines.is_empty() {
            let among = format!("among the engines {}", self.spec.engines.join(", "));
            if !self.names(engine) {
                return Err(format!("{} is not {among}", engine.name));
            }
            because.push(format!("{} is {among}", engine.name));
        }
        for (selector, labels, whose) in [
            (self.spec.namespace_selector.as_ref(), namespace, "its namespace"),
            (self.spec.selector.as_ref(), database, "it"),
        ] {
            let Some(selector) = selector else { continue };
            let wanted = tests(selector);
            if !selector.matches(labels) {
                return Err(format!("{whose} does not have {wanted}"));
            }
            because.push(format!("{whose} has {wanted}"));
        }
        Ok(if because.is_empty() { "it covers every database".to_owned() } else { because.join(", ") })
    }
}

/// A selector in words: `env=prod, tier in (gold, silver)`.
fn tests(selector: &Selector) -> String {
    let label = |(key, value): (&String, &String)| format!("{key}={value}");
    let test = |Expression { key, operator, values }: &Expression| match operator {
        Operator::In => format!("{key} in ({})", values.join(", ")),
        Operator::NotIn => format!("{key} not in ({})", values.join(", ")),
        Operator::Exists => key.clone(),
        Operator::DoesNotExist => format!("no {key}"),
    };
    let all: Vec<String> =
        selector.match_labels.iter().map(label).chain(selector.match_expressions.iter().map(test)).collect();
    if all.is_empty() { "any labels".to_owned() } else { all.join(", ") }
}

impl Spec {
    /// What it asks, a part a field: `replicas 3 to 7, steps of 2`.
    #[must_use]
    pub fn asks(&self) -> Vec<String> {
        let amounts: [(&str, Option<Range<Quantity>>); 3] =
            [("storage", self.storage), ("cpu", self.cpu.map(Span::range)), ("memory", self.memory.map(Span::range))];
        let mut asks: Vec<String> = self.replicas.iter().map(|range| bounds("replicas", range)).collect();
        asks.extend(amounts.iter().filter_map(|(name, range)| Some(bounds(name, range.as_ref()?))));
        if let Some(sizes) = &self.sizes {
            if !sizes.allowed.is_empty() {
                asks.push(format!("sizes {}", sizes.allowed.join(", ")));
            }
            let own =
                |(name, class): (&String, &super::OwnClass)| format!("{name} = {} CPU, {}", class.cpu, class.memory);
            asks.extend(sizes.own.iter().map(own));
        }
        if let Some(operations) = self.operations {
            let limits = [(operations.per_namespace, "in a namespace"), (operations.per_cluster, "in the cluster")];
            let limits = limits.iter().filter_map(|(limit, place)| Some(format!("{} at once {place}", (*limit)?)));
            asks.push(format!("operations {}", limits.collect::<Vec<_>>().join(", ")));
        }
        match self.direct_edits {
            Some(DirectEdits::Deny) => asks.push("no direct edits".to_owned()),
            Some(DirectEdits::Warn) => asks.push("direct edits with a warning".to_owned()),
            None => {}
        }
        if let Some(retention) = self.retention {
            let count = retention.count.map(|count| format!("{count} at most"));
            let age = retention.age.map(|age| format!("none older than {age}"));
            let both = [count, age].into_iter().flatten().collect::<Vec<_>>().join(", ");
            asks.push(format!("finished OpsRequests {both}"));
        }
        asks.extend(self.monitoring_timeout.map(|timeout| format!("overdue after {timeout}")));
        match self.rollback {
            Some(WayBack::Never) => asks.push("no rollback".to_owned()),
            Some(WayBack::OnFailure) => asks.push("rollback of what fails".to_owned()),
            None => {}
        }
        asks
    }
}

fn bounds<T: Display>(name: &str, range: &Range<T>) -> String {
    let ends = match (&range.min, &range.max) {
        (Some(min), Some(max)) => Some(format!("{min} to {max}")),
        (Some(min), None) => Some(format!("{min} at least")),
        (None, Some(max)) => Some(format!("{max} at most")),
        (None, None) => None,
    };
    let step = range.max_step.as_ref().map(|step| format!("steps of {step}"));
    format!("{name} {}", [ends, step].into_iter().flatten().collect::<Vec<_>>().join(", "))
}
