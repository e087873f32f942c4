//! Creates through a connection that is cut at random, before or after the server has acted: exactly as many objects as
//! were asked for, and no false failure.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dbscale_cluster::apply::{Created, Write};
use dbscale_cluster::connect::{Connect, connect};
use dbscale_core::catalog::Catalog;
use dbscale_core::plan::REQUEST_ID;
use dbscale_e2e::{World, playground};
use serde_json::json;
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

#[tokio::test]
async fn creates_through_a_broken_connection_are_made_once() {
    let world = World::new("network");
    let kubeconfig = std::fs::read_to_string(playground().join("kubeconfig")).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    let server = file["clusters"][0]["cluster"]["server"].as_str().unwrap().trim_start_matches("https://").to_owned();
    let cuts = Arc::new(AtomicU64::new(0));
    let port = cutting_proxy(server, cuts.clone()).await;
    file["clusters"][0]["cluster"]["server"] = json!(format!("https://127.0.0.1:{port}"));
    let path = PathBuf::from(world.write("kubeconfig", &file.to_string()));

    let timeout = Some(Duration::from_secs(60));
    let options = Connect { kubeconfig: Some(path), request_timeout: timeout, ..Connect::default() };
    let cluster = connect(&options).await.unwrap();
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let collection = dbscale_cluster::read::operations_path(engine, Some(&world.namespace));
    let write = Write { dry_run: false, field_manager: "test".to_owned() };
    let creates = creates();
    for index in 0..creates {
        let object = json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
            "metadata": {"name": format!("ask-{index}"), "namespace": world.namespace,
                "annotations": {REQUEST_ID: format!("{}-{index}", world.namespace)}},
            "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "nobody"}, "horizontalScaling": {"replicas": 5}},
        });
        let made = cluster.create(&collection, &object, &write).await;
        assert!(matches!(made, Ok(Created::Ours(_))), "create {index}: {made:?}");
    }
    assert_eq!(world.count("mongodbopsrequests"), creates);
    assert!(
        cuts.load(Ordering::Relaxed) > creates as u64 / 10,
        "the connection was cut only {} times",
        cuts.load(Ordering::Relaxed)
    );
}
