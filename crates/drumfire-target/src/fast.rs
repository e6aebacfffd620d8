//! A bare HTTP/1.1 server for benchmarks in which the target must not be the limit: every request
//! gets the same prepared answer, at the price of one `recv` and one `send`.
//!
//! A worker is a thread with its own epoll instance; all share one listening socket. A request is
//! recognised by its blank line and nothing else: no bodies, no paths but `/stats` and
//! `/stats/reset`. Pipelined requests are answered together. Connections are watched edge-triggered
//! for reading only; where an answer does not fit into the socket's buffer, nothing more is read
//! from that connection until it went out.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::json;
use tokio::time::Instant;

use crate::server::TargetError;
use crate::stats::{Stats, TargetStats};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16_384;

/// Events taken from the kernel at once.
const EVENTS_AT_ONCE: usize = 512;

/// Bytes read at once; a shorter read has emptied the socket.
const READ_BYTES: usize = 64 << 10;

/// Answers that lie ready behind each other, for pipelined requests.
const ANSWERS_READY: usize = 64;

/// The blank line that ends a request's head.
const BLANK_LINE: u32 = u32::from_be_bytes(*b"\r\n\r\n");

/// What the bare server is asked for.
#[derive(Clone, Debug)]
pub struct FastOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many threads serve, at least one.
    pub workers: u16,
    /// The length of the body.
    pub body_bytes: u32,
}

impl Default for FastOptions {
    /// One thread on a free port of 127.0.0.1, with a body of 27 bytes.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 1,
            body_bytes: 27,
        }
    }
}

/// The bare server, running until it is dropped.
pub struct FastTarget {
    address: SocketAddr,
    stats: Arc<Stats>,
    stop: Arc<OwnedFd>,
    workers: Vec<JoinHandle<()>>,
}

impl FastTarget {
    /// Binds and starts the threads.
    ///
    /// # Errors
    /// Where the address cannot be bound, or descriptors or threads cannot be had.
    pub fn start(options: &FastOptions) -> Result<Self, TargetError> {
        let refused = |source| TargetError::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        deepen_backlog(&listener).map_err(refused)?;
        let mut target = Self {
            address: listener.local_addr().map_err(refused)?,
            stats: Arc::new(Stats::new(Instant::now())),
            stop: Arc::new(event().map_err(TargetError::Start)?),
            workers: Vec::new(),
        };
        let listener = Arc::new(listener);
        let answers: Arc<[u8]> = prepared(options.body_bytes).repeat(ANSWERS_READY).into();
        for index in 0..options.workers.max(1) {
            let worker = Worker {
                epoll: epoll().map_err(TargetError::Start)?,
                listener: Arc::clone(&listener),
                stop: Arc::clone(&target.stop),
                stats: Arc::clone(&target.stats),
                answers: Arc::clone(&answers),
                connections: Vec::new(),
                buffer: vec![0; READ_BYTES].into(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("fast-target-{index}"))
                .spawn(move || worker.run())
                .map_err(TargetError::Start)?;
            target.workers.push(thread);
        }
        Ok(target)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `http://127.0.0.1:PORT` without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it saw so far (no paths, no statuses).
    pub fn stats(&self) -> TargetStats {
        self.stats.read()
    }
}

impl Drop for FastTarget {
    fn drop(&mut self) {
        signal(&self.stop);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() && !std::thread::panicking() {
                panic!("a thread of the fast target panicked");
            }
        }
    }
}

/// The one answer.
fn prepared(body_bytes: u32) -> Vec<u8> {
    let body = filled(body_bytes as usize);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// JSON of exactly this length, where it is long enough for that.
fn filled(length: usize) -> Vec<u8> {
    let (open, close) = (br#"{"ok":true,"pad":""#, br#""}"#);
    let Some(padding) = length.checked_sub(open.len() + close.len()) else {
        return vec![b'1'; length];
    };
    [&open[..], &vec![b'x'; padding], close].concat()
}

struct Worker {
    epoll: OwnedFd,
    listener: Arc<TcpListener>,
    stop: Arc<OwnedFd>,
    stats: Arc<Stats>,
    answers: Arc<[u8]>,
    /// By descriptor: the kernel keeps them small and dense.
    connections: Vec<Option<Connection>>,
    buffer: Box<[u8]>,
}

struct Connection {
    socket: OwnedFd,
    /// The last four bytes read, so that a blank line may come in pieces.
    window: u32,
    /// Bytes of answers that are still to be sent.
    owed_bytes: usize,
    /// Whether the kernel also tells when there is room to send.
    watches_room: bool,
    /// Whether the peer has said that it sends no more.
    ending: bool,
}

/// What is left of a connection after it was served.
enum Served {
    Open,
    Gone,
}

impl Worker {
    fn run(mut self) {
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_AT_ONCE];
        let (listening, stopping) = (self.listener.as_raw_fd(), self.stop.as_raw_fd());
        // Level-triggered, and one thread woken per connection.
        let wake_one = libc::EPOLLIN | libc::EPOLLEXCLUSIVE;
        watch(&self.epoll, listening, wake_one).expect("a listener can be watched");
        watch(&self.epoll, stopping, libc::EPOLLIN).expect("an event can be watched");
        loop {
            for event in wait(&self.epoll, &mut events) {
                let descriptor = event.u64 as RawFd;
                if descriptor == stopping {
                    return;
                } else if descriptor == listening {
                    self.accept();
                } else {
                    self.serve(descriptor, event.events);
                }
            }
        }
    }

    /// Accepts all that wait. A failure (no descriptors left, the peer gone) is tried again with
    /// the next connection.
    fn accept(&mut self) {
        while let Ok(socket) = accepted(&self.listener) {
            let descriptor = socket.as_raw_fd();
            let edges = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
            if watch(&self.epoll, descriptor, edges).is_err() {
                continue;
            }
            let index = descriptor as usize;
            if index >= self.connections.len() {
                self.connections.resize_with(index + 1, || None);
            }
            self.stats.opened();
            self.connections[index] = Some(Connection {
                socket,
                window: 0,
                owed_bytes: 0,
                watches_room: false,
                ending: false,
            });
        }
    }

    fn serve(&mut self, descriptor: RawFd, events: u32) {
        let slot = &mut self.connections[descriptor as usize];
        let Some(connection) = slot else {
            return;
        };
        // An end that is already known will not be told again: it has to be read.
        connection.ending |= events & libc::EPOLLRDHUP as u32 != 0;
        let served = connection.serve(&mut self.buffer, &self.answers, &self.stats, &self.epoll);
        if matches!(served, Served::Gone) {
            // Closing the descriptor also ends the watch.
            *slot = None;
            self.stats.closed();
        }
    }
}

impl Connection {
    /// Answers everything that can be read.
    fn serve(
        &mut self,
        buffer: &mut [u8],
        answers: &[u8],
        stats: &Stats,
        epoll: &OwnedFd,
    ) -> Served {
        loop {
            match self.pay(answers, epoll) {
                Ok(true) => {}
                Ok(false) => return Served::Open,
                Err(_) => return Served::Gone,
            }
            let read = match receive(&self.socket, buffer) {
                Ok(0) => return Served::Gone,
                Ok(read) => &buffer[..read],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Served::Open,
                Err(_) => return Served::Gone,
            };
            if read.starts_with(b"GET /stats") {
                if tell(&self.socket, read, stats).is_err() {
                    return Served::Gone;
                }
            } else {
                let requests = self.count_requests(read);
                if requests > 0 {
                    stats.arrived(requests);
                    self.owed_bytes += requests as usize * (answers.len() / ANSWERS_READY);
                }
            }
            let emptied = read.len() < buffer.len() && !self.ending;
            if emptied && matches!(self.pay(answers, epoll), Ok(true)) {
                return Served::Open;
            }
        }
    }

    /// Sends what is owed; `false` where there is no room for it now.
    fn pay(&mut self, answers: &[u8], epoll: &OwnedFd) -> io::Result<bool> {
        let answer_bytes = answers.len() / ANSWERS_READY;
        while self.owed_bytes > 0 {
            // An answer sent in part is continued where it was left.
            let sent_of_first = (answer_bytes - self.owed_bytes % answer_bytes) % answer_bytes;
            let most = answers.len() - sent_of_first;
            let piece = &answers[sent_of_first..][..self.owed_bytes.min(most)];
            match send(&self.socket, piece) {
                Ok(sent) => self.owed_bytes -= sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch_room(epoll)?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn watch_room(&mut self, epoll: &OwnedFd) -> io::Result<()> {
        if self.watches_room {
            return Ok(());
        }
        self.watches_room = true;
        let edges = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        watch_otherwise(epoll, self.socket.as_raw_fd(), edges)
    }

    /// How many requests end in these bytes.
    fn count_requests(&mut self, bytes: &[u8]) -> u64 {
        let mut window = self.window;
        let mut requests = 0;
        for byte in bytes {
            window = window << 8 | u32::from(*byte);
            requests += u64::from(window == BLANK_LINE);
        }
        self.window = window;
        requests
    }
}

/// Answers a question about the counters.
fn tell(socket: &OwnedFd, request: &[u8], stats: &Stats) -> io::Result<()> {
    let document = if request.starts_with(b"GET /stats/reset") {
        stats.reset();
        json!({"reset": true})
    } else {
        stats.read().to_json()
    };
    let body = document.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // A few KiB on a quiet connection: what does not fit at once is not worth waiting for.
    if send(socket, answer.as_bytes())? < answer.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// Takes over what a system call returned, or the error it left behind.
fn checked(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}

fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let descriptor = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the descriptor is fresh from the kernel and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn event() -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let descriptor = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the descriptor is fresh from the kernel and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Wakes everyone who watches the event, for good: nobody reads it.
fn signal(event: &OwnedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: the pointer and the length are those of a live array.
    let written = unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    debug_assert_eq!(written, 8, "an event takes one number");
}

fn deepen_backlog(listener: &TcpListener) -> io::Result<()> {
    // SAFETY: the call takes no pointer; the descriptor is alive while it is borrowed.
    checked(unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) }).map(drop)
}

fn watch(epoll: &OwnedFd, descriptor: RawFd, interest: libc::c_int) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_ADD, descriptor, interest)
}

fn watch_otherwise(epoll: &OwnedFd, descriptor: RawFd, interest: libc::c_int) -> io::Result<()> {
    control(epoll, libc::EPOLL_CTL_MOD, descriptor, interest)
}

fn control(
    epoll: &OwnedFd,
    operation: libc::c_int,
    descriptor: RawFd,
    interest: libc::c_int,
) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: interest as u32,
        u64: descriptor as u64,
    };
    // SAFETY: the event outlives the call, which copies it; a bad descriptor is an error.
    checked(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, descriptor, &raw mut event) })
        .map(drop)
}

/// Waits for events; an interruption counts as none.
fn wait<'a>(epoll: &OwnedFd, events: &'a mut [libc::epoll_event]) -> &'a [libc::epoll_event] {
    let most = events.len() as libc::c_int;
    // SAFETY: the pointer and the length are those of a live slice.
    let returned = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), most, -1) };
    &events[..checked(returned).unwrap_or(0) as usize]
}

fn accepted(listener: &TcpListener) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (no_address, no_length) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: null pointers say that the peer's address is not wanted.
    let descriptor =
        checked(unsafe { libc::accept4(listener.as_raw_fd(), no_address, no_length, flags) })?;
    // SAFETY: the descriptor is fresh from the kernel and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length are those of a live integer, as the option wants it.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a live, exclusively borrowed slice.
    let read = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
        )
    };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a live slice.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
