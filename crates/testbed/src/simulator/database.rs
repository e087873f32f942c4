//! KubeDB's operator itself: makes a database's workloads, tells its phase, and runs its operations one at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbscale_core::catalog::Engine;
use dbscale_core::status::Phase;
use serde_json::{Value, json};

use super::api::{Hands, is_refused, lock, message};
use super::faults::{self, Faults};
use super::layout::{self, Set};
use super::operation::{Goal, Move, Next, Present, Run};
use super::queue::{self, Decision};
use super::status::{self, Health};
use super::world::{Id, Kind, World};
use super::{conditions, json};

/// How soon to look again at an operation that waits for its effect. Most changes are told at once; this is for the rest.
const POLL: Duration = Duration::from_millis(100);

/// One database and all that belongs to it, at one moment.
struct View {
    id: Id,
    engine: &'static Engine,
    object: Arc<Value>,
    requests: Vec<(Arc<Value>, u64)>,
    /// It has no pods, for an annotation says so.
    bare: bool,
    /// The workloads it should have by its object.
    sets: Vec<Set>,
}

/// Looks at one database.
///
/// # Errors
/// What the API server says; the look is repeated.
pub async fn reconcile(hands: &Hands, id: &Id) -> Result<Option<Duration>, kube::Error> {
    let Some(view) = view(hands, id) else {
        lock(&hands.runs).remove(id);
        return Ok(None);
    };
    let running = view.requests.iter().any(|(r, _)| json::text(r, "/status/phase") == "Progressing");
    let present = view.present(&hands.world(), &[]);
    if !running {
        for set in view.sets.iter().filter(|s| present.set(&s.name).is_none()) {
            hands.create(set.kind, &set.object).await?;
        }
    }
    let phase = tell(hands, &view, running).await?;
    let requests: Vec<queue::Request> = view.requests.iter().map(|(r, n)| queued(r, *n, &view.object)).collect();
    let mut again = None;
    for decision in queue::next(&requests, phase == "Ready") {
        match decision {
            Decision::Skip(name, why) => end(hands, &view, &name, Phase::Skipped, &why).await?,
            Decision::AskApproval(name) => note(hands, &view, &name, Phase::WaitingForApproval).await?,
            Decision::Queue(name) => note(hands, &view, &name, Phase::Pending).await?,
            Decision::Start(name) => {
                start(hands, &view, &name).await?;
                again = Some(Duration::ZERO);
            }
            Decision::Continue(name) => again = step(hands, &view, &name).await?,
        }
    }
    Ok(again)
}

/// Writes the database's status where it differs, and answers its phase.
async fn tell(hands: &Hands, view: &View, paused: bool) -> Result<String, kube::Error> {
    let Some(object) = hands.get(&view.id) else { return Ok(String::new()) };
    let present = view.present(&hands.world(), &[]);
    let expected = view.sets.iter().filter(|_| !paused).all(|s| present.set(&s.name).is_some());
    let complete = expected && present.sets.iter().all(|s| present.is_complete(json::name(s)));
    let known = !view.sets.is_empty() || view.bare;
    let health = if known && (view.bare || complete) { Health::Complete } else { Health::Lacking };
    // Of a database without pods only the phase counts: a thousand of them are to cost few writes.
    let status = status::of(&object, health, paused && !view.bare);
    let phase = json::text(&status, "/phase").to_owned();
    let told = view.bare && json::text(&object, "/status/phase") == phase;
    if !told && object.get("status") != Some(&status) {
        hands.patch(&view.id, Some("status"), &json!({"status": status})).await?;
    }
    Ok(phase)
}

fn view(hands: &Hands, id: &Id) -> Option<View> {
    let world = hands.world();
    let object = world.get(id).filter(|o| !json::is_deleting(o))?;
    let engine = id.kind.engine()?;
    let bare = faults::is_on(&object, "no-pods", "");
    let sets = if bare { Vec::new() } else { layout::sets(engine, &object) };
    Some(View { id: id.clone(), engine, requests: world.requests(id), object, bare, sets })
}

impl View {
    /// The workloads, pods and claims there are, also of the workloads in `further`, and of those that were taken away.
    fn present(&self, world: &World, further: &[Set]) -> Present {
        let sets = world.children(json::uid(&self.object), &[Kind::PetSet, Kind::StatefulSet]);
        let mut present = Present { sets, ..Present::default() };
        let live = present.sets.iter().map(|s| (json::name(s), &**s));
        let planned = self.sets.iter().chain(further).map(|s| (s.name.as_str(), &s.object));
        let mut seen = Vec::new();
        for (name, set) in live.chain(planned) {
            let templates: Vec<&str> = json::list(set, "/spec/volumeClaimTemplates").iter().map(json::name).collect();
            let owned = world.children(json::uid(set), &[Kind::Pod]);
            let count = super::operation::replicas(set).max(i64::try_from(owned.len()).unwrap_or_default());
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            for ordinal in 0..count {
                let pod = world.get(&self.id.beside(Kind::Pod, &format!("{name}-{ordinal}")));
                present.pods.extend(pod.filter(|p| !owned.iter().any(|o| json::uid(o) == json::uid(p))));
                let claim = |t: &&str| dbscale_core::ownership::claim_name(t, name, ordinal);
                let claims = templates.iter().filter_map(|t| world.get(&self.id.beside(Kind::Claim, &claim(t))));
                present.claims.extend(claims);
            }
            present.pods.extend(owned);
        }
        present
    }

    fn request(&self, name: &str) -> Option<&Arc<Value>> {
        self.requests.iter().map(|(r, _)| r).find(|r| json::name(r) == name)
    }

    fn request_id(&self, name: &str) -> Id {
        // Two kinds that belong to one engine: the kind of its databases tells that of its requests.
        self.id.beside(Kind::Request(&self.engine.name), name)
    }
}

fn queued(request: &Value, arrival: u64, database: &Value) -> queue::Request {
    let phase = json::text(request, "/status/phase");
    queue::Request {
        name: json::name(request).to_owned(),
        ops_type: json::text(request, "/spec/type").to_owned(),
        phase: Phase::of(phase),
        untouched: phase.is_empty(),
        age: (json::text(request, "/metadata/creationTimestamp").to_owned(), arrival),
        always: json::text(request, "/spec/apply") == "Always",
        faults: Faults::of(request, database),
    }
}

/// Writes a phase that says no more than how the request waits.
async fn note(hands: &Hands, view: &View, name: &str, phase: Phase) -> Result<(), kube::Error> {
    let Some(request) = view.request(name) else { return Ok(()) };
    let status = json!({"phase": phase.word(), "observedGeneration": json::generation(request)});
    hands.patch(&view.request_id(name), Some("status"), &json!({"status": status})).await
}

async fn start(hands: &Hands, view: &View, name: &str) -> Result<(), kube::Error> {
    let Some(request) = view.request(name) else { return Ok(()) };
    lock(&hands.runs).insert(view.id.clone(), Run::new(json::uid(request)));
    let ops_type = json::text(request, "/spec/type");
    let message = format!("{} ops-request has started to process {ops_type}", view.engine.kind);
    let mut list = json::list(request, "/status/conditions").to_vec();
    conditions::set(&mut list, json::generation(request), ops_type, "True", ops_type, &message);
    write(hands, view, request, Phase::Progressing, list).await
}

/// One look at the operation that is at work. Answers when to look again.
async fn step(hands: &Hands, view: &View, name: &str) -> Result<Option<Duration>, kube::Error> {
    let Some(request) = view.request(name) else { return Ok(None) };
    let faults = Faults::of(request, &view.object);
    let known = lock(&hands.runs).get(&view.id).filter(|r| r.uid == json::uid(request)).cloned();
    let mut run = known.unwrap_or_else(|| Run::new(json::uid(request)));
    if let Some(rest) = faults.slow.checked_sub(run.started.elapsed()).filter(|r| !r.is_zero()) {
        return Ok(Some(rest));
    }
    let fails_now = faults.fail.clone().filter(|_| run.moves >= faults.fail_after);
    if let Some(message) = fails_now {
        end(hands, view, name, Phase::Failed, &message).await?;
        return Ok(None);
    }
    if faults.lie {
        end(hands, view, name, Phase::Successful, "").await?;
        return Ok(None);
    }
    let goal = match Goal::of(view.engine, request, &view.object) {
        Ok(goal) => goal,
        Err(why) => {
            end(hands, view, name, Phase::Failed, &why).await?;
            return Ok(None);
        }
    };
    let next = if view.bare {
        Next::Done
    } else {
        let after = layout::sets(view.engine, &goal.database);
        let present = view.present(&hands.world(), &after);
        goal.next(&view.sets, &after, &present, &run.no_resize)
    };
    match next {
        Next::Act(mut moves) => {
            if faults.fail.is_some() {
                // The fault strikes after so many steps, not after so many looks.
                moves.truncate(usize::try_from(faults.fail_after - run.moves).unwrap_or(usize::MAX));
            }
            let failed = act(hands, view, request, &moves, &mut run).await?;
            lock(&hands.runs).insert(view.id.clone(), run);
            if let Some(why) = failed {
                end(hands, view, name, Phase::Failed, &why).await?;
                return Ok(None);
            }
        }
        Next::Wait => {
            let timeout = faults::duration(json::text(request, "/spec/timeout"));
            if let Some(timeout) = timeout.filter(|t| run.moved.elapsed() > *t) {
                let why = format!("context deadline exceeded: the step took longer than {timeout:?}");
                end(hands, view, name, Phase::Failed, &why).await?;
                return Ok(None);
            }
            lock(&hands.runs).insert(view.id.clone(), run);
        }
        Next::Done if faults.fail.is_some() => {
            end(hands, view, name, Phase::Failed, faults.fail.as_deref().unwrap_or_default()).await?;
            return Ok(None);
        }
        Next::Done => {
            // On the object of now: what somebody wrote into it during the run stays.
            let write = |object: &mut Value| {
                if let Ok(goal) = Goal::of(view.engine, request, object) {
                    *object = goal.database;
                }
            };
            hands.update(&view.id, write).await?;
            end(hands, view, name, Phase::Successful, "").await?;
            return Ok(None);
        }
    }
    Ok(Some(POLL))
}

/// Carries out moves and notes them in the request. Answers why the operation fails, where it does.
async fn act(
    hands: &Hands,
    view: &View,
    request: &Value,
    moves: &[Move],
    run: &mut Run,
) -> Result<Option<String>, kube::Error> {
    let mut list = json::list(request, "/status/conditions").to_vec();
    let mut failed = None;
    for one in moves {
        let (step, object) = one.step();
        match carry_out(hands, view, one).await {
            Ok(()) => conditions::step(&mut list, json::generation(request), step, object),
            // KubeDB restarts a pod that cannot be resized in place.
            Err(error) if is_refused(&error) && matches!(one, Move::ResizePod(..)) => {
                run.no_resize.insert(object.to_owned());
            }
            Err(error) if is_refused(&error) => {
                failed = Some(message(&error));
                break;
            }
            Err(error) => return Err(error),
        }
        run.moves += 1;
        run.moved = Instant::now();
    }
    write(hands, view, request, Phase::Progressing, list).await?;
    Ok(failed)
}

async fn carry_out(hands: &Hands, view: &View, one: &Move) -> Result<(), kube::Error> {
    let beside = |kind, name: &str| view.id.beside(kind, name);
    match one {
        Move::CreateSet(kind, set) => hands.create(*kind, set).await,
        Move::PatchSet(kind, name, patch) => hands.patch(&beside(*kind, name), None, patch).await,
        Move::DeleteSet(kind, name, uid, leave) => {
            hands.delete(&beside(*kind, name), uid, *leave == super::operation::Leave::Pods).await
        }
        Move::DeletePod(name, uid) => hands.delete(&beside(Kind::Pod, name), uid, false).await,
        Move::ResizePod(name, containers) => {
            let patch = json!({"spec": {"containers": containers}});
            hands.patch(&beside(Kind::Pod, name), Some("resize"), &patch).await
        }
        Move::GrowClaim(name, size) => {
            let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            hands.patch(&beside(Kind::Claim, name), None, &patch).await
        }
    }
}

/// Ends a request: resumes its database, then writes the last conditions and the phase.
async fn end(hands: &Hands, view: &View, name: &str, phase: Phase, why: &str) -> Result<(), kube::Error> {
    let Some(request) = hands.get(&view.request_id(name)) else { return Ok(()) };
    if phase != Phase::Skipped {
        lock(&hands.runs).remove(&view.id);
        // Its object and workloads may be new by now.
        if let Some(fresh) = self::view(hands, &view.id) {
            tell(hands, &fresh, false).await?;
        }
    }
    let ops_type = json::text(&request, "/spec/type");
    let generation = json::generation(&request);
    let mut list = json::list(&request, "/status/conditions").to_vec();
    match phase {
        Phase::Successful => {
            let message = format!("Successfully completed {ops_type} for {}", view.engine.kind);
            conditions::set(&mut list, generation, "Successful", "True", "Successful", &message);
        }
        Phase::Skipped => conditions::set(&mut list, generation, "Skipped", "True", "Skipped", why),
        _ => conditions::set(&mut list, generation, ops_type, "False", "Failed", why),
    }
    write(hands, view, &request, phase, list).await
}

async fn write(
    hands: &Hands,
    view: &View,
    request: &Value,
    phase: Phase,
    conditions: Vec<Value>,
) -> Result<(), kube::Error> {
    let status = json!({
        "phase": phase.word(),
        "observedGeneration": json::generation(request),
        "conditions": conditions,
    });
    let id = view.request_id(json::name(request));
    hands.patch(&id, Some("status"), &json!({"status": status})).await
}
