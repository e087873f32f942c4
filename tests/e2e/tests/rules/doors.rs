//! The doors: the ways by which a change comes to the API server, and who spoke.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use dbscale_core::finding::Severity;
use dbscale_core::rules::{self, Rule};
use dbscale_e2e::{Answer, World, playground};
use serde_json::{Value, json};

/// The doors of a row.
pub const DOORS: [&str; 3] = ["create", "update", "dbscale"];

/// A row's wrong or right through one door.
pub struct Case<'t> {
    rule: &'static Rule,
    ways: &'static [Way],
    door: &'t Value,
    is_wrong: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `kubectl apply` of an OpsRequest that is not there.
    Create,
    /// `kubectl patch`.
    Patch,
    /// `kubectl apply` of what is there, changed.
    Apply,
    /// `kubectl edit`, which is no dry run: so it is the last.
    Edit,
    /// `kubectl dbscale`.
    Dbscale,
}

impl<'t> Case<'t> {
    /// All cases of a row.
    pub fn of(row: &'t Value) -> Vec<Self> {
        let rule = rules::find(row["rule"].as_str().unwrap()).unwrap();
        let ways = |door: &str| match door {
            "create" => &[Way::Create][..],
            "update" => &[Way::Patch, Way::Apply, Way::Edit],
            _ => &[Way::Dbscale],
        };
        let tried = DOORS.into_iter().filter_map(|door| Some((ways(door), row.get(door)?)));
        tried.flat_map(|(ways, door)| [true, false].map(|is_wrong| Self { rule, ways, door, is_wrong })).collect()
    }

    /// Whether it is KubeDB's definition that speaks.
    pub fn is_the_schemas(&self) -> bool {
        self.door["by"] == "schema"
    }

    fn asked(&self) -> &Value {
        &self.door[if self.is_wrong { "wrong" } else { "right" }]
    }
}

/// Where the tries are made.
pub struct Doors<'w> {
    world: &'w World,
    objects: BTreeMap<&'static str, Value>,
    caller: String,
    count: AtomicUsize,
}

impl<'w> Doors<'w> {
    /// In a namespace that holds the objects.
    pub fn new(world: &'w World, objects: BTreeMap<&'static str, Value>) -> Self {
        let caller = world.must(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
        Self { world, objects, caller, count: AtomicUsize::new(0) }
    }

    /// What is wrong with how a case came out.
    pub fn wrong_with(&self, case: &Case) -> Vec<String> {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let own = if case.ways.len() > 1 { self.fresh(case, n) } else { String::new() };
        case.ways.iter().filter_map(|way| wrong(case, *way, &self.knock(case, *way, &own, n))).collect()
    }

    /// Tries it; `own` is the object to change.
    fn knock(&self, case: &Case, way: Way, own: &str, n: usize) -> Answer {
        let text = case.asked().to_string().replace("CALLER", &self.caller);
        match way {
            Way::Create => {
                let object = Self::request(&serde_json::from_str(&text).unwrap(), n);
                self.apply(&object, n)
            }
            Way::Patch => self.kubectl(&["patch", own, "--type=merge", "--dry-run=server", "-p", &text]),
            Way::Apply => {
                let there = self.world.must(&["get", "-n", &self.world.namespace, own, "-o", "json"]);
                let mut changed: Value = serde_json::from_str(&there).unwrap();
                json_patch::merge(&mut changed, &serde_json::from_str(&text).unwrap());
                // Others write its status meanwhile.
                changed["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                self.apply(&changed, n)
            }
            Way::Edit => self.edit(own, &text, n),
            Way::Dbscale => {
                let words: Vec<&str> = case.asked().as_str().unwrap().split(' ').collect();
                self.world.dbscale(&[&words[..], &["--dry-run=server"]].concat())
            }
        }
    }

    fn apply(&self, object: &Value, n: usize) -> Answer {
        let file = self.world.write(&format!("{n}.json"), &object.to_string());
        self.kubectl(&["apply", "--validate=false", "--dry-run=server", "-f", &file])
    }

    fn kubectl(&self, arguments: &[&str]) -> Answer {
        self.world.kubectl(&[arguments, &["-n", &self.world.namespace]].concat())
    }

    /// An OpsRequest of the table with what each has.
    fn request(row: &Value, n: usize) -> Value {
        let mut object = json!({"apiVersion": "ops.kubedb.com/v1alpha1"});
        json_patch::merge(&mut object, row);
        object["metadata"]["name"] = json!(format!("ask-{n}"));
        object
    }

    /// An object of one's own to change, as a row wants it; answers its name for kubectl.
    fn fresh(&self, case: &Case, n: usize) -> String {
        let of = &case.door["of"];
        let mut object = match of.as_str() {
            Some(name) => self.objects[name].clone(),
            None => Self::request(of, n),
        };
        let name = format!("own-{n}");
        object["metadata"]["name"] = json!(name);
        object["metadata"].as_object_mut().unwrap().remove("namespace");
        if of.is_object() {
            // A database of its own, so that no two operations of one type meet.
            let mut database = self.objects[of["spec"]["databaseRef"]["name"].as_str().unwrap()].clone();
            database["metadata"]["name"] = json!(name);
            self.world.create(&database);
            object["spec"]["databaseRef"]["name"] = json!(name);
        }
        self.world.create(&object);
        format!("{}/{name}", object["kind"].as_str().unwrap().to_lowercase())
    }

    /// An editor that changes the file as the patch says, and keeps what it was shown: of a refusal with causes kubectl tells in
    /// the file alone, which it opens again.
    fn edit(&self, object: &str, patch: &str, n: usize) -> Answer {
        let shown = self.world.write(&format!("{n}.shown"), "");
        let patch = self.world.write(&format!("{n}.patch"), patch);
        let kubectl = playground().join("bin/kubectl");
        let script = format!(
            "#!/bin/sh\nset -e\ncat \"$1\" >> '{shown}'\n'{}' patch --local -f \"$1\" --type=merge --patch-file '{patch}' -o yaml \
             > \"$1.new\"\nmv \"$1.new\" \"$1\"\n",
            kubectl.display()
        );
        let editor = self.world.write(&format!("{n}.sh"), &script);
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = ["edit", object, "--validate=false", "-n", &self.world.namespace];
        // What it could not send it keeps beside its temporary files.
        let output = World::command(&arguments)
            .env("KUBE_EDITOR", &editor)
            .env("TMPDIR", playground().join("files"))
            .output()
            .unwrap();
        let said = fs::read_to_string(&shown).unwrap();
        let comments: Vec<&str> = said.lines().filter(|line| line.starts_with('#')).collect();
        let mut answer = Answer::of(&output);
        answer.stderr.push_str(&comments.join("\n"));
        answer
    }
}

/// What is wrong with an answer.
fn wrong(case: &Case, way: Way, answer: &Answer) -> Option<String> {
    let told = format!("{}{}", answer.stdout, answer.stderr);
    let id = case.rule.id.0;
    // The plugin's own findings stand without brackets.
    let names = told.contains(&format!("[{id}]")) || (way == Way::Dbscale && told.contains(id));
    let by = case.door["by"].as_str().unwrap_or("webhook");
    let fine = if !case.is_wrong {
        answer.code == 0 && !names
    } else if case.is_the_schemas() {
        answer.code == 1 && !names && told.contains(case.door["says"].as_str().unwrap())
    } else {
        let code = match (case.rule.severity, way) {
            (Severity::Warn, _) => 0,
            (_, Way::Dbscale) => i32::from(case.rule.exit),
            _ => 1,
        };
        let policy = told.contains("ValidatingAdmissionPolicy '");
        names && answer.code == code && policy == (by == "policy")
    };
    let which = if case.is_wrong { "wrong" } else { "right" };
    (!fine).then(|| format!("{id} {way:?} {which} ({}), code {}: {told}", case.asked(), answer.code))
}
