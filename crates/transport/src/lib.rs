//! The connection to an API server: one, once it stands, over which all calls and watches go side by side (HTTP/2), as kubectl's go. kube's own
//! client opens a connection for each request that is under way at the same time, and each costs a handshake, some tens of
//! kilobytes, and over a long way two round trips before anything is asked.
//!
//! It is a crate of its own so that all of HTTP/2 is compiled to be small, which what reads answers is not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt as _, RustlsTlsError};
use kube::config::Config;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, ServiceBuilder, service_fn};
use tower_http::timeout::ResponseBodyTimeoutLayer;

/// How long an answer, or the next part of one, may be awaited. kube asks that a watch end before that (after 290 s), also one
/// that has nothing to tell; a list that is never answered has no other end.
const SILENCE: Duration = Duration::from_secs(300);

/// How often a server from which nothing else comes is asked whether it is there, and how long it may take to say so: a
/// connection whose other end is gone without a word would keep all that goes over it waiting.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// What one answer may have under way before it is read, and all of them together, bytes. The second has room for the hundred
/// answers that an API server gives at once, so that none which is not read yet holds up another.
const ANSWER_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = 100 << 20;

/// What opens connections.
type Connector = TimeoutConnector<HttpsConnector<HttpConnector>>;
/// The way by which requests go: a connection, once it is opened.
type Way = Client<Connector, Body>;

/// Makes the requests of a client go over another connection.
#[derive(Debug, Clone)]
pub struct Renewal {
    connector: Connector,
    now: Arc<Mutex<Way>>,
}

impl Renewal {
    /// Whatever is asked from now on goes over a connection that is yet to be opened; what is under way stays where it is. For
    /// whoever has waited in vain: the other end may be gone without a word, and a ping finds out only later.
    pub fn renew(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = way(self.connector.clone());
    }

    fn present(&self) -> Way {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A client for one API server, and what renews its connection. Nothing is opened yet. A server, or something before it, that knows HTTP/1.1 alone is spoken to
/// so, with a connection for each request. Nothing is sent a second time here: whoever calls or watches decides of that, and notes it.
///
/// # Errors
/// Certificates or credentials that cannot be read, or that the server is to be reached through a proxy.
pub fn client(config: Config) -> kube::Result<(kube::Client, Renewal)> {
    if let Some(proxy_url) = config.proxy_url {
        return Err(kube::Error::ProxyProtocolUnsupported { proxy_url: Box::new(proxy_url) });
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // What is small, such as a request beside answers that are on their way, would wait until the other end has said that it got
    // what went before.
    tcp.set_nodelay(true);
    let mut tls = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = name.try_into().map_err(|error| kube::Error::RustlsTls(RustlsTlsError::InvalidServerName(error)))?;
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let mut connector = TimeoutConnector::new(tls.enable_all_versions().wrap_connector(tcp));
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(Some(SILENCE));
    // Not while it is idle in the pool.
    connector.set_reset_reader_on_write(true);
    let renewal = Renewal { now: Arc::new(Mutex::new(way(connector.clone()))), connector };
    let ways = renewal.clone();
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .layer(TimeoutLayer::new(SILENCE))
        .layer(ResponseBodyTimeoutLayer::new(SILENCE))
        .service(service_fn(move |request: Request<Body>| ways.present().request(request)));
    Ok((kube::Client::new(stack, config.default_namespace), renewal))
}

fn way(connector: Connector) -> Way {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_WITHIN)
        .http2_initial_stream_window_size(ANSWER_WINDOW)
        .http2_initial_connection_window_size(WINDOW)
        .build(connector)
}

#[cfg(test)]
mod tests;
