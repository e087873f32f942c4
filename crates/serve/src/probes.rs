//! A plain port of its own for `/livez`, `/readyz` and `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;

/// What has to be so before the program is ready: named gates, each open or closed for a reason.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

/// One condition of readiness.
#[derive(Debug, Clone)]
pub struct Gate {
    name: &'static str,
    all: Readiness,
}

impl Readiness {
    /// A new gate, closed because it is `waiting`.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        let gate = Gate { name, all: self.clone() };
        gate.close("waiting");
        gate
    }

    /// The closed gates with their reasons; ready where there are none.
    #[must_use]
    pub fn closed(&self) -> Vec<(&'static str, String)> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.iter().filter_map(|(name, closed)| Some((*name, closed.clone()?))).collect()
    }

    fn set(&self, name: &'static str, closed: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, closed);
    }
}

impl Gate {
    /// The condition holds.
    pub fn open(&self) {
        self.all.set(self.name, None);
    }

    /// The condition does not hold.
    pub fn close(&self, reason: impl Into<String>) {
        self.all.set(self.name, Some(reason.into()));
    }
}

/// The probes and metrics of a program.
pub fn router(readiness: Readiness, metrics: Arc<Registry>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(told).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let closed = readiness.closed();
    if closed.is_empty() {
        return "ok\n".into_response();
    }
    let lines: Vec<String> = closed.iter().map(|(name, reason)| format!("{name}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat()).into_response()
}

async fn told(State(metrics): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &metrics) {
        Ok(()) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, form)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus_client::metrics::counter::Counter;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let code = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_means_that_every_gate_is_open() {
        let readiness = Readiness::default();
        let (socket, caches) = (readiness.gate("socket"), readiness.gate("caches"));
        let router = router(readiness, Arc::default());
        assert_eq!(ask(&router, "/readyz").await, (503, "caches: waiting\nsocket: waiting\n".to_owned()));
        socket.open();
        caches.close("mongodbs are not read yet");
        assert_eq!(ask(&router, "/readyz").await, (503, "caches: mongodbs are not read yet\n".to_owned()));
        caches.open();
        assert_eq!(ask(&router, "/readyz").await, (200, "ok\n".to_owned()));
        socket.close("stopping");
        assert_eq!(ask(&router, "/readyz").await, (503, "socket: stopping\n".to_owned()));
        assert_eq!(ask(&router, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_in_the_open_metrics_form() {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("requests", "Requests", counter.clone());
        counter.inc();
        let (code, text) = ask(&router(Readiness::default(), Arc::new(registry)), "/metrics").await;
        assert_eq!(code, 200);
        assert!(text.contains("requests_total 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
