//! Growing a claim: never against a change that was not seen, and never down.

use dbscale_core::quantity::Quantity;
use serde_json::{Value, json};

use crate::apply::{Trace, Write, unsure};
use crate::call::{Answer, Call, Cluster};
use crate::error::{ApiFailure, Kind};

/// How often a claim is read again that somebody else changes at the same time. Its status changes while it grows.
const READS: u32 = 5;

/// What came of growing a claim.
#[derive(Debug)]
pub enum Grown {
    /// It asks for the size now; the claim.
    Asked(Value),
    /// It asked for that much already and was left alone; the claim.
    Enough(Value),
}

impl Cluster {
    /// Asks a claim for a larger size, guarded by the UID and the version that were read: a claim that somebody changes in
    /// between is read again, and one that asks for as much or more is left alone. `size` is in bytes.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where the claim is not there or is being deleted, [`Kind::Conflict`] where others change it
    /// faster than it can be read; else what the server says.
    pub async fn grow_claim(
        &self,
        namespace: &str,
        claim: &str,
        size: Quantity,
        write: &Write,
    ) -> Result<Grown, ApiFailure> {
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}");
        let mut reads = 0;
        loop {
            reads += 1;
            let present = self.call(&Call::get(&path)).await?;
            if let Some(since) = present["metadata"]["deletionTimestamp"].as_str() {
                let message = format!("claim {namespace}/{claim} is being deleted since {since} and cannot grow");
                return Err(refusal(&path, Kind::NotFound, message));
            }
            let now = requested(&present).map_err(|why| {
                let message =
                    format!("claim {namespace}/{claim} was left alone, since nobody can tell its size: {why}");
                refusal(&path, Kind::Invalid, message)
            })?;
            if now >= size {
                return Ok(Grown::Enough(present));
            }
            let body = json!({
                "metadata": {"uid": present["metadata"]["uid"], "resourceVersion": present["metadata"]["resourceVersion"]},
                "spec": {"resources": {"requests": {"storage": size.to_string()}}},
            });
            let call = Call::patch(&path, "application/merge-patch+json", body.to_string().into_bytes());
            let Answer { value, maybe_acted } = self.call_noting(&write.on(call)).await;
            match value {
                Ok(grown) => return Ok(Grown::Asked(grown)),
                // Somebody was faster, or a try of this call whose answer got lost: the next read tells.
                Err(failure) if failure.kind == Kind::Conflict && reads < READS => {}
                Err(failure) if maybe_acted && !write.dry_run => {
                    let done = |there: &Value| requested(there).is_ok_and(|now| now >= size);
                    return match self.trace(&path, done, &failure).await {
                        Trace::Ours(grown) => Ok(Grown::Asked(grown)),
                        Trace::Missing | Trace::Other if !failure.is_open() => Err(failure),
                        trace => Err(unsure(failure, &trace, &path, "grown")),
                    };
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// What a claim asks for; what is wrong with it where that is no amount.
fn requested(claim: &Value) -> Result<Quantity, String> {
    let value = claim.pointer("/spec/resources/requests/storage").unwrap_or(&Value::Null);
    Quantity::from_json(value).map_err(|error| error.to_string())
}

fn refusal(path: &str, kind: Kind, message: String) -> ApiFailure {
    ApiFailure { kind, ..ApiFailure::unreachable(&format!("PATCH {path}"), message) }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
