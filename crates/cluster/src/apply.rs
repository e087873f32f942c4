//! Writes: a create that can be repeated, and a patch that overwrites nobody.

use std::time::Duration;

use dbscale_core::plan::REQUEST_ID;
use serde_json::Value;
use tokio::time::Instant;

use crate::call::{Answer, Call, Cluster, pauses};
use crate::error::{ApiFailure, Kind, namespace_of};

/// How long a lost call is looked for: the call's own time may be over, and a slow admission webhook may hold it up.
const LOOK: Duration = Duration::from_secs(5);

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// Ask the server what it would do, and do nothing.
    pub dry_run: bool,
    /// Who the fields belong to.
    pub field_manager: String,
}

impl Write {
    /// A call that writes in this way.
    pub(crate) fn on(&self, call: Call) -> Call {
        call.query("fieldManager", Some(&self.field_manager)).query("dryRun", self.dry_run.then_some("All"))
    }
}

/// What came of a create.
#[derive(Debug)]
pub enum Created {
    /// It is there, made by this call or by an earlier try of it.
    Ours(Value),
    /// Another object has the name.
    Taken,
}

/// What is found where a lost call may have acted.
pub(crate) enum Trace {
    /// The object as the call wanted it, by its request id where it has one.
    Ours(Value),
    /// An object that is not so.
    Other,
    /// Nothing.
    Missing,
    /// Looking failed too.
    Unknown(ApiFailure),
}

impl Cluster {
    /// Creates an object. A try whose answer got lost is recognised by the object's request id, both when the server then
    /// says that it exists and when the time is over: never two objects, never a false failure.
    ///
    /// # Errors
    /// What the server says, but for an existing object. Where nobody can tell whether it was made, the message says so.
    pub async fn create(&self, collection: &str, object: &Value, write: &Write) -> Result<Created, ApiFailure> {
        let call = write.on(Call::post(collection, object)).query("fieldValidation", Some("Strict"));
        let Answer { value, maybe_acted } = self.call_noting(&call).await;
        let failure = match value {
            Ok(made) => return Ok(Created::Ours(made)),
            Err(failure) => failure,
        };
        let exists = failure.kind == Kind::AlreadyExists;
        if write.dry_run {
            // Nothing was made by this call, whatever is there.
            return if exists { Ok(Created::Taken) } else { Err(failure) };
        }
        if !maybe_acted && !exists {
            return Err(failure);
        }
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let path = format!("{collection}/{name}");
        let id = request_id(object);
        match self.trace(&path, |there| id.is_some() && request_id(there) == id, &failure).await {
            Trace::Ours(made) => Ok(Created::Ours(made)),
            Trace::Other if exists || failure.is_open() => Ok(Created::Taken),
            // Gone again since the server said that it exists, and no try of this call can have made it.
            Trace::Missing if exists && !maybe_acted => Ok(Created::Taken),
            Trace::Missing | Trace::Other if !exists && !failure.is_open() => Err(failure),
            trace => Err(unsure(failure, &trace, &path, "made")),
        }
    }

    /// Applies a JSON Patch whose first operations test what was read. A try whose answer got lost is recognised by the
    /// request id that the patch itself writes.
    ///
    /// # Errors
    /// [`Kind::Conflict`] where a test does not hold any more; else what the server says. Where nobody can tell whether
    /// the object was changed, the message says so.
    pub async fn patch_guarded(
        &self,
        object: &str,
        patch: &json_patch::Patch,
        id: &str,
        write: &Write,
    ) -> Result<Value, ApiFailure> {
        let body = serde_json::to_vec(patch).unwrap_or_default();
        let call = write.on(Call::patch(object, "application/json-patch+json", body));
        let Answer { value, maybe_acted } = self.call_noting(&call.query("fieldValidation", Some("Strict"))).await;
        let mut failure = match value {
            Ok(object) => return Ok(object),
            Err(failure) => failure,
        };
        if failure.is_failed_test() {
            failure.kind = Kind::Conflict;
        }
        if !maybe_acted || write.dry_run {
            return Err(failure);
        }
        match self.trace(object, |there| request_id(there) == Some(id), &failure).await {
            Trace::Ours(there) => Ok(there),
            Trace::Missing | Trace::Other if !failure.is_open() => Err(failure),
            trace => Err(unsure(failure, &trace, object, "changed")),
        }
    }

    /// Applies an object on the server's side: afterwards the fields in it are as they stand here, and belong to this
    /// manager alone. Applying it again changes nothing.
    ///
    /// # Errors
    /// What the server says; [`Kind::NotFound`] where `path` is a status of an object that is not there.
    pub async fn apply(&self, path: &str, object: &Value, write: &Write) -> Result<Value, ApiFailure> {
        let call = Call::patch(path, "application/apply-patch+yaml", object.to_string().into_bytes());
        let call = write.on(call).query("force", Some("true")).query("fieldValidation", Some("Strict"));
        self.call(&call).await
    }

    /// Deletes exactly the object that was seen: not another one of its name, and not one that has changed since.
    /// Answers whether this call or another one did.
    ///
    /// # Errors
    /// [`Kind::Conflict`] where it has changed; else what the server says.
    pub async fn delete(
        &self,
        path: &str,
        uid: &str,
        resource_version: &str,
        write: &Write,
    ) -> Result<bool, ApiFailure> {
        // All in the body: where there is one, the API server does not look at the query, and would delete on a dry run.
        let options = serde_json::json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
            "dryRun": if write.dry_run { vec!["All"] } else { Vec::new() },
        });
        match self.call(&Call::delete(path, &options)).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.kind == Kind::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Looks whether a call whose answer got lost was `done`. While `failure` leaves that open, it looks again for
    /// [`LOOK`]: the server may still be at it.
    pub(crate) async fn trace(&self, path: &str, done: impl Fn(&Value) -> bool, failure: &ApiFailure) -> Trace {
        let began = Instant::now();
        let mut pauses = pauses();
        loop {
            let left = LOOK.saturating_sub(began.elapsed());
            let trace = match self.within(left).call(&Call::get(path)).await {
                Ok(there) if done(&there) => return Trace::Ours(there),
                Ok(_) => Trace::Other,
                Err(look) if look.kind == Kind::NotFound => Trace::Missing,
                Err(look) => return Trace::Unknown(look),
            };
            let pause = pauses.next().unwrap_or(LOOK);
            if !failure.is_open() || began.elapsed() + pause >= LOOK {
                return trace;
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// The failure of a call of which nobody can tell whether it has `done` something to the object at `path`.
pub(crate) fn unsure(mut failure: ApiFailure, trace: &Trace, path: &str, done: &str) -> ApiFailure {
    let found = match trace {
        Trace::Unknown(look) => format!("looking for it failed too: {look}"),
        Trace::Missing => "it was not there afterwards".to_owned(),
        Trace::Other | Trace::Ours(_) => "it was not so afterwards".to_owned(),
    };
    let (name, namespace) = (object_of(path), namespace_of(path).map(|n| format!(" -n {n}")).unwrap_or_default());
    failure.message = format!(
        "{}; {name} may have been {done} all the same ({found}): see kubectl get {name}{namespace} before you ask again",
        failure.message
    );
    failure
}

/// What a path names, as kubectl takes it: `mongodbs/my-db`.
fn object_of(path: &str) -> &str {
    path.rmatch_indices('/').nth(1).map_or(path, |(at, _)| &path[at + 1..])
}

fn request_id(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(REQUEST_ID)?.as_str()
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
