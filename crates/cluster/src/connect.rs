//! From a kubeconfig to a cluster that can be called.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use http::header::HeaderName;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::call::Cluster;

/// What a person may say about the connection.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    /// A kubeconfig in place of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// A context in place of the current one.
    pub context: Option<String>,
    /// A user to act as.
    pub impersonate: Option<String>,
    /// How long one call may take with all its tries; 30 s unless given.
    pub request_timeout: Option<Duration>,
    /// What the server is told of the program: `kubectl-dbscale/0.1.0`.
    pub user_agent: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("{place} cannot be used: {problem}\n{remedy}")]
    Kubeconfig {
        /// Which file.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The context does not exist.
    #[error("there is no context '{context}'; the kubeconfig has: {known}")]
    Context {
        /// The one that was asked for.
        context: String,
        /// Those that exist.
        known: String,
    },
}

/// Opens nothing yet: the first call does.
///
/// # Errors
/// [`ConnectError`] where the kubeconfig is missing, broken, or lacks the context.
pub async fn connect(options: &Connect) -> Result<Cluster, ConnectError> {
    let place = options
        .kubeconfig
        .as_ref()
        .map(|p| p.display().to_string())
        .or_else(|| std::env::var("KUBECONFIG").ok().filter(|v| !v.is_empty()))
        .unwrap_or_else(|| "~/.kube/config".to_owned());
    let broken = |error: KubeconfigError| ConnectError::Kubeconfig {
        place: format!("the kubeconfig {place}"),
        problem: error.to_string().lines().next().unwrap_or_default().to_owned(),
        remedy: "Name another with --kubeconfig, or see what kubectl says: kubectl config view".to_owned(),
    };
    let file = match &options.kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path).map_err(broken)?),
        None => match Kubeconfig::read() {
            Ok(file) => Some(file),
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(broken(error)),
        },
    };
    let mut config = match file {
        Some(file) => of_file(file, options, broken).await?,
        None => Config::incluster().map_err(|_| ConnectError::Kubeconfig {
            place: format!("the kubeconfig {place}"),
            problem: "there is none, and this is no pod of a cluster".to_owned(),
            remedy: "Name one with --kubeconfig or KUBECONFIG".to_owned(),
        })?,
    };
    let timeout = options.request_timeout.unwrap_or(Duration::from_secs(30));
    config.connect_timeout = Some(timeout.min(Duration::from_secs(10)));
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((http::header::USER_AGENT, agent));
    }
    if let Some(user) = options.impersonate.as_deref().and_then(|u| HeaderValue::from_str(u).ok()) {
        config.headers.push((HeaderName::from_static("impersonate-user"), user));
    }
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let namespace = config.default_namespace.clone();
    let client = kube::Client::try_from(config).map_err(|error| ConnectError::Kubeconfig {
        place: format!("the kubeconfig {place}"),
        problem: error.to_string(),
        remedy: "Look at the certificates and the credentials that it names".to_owned(),
    })?;
    let mut cluster = Cluster::new(client, server, timeout);
    cluster.default_namespace = namespace;
    Ok(cluster)
}

async fn of_file(
    file: Kubeconfig,
    options: &Connect,
    broken: impl Fn(KubeconfigError) -> ConnectError,
) -> Result<Config, ConnectError> {
    let known: Vec<String> = file.contexts.iter().map(|c| c.name.clone()).collect();
    if let Some(context) = options.context.as_ref().filter(|c| !known.contains(c)) {
        return Err(ConnectError::Context { context: context.clone(), known: known.join(", ") });
    }
    let choose = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &choose).await.map_err(broken)
}
