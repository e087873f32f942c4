//! Selectors: which labels, nodes and taints meet what is asked for.

use std::collections::BTreeMap;

use super::object::{LabelSelector, Node, NodeSelector, NodeTerm, Pod, PodTerm, Requirement, Taint, Toleration};

type Labels = BTreeMap<String, String>;

/// Whether the labels are selected.
#[must_use]
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|r| meets(r, labels.get(&r.key)))
}

/// Whether a label's value meets a requirement; one with an operator that is not known is met by nothing.
#[must_use]
pub fn meets(requirement: &Requirement, value: Option<&String>) -> bool {
    let number = |text: &String| text.parse::<i64>().ok();
    let compared = || Some((number(value?)?, number(requirement.values.first()?)?));
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|v| requirement.values.contains(v)),
        "NotIn" => value.is_none_or(|v| !requirement.values.contains(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared().is_some_and(|(has, than)| has > than),
        "Lt" => compared().is_some_and(|(has, than)| has < than),
        _ => false,
    }
}

/// Whether a node meets one of the terms.
#[must_use]
pub fn admits(selector: &NodeSelector, node: &Node) -> bool {
    let term = |term: &NodeTerm| {
        let empty = term.match_expressions.is_empty() && term.match_fields.is_empty();
        let name = |r: &Requirement| r.key == "metadata.name" && meets(r, Some(&node.metadata.name));
        !empty
            && term.match_expressions.iter().all(|r| meets(r, node.metadata.labels.get(&r.key)))
            && term.match_fields.iter().all(name)
    };
    selector.node_selector_terms.iter().any(term)
}

/// Whether a pod selects the node: by `nodeSelector` and by what its node affinity requires.
#[must_use]
pub fn wants(pod: &Pod, node: &Node) -> bool {
    let labels = &node.metadata.labels;
    let required = pod.spec.affinity.node_affinity.as_ref().and_then(|a| a.required.as_ref());
    pod.spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && required.is_none_or(|selector| admits(selector, node))
}

/// The first taint of a node that keeps the pod away.
#[must_use]
pub fn repelling<'n>(pod: &Pod, node: &'n Node) -> Option<&'n Taint> {
    let keeps_away = |taint: &&Taint| ["NoSchedule", "NoExecute"].contains(&taint.effect.as_str());
    node.spec.taints.iter().filter(keeps_away).find(|taint| !tolerates(pod, taint))
}

/// Whether a pod bears a taint.
#[must_use]
pub fn tolerates(pod: &Pod, taint: &Taint) -> bool {
    let bears = |t: &Toleration| {
        let effect = t.effect.is_empty() || t.effect == taint.effect;
        let any = t.key.is_empty() && t.operator == "Exists";
        let value = match t.operator.as_str() {
            "" | "Equal" => t.value == taint.value,
            "Exists" => true,
            _ => false,
        };
        effect && (any || t.key == taint.key && value)
    };
    pod.spec.tolerations.iter().any(bears)
}

/// Whether a term of `owner` is about `other`.
///
/// Namespaces are not looked up: one that a `namespaceSelector` with requirements might mean is taken for meant where that
/// keeps pods apart (`cautious`), and not where it would let them be.
#[must_use]
pub fn is_about(term: &PodTerm, owner: &Pod, other: &Pod, cautious: bool) -> bool {
    let (own, namespace) = (&owner.metadata.namespace, &other.metadata.namespace);
    let selected = match &term.namespace_selector {
        None => term.namespaces.is_empty() && own == namespace,
        Some(s) => cautious || s.match_labels.is_empty() && s.match_expressions.is_empty(),
    };
    (selected || term.namespaces.contains(namespace))
        && term.label_selector.as_ref().is_some_and(|s| selects(s, &other.metadata.labels))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::is_in("In", &["a", "b"], Some("a"), true)]
    #[case::in_none_at_all("In", &["a"], None, false)]
    #[case::not_in_none_at_all("NotIn", &["a"], None, true)]
    #[case::exists("Exists", &[], Some("x"), true)]
    #[case::does_not_exist("DoesNotExist", &[], Some("x"), false)]
    #[case::more("Gt", &["3"], Some("4"), true)]
    #[case::less("Lt", &["3"], Some("3"), false)]
    #[case::no_number("Gt", &["3"], Some("x"), false)]
    #[case::unknown("Near", &["3"], Some("3"), false)]
    fn of_requirements(#[case] operator: &str, #[case] values: &[&str], #[case] has: Option<&str>, #[case] met: bool) {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        let requirement = Requirement { key: "k".to_owned(), operator: operator.to_owned(), values };
        assert_eq!(meets(&requirement, has.map(str::to_owned).as_ref()), met);
    }

    #[rstest]
    #[case::none(json!([]), false)]
    #[case::exactly(json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]), true)]
    #[case::another_value(json!([{"key": "k", "value": "w", "effect": "NoSchedule"}]), false)]
    #[case::any_value(json!([{"key": "k", "operator": "Exists"}]), true)]
    #[case::everything(json!([{"operator": "Exists"}]), true)]
    #[case::another_effect(json!([{"key": "k", "operator": "Exists", "effect": "NoExecute"}]), false)]
    fn of_taints(#[case] tolerations: Value, #[case] bears: bool) {
        let pod: Pod = serde_json::from_value(json!({"spec": {"tolerations": tolerations}})).unwrap();
        let node = json!({"spec": {"taints": [{"key": "soft", "effect": "PreferNoSchedule"},
            {"key": "k", "value": "v", "effect": "NoSchedule"}]}});
        assert_eq!(repelling(&pod, &serde_json::from_value(node).unwrap()).is_none(), bears);
    }

    #[rstest]
    #[case::its_own_namespace(json!({}), "a", true)]
    #[case::another(json!({}), "b", false)]
    #[case::one_that_is_named(json!({"namespaces": ["b"]}), "b", true)]
    #[case::all(json!({"namespaceSelector": {}}), "b", true)]
    #[case::nobody_knows(json!({"namespaceSelector": {"matchLabels": {"x": "y"}}}), "b", false)]
    fn of_terms(#[case] mut term: Value, #[case] namespace: &str, #[case] about: bool) {
        term["labelSelector"] = json!({"matchLabels": {"app": "db"}});
        let term: PodTerm = serde_json::from_value(term).unwrap();
        let pod = |namespace: &str| {
            let pod = json!({"metadata": {"namespace": namespace, "labels": {"app": "db"}}});
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        assert_eq!(is_about(&term, &pod("a"), &pod(namespace), false), about);
    }

    #[test]
    fn a_term_that_says_nothing_selects_no_node() {
        let node = Node::default();
        let read = |terms: Value| serde_json::from_value::<NodeSelector>(json!({"nodeSelectorTerms": terms})).unwrap();
        assert!(!admits(&read(json!([{}])), &node));
        assert!(admits(&read(json!([{}, {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}])), &node));
    }
}
