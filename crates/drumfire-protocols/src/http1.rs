//! One exchange over an HTTP/1 connection: the hot path. A request on a
//! connection that is open costs one send, one receive, two looks at the clock
//! and, unless a step reads something, no allocation.

use crate::deadline::Deadline;
use crate::exchange::{Body, Response, Timeouts, Version, Wants};
use crate::http2::Translator;
use crate::response::{Progress, ResponseParser, Sink};
use crate::tls::failure_of_io;
use crate::transport::Transport;
use crate::{Failure, Head, HeadReader, Headers, Limits, Request};
use bytes::Bytes;
use drumfire_reactor::{Part, now, will_touch};
use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

/// Receives in one poll before other tasks get their turn: 1 MiB of a big body.
const RECEIVES_PER_POLL: usize = 16;

/// An HTTP/1 connection with the state of the exchange that runs on it, so
/// that a user's future need not carry it.
pub(crate) struct Http1Connection {
    transport: Transport,
    deadline: Deadline,
    parser: ResponseParser,
    kept: Kept,
    sent_bytes: usize,
    sending: Sending,
    times: Times,
    leftover: bool,
}

/// Instants of one exchange on the reactor's clock; zero before they come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// When the last piece of the request was handed to the kernel.
    pub(crate) written_ns: u64,
    /// When the first bytes of the answer were there.
    pub(crate) first_byte_ns: u64,
    /// When bytes went or came last.
    pub(crate) progress_ns: u64,
}

/// How far the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Going,
    Done,
    Failed(Failure),
}

/// What an exchange needs besides its connection.
pub(crate) struct Asked<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) wants: Wants,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) limits: &'a Limits,
    pub(crate) heads: &'a RefCell<HeadReader>,
    pub(crate) translator: &'a RefCell<Translator>,
    /// The start of the exchange, from which its total time counts.
    pub(crate) start_ns: u64,
}

impl Asked<'_> {
    /// When the whole exchange is late.
    pub(crate) fn total_due_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.timeouts.total_ns)
    }
}

/// What a step wants of the answer, collected.
#[derive(Default)]
struct Kept {
    wants: Wants,
    headers: Option<Headers>,
    body: Vec<u8>,
    body_limit: usize,
}

impl Sink for Kept {
    fn head(&mut self, head: &Head, bytes: &[u8]) {
        if self.wants.headers || head.notable.any() {
            self.headers = Some(Headers::from_parsed_head(bytes));
        }
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.wants.body == Body::Discard {
            return Ok(());
        }
        if bytes.len() > self.body_limit - self.body.len() {
            return Err(Failure::BodyTooLarge);
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }
}

impl Http1Connection {
    pub(crate) fn new(transport: Transport) -> Http1Connection {
        Http1Connection {
            transport,
            deadline: Deadline::default(),
            parser: ResponseParser::new(false),
            kept: Kept::default(),
            sent_bytes: 0,
            sending: Sending::Done,
            times: Times::default(),
            leftover: false,
        }
    }

    /// Whether the peer has ended the connection while it was idle.
    pub(crate) fn is_spent(&mut self, context: &mut Context<'_>) -> bool {
        self.transport.is_spent(context)
    }

    /// Prepares for one exchange, the request of which begins to be written now.
    pub(crate) fn begin(&mut self, asked: &Asked<'_>, now_ns: u64) {
        will_touch(Part::Connection, self);
        self.parser = ResponseParser::new(asked.request.is_head());
        self.kept.wants = asked.wants;
        self.kept.body_limit = asked.limits.kept_body_bytes;
        self.sent_bytes = 0;
        self.sending = Sending::Going;
        self.times = Times {
            written_ns: now_ns,
            first_byte_ns: 0,
            progress_ns: now_ns,
        };
    }

    /// Sends and receives until the answer is complete or has failed.
    pub(crate) fn poll(
        &mut self,
        asked: &Asked<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if self.sending == Sending::Going {
            self.send(asked, context);
        }
        for _ in 0..RECEIVES_PER_POLL {
            match self.receive(asked, context) {
                Some(Ok(true)) => return Poll::Ready(Ok(())),
                Some(Ok(false)) => {}
                Some(Err(failure)) => return Poll::Ready(Err(self.first_failure(failure))),
                None => return self.poll_deadline(asked, context).map(Err),
            }
        }
        context.waker().wake_by_ref();
        self.poll_deadline(asked, context).map(Err)
    }

    /// What went wrong while sending explains what went wrong afterwards.
    fn first_failure(&self, failure: Failure) -> Failure {
        match self.sending {
            Sending::Failed(first) => first,
            _ => failure,
        }
    }

    /// Whether another exchange may follow on this connection.
    pub(crate) fn allows_reuse(&self) -> bool {
        self.parser.allows_reuse() && self.sending == Sending::Done && !self.leftover
    }

    /// Whether bytes came after the end of the answer.
    pub(crate) fn has_leftover(&self) -> bool {
        self.leftover
    }

    pub(crate) fn times(&self) -> Times {
        self.times
    }

    pub(crate) fn head(&self) -> Option<&Head> {
        self.parser.head()
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.parser.body_bytes()
    }

    pub(crate) fn sent_bytes(&self) -> usize {
        self.sent_bytes
    }

    /// What was kept of the answer, if anything was wanted.
    pub(crate) fn take_response(&mut self) -> Option<Response> {
        let headers = self.kept.headers.take();
        if headers.is_none() && self.kept.wants.body == Body::Discard {
            return None;
        }
        let head = self.parser.head()?;
        Some(Response {
            status: head.status,
            version: match head.minor_version {
                0 => Version::Http10,
                _ => Version::Http11,
            },
            headers: headers.unwrap_or_default(),
            body: Bytes::from(std::mem::take(&mut self.kept.body)),
        })
    }

    /// Sends what the socket takes. A failure to send is not the end: a target
    /// that answers early and closes has still answered.
    fn send(&mut self, asked: &Asked<'_>, context: &mut Context<'_>) {
        if self.times.written_ns == 0 {
            self.times.written_ns = now();
        }
        match self.poll_write(asked.request.wire(), context) {
            Poll::Ready(Ok(())) => self.sending = Sending::Done,
            Poll::Ready(Err(error)) => self.sending = Sending::Failed(failure_of_io(&error)),
            Poll::Pending => {
                self.times.progress_ns = now();
                self.times.written_ns = 0;
            }
        }
    }

    #[inline]
    fn poll_write(&mut self, wire: &[u8], context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent_bytes < wire.len() {
            match ready!(self.transport.poll_send(context, &wire[self.sent_bytes..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent_bytes += sent,
            }
        }
        self.transport.poll_flush(context)
    }

    /// One receive: whether the answer is complete, or nothing where nothing is there.
    #[inline]
    fn receive(
        &mut self,
        asked: &Asked<'_>,
        context: &mut Context<'_>,
    ) -> Option<Result<bool, Failure>> {
        let (parser, kept, leftover) = (&mut self.parser, &mut self.kept, &mut self.leftover);
        let received = self.transport.poll_recv(context, |bytes| {
            if bytes.is_empty() {
                return parser.close(asked.limits).map(|()| true);
            }
            match parser.feed(bytes, &mut asked.heads.borrow_mut(), kept)? {
                Progress::More => Ok(false),
                Progress::Complete { consumed } => {
                    *leftover = consumed < bytes.len();
                    Ok(true)
                }
            }
        });
        let outcome = match received {
            Poll::Ready(Ok(outcome)) => outcome,
            Poll::Ready(Err(error)) => Err(failure_of_io(&error)),
            Poll::Pending => return None,
        };
        let at_ns = now();
        self.times.progress_ns = at_ns;
        if self.times.first_byte_ns == 0 {
            self.times.first_byte_ns = at_ns;
        }
        Some(outcome)
    }

    fn poll_deadline(&mut self, asked: &Asked<'_>, context: &mut Context<'_>) -> Poll<Failure> {
        let (due_ns, failure) = self.due(asked);
        self.deadline.poll(due_ns, context).map(|()| failure)
    }

    /// When the exchange is late, and what it then fails with.
    fn due(&self, asked: &Asked<'_>) -> (u64, Failure) {
        let timeouts = asked.timeouts;
        let total_ns = asked.total_due_ns();
        let idle_ns = self.times.progress_ns.saturating_add(timeouts.idle_ns);
        let (part_ns, failure) = match (self.sending, self.parser.head()) {
            (Sending::Going, _) | (_, Some(_)) => (idle_ns, Failure::Idle),
            (_, None) => (
                self.times.written_ns.saturating_add(timeouts.response_ns),
                Failure::TimedOut,
            ),
        };
        match total_ns < part_ns {
            true => (total_ns, Failure::TimedOut),
            false => (part_ns, failure),
        }
    }
}
