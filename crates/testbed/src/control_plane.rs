//! Starts and stops a real control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::certificates::{Authority, Pair};
use crate::{assets, audit};

/// The program, and the name of its log.
const API_SERVER: &str = "kube-apiserver";

/// How long the API server may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A running control plane. Dropping it ends its processes and removes its folder, also when the holder panics; a watchdog
/// does so when the holder is killed.
pub struct ControlPlane {
    folder: PathBuf,
    assets: PathBuf,
    address: String,
    etcd: String,
    authority: Authority,
    children: Vec<(&'static str, Child)>,
    watchdog: Option<Child>,
}

impl ControlPlane {
    /// Starts one with its data in `folder`, which is made and must be empty.
    ///
    /// # Errors
    /// Where a program cannot be found, started, or does not become ready; the message shows the end of its log.
    pub async fn start(folder: &Path) -> Result<Self> {
        let assets = assets::find_or_build()?;
        fs::create_dir_all(folder.join("logs")).with_context(|| format!("could not make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let [client_port, peer_port, api_port] = free_ports()?;
        let authority = Authority::new()?;
        let mut plane = Self {
            address: format!("https://127.0.0.1:{api_port}"),
            etcd: format!("http://127.0.0.1:{client_port}"),
            folder,
            assets,
            authority,
            children: Vec::new(),
            watchdog: None,
        };
        plane.write_files()?;
        let etcd = plane.etcd.clone();
        plane.spawn(
            "etcd",
            &[
                format!("--data-dir={}", plane.path("etcd")),
                format!("--listen-client-urls={etcd}"),
                format!("--advertise-client-urls={etcd}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer_port}"),
                "--unsafe-no-fsync=true".to_owned(),
                "--log-level=error".to_owned(),
            ],
        )?;
        plane.spawn(API_SERVER, &plane.apiserver_flags())?;
        plane.guard()?;
        plane.wait_ready().await?;
        let kubeconfig = format!("--kubeconfig={}", plane.path("kubeconfig"));
        let fast = ["--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"];
        let common = || fast.iter().map(|f| (*f).to_owned()).chain([kubeconfig.clone()]);
        let manager = [
            // Without kubelets nobody renews the nodes' leases: the node controllers would taint every node and evict its pods.
            "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-node-ipam-controller,-node-route-controller"
                .to_owned(),
            format!("--service-account-private-key-file={}", plane.path("service-account.key")),
            format!("--root-ca-file={}", plane.path("ca.crt")),
            "--pvclaimbinder-sync-period=1s".to_owned(),
        ];
        plane.spawn("kube-controller-manager", &common().chain(manager).collect::<Vec<_>>())?;
        plane.spawn("kube-scheduler", &common().collect::<Vec<_>>())?;
        plane.guard()?;
        Ok(plane)
    }

    /// The kubeconfig of a cluster administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The folder with its data and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with the five programs.
    #[must_use]
    pub fn assets(&self) -> &Path {
        &self.assets
    }

    /// The API server's address: `https://127.0.0.1:…`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address of etcd: `http://127.0.0.1:…`.
    #[must_use]
    pub fn etcd(&self) -> &str {
        &self.etcd
    }

    /// The log of what the shipped accounts ask; see [`audit::read`].
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        audit::log_of(&self.folder, &self.address)
    }

    /// Kills the API server, keeps it away for `pause`, and returns when it is ready again.
    ///
    /// # Errors
    /// Where it does not become ready; the message shows the end of its log.
    pub async fn restart_api_server(&mut self, pause: Duration) -> Result<()> {
        for (_, child) in self.children.iter_mut().filter(|(program, _)| *program == API_SERVER) {
            child.kill()?;
            child.wait()?;
        }
        self.children.retain(|(program, _)| *program != API_SERVER);
        tokio::time::sleep(pause).await;
        self.spawn(API_SERVER, &self.apiserver_flags())?;
        self.guard()?;
        self.wait_ready().await
    }

    /// Writes a kubeconfig for somebody else: whom the API server knows as `user` of `group`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn kubeconfig_for(&self, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let path = self.folder.join(format!("kubeconfig-{}", user.replace([':', '/'], "-")));
        fs::write(&path, self.render_kubeconfig(user, &self.authority.client(user, group)?))?;
        Ok(path)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write_files(&self) -> Result<()> {
        let folder = &self.folder;
        fs::write(folder.join("ca.crt"), self.authority.pem())?;
        self.authority.server(&["127.0.0.1", "localhost", "kubernetes.default.svc"])?.write(folder, "apiserver")?;
        // The key signs tokens, and the certificate holds the public half that checks them.
        self.authority.client("service-account", None)?.write(folder, "service-account")?;
        fs::write(folder.join("audit-policy.json"), audit::policy().to_string())?;
        let admin = self.authority.client("admin", Some("system:masters"))?;
        fs::write(folder.join("kubeconfig"), self.render_kubeconfig("admin", &admin))?;
        Ok(())
    }

    fn render_kubeconfig(&self, user: &str, pair: &Pair) -> String {
        let encoded = |text: &str| BASE64_STANDARD.encode(text);
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {
                "server": self.address, "certificate-authority-data": encoded(&self.authority.pem()),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": encoded(&pair.certificate), "client-key-data": encoded(&pair.key),
            }}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user, "namespace": "default"}}],
            "current-context": "testbed",
        })
        .to_string()
    }

    fn apiserver_flags(&self) -> Vec<String> {
        let file = |name: &str| self.path(name);
        let port = self.address.rsplit(':').next().unwrap_or_default();
        vec![
            format!("--etcd-servers={}", self.etcd),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", file("certs")),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--authorization-mode=RBAC".to_owned(),
            format!("--service-account-issuer={}", self.address),
            format!("--service-account-key-file={}", file("service-account.crt")),
            format!("--service-account-signing-key-file={}", file("service-account.key")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
            // Pods here never run: nobody needs a token in them, and a fresh namespace has no service account yet. No
            // controller is there to take a new node's not-ready taint away.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--audit-policy-file={}", file("audit-policy.json")),
            format!("--audit-log-path={}", self.audit_log().display()),
            // In one piece: what is read is read whole.
            "--audit-log-maxsize=10000".to_owned(),
        ]
    }

    fn spawn(&mut self, program: &'static str, flags: &[String]) -> Result<()> {
        let log = File::create(self.log(program))?;
        let child = Command::new(self.assets.join(program))
            .args(flags)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Its own group: an interrupt on the terminal reaches the holder alone, who then ends all in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {program}"))?;
        self.children.push((program, child));
        Ok(())
    }

    fn log(&self, program: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{program}.log"))
    }

    /// Starts the watchdog anew with all processes of now: a shell that waits for the end of its input, which comes when
    /// this process ends in whatever way, and then kills them.
    fn guard(&mut self) -> Result<()> {
        end(&mut self.watchdog);
        let pids: Vec<String> = self.children.iter().map(|(_, child)| child.id().to_string()).collect();
        let script = format!("cat >/dev/null; kill -KILL {} 2>/dev/null; rm -rf \"$1\"", pids.join(" "));
        let watchdog = Command::new("sh")
            .args(["-c", &script, "watchdog"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("could not start the watchdog")?;
        self.watchdog = Some(watchdog);
        Ok(())
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let client = client(&self.kubeconfig()).await?;
        let began = Instant::now();
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            if client.request_text(request).await.is_ok_and(|text| text == "ok") {
                return Ok(());
            }
            for (program, child) in &mut self.children {
                if let Some(status) = child.try_wait()? {
                    let log = tail(&self.folder.join("logs").join(format!("{program}.log")));
                    bail!("{program} ended ({status}) before the control plane was ready:\n{log}");
                }
            }
            if began.elapsed() > READY_WITHIN {
                bail!("the API server was not ready after {READY_WITHIN:?}:\n{}", tail(&self.log(API_SERVER)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        end(&mut self.watchdog);
        for (_, child) in self.children.iter_mut().rev() {
            // Nothing here is worth a clean end: the data goes with the folder.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A client of the cluster that a kubeconfig names.
///
/// # Errors
/// Where the file cannot be read or does not make sense.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("could not read {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held at once, so that no two are the same.
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
