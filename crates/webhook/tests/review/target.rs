//! What a fuzzer does with its bytes: they become a review, are read and judged, and whatever comes of it has to hold together.
//!
//! The tests beside this file and the fuzz target in `fuzz/` share it.

use dbscale_cluster::cache::Seen;
use dbscale_core::catalog::{Catalog, Engine};
use dbscale_core::database::Database;
use dbscale_core::finding::Finding;
use dbscale_core::rules;
use dbscale_webhook::answer;
use dbscale_webhook::asked::Asked;
use dbscale_webhook::review::{Review, read};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What stands between two objects: no JSON has it.
pub const BETWEEN: u8 = 0xff;

/// Whether the verdict is compared with that of a reader that skips nothing.
pub const WHOLE: u8 = 8;

/// Judges bytes, and tells whether they are a review. The first one says how they become a review: 0, they are one; 1 and 2, an
/// OpsRequest is created or updated; 3 and 4, a database. Then the second one says of which engine, and the rest is the object,
/// and behind [`BETWEEN`] what is there already: the object as it was, or the database of the OpsRequest. With [`WHOLE`] added
/// the verdict is compared with that of a reader that skips nothing.
///
/// # Panics
/// Where what comes of it does not hold together.
pub fn judge(bytes: &[u8]) -> bool {
    let (&how, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (body, there) = review(how % WHOLE, rest);
    let Ok(mut review) = read(&body) else { return false };
    let there = there.or_else(|| review.old.clone()).unwrap_or_default();
    let found = findings(&mut review, &there);
    for finding in &found {
        assert!(rules::find(finding.rule.0).is_some() && !finding.message.is_empty(), "{finding:?}");
    }
    let refused = found.iter().any(Finding::refuses);
    let answer: Value = serde_json::from_slice(&answer::write(&review, &found)).unwrap_or_default();
    assert_eq!(answer["response"]["uid"], *review.uid);
    assert_eq!(answer["response"]["allowed"], !refused);
    assert_eq!(answer["response"]["status"]["code"].as_u64(), refused.then(|| u64::from(answer::code(&found).0)));
    if how >= WHOLE
        && let (Ok(mut review), Ok(whole)) = (read(&body), serde_json::from_slice::<Value>(&body))
    {
        for (part, read) in [("object", &mut review.object), ("oldObject", &mut review.old)] {
            *read = read.is_some().then(|| whole["request"][part].clone());
        }
        assert_eq!(findings(&mut review, &there), found);
    }
    true
}

/// What the rules say, beside what is there; nothing where there is nothing to judge.
fn findings(review: &mut Review<'_>, there: &Value) -> Vec<Finding> {
    let Some(asked) = Asked::of(review) else { return Vec::new() };
    let mut facts = asked.told.clone();
    if asked.request().is_some() {
        facts.database = Database::of(asked.engine, there).into();
        let active = json!({"metadata": {"name": "active"}, "spec": there["spec"].clone()});
        facts.operations = vec![Seen::of(&active, asked.engine, Timestamp::UNIX_EPOCH).operation];
    }
    asked.judge(&facts)
}

/// The body of a review, and the database that is there already.
fn review(how: u8, rest: &[u8]) -> (Vec<u8>, Option<Value>) {
    let (Some((which, rest)), 1..=4) = (rest.split_first(), how) else { return (rest.to_vec(), None) };
    let engines: Vec<&Engine> = Catalog::builtin().engines().collect();
    let engine = engines[usize::from(*which) % engines.len()];
    let mut parts = rest.splitn(2, |byte| *byte == BETWEEN);
    let (object, old) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (group, kind) =
        if how < 3 { ("ops.kubedb.com", engine.ops_kind()) } else { ("kubedb.com", engine.kind.clone()) };
    let created = how % 2 == 1;
    let head = format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","kind":{{"group":"{group}","kind":"{kind}"}},"name":"ask","namespace":"demo","operation":"{}","userInfo":{{"username":"jane"}},"object":"#,
        if created { "CREATE" } else { "UPDATE" }
    );
    let tail = if created { b"null" } else { old };
    let body = [head.as_bytes(), object, b",\"oldObject\":", tail, b"}}"].concat();
    (body, created.then(|| serde_json::from_slice(old).unwrap_or_default()))
}
