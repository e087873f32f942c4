use axum::body::to_bytes;
use futures::stream;
use prometheus_client::registry::Registry;
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::testing::{World, create, database, horizontal};

fn router(limits: Limits) -> (Router, Registry) {
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let world = World::new().known(&[database()], &[]);
    (App::new(world.judge, metrics, limits).router(), registry)
}

async fn post(router: &Router, body: Body) -> (u16, String) {
    let request = Request::post("/validate").body(body).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

#[rstest]
#[case::right(5, true, &[])]
#[case::wrong(0, false, &["replicas/minimum"])]
#[tokio::test]
async fn reviews_are_answered_with_their_uid(#[case] replicas: i64, #[case] allowed: bool, #[case] ids: &[&str]) {
    let (router, _) = router(Limits::default());
    let (code, body) = post(&router, create(&horizontal("ask", replicas)).to_string().into()).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (code, &answer["response"]["uid"], &answer["response"]["allowed"]),
        (200, &json!("r-1"), &json!(allowed))
    );
    let causes = answer["response"]["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
    assert_eq!(causes.iter().map(|c| c["reason"].as_str().unwrap()).collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn bad_bodies_are_told_what_is_wrong() {
    let (router, _) = router(Limits { body: 1000, arrival: Duration::from_millis(50), ..Limits::default() });
    let text = |(code, body): (u16, String)| (code, body.trim_end().to_owned());
    let (code, said) = text(post(&router, "garbage".into()).await);
    assert_eq!(code, 400);
    assert!(said.starts_with("the body is no AdmissionReview: "), "{said}");
    assert_eq!(
        text(post(&router, vec![b' '; 1001].into()).await),
        (413, "the body is longer than 1000 bytes".to_owned())
    );
    // Without a length, chunk by chunk.
    let chunks = stream::iter((0..1001).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b" "))));
    assert_eq!(text(post(&router, Body::from_stream(chunks)).await).0, 413);
    let never = stream::pending::<Result<Bytes, std::io::Error>>();
    assert_eq!(
        text(post(&router, Body::from_stream(never)).await),
        (408, "the body did not arrive within 50ms".to_owned())
    );
    let cut = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("cut"))]);
    assert_eq!(text(post(&router, Body::from_stream(cut)).await), (400, "the body broke off".to_owned()));
}

#[tokio::test]
async fn only_posts_to_its_one_path_are_answered() {
    let (router, _) = router(Limits::default());
    let code = async |request: Request| router.clone().oneshot(request).await.unwrap().status().as_u16();
    assert_eq!(code(Request::get("/validate").body(Body::empty()).unwrap()).await, 405);
    assert_eq!(code(Request::post("/").body(Body::empty()).unwrap()).await, 404);
}

#[tokio::test]
async fn what_came_of_reviews_is_counted() {
    let (router, registry) = router(Limits::default());
    post(&router, create(&horizontal("a", 0)).to_string().into()).await;
    post(&router, create(&horizontal("b", 5)).to_string().into()).await;
    post(&router, "garbage".into()).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"dbscale_webhook_reviews_total{engine="mongodb",operation="create",verdict="refused"} 1"#,
        r#"dbscale_webhook_reviews_total{engine="mongodb",operation="create",verdict="allowed"} 1"#,
        r#"dbscale_webhook_reviews_total{engine="other",operation="other",verdict="malformed"} 1"#,
        r#"dbscale_webhook_findings_total{engine="mongodb",rule="replicas/minimum",severity="deny"} 1"#,
        "dbscale_webhook_duration_seconds_count 3",
        "dbscale_webhook_in_flight 0",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_small_buffer_waits_for_the_next_body_and_a_large_one_does_not() {
    let world = World::new().known(&[database()], &[]);
    let app = App::new(world.judge, Metrics::new(&mut Registry::default()), Limits::default());
    let waiting = || app.buffers.waiting().iter().map(Vec::len).collect::<Vec<_>>();
    let router = Arc::clone(&app).router();
    for text in [create(&horizontal("ask", 5)).to_string(), "garbage".to_owned(), " ".repeat(SMALL + 1)] {
        let body = Request::post("/validate").header(header::CONTENT_LENGTH, text.len()).body(Body::from(text.clone()));
        let answer = router.clone().oneshot(body.unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), if text.starts_with('{') { 200 } else { 400 });
        // The one buffer, empty again; the large body had one of its own.
        assert_eq!(waiting(), [0]);
    }
}
