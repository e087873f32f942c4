//! The accept loop: TLS, HTTP/1.1, and every limit that keeps a slow or hostile client from mattering to the others.
//!
//! - At most [`Limits::connections`] connections are open; those beyond wait in the kernel's queue.
//! - A handshake has [`Limits::handshake`], a first request [`Limits::first_request`], and between requests a connection may
//!   idle for [`Limits::idle`].
//! - Once the end is announced every answer closes its connection, so that clients go elsewhere by themselves. On the stop
//!   idle connections close, requests under way are answered, and after [`Limits::drain`] the rest is cut.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::stop::Stop;

/// What a server allows its clients.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that are open at once.
    pub connections: usize,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// From the handshake to the end of the first request's headers.
    pub first_request: Duration,
    /// From an answer to the end of the next request's headers. API servers close an idle connection after 90 s; a server
    /// that is faster would now and then cut one that a request has just been sent on.
    pub idle: Duration,
    /// For requests under way, once the server stops.
    pub drain: Duration,
    /// Bytes that are read from a connection at once. rustls reads 4 KB at a time, so without a buffer before it a review of
    /// 20 KB takes six system calls.
    pub read_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            drain: Duration::from_secs(20),
            read_buffer: 32 * 1024,
        }
    }
}

/// The pause after an accept that failed because something ran out, such as file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Serves `router` until `stop`, over TLS where there is a configuration for it. Returns how many connections were cut
/// because they had not ended when the time to drain was over.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    limits: Limits,
    stop: Stop,
) -> usize {
    let tls = tls.map(TlsAcceptor::from);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    while let Some((tcp, slot)) = next(&listener, &slots, &stop).await {
        let connection = connection(tcp, tls.clone(), router.clone(), limits.clone(), stop.clone());
        let cut = cut.clone();
        tasks.spawn(async move {
            let _slot = slot;
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    let drained = tokio::time::timeout(limits.drain, tasks.wait()).await;
    let left = tasks.len();
    cut.cancel();
    if drained.is_err() {
        tracing::warn!(connections = left, "cut: they had not ended when the time to drain was over");
        tasks.wait().await;
    }
    if drained.is_ok() { 0 } else { left }
}

/// The next connection, as soon as there is room for it; `None` when it is time to stop.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stop: &Stop,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let one = async {
        loop {
            let slot = Arc::clone(slots).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((tcp, _)) => return Some((tcp, slot)),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    };
    tokio::select! {
        one = one => one,
        () = stop.now.cancelled() => None,
    }
}

/// Whether the client went away before it was accepted, which says nothing about this server.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection, from the handshake to its end.
async fn connection(tcp: TcpStream, tls: Option<TlsAcceptor>, router: Router, limits: Limits, stop: Stop) {
    // Small answers must not wait for one another (Nagle); a socket that refuses is still of use.
    let _ = tcp.set_nodelay(true);
    let tcp = BufReader::with_capacity(limits.read_buffer, tcp);
    let Some(tls) = tls else { return requests(tcp, router, &limits, stop).await };
    let handshake = tokio::time::timeout(limits.handshake, tls.accept(tcp));
    let stream = tokio::select! {
        done = handshake => done,
        () = stop.now.cancelled() => return,
    };
    match stream {
        Ok(Ok(stream)) => requests(stream, router, &limits, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
        Err(_) => tracing::debug!("handshake took too long"),
    }
}

/// The requests of one connection.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    limits: &Limits,
    stop: Stop,
) {
    let pace = Arc::new(Pace::default());
    let started = Instant::now();
    let service = service_fn(|request: Request<Incoming>| {
        let (router, pace, announced) = (router.clone(), Arc::clone(&pace), stop.announced.clone());
        async move {
            pace.busy();
            let mut response: Result<Response, Infallible> = router.oneshot(request).await;
            if let (Ok(response), true) = (&mut response, announced.is_cancelled()) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            pace.idle_since(started.elapsed());
            response
        }
    });
    let connection = http1::Builder::new().half_close(false).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut stopping = false;
    let mut deadline = started + limits.first_request;
    loop {
        tokio::select! {
            done = connection.as_mut() => {
                if let Err(error) = done {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = tokio::time::sleep_until(deadline) => match pace.last() {
                Last::Busy => deadline = Instant::now() + limits.idle,
                Last::Answer(after) if started + after + limits.idle > Instant::now() => {
                    deadline = started + after + limits.idle;
                }
                Last::Nothing | Last::Answer(_) => return, // too slow
            },
            () = stop.now.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// When a connection did something last. One timer a connection looks at it; a timer a request would cost more than the
/// request's own answer.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

#[derive(Debug)]
enum Last {
    /// No request yet.
    Nothing,
    /// A request is under way.
    Busy,
    /// The last answer was made so long after the connection's start.
    Answer(Duration),
}

impl Pace {
    const BUSY: u64 = u64::MAX;

    fn busy(&self) {
        self.0.store(Self::BUSY, Ordering::Relaxed);
    }

    fn idle_since(&self, after: Duration) {
        let millis = u64::try_from(after.as_millis()).unwrap_or(Self::BUSY - 1);
        self.0.store(millis.max(1), Ordering::Relaxed);
    }

    fn last(&self) -> Last {
        match self.0.load(Ordering::Relaxed) {
            0 => Last::Nothing,
            Self::BUSY => Last::Busy,
            millis => Last::Answer(Duration::from_millis(millis)),
        }
    }
}
