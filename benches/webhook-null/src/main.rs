//! What dbscale's webhook is measured beside: the same accept loop, TLS and settings, a body that is read whole, and one answer
//! to everything. `cargo xtask bench webhook` builds and runs it.

use std::env;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use dbscale_serve::certificate::{Files, unix_now_s};
use dbscale_serve::{Certificate, Limits, Stop, serve};
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;

/// An admission of the review that the benchmark sends.
const ANSWER: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}"#;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, certificate, key] = arguments.as_slice() else {
        anyhow::bail!("usage: webhook-null ADDRESS CERTIFICATE KEY");
    };
    let pair = Files::new(certificate.into(), key.into()).read(unix_now_s())?.context("no certificate")?;
    let tls = Arc::new(Certificate::new(pair).server_config()?);
    let router = Router::new().route("/validate", post(answer));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        serve(listener, Some(tls), router, Limits::default(), Stop::default()).await;
        Ok(())
    })
}

async fn answer(request: Request) -> Response {
    if request.into_body().collect().await.is_err() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut response = Response::new(Body::from(ANSWER));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
