use dbscale_trim::shapes::Role;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

fn create() -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "u-1",
            "kind": {"group": "ops.kubedb.com", "version": "v1alpha1", "kind": "MongoDBOpsRequest"},
            "resource": {"group": "ops.kubedb.com", "version": "v1alpha1", "resource": "mongodbopsrequests"},
            "name": "ask",
            "namespace": "demo",
            "operation": "CREATE",
            "userInfo": {"username": "ann", "groups": ["system:authenticated"], "extra": {"x": ["y"]}},
            "object": {
                "apiVersion": "ops.kubedb.com/v1alpha1",
                "kind": "MongoDBOpsRequest",
                "metadata": {"name": "ask", "namespace": "demo", "managedFields": [{"manager": "kubectl"}]},
                "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "my-db"}, "horizontalScaling": {"replicas": 5}},
            },
            "oldObject": null,
            "dryRun": true,
            "options": {"kind": "CreateOptions"},
        },
    })
}

/// The document with `value` at `pointer`.
fn with(pointer: &str, value: Value) -> String {
    let mut document = create();
    match pointer.rsplit_once('/') {
        Some((above, name)) => document.pointer_mut(above).unwrap()[name] = value,
        None => document = value,
    }
    document.to_string()
}

#[test]
fn reads_what_is_judged_and_skips_the_rest() {
    let body = create().to_string();
    let review = read(body.as_bytes()).unwrap();
    assert_eq!((&*review.uid, &*review.user, &*review.namespace), ("u-1", "ann", "demo"));
    assert_eq!(review.operation, Operation::Create);
    assert!(review.dry_run && !review.subresource);
    let known = review.known.unwrap();
    assert_eq!((known.engine.name.as_str(), known.role), ("mongodb", Role::Operation));
    let object = review.object.unwrap();
    assert_eq!(object["spec"], create()["request"]["object"]["spec"]);
    assert_eq!(object["metadata"], json!({"name": "ask", "namespace": "demo"}));
    assert!(matches!(review.uid, Cow::Borrowed(_)));
}

#[test]
fn the_order_of_the_fields_does_not_matter() {
    let request = create()["request"].clone();
    let last = ["kind", "uid", "operation"];
    let fields = request.as_object().unwrap();
    let (late, early): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| last.contains(&name.as_str()));
    let text: Vec<String> = early.into_iter().chain(late).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let body =
        format!(r#"{{"request":{{{}}},"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}}"#, text.join(","));
    let usual = create().to_string();
    let (usual, review) = (read(usual.as_bytes()).unwrap(), read(body.as_bytes()).unwrap());
    assert_eq!(format!("{usual:?}"), format!("{review:?}"));
}

/// What the API server's own decoder would make of it: the last one counts, also where it changes what is kept.
#[test]
fn of_a_field_that_stands_twice_the_last_counts() {
    let other = r#""kind":{"group":"kubedb.com","version":"v1","kind":"MongoDB"},"#;
    let body = create().to_string();
    let twice = body.replacen(r#""kind":{"#, &format!(r#"{other}"kind":{{"#), 1);
    assert_ne!(twice, body);
    let review = read(twice.as_bytes()).unwrap();
    assert_eq!(review.kind, "ops.kubedb.com/MongoDBOpsRequest");
    assert_eq!(review.object, read(body.as_bytes()).unwrap().object);

    let object = create()["request"]["object"].to_string();
    let after = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"CREATE",
        {other}"object":{object},"kind":{{"group":"ops.kubedb.com","kind":"MongoDBOpsRequest"}}}}}}"#
    );
    assert_eq!(read(after.as_bytes()).unwrap().object.unwrap()["spec"]["type"], "HorizontalScaling");
}

/// A name is what it says, however it is written; one that is no UTF-8 is nobody's.
#[test]
fn names_are_read_by_what_they_say() {
    let body = create().to_string();
    let escaped = body.replacen(r#""object":"#, r#""\u006fbject":"#, 1).replacen(r#""spec":"#, r#""sp\u0065c":"#, 1);
    assert_ne!(escaped, body);
    let (usual, review) = (read(body.as_bytes()).unwrap(), read(escaped.as_bytes()).unwrap());
    assert_eq!(review.object, usual.object);
    let stranger = body.replacen(r#""object":"#, r#""STRANGER":1,"object":"#, 1).into_bytes();
    let at = stranger.windows(8).position(|w| w == b"STRANGER").unwrap();
    let mut stranger = stranger;
    stranger[at] = 0xff;
    assert_eq!(read(&stranger).unwrap().object, usual.object);
}

#[rstest]
#[case::nothing(String::new(), "no AdmissionReview")]
#[case::garbage("\u{1}\u{2}".to_owned(), "no AdmissionReview")]
#[case::truncated(create().to_string()[..400].to_owned(), "no AdmissionReview")]
#[case::more_behind_it(create().to_string() + "x", "trailing characters")]
#[case::a_list("[]".to_owned(), "invalid type")]
#[case::empty("{}".to_owned(), "must be AdmissionReview")]
#[case::old_version(with("/apiVersion", json!("admission.k8s.io/v1beta1")), "v1beta1")]
#[case::another_kind(with("/kind", json!("ConversionReview")), "ConversionReview")]
#[case::version_of_another_type(with("/apiVersion", json!(1)), "invalid type")]
#[case::no_request(with("/request", Value::Null), "no request")]
#[case::no_uid(with("/request/uid", Value::Null), "no request.uid")]
#[case::empty_uid(with("/request/uid", json!("")), "no request.uid")]
#[case::uid_of_another_type(with("/request/uid", json!({})), "invalid type")]
#[case::no_object(with("/request/object", Value::Null), "no request.object")]
#[case::object_is_a_text(with("/request/object", json!("x")), "no request.object")]
#[case::no_old_object(with("/request/operation", json!("UPDATE")), "no request.oldObject")]
#[case::deep(with("/request/object", json!({"spec": 1})).replace(r#""spec":1"#, &format!(r#""spec":{}{}"#, "[".repeat(10_000), "]".repeat(10_000))), "recursion limit")]
#[case::huge(with("/request/object", json!({"spec": vec![0; 30_000]})), "more values")]
#[case::no_utf8("{\"kind\": \"\u{fffd}".to_owned(), "EOF")]
fn what_is_no_review_is_told(#[case] body: String, #[case] says: &str) {
    let error = read(body.as_bytes()).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

#[rstest]
#[case::unknown_kind("/request/kind/kind", json!("PostgresBinding"))]
#[case::unknown_group("/request/kind/group", json!("example.com"))]
#[case::no_kind("/request/kind", Value::Null)]
#[case::delete("/request/operation", json!("DELETE"))]
#[case::status("/request/subResource", json!("status"))]
fn what_is_not_judged_needs_no_object(#[case] pointer: &str, #[case] value: Value) {
    let mut document = create();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(above).unwrap()[name] = value;
    document["request"]["object"] = Value::Null;
    let body = document.to_string();
    let review = read(body.as_bytes()).unwrap();
    assert_eq!(review.uid, "u-1");
    assert!(review.known.is_none() || review.subresource || review.operation == Operation::Other);
}

#[test]
fn what_is_skipped_may_be_as_deep_and_as_broken_as_it_likes() {
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "1".to_owned() + &"}".repeat(10_000));
    let body = create().to_string().replace(r#"{"kind":"CreateOptions"}"#, &deep);
    assert_eq!(read(body.as_bytes()).unwrap().uid, "u-1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A body that is changed at random is read or refused; nothing else happens.
    #[test]
    fn no_body_does_harm(at in 0usize..900, byte in any::<u8>(), cut in 0usize..900) {
        let mut body = create().to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        let _ = read(&body);
        let _ = read(&body[..cut.min(body.len())]);
    }
}
