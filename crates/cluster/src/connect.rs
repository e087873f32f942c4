//! From a kubeconfig to a cluster that can be called.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use http::uri::Authority;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::call::Cluster;
use crate::kubeconfig::{Sources, broken};

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
    /// A context is asked for, and there is no kubeconfig that could have it.
    #[error(
        "there is no context '{context}', since there is no kubeconfig: {place}\nName one with --kubeconfig or KUBECONFIG, or leave --context out"
    )]
    NoContexts {
        /// The one that was asked for.
        context: String,
        /// Where a kubeconfig was looked for.
        place: String,
    },
    /// The server is to be reached through a proxy.
    #[error(
        "the API server is to be reached through the proxy {proxy} (proxy-url of the cluster in the kubeconfig, or HTTPS_PROXY), and dbscale knows no proxies\nRun it where the server is reached directly, with HTTPS_PROXY unset"
    )]
    Proxy {
        /// Its host and port; a password may stand before them.
        proxy: String,
    },
    /// The user to act as cannot be told to the server.
    #[error(
        "nobody can act as {user:?}: {problem}\nGive --as a user's name, such as jane or system:serviceaccount:demo:deployer"
    )]
    Impersonate {
        /// The one that was asked for.
        user: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Opens nothing yet: the first call does.
///
/// # Errors
/// [`ConnectError`] where the kubeconfig is missing, broken, or lacks the context, or where the user to act as cannot be
/// told to the server.
pub async fn connect(options: &Connect) -> Result<Cluster, ConnectError> {
    let sources = Sources::of(options.kubeconfig.clone(), std::env::var_os("KUBECONFIG"), std::env::home_dir());
    let timeout = options.request_timeout.unwrap_or(Duration::from_secs(30));
    let mut config = configured(options, &sources).await?;
    config.connect_timeout = Some(timeout.min(Duration::from_secs(10)));
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((http::header::USER_AGENT, agent));
    }
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let namespace = config.default_namespace.clone();
    let (client, renewal) = dbscale_transport::client(config).map_err(|error| match error {
        kube::Error::ProxyProtocolUnsupported { proxy_url } => {
            let named = proxy_url.authority().map_or("", Authority::as_str);
            ConnectError::Proxy { proxy: named.rsplit('@').next().unwrap_or_default().to_owned() }
        }
        error => ConnectError::Kubeconfig {
            place: format!("the kubeconfig {sources}"),
            problem: error.to_string(),
            remedy: "Look at the certificates and the credentials that it names".to_owned(),
        },
    })?;
    let mut cluster = Cluster::new(client, server, timeout);
    cluster.default_namespace = namespace;
    cluster.renewal = Some(renewal);
    Ok(cluster)
}

/// The server and the user, as the kubeconfig and the flags name them.
async fn configured(options: &Connect, sources: &Sources) -> Result<Config, ConnectError> {
    let mut config = match (sources.read()?, &options.context) {
        (Some(file), context) => of_file(file, context.as_deref(), sources).await?,
        // The pod's own cluster has no contexts: taking it in place of the one that was named would change the wrong one.
        (None, Some(context)) => {
            return Err(ConnectError::NoContexts { context: context.clone(), place: sources.to_string() });
        }
        (None, None) => Config::incluster().map_err(|_| ConnectError::Kubeconfig {
            place: format!("the kubeconfig {sources}"),
            problem: "there is none, and this is no pod of a cluster".to_owned(),
            remedy: "Name one with --kubeconfig or KUBECONFIG".to_owned(),
        })?,
    };
    if let Some(user) = &options.impersonate {
        // In place of the user whom the kubeconfig may name, not beside it.
        config.auth_info.impersonate = Some(sendable(user)?.to_owned());
    }
    Ok(config)
}

/// A user's name that reaches the server as it stands.
fn sendable(user: &str) -> Result<&str, ConnectError> {
    let problem = if user.is_empty() {
        "the name is empty, and the server would take you for yourself"
    } else if user.trim() != user {
        "it begins or ends with a blank, which HTTP drops"
    } else if HeaderValue::from_str(user).is_err() {
        "an HTTP header holds no line breaks and no control characters"
    } else {
        return Ok(user);
    };
    Err(ConnectError::Impersonate { user: user.to_owned(), problem: problem.to_owned() })
}

async fn of_file(file: Kubeconfig, context: Option<&str>, sources: &Sources) -> Result<Config, ConnectError> {
    let known: Vec<&str> = file.contexts.iter().map(|c| c.name.as_str()).collect();
    if let Some(context) = context.filter(|c| !known.contains(c)) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ConnectError::Context { context: context.to_owned(), known });
    }
    let choose = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &choose).await.map_err(|error| broken(sources, &error))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::user("jane", None)]
    #[case::service_account("system:serviceaccount:demo:deployer", None)]
    #[case::blank_within("Jane Doe", None)]
    #[case::carriage_return("jane\r", Some("it begins or ends with a blank, which HTTP drops"))]
    #[case::line_break_within(
        "jane\nimpersonate-group: system:masters",
        Some("an HTTP header holds no line breaks and no control characters")
    )]
    #[case::beyond_ascii("jané", None)]
    #[case::empty("", Some("the name is empty, and the server would take you for yourself"))]
    fn users_to_act_as(#[case] user: &str, #[case] problem: Option<&str>) {
        let refused = sendable(user).err().map(|error| match error {
            ConnectError::Impersonate { problem, .. } => problem,
            other => other.to_string(),
        });
        assert_eq!(refused.as_deref(), problem);
    }

    fn options(context: Option<&str>, impersonate: Option<&str>) -> Connect {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Connect { context: owned(context), impersonate: owned(impersonate), ..Connect::default() }
    }

    /// A kubeconfig with one context, `only`, whose user acts as joe.
    fn kubeconfig(folder: &tempfile::TempDir) -> Sources {
        let file = folder.path().join("config");
        let text = r#"{"clusters": [{"name": "c", "cluster": {"server": "https://c.test"}}], "users": [{"name": "u", "user": {"as": "joe"}}],
            "contexts": [{"name": "only", "context": {"cluster": "c", "user": "u"}}], "current-context": "only"}"#;
        std::fs::write(&file, text).unwrap();
        Sources::of(Some(file), None, None)
    }

    #[tokio::test]
    async fn a_context_is_never_passed_over() {
        let none = Sources::of(None, Some("/nonexistent/kubeconfig".into()), None);
        let refused = configured(&options(Some("prod"), None), &none).await.unwrap_err();
        assert!(
            refused.to_string().starts_with("there is no context 'prod', since there is no kubeconfig: /nonexistent")
        );

        let folder = tempfile::tempdir().unwrap();
        let refused = configured(&options(Some("prod"), None), &kubeconfig(&folder)).await.unwrap_err();
        assert_eq!(refused.to_string(), "there is no context 'prod'; the kubeconfig has: only");
    }

    #[tokio::test]
    async fn a_proxy_is_never_passed_by() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let text = r#"{"clusters": [{"name": "c", "cluster": {"server": "https://c.test", "proxy-url": "http://me:secret@proxy.test:3128"}}],
            "contexts": [{"name": "only", "context": {"cluster": "c", "user": ""}}], "current-context": "only"}"#;
        std::fs::write(&file, text).unwrap();
        let refused =
            connect(&Connect { kubeconfig: Some(file), ..Connect::default() }).await.err().unwrap().to_string();
        assert!(
            refused.starts_with("the API server is to be reached through the proxy proxy.test:3128 (proxy-url"),
            "{refused}"
        );
        assert!(!refused.contains("secret"), "{refused}");
    }

    #[tokio::test]
    async fn the_user_to_act_as_is_the_one_that_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let sources = kubeconfig(&folder);
        let config = configured(&options(Some("only"), Some("jane")), &sources).await.unwrap();
        assert_eq!(config.auth_info.impersonate.as_deref(), Some("jane"));
        let config = configured(&options(None, None), &sources).await.unwrap();
        assert_eq!(config.auth_info.impersonate.as_deref(), Some("joe"));
        let refused = configured(&options(None, Some("jane\r")), &sources).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Impersonate { .. }), "{refused}");
    }
}
