//! What a client does before its first request: names looked up, connections opened ahead. Those of a pool go into the pool;
//! without one they are spare, and each is handed to the first user that would open one itself.

use crate::client::{Inner, Trace};
use crate::connections::Opened;
use crate::deadline::Deadline;
use crate::{Client, Failure, Origin};
use drumfire_reactor::now;
use futures_util::stream::{self, StreamExt};
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::task::Poll;

/// Connections that one client opens at the same time, so that no target's queue of new ones overflows.
const OPENED_AT_ONCE: usize = 64;
/// For how long one connection may take to open, name lookup and TLS included.
const CONNECT_LIMIT_NS: u64 = 10_000_000_000;
/// For how long a name is waited for before the start.
const LOOKUP_LIMIT_NS: u64 = 5_000_000_000;

/// Why connections cannot be opened before the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "open {count} connections to {origin}{} before the start: {failure} after {open} of them\nhint: {}",
    listed(.addresses), hint(*.failure)
)]
pub struct PreconnectError {
    /// To where.
    pub origin: Origin,
    /// The addresses of its name; none where it is an address, or no name.
    pub addresses: Vec<IpAddr>,
    /// How many were asked for.
    pub count: usize,
    /// How many were open by then.
    pub open: usize,
    /// Why one could not be opened.
    pub failure: Failure,
}

impl Client {
    /// Looks up the name of an origin, so that the first connection to it need not; for 5 s at most.
    ///
    /// # Errors
    /// There is no such name, nobody knows it in time, or it is none that may be connected to.
    pub async fn resolve(&self, origin: &Origin) -> Result<(), Failure> {
        let due_ns = now().saturating_add(LOOKUP_LIMIT_NS);
        let addresses = Box::pin(self.inner.addresses(origin));
        let found = Deadline::default().within(due_ns, addresses).await;
        found.unwrap_or(Err(Failure::NameLookupFailed)).map(drop)
    }

    /// Opens `count` connections to an origin, greeted and idle, for the first requests that need one; gives how many:
    /// no more than a pool takes. They are in no sample.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub async fn preconnect(
        &self,
        origin: &Origin,
        count: usize,
    ) -> Result<usize, PreconnectError> {
        let inner = &*self.inner;
        let pool = inner.pool.as_deref();
        let wanted = count.min(pool.map_or(usize::MAX, |pool| pool.room(origin)));
        let dials = (0..wanted).map(|_| Box::pin(inner.dial_ahead(origin)));
        let mut dials = stream::iter(dials).buffer_unordered(OPENED_AT_ONCE);
        let mut open = 0;
        while let Some(dialed) = dials.next().await {
            match (dialed, pool) {
                (Ok(opened), Some(pool)) => pool.adopt(origin, opened),
                (Ok(opened), None) => inner.spares.keep(origin, opened),
                (Err(failure), _) => {
                    return Err(PreconnectError {
                        addresses: inner.named(origin).await,
                        origin: origin.clone(),
                        count,
                        open,
                        failure,
                    });
                }
            }
            open += 1;
        }
        Ok(open)
    }
}

impl Inner {
    async fn dial_ahead(&self, origin: &Origin) -> Result<Opened, Failure> {
        let due_ns = now().saturating_add(CONNECT_LIMIT_NS);
        let mut trace = Trace::default();
        let mut deadline = Deadline::default();
        let dialed = deadline.within(due_ns, self.dial(origin, &mut trace)).await;
        let opened = dialed.unwrap_or(Err(Failure::TimedOut))?;
        self.count(|counts| counts.preconnected += 1);
        Ok(opened)
    }

    /// What a name is known as, for people to read.
    async fn named(&self, origin: &Origin) -> Vec<IpAddr> {
        match origin.ip() {
            Some(_) => Vec::new(),
            None => self.addresses(origin).await.unwrap_or_default(),
        }
    }

    /// A connection that was opened ahead and is still good.
    pub(crate) async fn spare(&self, origin: &Origin) -> Option<Opened> {
        loop {
            let mut opened = self.spares.take(origin)?;
            let spent = match &mut opened {
                Opened::Http1(connection) => {
                    poll_fn(|context| Poll::Ready(connection.is_spent(context))).await
                }
                Opened::Http2(connection) => connection.is_ended(),
            };
            if !spent {
                return Some(opened);
            }
            self.count(|counts| counts.closed_while_idle += 1);
        }
    }
}

/// Connections that nobody has needed yet, by origin.
#[derive(Default)]
pub(crate) struct Spares {
    kept: RefCell<Vec<(Origin, Vec<Opened>)>>,
}

impl Spares {
    fn keep(&self, origin: &Origin, opened: Opened) {
        let mut kept = self.kept.borrow_mut();
        match kept.iter_mut().find(|(of, _)| of == origin) {
            Some((_, spares)) => spares.push(opened),
            None => kept.push((origin.clone(), vec![opened])),
        }
    }

    fn take(&self, origin: &Origin) -> Option<Opened> {
        let mut kept = self.kept.borrow_mut();
        let (_, spares) = kept.iter_mut().find(|(of, _)| of == origin)?;
        spares.pop()
    }
}

fn listed(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    match addresses.is_empty() {
        true => String::new(),
        false => format!(" ({})", addresses.join(", ")),
    }
}

fn hint(failure: Failure) -> &'static str {
    match failure {
        Failure::NameNotFound | Failure::NameLookupFailed => {
            "is the target's name right, and known to the name servers of this machine?"
        }
        Failure::TargetNotAllowed => "allow-targets says where this machine may connect to",
        Failure::AddressUnavailable | Failure::TooManyFiles => {
            "this machine has no local port or file descriptor left; raise the limit, or open fewer"
        }
        Failure::ConnectionRefused
        | Failure::ConnectionReset
        | Failure::TimedOut
        | Failure::HostUnreachable
        | Failure::NetworkUnreachable => {
            "is the target up, can this machine reach it, and does it take so many connections?"
        }
        _ => "the reference of metrics says what the code means",
    }
}
