//! Two writers at once: what the plugin read is no longer so when its patch arrives.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use dbscale_e2e::{World, databases};
use serde_json::json;

/// `kubectl proxy`: the API server without TLS. It ends with the test.
struct Plain {
    child: Child,
    address: String,
}

impl Plain {
    fn start() -> Self {
        let mut child = World::command(&["proxy", "--port=0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes bytes on to `server`, and calls `before` just before the first request that begins with `start`.
fn interposed(server: String, start: &'static [u8], before: impl FnOnce() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let before = Arc::new(Mutex::new(Some(before)));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut answers, &mut back));
            let before = before.clone();
            thread::spawn(move || {
                let mut buffer = vec![0; 65536];
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    if buffer.starts_with(start)
                        && let Some(before) = before.lock().unwrap().take()
                    {
                        before();
                    }
                    server.write_all(&buffer[..read]).unwrap();
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_size_that_somebody_else_has_changed_is_not_overwritten_and_they_are_named() {
    let world = World::new("race");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let namespace = world.namespace.clone();
    let plain = Plain::start();
    let server = interposed(plain.address.clone(), b"PATCH /apis/kubedb.com/", move || {
        let patch = r#"{"spec": {"storage": {"resources": {"requests": {"storage": "30Gi"}}}}}"#;
        let other = ["patch", "-n", &namespace, "mongodb/db", "--type=merge", "--field-manager=somebody", "-p", patch];
        assert!(World::command(&other).output().unwrap().status.success());
    });
    let kubeconfig = json!({"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"});
    let file = world.write("kubeconfig", &kubeconfig.to_string());
    let refused = world.dbscale(&["storage", "mg/db", "--to", "50Gi", "--kubeconfig", &file]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("mongodb/db was changed by somebody (20"), "{}", refused.stderr);
    assert!(refused.stderr.contains("it asks for 30Gi now; nothing was changed here"), "{}", refused.stderr);
    assert_eq!(world.value("mongodb/db", ".spec.storage.resources.requests.storage"), "30Gi");
    assert_eq!(world.value("pvc/datadir-db-0", ".spec.resources.requests.storage"), "20Gi");
}
