//! Which objects of the files others are judged by.

use kubectl_dbscale::lint::{Report, lint_texts};
use rstest::rstest;

use super::{lint, told};

/// A MongoDB replica set `db` with volumes of a size; more lines of its metadata and of its claims' spec.
fn database(size: &str, metadata: &str, claims: &str) -> String {
    format!(
        "apiVersion: kubedb.com/v1\nkind: MongoDB\nmetadata: {{name: db{metadata}}}\nspec:\n  replicaSet: {{name: rs0}}\n  replicas: 3\n  \
         storage: {{resources: {{requests: {{storage: {size}}}}}{claims}}}\n---\n"
    )
}

/// An OpsRequest `ask` for 50Gi volumes of `db`.
fn grow(metadata: &str) -> String {
    format!(
        "apiVersion: ops.kubedb.com/v1alpha1\nkind: MongoDBOpsRequest\nmetadata: {{name: ask{metadata}}}\nspec:\n  type: VolumeExpansion\n  \
         databaseRef: {{name: db}}\n  volumeExpansion: {{mode: Online, replicaSet: 50Gi}}\n---\n"
    )
}

/// An OpsRequest `other` of a type in a phase.
fn other(ops_type: &str, phase: &str) -> String {
    format!(
        "apiVersion: ops.kubedb.com/v1alpha1\nkind: MongoDBOpsRequest\nmetadata: {{name: other}}\nspec:\n  type: {ops_type}\n  \
         databaseRef: {{name: db}}\n  volumeExpansion: {{mode: Online, replicaSet: 60Gi}}\nstatus: {{phase: {phase}}}\n---\n"
    )
}

fn class(name: &str, expands: bool, annotations: &str) -> String {
    format!(
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: {name}{annotations}}}\nprovisioner: x\nallowVolumeExpansion: {expands}\n---\n"
    )
}

fn claim(name: &str, metadata: &str, class: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}{metadata}}}\nspec:\n  storageClassName: {class}\n  \
         resources: {{requests: {{storage: 10Gi}}}}\n---\n"
    )
}

const DEFAULT: &str = ", annotations: {storageclass.kubernetes.io/is-default-class: 'true'}";

#[rstest]
#[case::grows(vec![database("10Gi", "", "")], None)]
#[case::shrinks(vec![database("80Gi", "", "")], Some("storage/no-shrink"))]
#[case::the_order_does_not_matter_and_one_that_fits_is_enough(vec![database("80Gi", "", ""), database("10Gi", "", "")], None)]
#[case::refused_against_each(vec![database("80Gi", "", ""), database("90Gi", "", "")], Some("storage/no-shrink"))]
#[case::a_namespace_left_open(vec![database("80Gi", ", namespace: prod", "")], Some("storage/no-shrink"))]
fn databases(#[case] beside: Vec<String>, #[case] refused_by: Option<&str>) {
    for text in [format!("{}{}", beside.concat(), grow("")), format!("{}{}", grow(""), beside.concat())] {
        let wanted: Vec<String> = refused_by.iter().map(|rule| format!("ask: {rule}")).collect();
        assert_eq!(told(&lint(&text)), wanted, "{text}");
        assert_eq!(lint(&text).alone, 0);
    }
}

#[test]
fn a_database_of_another_namespace_or_kind_is_another() {
    let elsewhere = format!("{}{}", database("80Gi", ", namespace: prod", ""), grow(", namespace: test"));
    assert_eq!((told(&lint(&elsewhere)), lint(&elsewhere).alone), (vec![], 1));
    let kind = format!("{}{}", database("80Gi", "", "").replace("kind: MongoDB", "kind: MySQL"), grow(""));
    assert_eq!((told(&lint(&kind)), lint(&kind).alone), (vec![], 1));
}

#[rstest]
#[case::named_and_rigid(", storageClassName: slow", class("slow", false, ""), true)]
#[case::named_and_expandable(", storageClassName: fast", class("fast", true, ""), false)]
#[case::named_and_absent(", storageClassName: fast", String::new(), false)]
#[case::the_default_one("", class("slow", false, DEFAULT), true)]
#[case::not_the_default_one("", class("slow", false, ""), false)]
#[case::no_class_at_all("", String::new(), false)]
#[case::of_the_claim("", class("slow", false, "") + &claim("datadir-db-0", "", "slow"), true)]
#[case::of_a_claim_of_another_namespace("", class("slow", false, "") + &claim("datadir-db-0", ", namespace: other", "slow"), true)]
#[case::of_a_claim_of_another_database("", class("slow", false, "") + &claim("datadir-mydb-0", "", "slow"), false)]
#[case::of_a_claim_with_another_databases_label("", class("slow", false, "") + &claim("datadir-db-0", ", labels: {app.kubernetes.io/instance: d}", "slow"), false)]
fn storage_classes(#[case] claims_spec: &str, #[case] beside: String, #[case] refused: bool) {
    let text = database("10Gi", "", claims_spec) + &beside + &grow("");
    let wanted: &[&str] = if refused { &["ask: storage-class/not-expandable"] } else { &[] };
    assert_eq!(told(&lint(&text)), wanted);
}

#[rstest]
#[case::running("VolumeExpansion", "Progressing", &["ask: operation/active"], true)]
#[case::running_of_another_type("VerticalScaling", "Progressing", &["ask: operation/active"], false)]
#[case::to_be_sent_as_well("VolumeExpansion", "''", &[], false)]
#[case::waiting("VolumeExpansion", "Pending", &[], false)]
#[case::done("VolumeExpansion", "Successful", &[], false)]
fn operations(#[case] ops_type: &str, #[case] phase: &str, #[case] wanted: &[&str], #[case] refused: bool) {
    let report = lint(&(database("10Gi", "", "") + &other(ops_type, phase) + &grow("")));
    let of_ask: Vec<String> = told(&report).into_iter().filter(|row| row.starts_with("ask")).collect();
    assert_eq!(of_ask, wanted);
    assert_eq!(report.rows.iter().any(|row| row.name.name == "ask" && row.refused()), refused);
}

#[rstest]
#[case::running("Progressing", &[])]
#[case::done("Successful", &[])]
#[case::waiting("Pending", &["other: storage/not-greater"])]
fn what_has_begun_is_not_compared_with_its_own_work(#[case] phase: &str, #[case] wanted: &[&str]) {
    assert_eq!(told(&lint(&(database("60Gi", "", "") + &other("VolumeExpansion", phase)))), wanted);
}

fn with_old(new: &str, old: &str) -> Report {
    lint_texts(&[("new.yaml", new.as_bytes())], Some(old.as_bytes()), false).unwrap()
}

#[rstest]
#[case::grows("10Gi", "20Gi", &[])]
#[case::shrinks("20Gi", "10Gi", &["db: storage/no-shrink"])]
#[case::same_value_other_spelling("1Gi", "1024Mi", &[])]
#[case::small_as_before("600Mi", "600Mi", &["db: storage/minimum"])]
fn what_was_before(#[case] old: &str, #[case] new: &str, #[case] wanted: &[&str]) {
    assert_eq!(told(&with_old(&database(new, "", ""), &database(old, "", ""))), wanted);
}

#[test]
fn what_was_before_pairs_by_kind_and_name() {
    let old = database("80Gi", "", "").replace("name: db", "name: another");
    assert_eq!(told(&with_old(&database("10Gi", "", ""), &old)), Vec::<String>::new());
    // A request without its database among the files is judged by the one that was there.
    assert_eq!(told(&with_old(&grow(""), &database("80Gi", "", ""))), ["ask: storage/no-shrink"]);
}

#[test]
fn a_request_that_was_there_may_not_change_its_spec() {
    assert_eq!(told(&with_old(&grow(""), &grow(""))), Vec::<String>::new());
    let changed = with_old(&grow("").replace("50Gi", "50M"), &grow(""));
    assert_eq!(told(&changed), ["ask: storage/minimum request/immutable"]);
}

/// The database has what was asked for since; the request is still in the repository.
#[rstest]
#[case::unchanged("50Gi", grow(""), &[])]
#[case::unchanged_and_without_a_name("50Gi", grow("").replace("name: ask", "generateName: ask-"), &[])]
#[case::grown_further_since("60Gi", grow(""), &[])]
#[case::changed_to_what_is_there("60Gi", grow("").replace("50Gi", "60Gi"), &["ask: storage/not-greater request/immutable"])]
#[case::another_name("50Gi", grow("").replace("name: ask", "name: again"), &["again: storage/not-greater"])]
fn a_request_that_was_there_is_not_asked_again(#[case] size: &str, #[case] ask: String, #[case] wanted: &[&str]) {
    let there = if ask.contains("generateName") { ask.clone() } else { grow("") };
    let report = with_old(&(database(size, "", "") + &ask), &(database(size, "", "") + &there));
    assert_eq!(told(&report), wanted);
    assert_eq!(report.alone, 0);
}

/// `gitops/tracked` tells people to change the database in Git, too.
#[rstest]
#[case::with_its_database("10Gi", "50Gi", &[])]
#[case::the_database_stays("10Gi", "10Gi", &[])]
#[case::less_than_was_there("80Gi", "80Gi", &["ask: storage/no-shrink"])]
#[case::no_more_than_was_there("50Gi", "50Gi", &["ask: storage/not-greater"])]
fn a_new_request_is_compared_with_what_was_there(#[case] old: &str, #[case] new: &str, #[case] wanted: &[&str]) {
    let report = with_old(&(database(new, "", "") + &grow("")), &database(old, "", ""));
    assert_eq!(told(&report), wanted);
    assert_eq!(report.alone, 0);
}

#[test]
fn a_request_for_a_database_that_is_new_too_is_compared_with_its_file() {
    let old = database("10Gi", "", "").replace("name: db", "name: another");
    assert_eq!(told(&with_old(&(database("80Gi", "", "") + &grow("")), &old)), ["ask: storage/no-shrink"]);
}

#[test]
fn what_was_before_and_cannot_be_read_is_told() {
    let report = with_old(&database("10Gi", "", ""), "kind: MongoDB\nspec: [");
    assert_eq!((report.unreadable.len(), report.passed_over.len(), report.exit_code()), (1, 0, 1));
    let report = with_old(&database("10Gi", "", ""), "apiVersion: kubedb.com/v1\nkind: Mongodb\n");
    assert_eq!(report.unreadable[0].to_string(), "old:1: there is no kind Mongodb in kubedb.com");
    // What is somebody else's says nothing of a database.
    let report = with_old(&database("10Gi", "", ""), "kind: Deployment\nspec: [");
    assert_eq!((report.unreadable.len(), report.passed_over.len(), report.exit_code()), (0, 1, 0));
}

#[rstest]
#[case::missing(grow(""), &["ask: database/missing"])]
#[case::there(database("10Gi", "", "") + &grow(""), &[])]
#[case::another_namespace(database("10Gi", ", namespace: a", "") + &grow(", namespace: b"), &["ask: database/missing"])]
#[case::a_class_that_is_there(database("10Gi", "", ", storageClassName: fast") + &class("fast", true, "") + &grow(""), &[])]
#[case::a_class_that_is_not(database("10Gi", "", ", storageClassName: fast") + &grow(""), &["db: storage-class/missing", "ask: storage-class/missing"])]
#[case::no_class_is_named(database("10Gi", "", "") + &grow(""), &[])]
fn strict(#[case] text: String, #[case] wanted: &[&str]) {
    let report = lint_texts(&[("x.yaml", text.as_bytes())], None, true).unwrap();
    assert_eq!(told(&report), wanted);
    assert_eq!(report.alone, 0);
}

#[test]
fn lines_are_those_of_the_file() {
    let text = format!("# comment\n\n{}{}", database("80Gi", "", ""), grow(""));
    let report = lint(&text);
    let line = report.rows[1].findings[0].line;
    assert_eq!(text.lines().nth(line - 1), Some("  volumeExpansion: {mode: Online, replicaSet: 50Gi}"));
}
