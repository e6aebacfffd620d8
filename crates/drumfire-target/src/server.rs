//! The service itself: listens, speaks HTTP/1.1 and HTTP/2 with or without TLS, lets faults
//! happen, and hands a connection over to `hostile` where a route asks for the bare wire.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::descriptors;
use crate::fast::{FastOptions, FastTarget};
use crate::faults::{FateVerdict, Faults};
use crate::hostile::{After, Attack};
use crate::options::TargetOptions;
use crate::routes::{self, Body, Query, Reply, plain};
use crate::stats::Stats;
use crate::tls::{self, TlsError};
use crate::wire::{ResetSwitch, Wire};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16_384;

/// The largest request body that is read; larger ones are answered with 413.
const REQUEST_BODY_LIMIT_BYTES: usize = 16 << 20;

/// Streams that one HTTP/2 connection may have open.
const HTTP2_STREAMS_LIMIT: u32 = 10_000;

/// How long accepting rests after it failed (out of file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Why the target cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// HTTPS was asked for and cannot be had.
    #[error("cannot serve HTTPS")]
    Tls(#[from] TlsError),
    /// A thread or an event loop could not be started.
    #[error("cannot start the target's threads")]
    Start(#[source] io::Error),
}

/// Where the target listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The bound address, with its real port.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Where the authority's certificate was written.
    pub authority: Option<PathBuf>,
}

impl Ready {
    /// The address as a URL without a trailing slash.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

impl fmt::Display for Ready {
    /// The line for standard output.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "listening on {}", self.url())
    }
}

/// Makes a runtime of `options.workers` threads and serves on it, from a thread that has none.
///
/// # Errors
/// As [`serve`], and where no thread can be started.
pub fn run(
    options: TargetOptions,
    ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), TargetError> {
    descriptors::raise_limit();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = options.workers.filter(|_| !options.fast) {
        builder.worker_threads(usize::from(workers));
    }
    let runtime = builder.enable_all().build().map_err(TargetError::Start)?;
    runtime.block_on(serve(options, ready, shutdown))
}

/// Serves on the caller's runtime (whose threads decide, not `options.workers`) until
/// `shutdown` is done; `ready` is told the bound address once. Open connections are cut at the end.
///
/// # Errors
/// Where the address cannot be bound or HTTPS cannot be had.
pub async fn serve(
    options: TargetOptions,
    ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), TargetError> {
    if options.fast {
        return serve_fast(&options, ready, shutdown).await;
    }
    let tls = tls::from_options(&options)?;
    let listener = listen(options.listen)?;
    let target = Arc::new(Target::new(&options));
    let address = bound(&listener, options.listen)?;
    ready(&Ready {
        address,
        tls: tls.is_some(),
        authority: options.tls_write_ca,
    });
    tokio::select! {
        () = target.accept(listener, tls) => {}
        () = shutdown => {}
    }
    Ok(())
}

async fn serve_fast(
    options: &TargetOptions,
    ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), TargetError> {
    let target = FastTarget::start(&FastOptions {
        listen: options.listen,
        workers: options.workers.unwrap_or(1),
        body_bytes: options.fast_body_bytes,
    })?;
    ready(&Ready {
        address: target.address(),
        tls: false,
        authority: None,
    });
    shutdown.await;
    Ok(())
}

/// Binds the address; must be called on a runtime.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, TargetError> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    socket
        .and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        })
        .map_err(|source| TargetError::Listen { address, source })
}

pub(crate) fn bound(
    listener: &TcpListener,
    address: SocketAddr,
) -> Result<SocketAddr, TargetError> {
    listener
        .local_addr()
        .map_err(|source| TargetError::Listen { address, source })
}

/// What all connections share.
pub(crate) struct Target {
    pub(crate) stats: Arc<Stats>,
    faults: Faults,
    ordinals: AtomicU64,
    pub(crate) counter: AtomicU64,
}

impl Target {
    pub(crate) fn new(options: &TargetOptions) -> Self {
        Self {
            stats: Arc::new(Stats::new(Instant::now())),
            faults: Faults::new(options),
            ordinals: AtomicU64::new(0),
            counter: AtomicU64::new(0),
        }
    }

    /// Accepts connections for ever; those still open are cut when this is dropped.
    pub(crate) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
    ) {
        let acceptor = tls.map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let target = Arc::clone(&self);
                        connections.spawn(target.converse(stream, peer, acceptor.clone()));
                    }
                    // The peer gave up, or descriptors ran out: both pass.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn converse(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) {
        let line = Line {
            target: Arc::clone(&self),
            connection: self.stats.opened(),
            peer,
            tls: Arc::default(),
        };
        // Whatever ends a conversation is the client's to judge; the counters tell the rest.
        line.talk(stream, acceptor).await.ok();
        self.stats.closed();
    }
}

/// One connection's conversation.
#[derive(Clone)]
struct Line {
    target: Arc<Target>,
    connection: u64,
    peer: SocketAddr,
    /// What was agreed on in the handshake, for `/echo`.
    tls: Arc<Value>,
}

impl Line {
    async fn talk(mut self, stream: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut wire = match acceptor {
            Some(acceptor) => Wire::tls(acceptor.accept(stream).await?),
            None => Wire::plain(stream),
        };
        self.tls = Arc::new(wire.tls_facts());
        if wire.speaks_http2().await? {
            self.talk_http2(wire).await
        } else {
            self.talk_http1(wire).await
        }
    }

    /// Serves HTTP/1.1, and each time a request asks for the bare wire takes it from hyper,
    /// lets the attack happen, and gives it back where the connection is still whole.
    async fn talk_http1(self, mut wire: Wire) -> io::Result<()> {
        loop {
            let (seize, mut seized) = mpsc::channel(1);
            let line = self.clone();
            let service = service_fn(move |request| line.clone().respond(request, seize.clone()));
            let mut connection = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(wire), service);
            let attack: Attack = tokio::select! {
                ended = &mut connection => return ended.map_err(io::Error::other),
                Some(attack) = seized.recv() => attack,
            };
            let parts = connection.into_parts();
            wire = parts.io.into_inner();
            wire.put_back(parts.read_buf);
            match attack.perform(&mut wire).await? {
                After::KeepAlive => {}
                After::Close => return wire.shutdown().await,
                After::Reset => {
                    wire.reset_switch().reset_at_end();
                    return Ok(());
                }
            }
        }
    }

    /// Serves HTTP/2, where a request that asks for the bare wire can only have the whole
    /// connection reset.
    async fn talk_http2(self, wire: Wire) -> io::Result<()> {
        let reset: ResetSwitch = wire.reset_switch();
        let (seize, mut seized) = mpsc::channel(1);
        let service = service_fn(move |request| self.clone().respond(request, seize.clone()));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(HTTP2_STREAMS_LIMIT)
            .serve_connection(TokioIo::new(wire), service);
        tokio::select! {
            ended = connection => ended.map_err(io::Error::other),
            Some(_) = seized.recv() => {
                reset.reset_at_end();
                Ok(())
            }
        }
    }

    async fn respond(
        self,
        request: Request<Incoming>,
        seize: mpsc::Sender<Attack>,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        let path = request.uri().path();
        if let Some(answer) = routes::control(path, &self.target.stats) {
            return Ok(answer);
        }
        let arrival = self.target.stats.elapsed();
        self.target.stats.arrived(1);
        self.target.stats.asked_for(path);
        let http2 = request.version() == Version::HTTP_2;
        let reply = self.decide(request, arrival).await;
        let answer = match reply {
            Reply::Now(answer) => answer,
            Reply::Later(delay, answer) => {
                tokio::time::sleep(delay).await;
                answer
            }
            Reply::Compute(work) => work.perform().await,
            Reply::Silence => std::future::pending().await,
            Reply::Seize(attack) if http2 && !attack.cuts_the_connection() => {
                plain(StatusCode::NOT_IMPLEMENTED, "this fault needs HTTP/1.1\n")
            }
            // The other end of the channel cannot be gone: it owns this future.
            Reply::Seize(attack) => {
                seize.send(attack).await.ok();
                std::future::pending().await
            }
        };
        self.target.stats.answered(answer.status().as_u16());
        Ok(answer)
    }

    /// Lets the faults of the whole server happen to a request, then finds its route.
    async fn decide(&self, request: Request<Incoming>, arrival: Duration) -> Reply {
        let ordinal = self.target.ordinals.fetch_add(1, Relaxed);
        let mut chance = self.target.faults.chance(ordinal);
        let fate = self.target.faults.fate(&mut chance);
        self.wait_out_a_stall(arrival).await;
        if !fate.delay.is_zero() {
            tokio::time::sleep(fate.delay).await;
            self.wait_out_a_stall(self.target.stats.elapsed()).await;
        }
        match fate.verdict {
            FateVerdict::Reset => return Reply::Seize(Attack::Reset),
            FateVerdict::Error => return Reply::Now(routes::injected_error()),
            FateVerdict::Answer => {}
        }
        match self.query(request, ordinal).await {
            Ok(mut query) => routes::answer(&mut query, &mut chance, &self.target),
            Err(refused) => Reply::Now(refused),
        }
    }

    async fn wait_out_a_stall(&self, arrival: Duration) {
        let stall = self.target.faults.stall;
        if let Some(until) = stall.and_then(|stall| stall.stall_until(arrival)) {
            sleep_until(self.target.stats.started() + until).await;
        }
    }

    /// Reads the request whole; a body that is too large or broken is answered here.
    async fn query(
        &self,
        request: Request<Incoming>,
        ordinal: u64,
    ) -> Result<Query, Response<Body>> {
        let (head, body) = request.into_parts();
        let too_large = || {
            plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request body is above 16 MiB\n",
            )
        };
        if body.size_hint().lower() > REQUEST_BODY_LIMIT_BYTES as u64 {
            return Err(too_large());
        }
        let body: Bytes = match Limited::new(body, REQUEST_BODY_LIMIT_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(too_large());
            }
            Err(error) => {
                return Err(plain(
                    StatusCode::BAD_REQUEST,
                    format!("cannot read the request body: {error}\n"),
                ));
            }
        };
        Ok(Query {
            head,
            body,
            connection: self.connection,
            ordinal,
            peer: self.peer,
            tls: Arc::clone(&self.tls),
            params: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stall: &str) -> Line {
        let options = TargetOptions {
            stall: Some(stall.parse().expect("a schedule")),
            ..TargetOptions::default()
        };
        Line {
            target: Arc::new(Target::new(&options)),
            connection: 1,
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            tls: Arc::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_for_the_end_of_the_stall_they_arrive_in() {
        let line = line("1s/5s");
        let mut waits_ms = Vec::new();
        for arrival_ms in (0..10_000).step_by(250) {
            let arrival = Duration::from_millis(arrival_ms);
            sleep_until(line.target.stats.started() + arrival).await;
            let waiting = line.clone();
            waits_ms.push(tokio::spawn(async move {
                waiting.wait_out_a_stall(arrival).await;
                (waiting.target.stats.elapsed() - arrival).as_millis()
            }));
        }
        let stalled = [1_000, 750, 500, 250];
        for (index, wait_ms) in waits_ms.into_iter().enumerate() {
            let expected = stalled.get(index % 20).copied().unwrap_or(0);
            assert_eq!(wait_ms.await.expect("a wait"), expected, "arrival {index}");
        }
    }
}
