//! The client of one shard: an exchange takes a connection, opens one or waits
//! for one, sends, receives, and tells how long each part took.

use crate::connections::{Grant, Lease, Opened, Permit, Table};
use crate::deadline::Deadline;
use crate::decode::decode;
use crate::exchange::{Body, Exchange, Response, Timeouts, Wants};
use crate::http1::{Asked, Http1Connection, Times};
use crate::http2::{Http2Connection, Received, Translator};
use crate::preconnect::Spares;
use crate::resolver::NameCache;
use crate::tls::handshake;
use crate::transport::Transport;
use crate::{
    AllowedTargets, Connections, Failure, HeadReader, Limits, Origin, Request, Resolver, Scheme,
    Tls,
};
use drumfire_metrics::{Outcome, Phases, Sample};
use drumfire_reactor::{ConnectOptions, TcpStream, now};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What all clients of a run have in common; cheap to clone, one clone per shard.
#[derive(Clone, Default)]
pub struct ClientConfig {
    /// Certificates and how they are checked.
    pub tls: Tls,
    /// What a target may answer.
    pub limits: Limits,
    /// Sockets of one user to one origin; 0 means 1, as Artillery has it.
    pub user_sockets: usize,
    /// Sockets of this client to one origin, shared by all its users; none: each user has its own.
    pub pool_sockets: Option<usize>,
    /// Source addresses, taken in turn; none: the kernel's choice.
    pub local_ips: Vec<IpAddr>,
    /// When HTTP/2 is spoken.
    pub http2: Http2,
    /// Who looks names up.
    pub resolver: Resolver,
    /// Look the name up again for every connection, past the cache.
    pub resolve_each_connect: bool,
    /// The only targets that are connected to; none: any.
    pub allowed_targets: Option<AllowedTargets>,
}

/// When HTTP/2 is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http2 {
    /// Never.
    #[default]
    Off,
    /// Over TLS, where the target agrees.
    Alpn,
    /// Always, without asking first.
    PriorKnowledge,
}

/// What a client has seen of its connections, ever growing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Connections opened.
    pub opened: u64,
    /// Of these, the ones opened before anybody needed them.
    pub preconnected: u64,
    /// Idle connections that the target had closed when they were wanted again.
    pub closed_while_idle: u64,
    /// Answers with bytes after their end.
    pub leftover: u64,
    /// Exchanges that failed because ports or file descriptors ran out.
    pub exhausted: u64,
}

/// The client of one shard. Clones are handles to the same one.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Rc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ClientConfig,
    names: NameCache,
    heads: RefCell<HeadReader>,
    translator: RefCell<Translator>,
    pub(crate) pool: Option<Rc<Table>>,
    pub(crate) spares: Spares,
    tls: OnceCell<Result<Arc<rustls::ClientConfig>, Failure>>,
    next_local: Cell<usize>,
    counts: Cell<ClientCounts>,
}

/// The parts of an exchange that are known before its answer.
#[derive(Default)]
pub(crate) struct Trace {
    intended_ns: u64,
    start_ns: u64,
    /// When the request can be written: later than the start where a connection was not at hand.
    ready_ns: u64,
    phases: Phases,
    connected: bool,
}

/// A connection that is ready for a request.
enum Ready<'a> {
    Http1(Lease<'a>),
    Http2(Rc<Http2Connection>),
}

impl<'a> Permit<'a> {
    /// Goes on with a connection that was opened for it.
    fn into_ready(self, opened: Opened) -> Ready<'a> {
        match opened {
            Opened::Http1(connection) => Ready::Http1(self.with(connection)),
            Opened::Http2(connection) => {
                self.share(&connection);
                Ready::Http2(connection)
            }
        }
    }
}

impl Client {
    /// A client for the shard of this thread.
    pub fn new(config: ClientConfig) -> Client {
        let pool = config
            .pool_sockets
            .map(|sockets| Rc::new(Table::new(sockets)));
        let names = NameCache::new(config.resolver.clone(), config.resolve_each_connect);
        Client {
            inner: Rc::new(Inner {
                translator: RefCell::default(),
                heads: RefCell::new(HeadReader::new(config.limits.clone())),
                config,
                names,
                pool,
                spares: Spares::default(),
                tls: OnceCell::new(),
                next_local: Cell::new(0),
                counts: Cell::default(),
            }),
        }
    }

    /// The connections of one user.
    pub fn connections(&self) -> Connections {
        match &self.inner.pool {
            Some(pool) => Connections::pooled(pool.clone()),
            None => Connections::own(self.inner.config.user_sockets),
        }
    }

    /// What was seen of the connections so far.
    pub fn counts(&self) -> ClientCounts {
        self.inner.counts.get()
    }

    /// The limits on answers.
    pub fn limits(&self) -> &Limits {
        &self.inner.config.limits
    }

    /// Sends a request and receives its answer. Never fails as such: what went
    /// wrong is in the sample. Dropped before its end, it closes the connection.
    ///
    /// `intended_ns` is when the request should have been sent, on the reactor's clock.
    pub async fn exchange(
        &self,
        connections: &Connections,
        origin: &Origin,
        request: Request<'_>,
        wants: Wants,
        timeouts: &Timeouts,
        intended_ns: u64,
    ) -> Exchange {
        let start_ns = now();
        let mut trace = Trace {
            intended_ns,
            start_ns,
            ready_ns: start_ns,
            phases: Phases::default(),
            connected: false,
        };
        let asked = Asked {
            request,
            wants,
            timeouts,
            limits: &self.inner.config.limits,
            heads: &self.inner.heads,
            translator: &self.inner.translator,
            start_ns,
        };
        let table = connections.table();
        let inner = &*self.inner;
        let idle = poll_fn(|context| Poll::Ready(inner.reuse(table, origin, context))).await;
        let ready = match idle {
            Some(lease) => Ok(Ready::Http1(lease)),
            None => Box::pin(inner.acquire(table, origin, &asked, &mut trace)).await,
        };
        match ready {
            Ok(Ready::Http1(lease)) => inner.over_http1(lease, &asked, &trace).await,
            Ok(Ready::Http2(connection)) => {
                Box::pin(inner.over_http2(&connection, origin, &asked, &trace)).await
            }
            Err(failure) => inner.finish(&asked, &trace, Answer::none(failure)),
        }
    }
}

/// What came back, however far it came.
struct Answer {
    result: Result<(), Failure>,
    times: Times,
    end_ns: u64,
    status: Option<u16>,
    response: Option<Response>,
    body_bytes: u64,
    sent_bytes: u64,
}

impl Answer {
    fn none(failure: Failure) -> Answer {
        Answer {
            result: Err(failure),
            times: Times::default(),
            end_ns: now(),
            status: None,
            response: None,
            body_bytes: 0,
            sent_bytes: 0,
        }
    }
}

impl Inner {
    /// An idle connection that is still good.
    #[inline]
    fn reuse<'a>(
        &self,
        table: &'a Table,
        origin: &'a Origin,
        context: &mut Context<'_>,
    ) -> Option<Lease<'a>> {
        loop {
            let mut lease = table.take_idle(origin)?;
            if !lease.connection().is_spent(context) {
                return Some(lease);
            }
            self.count(|counts| counts.closed_while_idle += 1);
        }
    }

    async fn over_http1(&self, mut lease: Lease<'_>, asked: &Asked<'_>, trace: &Trace) -> Exchange {
        let connection = lease.connection();
        connection.begin(asked, trace.ready_ns);
        let result = poll_fn(|context| connection.poll(asked, context)).await;
        let times = connection.times();
        let answer = Answer {
            result,
            times,
            end_ns: match result {
                Ok(()) => times.progress_ns,
                Err(_) => now(),
            },
            status: connection.head().map(|head| head.status),
            response: connection.take_response(),
            body_bytes: connection.body_bytes(),
            sent_bytes: connection.sent_bytes() as u64,
        };
        if connection.has_leftover() {
            self.count(|counts| counts.leftover += 1);
        }
        if result.is_ok() && connection.allows_reuse() {
            lease.give_back();
        }
        self.finish(asked, trace, answer)
    }

    async fn over_http2(
        &self,
        connection: &Http2Connection,
        origin: &Origin,
        asked: &Asked<'_>,
        trace: &Trace,
    ) -> Exchange {
        let mut received = Received::default();
        let exchange = connection.exchange(origin, asked, &mut received);
        let result = exchange.await;
        let answer = Answer {
            result,
            times: received.times,
            end_ns: match result {
                Ok(()) => received.times.progress_ns,
                Err(_) => now(),
            },
            status: received.status,
            body_bytes: received.body_bytes,
            sent_bytes: received.sent_bytes,
            response: received.into_response(asked),
        };
        self.finish(asked, trace, answer)
    }

    /// Waits for a connection, or opens one.
    async fn acquire<'a>(
        &self,
        table: &'a Table,
        origin: &'a Origin,
        asked: &Asked<'_>,
        trace: &mut Trace,
    ) -> Result<Ready<'a>, Failure> {
        let mut deadline = Deadline::default();
        let total_ns = asked.total_due_ns();
        let claimed = deadline.within(total_ns, table.claim(origin)).await;
        // The wait for a place is what a user waits, but it is not the target's: the work begins now.
        trace.start_ns = now();
        let permit = match claimed.ok_or(Failure::TimedOut)? {
            Grant::Open => Permit::new(table, origin),
            Grant::Http1(connection) => {
                let mut lease = Permit::new(table, origin).with(connection);
                let spent = |context: &mut Context<'_>| lease.connection().is_spent(context);
                let mut spent = spent;
                if !poll_fn(|context| Poll::Ready(spent(context))).await {
                    trace.ready_ns = now();
                    return Ok(Ready::Http1(lease));
                }
                lease.close()
            }
            Grant::Http2(connection) => {
                trace.ready_ns = now();
                return Ok(Ready::Http2(connection));
            }
        };
        if let Some(spare) = self.spare(origin).await {
            trace.ready_ns = now();
            return Ok(permit.into_ready(spare));
        }
        let connect_ns = now().saturating_add(asked.timeouts.connect_ns);
        let dialed = deadline
            .within(connect_ns.min(total_ns), self.dial(origin, trace))
            .await;
        let opened = dialed.ok_or(Failure::TimedOut)??;
        trace.ready_ns = now();
        Ok(permit.into_ready(opened))
    }

    pub(crate) async fn dial(&self, origin: &Origin, trace: &mut Trace) -> Result<Opened, Failure> {
        let began_ns = now();
        let addresses = Box::pin(self.addresses(origin)).await;
        let found_ns = now();
        if origin.ip().is_none() {
            trace.phases.dns_ns = found_ns - began_ns;
        }
        let stream = self.connect(&addresses?, origin.port()).await?;
        let connected_ns = now();
        trace.connected = true;
        trace.phases.connect_ns = connected_ns - found_ns;
        self.count(|counts| counts.opened += 1);
        let (transport, agreed_http2) = match origin.scheme() {
            Scheme::Http => (Transport::Plain(stream), false),
            Scheme::Https => {
                let name = self.config.tls.server_name(origin)?;
                let stream = Box::pin(handshake(self.tls_config()?, name, stream)).await?;
                trace.phases.tls_ns = now() - connected_ns;
                let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                (Transport::Tls(Box::new(stream)), agreed)
            }
        };
        if agreed_http2 || self.config.http2 == Http2::PriorKnowledge {
            let opening = Http2Connection::open(transport, self.config.limits.head_bytes);
            return Ok(Opened::Http2(Rc::new(Box::pin(opening).await?)));
        }
        Ok(Opened::Http1(Box::new(Http1Connection::new(transport))))
    }

    /// The addresses of an origin that may be connected to. A name that no address could allow is not looked up.
    pub(crate) async fn addresses(&self, origin: &Origin) -> Result<Vec<IpAddr>, Failure> {
        let Some(allowed) = &self.config.allowed_targets else {
            return self.names.addresses(origin).await;
        };
        if !allowed.may_reach(origin) {
            return Err(Failure::TargetNotAllowed);
        }
        let mut addresses = self.names.addresses(origin).await?;
        addresses.retain(|address| allowed.allows(origin, *address));
        match addresses.is_empty() {
            true => Err(Failure::TargetNotAllowed),
            false => Ok(addresses),
        }
    }

    /// Tries one address after another; the first failure is the one to tell.
    async fn connect(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
        let mut first_failure = None;
        for address in addresses {
            let options = ConnectOptions {
                local: self.local_for(*address),
                nodelay: true,
            };
            match TcpStream::connect(SocketAddr::new(*address, port), &options).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    first_failure.get_or_insert(Failure::from_io(&error));
                }
            }
        }
        Err(first_failure.unwrap_or(Failure::NameNotFound))
    }

    /// The next source address of the same family, if any was given.
    fn local_for(&self, remote: IpAddr) -> Option<IpAddr> {
        let locals = &self.config.local_ips;
        let fitting = locals.iter().filter(|ip| ip.is_ipv4() == remote.is_ipv4());
        let count = fitting.clone().count();
        if count == 0 {
            return None;
        }
        let turn = self.next_local.get();
        self.next_local.set(turn.wrapping_add(1));
        fitting.cycle().nth(turn % count).copied()
    }

    fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, Failure> {
        let offered: &[&[u8]] = match self.config.http2 {
            Http2::Off => &[],
            Http2::Alpn => &[b"h2", b"http/1.1"],
            Http2::PriorKnowledge => &[b"h2"],
        };
        let config = || self.config.tls.shard_config(offered);
        self.tls.get_or_init(config).clone()
    }

    fn finish(&self, asked: &Asked<'_>, trace: &Trace, answer: Answer) -> Exchange {
        let (response, result) = match (answer.result, answer.response) {
            (Ok(()), Some(response)) if asked.wants.body == Body::KeepDecoded => {
                let (response, result) = decoded(response, asked.limits);
                (Some(response), result)
            }
            (result, response) => (response, result),
        };
        let failure = result.err();
        if failure.is_some_and(Failure::is_generator_limit) {
            self.count(|counts| counts.exhausted += 1);
        }
        let mut phases = trace.phases;
        if answer.times.first_byte_ns != 0 {
            let Times {
                first_byte_ns,
                written_ns,
                ..
            } = answer.times;
            phases.first_byte_ns = first_byte_ns.saturating_sub(written_ns);
        }
        let sample = Sample {
            intended_ns: trace.intended_ns,
            start_ns: trace.start_ns,
            end_ns: answer.end_ns,
            phases,
            connected: trace.connected,
            outcome: outcome(answer.status, failure),
            body_bytes: answer.body_bytes,
            sent_bytes: answer.sent_bytes,
        };
        Exchange {
            sample,
            response,
            failure,
        }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut ClientCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}

fn outcome(status: Option<u16>, failure: Option<Failure>) -> Outcome {
    match (status, failure) {
        (Some(status), None) => Outcome::Status(status),
        (Some(status), Some(failure)) => Outcome::Broken(status, failure.into()),
        (None, Some(failure)) => Outcome::Error(failure.into()),
        (None, None) => Outcome::Error(Failure::ConnectionReset.into()),
    }
}

/// The answer with its content coding undone; as it came, where that fails.
fn decoded(mut response: Response, limits: &Limits) -> (Response, Result<(), Failure>) {
    let Some(coding) = response.headers.get("content-encoding") else {
        return (response, Ok(()));
    };
    match decode(response.body.clone(), coding, limits.decoded_body_bytes) {
        Ok(body) => {
            response.body = body;
            (response, Ok(()))
        }
        Err(failure) => (response, Err(failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million thinking users hold their connections' handle, ten thousand
    /// an idle connection each: what these cost is a promise.
    #[test]
    fn users_and_idle_connections_stay_small() {
        let client = Client::new(ClientConfig::default());
        let connections = client.connections();
        let origin = Origin::parse("http://127.0.0.1:1").expect("a URL");
        let request = Request::from_wire(b"");
        let timeouts = Timeouts::NEVER;
        let exchange = client.exchange(
            &connections,
            &origin,
            request,
            Wants::default(),
            &timeouts,
            0,
        );
        assert!(size_of::<Connections>() <= 64);
        assert!(size_of::<Http1Connection>() <= 512);
        assert!(size_of_val(&exchange) <= 512);
    }
}
