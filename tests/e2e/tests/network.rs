//! Creates through a connection that is cut at random, before or after the server has acted, or that falls silent: exactly
//! as many objects as were asked for, and no false failure.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dbscale_cluster::apply::{Created, Write};
use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::{Cluster, Kind};
use dbscale_core::catalog::Catalog;
use dbscale_core::plan::REQUEST_ID;
use dbscale_e2e::{World, playground};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How many objects are created; `DBSCALE_CREATES` says another number, such as the 1,000 of the long form.
fn creates() -> usize {
    std::env::var("DBSCALE_CREATES").map_or(100, |text| text.parse().unwrap())
}

/// A connection is cut after so many bytes in one direction; a TLS handshake and a few calls lie within it.
const LONGEST: u64 = 5_000;

/// Passes bytes on to `server` until a random number of them, then drops both sides. Returns its own address.
async fn cutting_proxy(server: String, cuts: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        while let Ok((client, _)) = listener.accept().await {
            // xorshift: the same cuts in every run
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let (limit, answers) = (1_500 + seed % LONGEST, seed & 64 == 0);
            let (server, cuts) = (server.clone(), cuts.clone());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(server).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let most = |counted: bool| if counted { limit } else { u64::MAX };
                let up = pass(&mut from_client, &mut to_server, most(!answers));
                let down = pass(&mut from_server, &mut to_client, most(answers));
                let cut = tokio::select! { cut = up => cut, cut = down => cut };
                cuts.fetch_add(u64::from(cut), Ordering::Relaxed);
            });
        }
    });
    port
}

/// Copies until the end, or until `most` bytes; whether it was cut.
async fn pass(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), most: u64) -> bool {
    let mut left = most;
    let mut buffer = [0; 4096];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return false;
        }
        let pass = read.min(usize::try_from(left).unwrap_or(usize::MAX));
        if to.write_all(&buffer[..pass]).await.is_err() {
            return false;
        }
        left -= pass as u64;
        if left == 0 {
            return true;
        }
    }
}

/// Which connections get no answers any more.
#[derive(Default)]
struct Silence {
    first: AtomicBool,
    later: AtomicBool,
}

/// Passes all requests on to `server`, and answers as long as there is no silence. Returns its own address.
async fn silent_proxy(server: String, silence: Arc<Silence>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((client, _)) = listener.accept().await {
            let (server, silence, first) = (server.clone(), silence.clone(), std::mem::take(&mut is_first));
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(server).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let answers = async {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                        let silent = if first { &silence.first } else { &silence.later };
                        if !silent.load(Ordering::SeqCst) && to_client.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! { _ = pass(&mut from_client, &mut to_server, u64::MAX) => {}, () = answers => {} }
            });
        }
    });
    port
}

/// The playground's kubeconfig and the address of its API server.
fn kubeconfig() -> (Value, String) {
    let text = std::fs::read_to_string(playground().join("kubeconfig")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let server = file["clusters"][0]["cluster"]["server"].as_str().unwrap().trim_start_matches("https://").to_owned();
    (file, server)
}

/// The cluster behind a proxy.
async fn through(world: &World, port: u16, timeout: Duration) -> Cluster {
    let (mut file, _) = kubeconfig();
    file["clusters"][0]["cluster"]["server"] = json!(format!("https://127.0.0.1:{port}"));
    let path = PathBuf::from(world.write("kubeconfig", &file.to_string()));
    let options = Connect { kubeconfig: Some(path), request_timeout: Some(timeout), ..Connect::default() };
    connect(&options).await.unwrap()
}

async fn create(cluster: &Cluster, world: &World, index: usize) -> Result<Created, dbscale_cluster::ApiFailure> {
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let collection = dbscale_cluster::read::operations_path(engine, Some(&world.namespace));
    let object = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": format!("ask-{index}"), "namespace": world.namespace,
            "annotations": {REQUEST_ID: format!("{}-{index}", world.namespace)}},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "nobody"}, "horizontalScaling": {"replicas": 5}},
    });
    let write = Write { dry_run: false, field_manager: "test".to_owned() };
    cluster.create(&collection, &object, &write).await
}

#[tokio::test]
async fn creates_through_a_broken_connection_are_made_once() {
    let world = World::unjudged("network");
    let cuts = Arc::new(AtomicU64::new(0));
    let port = cutting_proxy(kubeconfig().1, cuts.clone()).await;
    let cluster = through(&world, port, Duration::from_secs(60)).await;
    let creates = creates();
    for index in 0..creates {
        let made = create(&cluster, &world, index).await;
        assert!(matches!(made, Ok(Created::Ours(_))), "create {index}: {made:?}");
    }
    assert_eq!(world.count("mongodbopsrequests"), creates);
    assert!(
        cuts.load(Ordering::Relaxed) > creates as u64 / 10,
        "the connection was cut only {} times",
        cuts.load(Ordering::Relaxed)
    );
}

#[tokio::test]
async fn a_create_that_is_answered_too_late_is_found() {
    let world = World::unjudged("silence");
    let silence = Arc::new(Silence::default());
    let port = silent_proxy(kubeconfig().1, silence.clone()).await;
    let timeout = Duration::from_secs(2);
    let cluster = through(&world, port, timeout).await;
    cluster.who_am_i().await.unwrap(); // the first connection, which the create goes over
    silence.first.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let made = create(&cluster, &world, 0).await;
    assert!(matches!(&made, Ok(Created::Ours(object)) if object["metadata"]["uid"].is_string()), "{made:?}");
    assert!(began.elapsed() >= timeout, "an answer came after {:?}", began.elapsed());
    assert_eq!(world.count("mongodbopsrequests"), 1);
}

#[tokio::test]
async fn a_create_that_cannot_even_be_looked_for_is_told_as_open() {
    let world = World::unjudged("silence");
    let silence = Arc::new(Silence::default());
    let port = silent_proxy(kubeconfig().1, silence.clone()).await;
    let cluster = through(&world, port, Duration::from_secs(2)).await;
    cluster.who_am_i().await.unwrap();
    silence.first.store(true, Ordering::SeqCst);
    silence.later.store(true, Ordering::SeqCst);
    let failure = create(&cluster, &world, 0).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    let told = "mongodbopsrequests/ask-0 may have been made all the same (looking for it failed too: ";
    assert!(failure.message.contains(told), "{failure}");
    assert_eq!(world.count("mongodbopsrequests"), 1);
}
