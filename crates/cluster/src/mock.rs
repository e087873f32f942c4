//! An API server that plays a script: for answers that a real one cannot be made to give.

use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Cluster;

/// What the server does with one request.
pub enum Act {
    /// Answers with a code and a body.
    Answer(u16, Value),
    /// Answers with a code, a body and a header.
    With(u16, Value, &'static str, &'static str),
    /// Answers with a code and bytes that may be no JSON.
    Text(u16, &'static str),
    /// Breaks the connection.
    Cut,
    /// Never answers.
    Silence,
}

/// A request that came.
#[derive(Debug)]
pub struct Asked {
    /// `GET /path?query`.
    pub line: String,
    /// Its body; null where it had none.
    pub body: Value,
    /// When it came, counted from the start of the script.
    pub at: Duration,
}

/// A cluster behind a script, and the requests that came, once the cluster is dropped. A request beyond the script panics.
pub fn cluster(timeout: Duration, script: Vec<Act>) -> (Cluster, JoinHandle<Vec<Asked>>) {
    let (service, mut requests) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let began = Instant::now();
    let played = tokio::spawn(async move {
        let mut script = script.into_iter();
        let (mut asked, mut silent) = (Vec::new(), Vec::new());
        while let Some((request, respond)) = requests.next_request().await {
            let line = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect_bytes().await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let act = script.next().unwrap_or_else(|| panic!("{line} was not expected after {asked:#?}"));
            asked.push(Asked { line, body, at: began.elapsed() });
            let answer = |code: u16| Response::builder().status(code);
            let json = |body: &Value| Body::from(body.to_string().into_bytes());
            match act {
                Act::Answer(code, body) => respond.send_response(answer(code).body(json(&body)).unwrap()),
                Act::With(code, body, name, value) => {
                    respond.send_response(answer(code).header(name, value).body(json(&body)).unwrap());
                }
                Act::Text(code, text) => {
                    respond.send_response(answer(code).body(Body::from(text.as_bytes().to_vec())).unwrap());
                }
                Act::Cut => respond.send_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                Act::Silence => silent.push(respond),
            }
        }
        asked
    });
    (Cluster::new(kube::Client::new(service, "demo"), "https://cluster.test".to_owned(), timeout), played)
}

/// An answer that says no: a `Status`.
pub fn status(code: u16, reason: &str, message: &str) -> Act {
    Act::Answer(
        code,
        serde_json::json!({"kind": "Status", "code": code, "reason": reason, "message": message,
        "details": {"name": "it"}}),
    )
}
