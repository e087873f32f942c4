//! Reads what `status` tells: databases, their OpsRequests, and what their claims really have. All kinds at once.

use std::collections::{HashMap, HashSet};

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::catalog::{Catalog, Engine, SetKind};
use dbscale_core::database::Database;
use dbscale_core::facts::{ClaimFact, Facts};
use dbscale_core::ownership::INSTANCE_LABEL;
use dbscale_core::{claims, effect, record, rules};
use futures::future::{join, join_all};
use serde_json::Value;

use crate::outcome::Failure;
use crate::run::find::Found;
use crate::run::{failure, records};
use crate::target::Target;

/// How many engines that are left out are told by name.
const NAMED: usize = 3;

/// A database with what belongs to it.
pub struct Seen {
    /// The object.
    pub object: Value,
    /// The view of it.
    pub database: Database,
    /// Its OpsRequests.
    pub requests: Vec<Found>,
    /// Its claims; empty where they may not be read.
    pub claims: Vec<ClaimFact>,
    /// Its record, where there is one that may be read.
    pub record: Option<record::Status>,
}

/// What was seen, and what could not be.
#[derive(Default)]
pub struct Survey {
    /// The databases, by namespace, engine and name.
    pub seen: Vec<Seen>,
    /// What could not be read.
    pub failures: Vec<Failure>,
    /// What is left out of the answer for that.
    pub warnings: Vec<String>,
    /// Whether claims, or the workloads that tell whose they are, could not be read.
    pub claims_unread: bool,
    /// The engines whose databases could not all be read.
    pub unread: Vec<&'static Engine>,
    /// The first call that got no answer: a moment later all may look otherwise.
    pub silence: Option<ApiFailure>,
}

impl Survey {
    /// Itself, where there is something to tell.
    ///
    /// # Errors
    /// The first failure, where nothing was seen for it.
    pub fn or_failure(mut self) -> Result<Self, Failure> {
        if self.seen.is_empty() && !self.failures.is_empty() {
            return Err(self.failures.swap_remove(0));
        }
        Ok(self)
    }

    fn note(&mut self, engine: &'static Engine, failure: &ApiFailure) {
        self.unread.push(engine);
        self.note_silence(failure);
    }

    fn note_silence(&mut self, failure: &ApiFailure) {
        if matches!(failure.kind, Kind::Unreachable | Kind::Timeout) {
            self.silence.get_or_insert_with(|| failure.clone());
        }
    }
}

/// Looks at databases, at what their claims have and what their records say. `targets`: empty for all engines that are installed; `namespace`:
/// `None` for all. Where nothing can be read, the failures say so; see [`Survey::or_failure`].
pub async fn survey(cluster: &Cluster, targets: &[Target], namespace: Option<&str>, selector: Option<&str>) -> Survey {
    let look = look(cluster, targets, namespace, selector);
    let (mut survey, records) = join(look, records::all(cluster, namespace)).await;
    // Who may not read them is told what the cluster alone tells, as where there are none.
    let mut records = records.inspect_err(|failure| survey.note_silence(failure)).unwrap_or_default();
    for seen in &mut survey.seen {
        let name = record::name(&seen.database.engine.name, &seen.database.name);
        seen.record = records.remove(&(seen.database.namespace.clone(), name));
    }
    claims_of(cluster, namespace, &mut survey).await;
    survey
}

/// As [`survey`], without the claims and records.
///
/// # Errors
/// Where the cluster cannot be read at all, or nothing of what was named.
pub async fn databases(
    cluster: &Cluster,
    targets: &[Target],
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Survey, Failure> {
    look(cluster, targets, namespace, selector).await.or_failure()
}

async fn look(cluster: &Cluster, targets: &[Target], namespace: Option<&str>, selector: Option<&str>) -> Survey {
    let mut survey = Survey::default();
    let engines: Vec<&'static Engine> = if targets.is_empty() {
        match cluster.engines().await {
            Ok(engines) => engines,
            Err(failure) => {
                Catalog::builtin().engines().for_each(|engine| survey.note(engine, &failure));
                survey.failures.push(failure::of_any_api(&failure));
                return survey;
            }
        }
    } else {
        let mut seen = HashSet::new();
        targets.iter().map(|t| t.engine).filter(|e| seen.insert(e.name.as_str())).collect()
    };
    let namespaces = namespace.unwrap_or(&cluster.default_namespace);
    let kinds = engines.iter().map(|engine| async {
        let named: Vec<&str> =
            targets.iter().filter(|t| t.engine.name == engine.name).filter_map(|t| t.name.as_deref()).collect();
        let read = async {
            // Operations first: one that ends between the two reads is then seen with what it wrote.
            let requests = cluster.operations(engine, namespace).await?;
            let objects = if named.is_empty() {
                cluster.databases(engine, namespace, selector).await?.into_iter().map(Ok).collect()
            } else {
                join_all(named.iter().map(async |name| {
                    let object = cluster.database(engine, namespaces, name).await;
                    object.map_err(|failure| ((*name).to_owned(), failure))
                }))
                .await
            };
            Ok::<_, ApiFailure>((requests, objects))
        };
        (*engine, read.await)
    });
    let mut hidden: Vec<(&'static Engine, ApiFailure)> = Vec::new();
    for (engine, read) in join_all(kinds).await {
        let (requests, objects) = match read {
            Ok(read) => read,
            // Who asks for all of them gets those that they may see.
            Err(failure) if targets.is_empty() && failure.kind == Kind::Forbidden => {
                survey.note(engine, &failure);
                hidden.push((engine, failure));
                continue;
            }
            Err(failure) => {
                survey.note(engine, &failure);
                survey.failures.push(failure::of_api(&failure, engine));
                continue;
            }
        };
        let mut by_database: HashMap<(String, String), Vec<Found>> = HashMap::new();
        for found in requests.into_iter().map(|object| Found::of(engine, object)) {
            by_database.entry((found.namespace.clone(), found.operation.database.clone())).or_default().push(found);
        }
        for object in objects {
            match object {
                Ok(object) => {
                    let database = Database::of(engine, &object);
                    let key = (database.namespace.clone(), database.name.clone());
                    let requests = by_database.remove(&key).unwrap_or_default();
                    survey.seen.push(Seen { object, database, requests, claims: Vec::new(), record: None });
                }
                Err((name, failure)) if failure.kind == Kind::NotFound => {
                    let missing = rules::missing_database(engine, namespaces, &name);
                    survey.failures.push(failure::of_findings(vec![missing]));
                }
                Err((_, failure)) => {
                    survey.note(engine, &failure);
                    survey.failures.push(failure::of_api(&failure, engine));
                }
            }
        }
    }
    let key = |seen: &Seen| {
        let database = &seen.database;
        (database.namespace.clone(), database.engine.name.clone(), database.name.clone())
    };
    survey.seen.sort_by_cached_key(key);
    if let Some((engine, failure)) = hidden.first() {
        if hidden.len() == engines.len() {
            survey.failures.push(failure::of_api(failure, engine));
        } else {
            survey.warnings.push(not_told(&hidden.iter().map(|(engine, _)| engine.name.as_str()).collect::<Vec<_>>()));
        }
    }
    survey
}

/// Which engines are left out; a few of them by name.
fn not_told(engines: &[&str]) -> String {
    let names = match engines {
        many if many.len() > NAMED => format!("{} and {} more", many[..NAMED].join(", "), many.len() - NAMED),
        few => few.join(", "),
    };
    format!("left out, since you may not list their databases or OpsRequests: {names}")
}

/// Adds what the databases' claims really have: one list of claims, and one of each kind of workloads.
pub async fn claims_of(cluster: &Cluster, namespace: Option<&str>, survey: &mut Survey) {
    let kinds: HashSet<SetKind> = survey.seen.iter().map(|s| s.database.set_kind()).collect();
    if kinds.is_empty() {
        return;
    }
    let sets = kinds.into_iter().map(|kind| cluster.workloads(kind, namespace));
    let (sets, claims) = join(join_all(sets), cluster.claims(namespace)).await;
    let mut warned = false;
    let mut read = |list: Result<Vec<Value>, ApiFailure>| match list {
        Ok(list) => list,
        Err(failure) => {
            // Where one list may not be read, the other says nothing new.
            survey.claims_unread |= failure.kind != Kind::NotInstalled;
            survey.note_silence(&failure);
            if failure.kind != Kind::NotInstalled && !std::mem::replace(&mut warned, true) {
                survey.warnings.push(format!("what volumes really have is not told: {failure}"));
            }
            Vec::new()
        }
    };
    let sets: Vec<Value> = sets.into_iter().flat_map(&mut read).collect();
    let claims = read(claims);
    // By what ties them to a database, so that a thousand databases do not each look at all claims.
    let mut sets_of: HashMap<&str, Vec<&Value>> = HashMap::new();
    for set in &sets {
        let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
        for uid in owners.filter_map(|o| o.get("uid")?.as_str()) {
            sets_of.entry(uid).or_default().push(set);
        }
    }
    let mut claims_of: HashMap<(&str, &str), Vec<&Value>> = HashMap::new();
    for claim in &claims {
        let metadata = &claim["metadata"];
        let label = metadata.get("labels").and_then(|l| l.get(INSTANCE_LABEL)?.as_str());
        if let (Some(namespace), Some(label)) = (metadata["namespace"].as_str(), label) {
            claims_of.entry((namespace, label)).or_default().push(claim);
        }
    }
    for seen in &mut survey.seen {
        let Some(sets) = sets_of.get(seen.database.uid.as_str()) else { continue };
        let instances = effect::instances(&seen.database, &seen.object);
        let namespace = seen.database.namespace.as_str();
        let lists = instances.iter().filter_map(|label| claims_of.get(&(namespace, label.as_str())));
        let claims: Vec<&Value> = lists.flatten().copied().collect();
        let mut facts = Facts::default();
        claims::fill(&mut facts, &seen.database, &seen.object, sets, &claims, &mut Vec::new());
        seen.claims = facts.claims;
    }
}
