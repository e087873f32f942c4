//! `POST /validate`: reads, judges, answers, and keeps count.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::poll;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::answer;
use crate::judge::{Judge, Verdict};
use crate::metrics::{Metrics, Reviewed};
use crate::review::{self, Operation, Review};

/// What a body may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one body. A review holds an object twice, and the API server takes objects of 3 MB.
    pub body: usize,
    /// Bytes of all bodies together that are larger than [`SMALL`]; who comes when they are full waits.
    pub bodies: usize,
    /// For a body to arrive.
    pub arrival: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 7 << 20, bodies: 64 << 20, arrival: Duration::from_secs(5) }
    }
}

/// A body of this size or less is not counted: as many as there are connections fit.
const SMALL: usize = 64 << 10;

/// The webhook.
pub struct App {
    judge: Judge,
    metrics: Metrics,
    limits: Limits,
    room: Semaphore,
    buffers: Buffers,
}

/// Buffers for bodies that wait for the next one. What is as large as a body is not cheap to take from the heap and to give
/// back: that is when the allocator tidies up.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

/// How many buffers wait at most.
const WAITING: usize = 8;

/// A buffer in use; it waits again when it is dropped.
struct Buffer<'b> {
    bytes: Vec<u8>,
    of: &'b Buffers,
}

impl Buffers {
    fn waiting(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let mut waiting = self.of.waiting();
        if self.bytes.capacity() <= SMALL && waiting.len() < WAITING {
            self.bytes.clear();
            waiting.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Why a request gets no review in answer.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body broke off")]
    Broken,
    #[error(transparent)]
    Malformed(#[from] review::ReviewError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Malformed(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl App {
    /// A webhook.
    #[must_use]
    pub fn new(judge: Judge, metrics: Metrics, limits: Limits) -> Arc<Self> {
        let room = Semaphore::new(limits.bodies);
        Arc::new(Self { judge, metrics, limits, room, buffers: Buffers::default() })
    }

    /// Its one path.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/validate", post(validate)).with_state(self)
    }

    async fn answer(&self, request: Request, began: Instant) -> Result<Bytes, Refusal> {
        let mut body = Buffer { bytes: Vec::new(), of: &self.buffers };
        let _room = self.body(request, &mut body.bytes).await?;
        let mut review = review::read(&body.bytes)?;
        let verdict = self.judge.judge(&mut review).await;
        let answer = answer::write(&review, &verdict.findings);
        self.tell(&review, &verdict, began);
        Ok(answer.into())
    }

    /// Reads the body, and answers the room that it takes.
    async fn body(&self, request: Request, into: &mut Vec<u8>) -> Result<Option<SemaphorePermit<'_>>, Refusal> {
        let limit = self.limits.body;
        let told: Option<usize> =
            request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        // Without a length it may be as long as any.
        let length = told.unwrap_or(limit);
        if length > limit {
            return Err(Refusal::TooLarge(limit));
        }
        if length <= SMALL {
            *into = self.buffers.waiting().pop().unwrap_or_default();
        }
        let arrive = async {
            let room = if length > SMALL {
                let length = u32::try_from(length.min(self.limits.bodies)).unwrap_or(u32::MAX);
                self.room.acquire_many(length).await.ok()
            } else {
                None
            };
            // It may say a length and send nothing: what is not written to is no memory yet.
            into.reserve_exact(told.unwrap_or_default());
            let mut frames = Limited::new(request.into_body(), limit);
            while let Some(frame) = frames.frame().await {
                match frame {
                    // What is no data is trailers.
                    Ok(frame) => frame.into_data().into_iter().for_each(|data| into.extend_from_slice(&data)),
                    Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge(limit)),
                    Err(_) => return Err(Refusal::Broken),
                }
            }
            Ok(room)
        };
        let mut arrive = pin!(arrive);
        // Most bodies are there with their head: no timer is set for those.
        if let Poll::Ready(arrived) = poll!(arrive.as_mut()) {
            return arrived;
        }
        let late = |_| Refusal::TooSlow(self.limits.arrival);
        tokio::time::timeout(self.limits.arrival, arrive).await.map_err(late)?
    }

    /// Counts, and writes one line where it refuses, or would.
    fn tell(&self, review: &Review<'_>, verdict: &Verdict, began: Instant) {
        let engine = review.known.map_or("other", |known| known.engine.name.as_str());
        let operation = match review.operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Other => "other",
        };
        let outcome = match verdict {
            Verdict { judged: false, .. } => "passed",
            Verdict { findings, .. } if findings.is_empty() => "allowed",
            verdict if verdict.refuses() => "refused",
            _ => "warned",
        };
        let reviewed = Reviewed { engine, operation, verdict: outcome };
        self.metrics.count(reviewed, &verdict.findings, began.elapsed());
        let refusing = verdict.findings.iter().filter(|f| f.refuses()).map(|f| f.rule);
        let rules: Vec<&str> = refusing.chain(verdict.spared.iter().copied()).map(|rule| rule.0).collect();
        if !rules.is_empty() {
            tracing::info!(
                rule = rules.join(","),
                engine,
                namespace = %review.namespace,
                name = %review.name,
                operation,
                uid = %review.uid,
                user = %review.user,
                dry_run = review.dry_run,
                "{}",
                if verdict.refuses() { "refused" } else { "let in with a warning" }
            );
        }
    }
}

async fn validate(State(app): State<Arc<App>>, request: Request) -> Response {
    let began = Instant::now();
    app.metrics.in_flight.inc();
    let answer = app.answer(request, began).await;
    app.metrics.in_flight.dec();
    match answer {
        Ok(answer) => {
            let mut response = Response::new(Body::from(answer));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(refusal) => {
            let reviewed = Reviewed { engine: "other", operation: "other", verdict: "malformed" };
            app.metrics.count(reviewed, &[], began.elapsed());
            tracing::debug!(error = %refusal, "no review");
            (refusal.status(), format!("{refusal}\n")).into_response()
        }
    }
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
