//! Writes: a create that can be repeated, and a patch that overwrites nobody.

use dbscale_core::plan::REQUEST_ID;
use serde_json::Value;

use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// Ask the server what it would do, and do nothing.
    pub dry_run: bool,
    /// Who the fields belong to.
    pub field_manager: String,
}

/// What came of a create.
#[derive(Debug)]
pub enum Created {
    /// It is there, made by this call or by an earlier try of it.
    Ours(Value),
    /// Another object has the name.
    Taken,
}

impl Cluster {
    /// Creates an object. A try whose answer got lost is recognised by the object's request id when the server then says
    /// that it exists: never two objects, never a false failure.
    ///
    /// # Errors
    /// What the server says, but for an existing object.
    pub async fn create(&self, collection: &str, object: &Value, write: &Write) -> Result<Created, ApiFailure> {
        let call = Call::post(collection, object)
            .query("fieldManager", Some(&write.field_manager))
            .query("fieldValidation", Some("Strict"))
            .query("dryRun", write.dry_run.then_some("All"));
        match self.call_noting(&call).await.value {
            Ok(made) => Ok(Created::Ours(made)),
            Err(failure) if failure.kind == Kind::AlreadyExists => self.whose(collection, object).await,
            // The server may have acted just before it fell silent: look once more before saying that it failed.
            Err(failure) if failure.may_pass() && !write.dry_run => match self.whose(collection, object).await {
                Ok(Created::Ours(made)) => Ok(Created::Ours(made)),
                _ => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }

    async fn whose(&self, collection: &str, object: &Value) -> Result<Created, ApiFailure> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let there = self.call(&Call::get(format!("{collection}/{name}"))).await?;
        Ok(if request_id(&there).is_some() && request_id(&there) == request_id(object) {
            Created::Ours(there)
        } else {
            Created::Taken
        })
    }

    /// Applies a JSON Patch whose first operations test what was read. A try whose answer got lost is recognised by the
    /// request id that the patch itself writes.
    ///
    /// # Errors
    /// [`Kind::Conflict`] where a test does not hold any more; else what the server says.
    pub async fn patch_guarded(
        &self,
        object: &str,
        patch: &json_patch::Patch,
        id: &str,
        write: &Write,
    ) -> Result<Value, ApiFailure> {
        let body = serde_json::to_vec(patch).unwrap_or_default();
        let call = Call::patch(object, "application/json-patch+json", body)
            .query("fieldManager", Some(&write.field_manager))
            .query("fieldValidation", Some("Strict"))
            .query("dryRun", write.dry_run.then_some("All"));
        let answer = self.call_noting(&call).await;
        let mut failure = match answer.value {
            Ok(object) => return Ok(object),
            Err(failure) => failure,
        };
        let tested = failure.code == 422
            && failure.message.contains("the server rejected our request due to an error in our request");
        let tested = tested || failure.message.contains("testing value") || failure.message.contains("test failed");
        if answer.maybe_acted && (tested || failure.may_pass()) && !write.dry_run {
            let there = self.call(&Call::get(object)).await?;
            if request_id(&there) == Some(id) {
                return Ok(there);
            }
        }
        if tested {
            failure.kind = Kind::Conflict;
        }
        Err(failure)
    }

    /// Asks a claim for a larger size, unless somebody has changed it since it was read.
    ///
    /// # Errors
    /// What the server says.
    pub async fn grow_claim(
        &self,
        namespace: &str,
        claim: &str,
        size: &str,
        write: &Write,
    ) -> Result<Value, ApiFailure> {
        let body = serde_json::json!({"spec": {"resources": {"requests": {"storage": size}}}});
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}");
        let call = Call::patch(path, "application/merge-patch+json", body.to_string().into_bytes())
            .query("fieldManager", Some(&write.field_manager))
            .query("dryRun", write.dry_run.then_some("All"));
        self.call(&call).await
    }
}

fn request_id(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(REQUEST_ID)?.as_str()
}
