//! A target for the tests of other crates: in a thread of its own, on a free port, gone on drop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::ServerConfig;
use tokio::sync::oneshot;

use crate::options::TargetOptions;
use crate::server::{Ready, Target, TargetError, bound, listen};
use crate::stats::{Stats, TargetStats};
use crate::tls::{self, Authority, TlsError};

/// Threads that a test's target serves with.
const WORKERS: usize = 2;

/// A running target on a free port of 127.0.0.1.
pub struct TestTarget {
    ready: Ready,
    stats: Arc<Stats>,
    authority: Option<Authority>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a target under test speaks.
enum Speech {
    Plain,
    Tls { mutual: bool },
}

impl TestTarget {
    /// Starts one without faults over plain HTTP.
    ///
    /// # Errors
    /// Where no port or thread can be had.
    pub fn start() -> Result<Self, TargetError> {
        Self::start_with(&TargetOptions::default())
    }

    /// Starts one with the faults of `options`; their address, TLS and threads are not asked.
    ///
    /// # Errors
    /// Where no port or thread can be had.
    pub fn start_with(options: &TargetOptions) -> Result<Self, TargetError> {
        Self::begin(options, &Speech::Plain)
    }

    /// Starts one over TLS (HTTP/1.1 and HTTP/2 by ALPN), with a certificate of
    /// [`TestTarget::authority`] for `localhost` and `127.0.0.1`.
    ///
    /// # Errors
    /// Where no port, thread or certificate can be had.
    pub fn start_tls(options: &TargetOptions) -> Result<Self, TargetError> {
        Self::begin(options, &Speech::Tls { mutual: false })
    }

    /// As [`TestTarget::start_tls`], but clients need a certificate of the same authority.
    ///
    /// # Errors
    /// Where no port, thread or certificate can be had.
    pub fn start_mutual_tls(options: &TargetOptions) -> Result<Self, TargetError> {
        Self::begin(options, &Speech::Tls { mutual: true })
    }

    /// Where it listens, as `http://127.0.0.1:PORT` without a trailing slash.
    pub fn url(&self) -> String {
        self.ready.url()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// What it saw so far.
    pub fn stats(&self) -> TargetStats {
        self.stats.read()
    }

    /// Forgets what it saw.
    pub fn reset_stats(&self) {
        self.stats.reset();
    }

    /// Who signed its certificate, to trust and to sign clients with; `None` over plain HTTP.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    fn begin(options: &TargetOptions, speech: &Speech) -> Result<Self, TargetError> {
        let (authority, config) = match speech {
            Speech::Plain => (None, None),
            Speech::Tls { mutual } => {
                let (authority, config) = secured(*mutual)?;
                (Some(authority), Some(config))
            }
        };
        let tls = config.is_some();
        let target = Arc::new(Target::new(options));
        let stats = Arc::clone(&target.stats);
        let (stop, stopped) = oneshot::channel();
        let (address, thread) = spawn(target, config, stopped)?;
        Ok(Self {
            ready: Ready {
                address,
                tls,
                authority: None,
            },
            stats,
            authority,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Serves in a new thread until `stopped`; the address is bound when this returns.
fn spawn(
    target: Arc<Target>,
    tls: Option<Arc<ServerConfig>>,
    stopped: oneshot::Receiver<()>,
) -> Result<(SocketAddr, JoinHandle<()>), TargetError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(TargetError::Start)?;
    let asked = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = {
        // A listener registers with the runtime it is made in.
        let _entered = runtime.enter();
        listen(asked)?
    };
    let address = bound(&listener, asked)?;
    let thread = std::thread::Builder::new()
        .name("test-target".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = target.accept(listener, tls) => {}
                    _ = stopped => {}
                }
            });
        })
        .map_err(TargetError::Start)?;
    Ok((address, thread))
}

fn secured(mutual: bool) -> Result<(Authority, Arc<ServerConfig>), TlsError> {
    let authority = Authority::new()?;
    let identity = authority.server(&["localhost", "127.0.0.1", "::1"])?;
    let clients = mutual.then(|| vec![authority.certificate()]);
    let config = tls::configure(tls::chain(&identity)?, clients)?;
    Ok((authority, config))
}

impl Drop for TestTarget {
    fn drop(&mut self) {
        // The thread may have ended by itself; then there is nothing to stop.
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the test target's thread panicked");
        }
    }
}
