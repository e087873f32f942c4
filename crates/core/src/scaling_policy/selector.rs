//! Label selectors, as Kubernetes has them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `metadata.labels`.
pub type Labels = BTreeMap<String, String>;

/// `LabelSelector`: all of its parts have to hold; an empty one matches everything.
///
/// Source: k8s.io/apimachinery, `meta/v1.LabelSelectorAsSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Selector {
    /// Labels with exactly these values.
    pub match_labels: Labels,
    /// More than that.
    pub match_expressions: Vec<Expression>,
}

/// One test of one label.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expression {
    /// The label.
    pub key: String,
    /// How it is tested.
    pub operator: Operator,
    /// The values that [`Operator::In`] and [`Operator::NotIn`] speak of.
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a label is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl Selector {
    /// Whether an object with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|e| {
                let value = labels.get(&e.key);
                match e.operator {
                    Operator::In => value.is_some_and(|v| e.values.contains(v)),
                    Operator::NotIn => value.is_none_or(|v| !e.values.contains(v)),
                    Operator::Exists => value.is_some(),
                    Operator::DoesNotExist => value.is_none(),
                }
            })
    }
}

/// The labels of an object; what is no text is left out.
#[must_use]
pub fn labels_of(object: &Value) -> Labels {
    let labels = crate::json::at(object, &["metadata", "labels"]).and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
