use clap::Parser as _;
use dbscale_core::catalog::Catalog;
use dbscale_core::facts::{ClaimFact, ClassFact, Facts};
use dbscale_core::plan::{Intent, Step};
use rstest::rstest;

use super::screen::{Row, consequence, machine, resource, rows};
use super::*;
use crate::cli::args::Combined;
use crate::cli::{Cli, Command};

/// A replica set of three, db.t3.medium, 20Gi, with its three claims.
fn subject() -> Subject {
    let object = json!({
        "apiVersion": "kubedb.com/v1", "kind": "MongoDB",
        "metadata": {"name": "my-db", "namespace": "demo", "uid": "u-1"},
        "spec": {
            "replicas": 3, "replicaSet": {"name": "rs0"}, "storageType": "Durable",
            "storage": {"resources": {"requests": {"storage": "20Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": {
                "requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"},
            }}]}},
        },
        "status": {"phase": "Ready"},
    });
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let claim = |i: usize| ClaimFact {
        name: format!("datadir-my-db-{i}"),
        component: "replicaSet".to_owned(),
        class: Some("standard".to_owned()),
        attributes: Vec::new(),
        requested: "20Gi".parse().unwrap(),
        capacity: Some("20Gi".parse().unwrap()),
        failed: None,
        idle: false,
    };
    let mut facts = Facts { database: Database::of(engine, &object).into(), ..Facts::default() };
    facts.claims = (0..3).map(claim).collect();
    facts.classes.insert("standard".to_owned(), ClassFact { expands: true, default: true });
    facts.templates.insert("replicaSet".to_owned(), "20Gi".parse().unwrap());
    let (namespace, name) = ("demo".to_owned(), "my-db".to_owned());
    Subject {
        engine,
        namespace,
        name,
        object,
        facts,
        found: Vec::new(),
        claims_known: true,
        read_at: std::time::Instant::now(),
        warnings: Vec::new(),
    }
}

/// The command line, read as the program reads it, and its plan.
fn planned_with(flags: &str) -> (Subject, Plan, PlanArgs, Global) {
    let line = format!("kubectl-dbscale plan mongodb/my-db {flags}");
    let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
    let wanted = change::wanted(&cli.command, &cli.global).unwrap().unwrap();
    let subject = subject();
    let plan = run::plan_for(&subject, &wanted.job, &run::stamp(&wanted.job, None, 0)).unwrap();
    let Command::Plan(args) = cli.command else { panic!("{line} is no plan") };
    (subject, plan, args, cli.global)
}

#[rstest]
#[case::all("--replicas 5 --size db.t3.large --storage 50Gi", &[
    "replicas 3 → 5",
    "size db.t3.medium → db.t3.large (memory 4Gi → 8Gi)",
    "storage 20Gi → 50Gi (cannot be undone)",
])]
#[case::amounts("--cpu 4", &["cpu 2 → 4"])]
#[case::already_there("--replicas 3 --size db.t3.medium --storage 20480Mi", &[])]
fn the_difference(#[case] flags: &str, #[case] wanted: &[&str]) {
    let (_, plan, args, _) = planned_with(flags);
    let text = |r: &Row| {
        let note = if r.note.is_empty() { String::new() } else { format!(" ({})", r.note) };
        format!("{} {} → {}{note}", r.field, r.before, r.after)
    };
    assert_eq!(rows(&plan, args.set.size.size.as_deref()).iter().map(text).collect::<Vec<_>>(), wanted);
}

#[rstest]
#[case::all("--replicas 5 --size db.t3.large --storage 50Gi", &[
    "Patch mongodb/my-db: 3 volumes grow, class \"standard\", online",
    "HorizontalScaling MongoDBOpsRequest: 2 pods more, with volumes of 20Gi at first",
    "VerticalScaling MongoDBOpsRequest: 5 pods restart, one by one",
])]
#[case::fewer("--replicas 2", &["HorizontalScaling MongoDBOpsRequest: 1 pod less"])]
fn the_steps(#[case] flags: &str, #[case] wanted: &[&str]) {
    let (subject, plan, ..) = planned_with(flags);
    let text = |step: &Step| {
        let (what, on, consequence) = consequence(subject.database().unwrap(), &subject, &plan, step);
        format!("{what} {on}: {consequence}")
    };
    assert_eq!(plan.steps.iter().map(text).collect::<Vec<_>>(), wanted);
}

#[rstest]
#[case::as_it_was(
    "--replicas 5 --size db.t3.large",
    " Do it: kubectl dbscale set mongodb/my-db -n demo --replicas 5 --size db.t3.large"
)]
#[case::all_that_makes_a_difference(
    "--memory 8Gi --apply Always --context prod --exit-code",
    " Do it: kubectl dbscale set mongodb/my-db -n demo --context prod --memory 8Gi --apply Always"
)]
#[case::nothing_to_do("--replicas 3", "")]
fn the_command_that_does_it(#[case] flags: &str, #[case] wanted: &str) {
    let (subject, plan, args, global) = planned_with(flags);
    assert_eq!(again(subject.database().unwrap(), &plan, &args, &global), wanted);
}

#[rstest]
#[case::done(true, 1, "Nothing has been changed. Do it: kubectl dbscale apply 'my plan.json' --context prod")]
#[case::nothing_to_do(true, 0, "Nothing has been changed.")]
#[case::refused(false, 1, "Nothing has been changed, and 'my plan.json' has not been written.")]
fn the_command_that_applies_the_file(#[case] written: bool, #[case] steps: usize, #[case] wanted: &str) {
    let (.., global) = planned_with("--replicas 5 --context prod");
    assert_eq!(applied(Path::new("my plan.json"), written, steps, &global), wanted);
}

#[rstest]
#[case::single("single", 1)]
#[case::separate("separate", 2)]
#[case::auto("auto", 2)]
fn a_file_holds_the_steps_that_apply_makes(#[case] combined: &str, #[case] steps: usize) {
    let flags = format!("--replicas 5 --size db.t3.large --combined {combined}");
    let (subject, raw, args, global) = planned_with(&flags);
    let wanted = change::wanted(&Command::Plan(args), &global).unwrap().unwrap();
    let mut file = PlanFile::new(&wanted.job);
    let stamp = run::stamp(&wanted.job, None, 0);
    let shown = planned(&subject, &wanted, &stamp).unwrap();
    assert_eq!(shown.steps.len(), steps);
    file.add(&subject, &shown, &stamp);
    let mut job = run::Job { intent: Intent::default(), combined: Combined::default(), ..wanted.job.clone() };
    file.fill(&mut job).unwrap();
    let part = &file.databases[0];
    let anew = run::plan_for(&subject, &job, &part.stamp(&job, None)).unwrap();
    assert_eq!(raw.steps.len(), 2);
    assert!(part.is_made_by(&subject, &anew, &job));
}

#[test]
fn the_machine_gets_the_exact_objects() {
    let (subject, plan, ..) = planned_with("--replicas 5 --storage 50Gi");
    let value = machine(&subject, &plan);
    assert_eq!(value["component"], "replicaSet");
    assert_eq!(value["steps"][0]["kind"], "Patch");
    assert_eq!(value["steps"][0]["claims"], json!(["datadir-my-db-0", "datadir-my-db-1", "datadir-my-db-2"]));
    assert_eq!(value["steps"][1]["object"]["spec"]["horizontalScaling"], json!({"replicas": 5}));
    assert_eq!(value["differences"][0]["irreversible"], json!(true));
    let name = plan.steps.iter().map(|s| resource(&subject, s)).collect::<Vec<_>>();
    assert_eq!(name[0], "mongodb.kubedb.com/my-db");
    assert!(name[1].starts_with("mongodbopsrequest.ops.kubedb.com/my-db-scale-"), "{}", name[1]);
}
