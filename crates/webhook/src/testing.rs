//! An API server of the tests, and reviews to judge.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbscale_cluster::Cluster;
use dbscale_cluster::cache::{Event, Topic};
use dbscale_core::catalog::{Catalog, Engine};
use dbscale_core::finding::{Finding, Severity};
use dbscale_core::policy::KUBEDB_USERS;
use dbscale_trim::shapes::Role;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};

use crate::judge::{Judge, Options, Verdict};
use crate::review::read;
use crate::users::Users;

pub const DATABASES: &str = "/apis/kubedb.com/v1/namespaces/demo/mongodbs";
pub const OPERATIONS: &str = "/apis/ops.kubedb.com/v1alpha1/namespaces/demo/mongodbopsrequests";

/// An API server that answers from a table, and a judge that asks it.
pub struct World {
    pub judge: Judge,
    objects: Arc<Mutex<HashMap<String, Value>>>,
    calls: Arc<Mutex<VecDeque<String>>>,
}

impl World {
    pub fn new() -> Self {
        let objects: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
        let calls: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let (table, log) = (Arc::clone(&objects), Arc::clone(&calls));
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let path = request.uri().path().to_owned();
            let found = table.lock().unwrap().get(&path).cloned();
            log.lock().unwrap().push_back(path);
            async move {
                let missing =
                    json!({"kind": "Status", "reason": "NotFound", "message": "not found", "details": {"name": "x"}});
                let (code, body) = found.map_or((404, missing), |o| if o.is_null() { (503, o) } else { (200, o) });
                Ok::<_, Infallible>(
                    http::Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap(),
                )
            }
        });
        let cluster =
            Cluster::new(kube::Client::new(service, "demo"), "https://test".to_owned(), Duration::from_millis(300));
        let operators = Users::new([KUBEDB_USERS.to_owned()]);
        let (direct_edits, lookup_failure, enforcement) = (Severity::Warn, Severity::Deny, Severity::Deny);
        let options = Options { direct_edits, lookup_failure, enforcement, operators };
        let world = Self { judge: Judge { cache: Arc::default(), cluster, options }, objects, calls };
        world.serve(OPERATIONS, json!({"items": []}));
        world
    }

    /// What the cache knows, whole.
    pub fn known(self, databases: &[Value], operations: &[Value]) -> Self {
        for (role, objects) in [(Role::Database, databases), (Role::Operation, operations)] {
            self.tell(Topic::Engine("mongodb", role), objects);
        }
        self.tell(Topic::Classes, &[json!({"metadata": {"name": "standard"}, "allowVolumeExpansion": true})]);
        self
    }

    pub fn tell(&self, topic: Topic, objects: &[Value]) {
        let now = Timestamp::now();
        self.judge.cache.tell(topic, &Event::Begin, now);
        for object in objects {
            self.judge.cache.tell(topic, &Event::Apply(object), now);
        }
        self.judge.cache.tell(topic, &Event::Complete, now);
    }

    /// What the API server answers; null: that it cannot.
    pub fn serve(&self, path: &str, answer: Value) {
        self.objects.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The API server has it no more.
    pub fn forget(&self, path: &str) {
        self.objects.lock().unwrap().remove(path);
    }

    pub async fn ask(&self, review: &Value) -> Verdict {
        let body = review.to_string();
        self.judge.judge(&mut read(body.as_bytes()).unwrap()).await
    }

    pub async fn ids(&self, review: &Value) -> Vec<String> {
        let sign = |f: &Finding| if f.refuses() { "" } else { "?" };
        self.ask(review).await.findings.iter().map(|f| format!("{}{}", f.rule, sign(f))).collect()
    }

    pub fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

pub fn database() -> Value {
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB",
        "metadata": {"name": "db", "namespace": "demo", "uid": "u"},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3, "storageType": "Durable",
            "storage": {"storageClassName": "standard", "resources": {"requests": {"storage": "10Gi"}}}},
        "status": {"phase": "Ready"}})
}

pub fn request(name: &str, ops_type: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["type"] = json!(ops_type);
    spec["databaseRef"] = json!({"name": "db"});
    json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": name, "namespace": "demo"}, "spec": spec})
}

pub fn horizontal(name: &str, replicas: i64) -> Value {
    request(name, "HorizontalScaling", json!({"horizontalScaling": {"replicas": replicas}}))
}

pub fn review(user: &str, object: &Value, old: &Value) -> Value {
    let kind = object["kind"].as_str().unwrap();
    let group = object["apiVersion"].as_str().unwrap().split('/').next().unwrap();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "r-1", "kind": {"group": group, "kind": kind}, "name": object["metadata"]["name"], "namespace": "demo",
        "operation": if old.is_null() { "CREATE" } else { "UPDATE" }, "userInfo": {"username": user},
        "object": object, "oldObject": old}})
}

pub fn create(object: &Value) -> Value {
    review("ann", object, &Value::Null)
}

/// An update of the database that sets one field.
pub fn update(user: &str, pointer: &str, value: Value) -> Value {
    let mut new = database();
    *new.pointer_mut(pointer).unwrap() = value;
    review(user, &new, &database())
}

pub const SIZE: &str = "/spec/storage/resources/requests/storage";
pub const KUBEDB: &str = "system:serviceaccount:kubedb:kubedb-ops-manager";

pub fn mongodb() -> &'static Engine {
    Catalog::builtin().find("mongodb").unwrap()
}
