//! The webhook as a process of its own, asked by the API server about one namespace.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::{PATIENCE, World, playground};

/// A running webhook. Dropping it ends it, and takes what was registered for it away.
pub struct Webhook {
    child: Child,
    probes: SocketAddr,
    registration: Option<Registration>,
    certificates: Option<Certificates>,
}

impl Webhook {
    /// Starts one with a certificate in files, and returns when it is ready and asked. It alone is asked, where the world is
    /// one that the playground's webhook lets be.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[must_use]
    pub fn start(world: &World, arguments: &[&str]) -> Self {
        let certificates = Certificates::new(&world.namespace);
        let (mut webhook, reviews) = Self::with(&certificates, "127.0.0.1:0", arguments);
        webhook.until_ready();
        webhook.registration = Some(register(world, reviews, &certificates));
        webhook.certificates = Some(certificates);
        webhook
    }

    /// Starts a process that serves these certificates, and returns when it listens, and where.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn with(certificates: &Certificates, listen: &str, arguments: &[&str]) -> (Self, SocketAddr) {
        let [certificate, key] = certificates.paths();
        let configuration = certificates.configuration();
        let files =
            ["--listen", listen, "--configuration", &configuration, "--tls-cert", &certificate, "--tls-key", &key];
        let kubeconfig = playground().join("kubeconfig").display().to_string();
        Self::spawn(&kubeconfig, &[&files, arguments].concat())
    }

    /// Starts a process, and returns when it listens, and where.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn spawn(kubeconfig: &str, arguments: &[&str]) -> (Self, SocketAddr) {
        let mut child = Command::new(playground().join("bin/dbscale-webhook"))
            .args(["--probes", "127.0.0.1:0", "--notice", "0", "--kubeconfig", kubeconfig])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the webhook starts");
        let (reviews, probes) = listening(&mut child);
        (Self { child, probes, registration: None, certificates: None }, reviews)
    }

    /// The same, with the name of a ValidatingWebhookConfiguration that goes with it.
    #[must_use]
    pub fn registered_as(mut self, configuration: &str) -> Self {
        self.registration = Some(Registration(configuration.to_owned()));
        self
    }

    /// What a path of its probes answers: the code and the text.
    ///
    /// # Panics
    /// Where it does not answer.
    #[must_use]
    pub fn probe(&self, path: &str) -> (u16, String) {
        let mut tcp = TcpStream::connect(self.probes).expect("the probes listen");
        write!(tcp, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("the probes listen");
        let mut text = String::new();
        tcp.read_to_string(&mut text).expect("the probes answer");
        let code = text.split(' ').nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
        (code, text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
    }

    /// Asks it to end, and returns its exit code.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn end(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the webhook can be waited for") {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "the webhook does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become so in time.
    pub fn until_ready(&self) {
        let began = Instant::now();
        loop {
            let (code, text) = self.probe("/readyz");
            if code == 200 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the webhook is not ready: {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills it, as a node that fails does.
    ///
    /// # Panics
    /// Where it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Registers whoever answers at an address for the world, and waits until the API server asks: a request that is wrong for sure is
/// then refused.
///
/// # Panics
/// Where it does not ask in time.
#[must_use]
pub fn register(world: &World, address: SocketAddr, certificates: &Certificates) -> Registration {
    let registration = Registration(certificates.configuration());
    let ca = json!(ByteString(certificates.authority.pem().into_bytes()));
    let rule = |group: &str| {
        json!({"apiGroups": [group], "apiVersions": ["*"], "resources": ["*"], "operations": ["CREATE", "UPDATE"],
            "scope": "Namespaced"})
    };
    let entry = |name: &str, group: &str, policy: &str| {
        json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 5,
            "failurePolicy": policy, "rules": [rule(group)],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            "clientConfig": {"url": format!("https://localhost:{}/validate", address.port()), "caBundle": ca}})
    };
    world.create(&json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": registration.0},
        "webhooks": [entry("opsrequests.dbscale.dev", "ops.kubedb.com", "Fail"),
            entry("databases.dbscale.dev", "kubedb.com", "Ignore")]}));
    until_asked(world);
    registration
}

/// A ValidatingWebhookConfiguration. Dropping it takes it away.
pub struct Registration(String);

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = World::command(&["delete", "validatingwebhookconfiguration", &self.0]).output();
    }
}

/// An authority, and the files of a certificate for `localhost` that it has signed. They go with it.
pub struct Certificates {
    /// Whom clients trust.
    pub authority: CertifiedIssuer<'static, KeyPair>,
    name: String,
    folder: PathBuf,
}

impl Certificates {
    /// Makes them in a folder of the playground.
    ///
    /// # Panics
    /// Where the playground cannot be written.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = playground().join("webhooks").join(name);
        fs::create_dir_all(&folder).expect("the playground can be written");
        let certificates = Self { authority: authority(), name: name.to_owned(), folder };
        certificates.renew();
        certificates
    }

    /// Puts another certificate in the place of the one before, each file at once.
    ///
    /// # Panics
    /// Where the playground cannot be written.
    pub fn renew(&self) {
        let (certificate, key) = leaf(&self.authority);
        for (path, text) in self.paths().into_iter().zip([certificate, key]) {
            let new = format!("{path}.new");
            fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).expect("the playground can be written");
        }
    }

    /// The ValidatingWebhookConfiguration by which API servers trust them.
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("e2e-{}", self.name)
    }

    /// The files of certificate and key.
    #[must_use]
    pub fn paths(&self) -> [String; 2] {
        ["tls.crt", "tls.key"].map(|name| self.folder.join(name).display().to_string())
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An OpsRequest that is wrong for sure.
#[must_use]
pub fn wrong() -> Value {
    json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "RedisOpsRequest",
        "metadata": {"name": "is-it-asked"}, "spec": {"type": "Restart", "databaseRef": {"name": "nobody"}}})
}

/// Waits until what is wrong is refused.
///
/// # Panics
/// Where it is not in time.
pub fn until_asked(world: &World) {
    let began = Instant::now();
    while world.try_create(&wrong(), &["--dry-run=server"]).code == 0 {
        assert!(began.elapsed() < PATIENCE, "the API server does not ask the webhook");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        // Nobody is asked who is not there.
        self.registration.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The two addresses, out of the first lines of its log; the rest is passed on.
fn listening(child: &mut Child) -> (SocketAddr, SocketAddr) {
    let stderr = child.stderr.take().expect("its log is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = |field: &str| entry[field].as_str().and_then(|a| a.parse().ok());
            if let (Some(reviews), Some(probes)) = (address("reviews"), address("probes")) {
                let _ = tell.send((reviews, probes));
            }
            eprintln!("webhook: {line}");
        }
    });
    told.recv_timeout(PATIENCE).expect("the webhook tells where it listens")
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("the system has randomness");
    CertifiedIssuer::self_signed(params, key).expect("an authority can sign itself")
}

fn leaf(authority: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("the system has randomness");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("localhost is a name");
    let certificate = params.signed_by(&key, authority).expect("an authority can sign");
    (certificate.pem(), key.serialize_pem())
}
