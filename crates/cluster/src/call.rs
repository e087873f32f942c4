//! One call to an API server, with the tries that it takes.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use dbscale_transport::Renewal;
use http::{Method, Request};
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::{ApiFailure, Kind};

/// The longest pause between two tries, where the server does not ask for another.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A cluster that can be called.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: kube::Client,
    /// Where the client has one: so that an answer that has not come keeps nothing after it waiting.
    pub(crate) renewal: Option<Renewal>,
    /// The namespace that the kubeconfig's context names.
    pub default_namespace: String,
    /// The server's address, for messages.
    pub server: String,
    /// How long one call may take with all its tries.
    pub timeout: Duration,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<(&'static str, Vec<u8>)>,
}

/// The last answer, and whether a try that failed, this one or an earlier one, may have acted all the same.
#[derive(Debug)]
pub(crate) struct Answer<T = Value> {
    pub value: Result<T, ApiFailure>,
    pub maybe_acted: bool,
}

/// A try that failed.
struct Miss {
    failure: ApiFailure,
    maybe_acted: bool,
}

impl Call {
    /// A GET.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), query: Vec::new(), body: None }
    }

    /// A POST of a JSON object.
    #[must_use]
    pub fn post(path: impl Into<String>, object: &Value) -> Self {
        let body = Some(("application/json", object.to_string().into_bytes()));
        Self { method: Method::POST, path: path.into(), query: Vec::new(), body }
    }

    /// A PATCH; `kind` is its content type.
    #[must_use]
    pub fn patch(path: impl Into<String>, kind: &'static str, body: Vec<u8>) -> Self {
        Self { method: Method::PATCH, path: path.into(), query: Vec::new(), body: Some((kind, body)) }
    }

    /// A PUT of a JSON object.
    #[must_use]
    pub fn put(path: impl Into<String>, object: &Value) -> Self {
        Self { method: Method::PUT, ..Self::post(path, object) }
    }

    /// A DELETE with its options, a JSON object.
    #[must_use]
    pub fn delete(path: impl Into<String>, options: &Value) -> Self {
        Self { method: Method::DELETE, ..Self::post(path, options) }
    }

    /// The same with a query parameter, where it is given.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.query.extend(value.map(|v| (name, v.to_owned())));
        self
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn request(&self) -> Result<Request<Body>, http::Error> {
        let mut uri = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(name);
            uri.push('=');
            uri.push_str(&escape(value));
        }
        let request = Request::builder().method(&self.method).uri(uri).header("accept", "application/json");
        match &self.body {
            Some((kind, bytes)) => request.header("content-type", *kind).body(Body::from(bytes.clone())),
            None => request.body(Body::empty()),
        }
    }
}

impl Cluster {
    /// A cluster behind a client.
    #[must_use]
    pub fn new(client: kube::Client, server: String, timeout: Duration) -> Self {
        let default_namespace = client.default_namespace().to_owned();
        Self { client, renewal: None, default_namespace, server, timeout, warnings: Arc::default() }
    }

    /// The same cluster, through the same client, with a list of warnings of its own: one for each target of a command,
    /// so that every warning is told where it belongs.
    #[must_use]
    pub fn separate(&self) -> Self {
        Self { warnings: Arc::default(), ..self.clone() }
    }

    /// The same cluster with another time for one call; warnings are shared.
    pub(crate) fn within(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The warnings that the API server has sent since the last time, each once; clones share them.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.lock().map(|mut w| std::mem::take(&mut *w)).unwrap_or_default()
    }

    /// Calls, and calls again where that may help: on a broken connection, 429 and 5xx, with a growing and random pause,
    /// or the one that the server asks for, until the time is over.
    ///
    /// # Errors
    /// [`ApiFailure`]: the last one. Other 4xx are not tried again.
    pub async fn call(&self, call: &Call) -> Result<Value, ApiFailure> {
        self.call_as(call).await
    }

    /// As [`Cluster::call`], and reads of the answer what `T` has a place for: of a large one the rest costs next to nothing.
    ///
    /// # Errors
    /// As [`Cluster::call`].
    pub async fn call_as<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ApiFailure> {
        self.call_noting(call).await.value
    }

    /// As [`Cluster::call`], for calls that write: tells too whether a try got lost on the way.
    pub(crate) async fn call_noting<T: DeserializeOwned>(&self, call: &Call) -> Answer<T> {
        // The time is counted up and never added to an instant: the server may ask for a pause that no clock can hold.
        let began = Instant::now();
        let left = || self.timeout.saturating_sub(began.elapsed());
        let mut pauses = pauses();
        let mut maybe_acted = false;
        loop {
            let miss = match tokio::time::timeout(left(), self.once(call)).await {
                Ok(Ok(value)) => return Answer { value: Ok(value), maybe_acted },
                Ok(Err(miss)) => miss,
                Err(_) => {
                    if let Some(renewal) = &self.renewal {
                        renewal.renew();
                    }
                    let message = format!("no answer from {} within {:.0?}", self.server, self.timeout);
                    let failure = ApiFailure { kind: Kind::Timeout, ..ApiFailure::unreachable(&call.name(), message) };
                    return Answer { value: Err(failure), maybe_acted: true };
                }
            };
            let failure = miss.failure;
            maybe_acted |= miss.maybe_acted;
            let pause = failure.retry_after.map(Duration::from_secs).or_else(|| pauses.next());
            let pause = pause.unwrap_or(LONGEST_PAUSE);
            if !failure.may_pass() || pause >= left() {
                return Answer { value: Err(failure), maybe_acted };
            }
            tracing::debug!(call = %call.name(), %failure, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn once<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Miss> {
        let lost = |maybe_acted: bool, error: &dyn Error| {
            let message = format!("{} could not be reached: {}", self.server, chain(error));
            Miss { failure: ApiFailure::unreachable(&call.name(), message), maybe_acted }
        };
        let request = call.request().map_err(|e| lost(false, &e))?;
        // Taken apart: a body cannot be shared between threads, so a server could not wait for it beside a look at the headers.
        let (response, body) = self.client.send(request).await.map_err(|e| lost(!never_sent(&e), &e))?.into_parts();
        let code = response.status.as_u16();
        let header = |name: &str| response.headers.get(name).and_then(|v| v.to_str().ok().map(str::to_owned));
        let retry_after = header("retry-after").and_then(|v| v.parse().ok());
        for value in response.headers.get_all("warning") {
            if let (Ok(text), Ok(mut warnings)) = (value.to_str(), self.warnings.lock()) {
                let text = warning_text(text);
                if !warnings.contains(&text) {
                    warnings.push(text);
                }
            }
        }
        let body = body.collect_bytes().await.map_err(|e| lost(true, &e))?;
        if code >= 400 {
            let mut failure = ApiFailure::of(&call.name(), code, &body);
            failure.retry_after = retry_after.or(failure.retry_after);
            return Err(Miss { maybe_acted: failure.may_have_acted(), failure });
        }
        serde_json::from_slice(&body).map_err(|error| {
            // A body that breaks off in the middle is a lost answer like any other.
            let message = format!("the answer is no JSON: {error}");
            Miss { failure: ApiFailure::unreachable(&call.name(), message), maybe_acted: true }
        })
    }
}

/// Pauses that grow, each a little random, so that many callers do not come back at once.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Whether no connection came about, so that the server cannot have seen the request.
fn never_sent(error: &kube::Error) -> bool {
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<hyper_util::client::legacy::Error>() {
            return error.is_connect();
        }
        next = cause.source();
    }
    false
}

/// The text of a `Warning` header: `299 - "text"`.
fn warning_text(header: &str) -> String {
    let quoted = header.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(header, |(text, _)| text).replace("\\\"", "\"")
}

/// An error and its causes in one line, without what a cause repeats.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

fn escape(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
