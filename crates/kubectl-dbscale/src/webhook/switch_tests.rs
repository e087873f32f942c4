//! What is switched, on the object as it is shipped.

use rstest::rstest;

use super::*;

fn shipped() -> Value {
    let text = include_str!("../../../../manifests/base/webhook-configuration.yaml");
    let mut object: Value = serde_saphyr::from_str(text).unwrap();
    object["metadata"]["annotations"] = json!({"a": "b"});
    object
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn patched(object: &Value, steps: &[Value]) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch = serde_json::from_value(json!(steps)).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

fn disabled(object: &Value, mode: Mode) -> Value {
    patched(object, &disable(object, mode, "ann", now()).unwrap())
}

#[rstest]
#[case::fail_open(&[Mode::FailOpen])]
#[case::off(&[Mode::Off])]
#[case::one_after_the_other(&[Mode::FailOpen, Mode::Off])]
#[case::and_back(&[Mode::Off, Mode::FailOpen])]
fn what_was_there_comes_back_exactly(#[case] modes: &[Mode]) {
    let mut object = shipped();
    for mode in modes {
        object = disabled(&object, *mode);
        assert_eq!(State::of(&object).unwrap(), mode.state());
        assert_eq!(disable(&object, *mode, "ann", now()).unwrap(), Vec::<Value>::new(), "twice");
        let noted = before(&object).unwrap().unwrap();
        assert_eq!((noted.mode, noted.by.as_str(), noted.at.as_str()), (*mode, "ann", "2026-01-01T00:00:00Z"));
    }
    assert_eq!(patched(&object, &enable(&object).unwrap()), shipped());
}

#[test]
fn each_mode_changes_what_it_says_and_nothing_else() {
    let fields = |object: &Value, field: &str| entries::ours(object).unwrap().map(|entry| entry.value[field].clone());
    let (shipped, open, off) = (shipped(), disabled(&shipped(), Mode::FailOpen), disabled(&shipped(), Mode::Off));
    assert_eq!(fields(&open, "failurePolicy"), ["Ignore", "Ignore", "Ignore"]);
    assert_eq!(fields(&open, "namespaceSelector"), fields(&shipped, "namespaceSelector"));
    assert_eq!(fields(&off, "failurePolicy"), ["Fail", "Ignore", "Fail"]);
    for selector in fields(&off, "namespaceSelector") {
        assert_eq!(selector["matchExpressions"][0]["key"], "dbscale.dev/enforcement");
        assert_eq!(selector["matchExpressions"][1], nobody());
    }
}

/// Client-side, `kubectl apply` sets the values back and leaves the annotation.
#[test]
fn what_was_applied_since_is_newer_than_the_note() {
    let note = disabled(&shipped(), Mode::Off)["metadata"]["annotations"].clone();
    let mut applied = shipped();
    applied["metadata"]["annotations"] = note;
    applied["webhooks"][1]["failurePolicy"] = json!("Fail");
    assert_eq!(State::of(&applied).unwrap(), State::On);
    let enabled = patched(&applied, &enable(&applied).unwrap());
    assert_eq!(enabled["webhooks"][1]["failurePolicy"], "Fail");
    assert_eq!(enabled["metadata"]["annotations"], json!({"a": "b"}));
    let again = disabled(&applied, Mode::FailOpen);
    assert_eq!(patched(&again, &enable(&again).unwrap()), enabled);
}

#[test]
fn what_nobody_has_noted_is_not_guessed() {
    let mut object = shipped();
    assert_eq!(enable(&object).unwrap(), Vec::<Value>::new());
    object["webhooks"][0]["failurePolicy"] = json!("Ignore");
    object["webhooks"][2]["failurePolicy"] = json!("Ignore");
    assert_eq!(State::of(&object).unwrap(), State::On, "somebody's own wish");
    object = disabled(&object, Mode::Off);
    object["metadata"]["annotations"].take();
    assert!(matches!(enable(&object), Err(SwitchError::ByHand)));
    assert!(matches!(disable(&object, Mode::FailOpen, "ann", now()), Err(SwitchError::ByHand)));
    let mut object = shipped();
    object["metadata"]["annotations"][BEFORE] = json!("{");
    assert!(matches!(enable(&object), Err(SwitchError::Annotation(_))));
    object["webhooks"][2]["name"] = json!("renamed");
    assert!(matches!(
        enable(&object),
        Err(SwitchError::Entries(EntriesError::Missing(dbscale_core::entries::REVERTS)))
    ));
}

#[test]
fn only_ones_own_fields_are_let_go() {
    let object = json!({"metadata": {"managedFields": [{"manager": "kubectl"}, {"manager": "kubectl-dbscale"}]}});
    let steps = let_go(&object, "kubectl-dbscale").unwrap();
    assert_eq!(patched(&object, &steps)["metadata"]["managedFields"], json!([{"manager": "kubectl"}]));
    assert_eq!(let_go(&object, "other"), None);
}
