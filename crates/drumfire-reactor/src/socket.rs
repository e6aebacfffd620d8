//! TCP sockets on an edge-triggered epoll.
//!
//! A socket is registered once for both directions. Its readiness is
//! remembered: no read is tried before the kernel said that there is something,
//! and a read that did not fill the buffer clears the readiness without asking
//! again, so that a request and its answer cost two system calls.

use crate::executor::{Inner, with_current};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The reactor's own eventfd.
pub(crate) const WAKE_TOKEN: u64 = u64::MAX;
/// The timer that stands in where the kernel has no `epoll_pwait2`.
const TIMER_TOKEN: u64 = u64::MAX - 1;
/// Bytes of the receive buffer that a reactor's sockets share.
const SCRATCH_BYTES: usize = 64 * 1024;

/// How to open a connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// The local address to come from; the kernel's choice if none.
    pub local: Option<IpAddr>,
    /// Send small segments at once (`TCP_NODELAY`).
    pub nodelay: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            local: None,
            nodelay: true,
        }
    }
}

/// The sockets of one reactor and what is known of their readiness.
pub(crate) struct Sources {
    epoll: OwnedFd,
    slots: RefCell<Slots>,
    scratch: RefCell<Option<Box<[u8]>>>,
    /// Made when `epoll_pwait2` turns out to be missing.
    timer: RefCell<Option<OwnedFd>>,
    coarse: Cell<bool>,
}

#[derive(Default)]
struct Slots {
    sources: Vec<Source>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Source {
    generation: u32,
    readable: bool,
    writable: bool,
    /// The peer has closed or the socket is broken: reading tells which.
    hung_up: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

impl Sources {
    pub(crate) fn new(wake_fd: RawFd) -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let sources = Sources {
            // SAFETY: the descriptor is new and ours.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            slots: RefCell::default(),
            scratch: RefCell::default(),
            timer: RefCell::default(),
            coarse: Cell::new(false),
        };
        sources.control(wake_fd, WAKE_TOKEN, libc::EPOLLIN)?;
        Ok(sources)
    }

    fn control(&self, fd: RawFd, token: u64, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: token,
        };
        // SAFETY: both descriptors are open and `event` lives through the call.
        check(unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event)
        })?;
        Ok(())
    }

    fn register(&self, fd: RawFd) -> io::Result<u32> {
        let mut slots = self.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.sources.push(Source::default());
            (slots.sources.len() - 1) as u32
        });
        let source = &mut slots.sources[index as usize];
        *source = Source {
            generation: source.generation,
            ..Source::default()
        };
        let token = u64::from(source.generation) << 32 | u64::from(index);
        drop(slots);
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        if let Err(error) = self.control(fd, token, events) {
            self.deregister(index);
            return Err(error);
        }
        Ok(index)
    }

    fn deregister(&self, index: u32) {
        let mut slots = self.slots.borrow_mut();
        let source = &mut slots.sources[index as usize];
        // Never reaches the two reserved tokens' generation.
        source.generation = source.generation.wrapping_add(1) & 0x7fff_ffff;
        let wakers = (source.reader.take(), source.writer.take());
        slots.free.push(index);
        drop(slots);
        drop(wakers);
    }

    /// Waits and marks what became ready; says whether anything did.
    pub(crate) fn wait<const EVENTS: usize>(
        &self,
        timeout_ns: Option<u64>,
        mut special: impl FnMut(u64),
    ) -> bool {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let count = self.wait_kernel(&mut events, timeout_ns);
        for event in &events[..count] {
            let (token, bits) = (event.u64, event.events as i32);
            match token {
                WAKE_TOKEN => special(token),
                TIMER_TOKEN => self.clear_timer(),
                _ => self.mark(token, bits),
            }
        }
        count > 0
    }

    fn mark(&self, token: u64, bits: i32) {
        let mut slots = self.slots.borrow_mut();
        let index = (token & u64::from(u32::MAX)) as usize;
        let source = &mut slots.sources[index];
        if source.generation != (token >> 32) as u32 {
            return;
        }
        let broken = bits & (libc::EPOLLHUP | libc::EPOLLERR) != 0;
        let mut reader = None;
        let mut writer = None;
        if broken || bits & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0 {
            source.readable = true;
            source.hung_up |= broken || bits & libc::EPOLLRDHUP != 0;
            reader = source.reader.take();
        }
        if broken || bits & libc::EPOLLOUT != 0 {
            source.writable = true;
            writer = source.writer.take();
        }
        drop(slots);
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }

    fn wait_kernel(&self, events: &mut [libc::epoll_event], timeout_ns: Option<u64>) -> usize {
        if !self.coarse.get() {
            let timeout = timeout_ns.map(|ns| libc::timespec {
                tv_sec: (ns / 1_000_000_000) as libc::time_t,
                tv_nsec: (ns % 1_000_000_000) as libc::c_long,
            });
            // SAFETY: the events and the timeout outlive the call; no signal mask is given.
            let count = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    events.len() as libc::c_int,
                    timeout
                        .as_ref()
                        .map_or(std::ptr::null(), std::ptr::from_ref),
                    std::ptr::null::<libc::sigset_t>(),
                    0usize,
                )
            };
            match count {
                0.. => return count as usize,
                _ if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => return 0,
                _ => self.coarse.set(true),
            }
        }
        self.wait_with_timer(events, timeout_ns)
    }

    /// The same wait for kernels or sandboxes without `epoll_pwait2`.
    fn wait_with_timer(&self, events: &mut [libc::epoll_event], timeout_ns: Option<u64>) -> usize {
        let timeout_ms = match timeout_ns {
            Some(0) => 0,
            Some(ns) => {
                self.arm_timer(ns);
                -1
            }
            None => -1,
        };
        // SAFETY: the events outlive the call.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as libc::c_int,
                timeout_ms,
            )
        };
        usize::try_from(count).unwrap_or(0)
    }

    fn arm_timer(&self, ns: u64) {
        let mut timer = self.timer.borrow_mut();
        let timer = timer.get_or_insert_with(|| {
            // SAFETY: no pointers; the result is checked.
            let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK) };
            assert!(
                fd >= 0,
                "a reactor needs a timer: {}",
                io::Error::last_os_error()
            );
            // SAFETY: the descriptor is new and ours.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let events = libc::EPOLLIN | libc::EPOLLET;
            self.control(fd.as_raw_fd(), TIMER_TOKEN, events)
                .unwrap_or_else(|error| panic!("a reactor needs a timer: {error}"));
            fd
        });
        let value = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: (ns / 1_000_000_000) as libc::time_t,
                tv_nsec: (ns % 1_000_000_000) as libc::c_long,
            },
        };
        // SAFETY: the descriptor is a timer and `value` outlives the call.
        unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &value, std::ptr::null_mut()) };
    }

    fn clear_timer(&self) {
        if let Some(timer) = &*self.timer.borrow() {
            let mut count = [0u8; 8];
            // SAFETY: eight bytes are what a timer hands out; nothing to read is fine.
            unsafe { libc::read(timer.as_raw_fd(), count.as_mut_ptr().cast(), 8) };
        }
    }

    /// Whether a try is worth it; remembers whom to wake otherwise.
    fn poll_ready(&self, index: u32, direction: Direction, context: &Context<'_>) -> Poll<()> {
        let mut slots = self.slots.borrow_mut();
        let source = &mut slots.sources[index as usize];
        let (ready, waker) = match direction {
            Direction::Read => (source.readable, &mut source.reader),
            Direction::Write => (source.writable, &mut source.writer),
        };
        if ready {
            return Poll::Ready(());
        }
        match waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn clear(&self, index: u32, direction: Direction, drained: bool) {
        let source = &mut self.slots.borrow_mut().sources[index as usize];
        match direction {
            // After a hang-up there is no further edge: keep reading up to the end of file.
            Direction::Read => source.readable = source.hung_up && !drained,
            Direction::Write => source.writable = false,
        }
    }
}

/// Lends the reactor's shared receive buffer: receive into it and copy only
/// what must outlive the call.
///
/// # Panics
/// Outside of a reactor. Inside of another `scratch` a second buffer is made.
pub fn scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    let take = || with_current(|current| current?.sources.scratch.borrow_mut().take());
    let mut buffer = take().unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice());
    let output = f(&mut buffer);
    with_current(|current| {
        let inner = current.expect("the receive buffer is lent on a reactor");
        *inner.sources.scratch.borrow_mut() = Some(buffer);
    });
    output
}

/// Sockets that are open on this thread's reactor; none outside of one.
pub fn open_sockets() -> usize {
    with_current(|current| {
        current.map_or(0, |inner| {
            let slots = inner.sources.slots.borrow();
            slots.sources.len() - slots.free.len()
        })
    })
}

/// A registered descriptor; closing it takes it out of the epoll.
struct Registered {
    fd: OwnedFd,
    index: u32,
    inner: Rc<Inner>,
}

impl Registered {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        let inner = with_current(|current| current.cloned()).expect("a socket lives on a reactor");
        let index = inner.sources.register(fd.as_raw_fd())?;
        Ok(Registered { fd, index, inner })
    }

    /// Repeats `attempt` until it does not block.
    fn poll<T>(
        &self,
        direction: Direction,
        context: &Context<'_>,
        mut attempt: impl FnMut(RawFd) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(
                self.inner
                    .sources
                    .poll_ready(self.index, direction, context)
            );
            match attempt(self.fd.as_raw_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.inner.sources.clear(self.index, direction, true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.inner.sources.deregister(self.index);
    }
}

/// A TCP connection of this thread's reactor.
pub struct TcpStream {
    registered: Registered,
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TcpStream({})", self.registered.fd.as_raw_fd())
    }
}

impl TcpStream {
    /// Opens a connection.
    ///
    /// # Errors
    /// As the kernel says: refused, unreachable, no descriptors, no ports. There
    /// is no timeout here but the kernel's own.
    pub async fn connect(address: SocketAddr, options: &ConnectOptions) -> io::Result<Self> {
        let fd = open_socket(address)?;
        if options.nodelay {
            set_option(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
        }
        if let Some(local) = options.local {
            // The port is chosen when the peer is known, so that each peer has all ports.
            set_option(&fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
            bind(&fd, SocketAddr::new(local, 0))?;
        }
        let connecting = start_connect(&fd, address)?;
        let registered = Registered::new(fd)?;
        if connecting {
            std::future::poll_fn(|context| {
                registered
                    .inner
                    .sources
                    .poll_ready(registered.index, Direction::Write, context)
            })
            .await;
            take_socket_error(&registered.fd)?;
        }
        Ok(TcpStream { registered })
    }

    /// Sends what fits, or waits until something does.
    pub fn poll_send(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.registered
            .poll(Direction::Write, context, |fd| send(fd, bytes))
    }

    /// Receives what is there, or waits; zero bytes mean that the peer has closed.
    pub fn poll_recv(&self, context: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let (pointer, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the pointer is good for `length` bytes through the call.
        self.poll_recv_raw(context, |fd| unsafe { recv(fd, pointer, length) }, length)
    }

    fn poll_recv_raw(
        &self,
        context: &Context<'_>,
        attempt: impl FnMut(RawFd) -> io::Result<usize>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.registered.poll(Direction::Read, context, attempt));
        if let Ok(count) = received
            && count > 0
            && count < length
        {
            let sources = &self.registered.inner.sources;
            sources.clear(self.registered.index, Direction::Read, false);
        }
        Poll::Ready(received)
    }

    /// Whether something waits to be read. On an idle connection that is the
    /// peer's farewell, or bytes nobody asked for.
    pub fn is_readable(&self) -> bool {
        let slots = self.registered.inner.sources.slots.borrow();
        slots.sources[self.registered.index as usize].readable
    }

    /// The local end.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.registered.fd)
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: the kernel only writes into the unfilled part.
        let unfilled = unsafe { buffer.unfilled_mut() };
        let (pointer, length) = (unfilled.as_mut_ptr().cast::<u8>(), unfilled.len());
        let received = ready!(self.poll_recv_raw(
            context,
            // SAFETY: the pointer is good for `length` bytes through the call.
            |fd| unsafe { recv(fd, pointer, length) },
            length
        ))?;
        // SAFETY: the kernel has just written `received` bytes there.
        unsafe { buffer.assume_init(received) };
        buffer.advance(received);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.registered
            .poll(Direction::Write, context, |fd| send_vectored(fd, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // SAFETY: the descriptor is open.
        let result =
            check(unsafe { libc::shutdown(self.registered.fd.as_raw_fd(), libc::SHUT_WR) });
        Poll::Ready(result.map(drop))
    }
}

/// A listening socket of this thread's reactor, for tests and examples.
pub struct TcpListener {
    registered: Registered,
}

impl TcpListener {
    /// Listens on `address`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// As the kernel says: in use, not allowed, not ours.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let fd = open_socket(address)?;
        set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
        bind(&fd, address)?;
        // SAFETY: the descriptor is open.
        check(unsafe { libc::listen(fd.as_raw_fd(), 1024) })?;
        let registered = Registered::new(fd)?;
        Ok(TcpListener { registered })
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// As the kernel says.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        let fd = std::future::poll_fn(|context| {
            self.registered.poll(Direction::Read, context, |fd| {
                let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
                // SAFETY: no address is asked for.
                check(unsafe {
                    libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), flags)
                })
            })
        })
        .await?;
        // SAFETY: the descriptor is new and ours.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        set_option(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
        Ok(TcpStream {
            registered: Registered::new(fd)?,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.registered.fd)
    }
}

fn open_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers; the result is checked.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Starts to connect; says whether it goes on in the background.
fn start_connect(fd: &OwnedFd, address: SocketAddr) -> io::Result<bool> {
    let (raw, length) = raw_address(address);
    // SAFETY: `raw` holds an address of `length` bytes.
    match check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const raw).cast(), length) }) {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(true),
        Err(error) => Err(error),
    }
}

fn bind(fd: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let (raw, length) = raw_address(address);
    // SAFETY: `raw` holds an address of `length` bytes.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
}

fn take_socket_error(fd: &OwnedFd) -> io::Result<()> {
    let mut code: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the code is an int and `length` says so.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut code).cast(),
            &mut length,
        )
    })?;
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn set_option(fd: &OwnedFd, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` is `length` readable bytes.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const on).cast(), length) })
        .map(drop)
}

fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // The library's `send` and `recv` are points at which a thread may be cancelled, and pay for it
    // with two atomic exchanges a call; a bare system call does the same without.
    // SAFETY: `bytes` is readable, and no address is given; a closed peer is an error, not a signal.
    let count = unsafe {
        libc::syscall(
            libc::SYS_sendto,
            fd,
            bytes.as_ptr(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
            std::ptr::null::<libc::sockaddr>(),
            0,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn send_vectored(fd: RawFd, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
    // One TLS record or HTTP/2 frame at a time is the rule, and a plain send costs the kernel less.
    if let [only] = slices {
        return send(fd, only);
    }
    // SAFETY: all zeroes is a valid, empty message header.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // `IoSlice` is promised to have the layout of `iovec`.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len().min(1024) as _;
    // SAFETY: the slices outlive the call and are only read.
    let count = unsafe { libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// # Safety
/// `pointer` is good for writing `length` bytes.
unsafe fn recv(fd: RawFd, pointer: *mut u8, length: usize) -> io::Result<usize> {
    // SAFETY: as promised by the caller; the peer's address is not asked for.
    let count = unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            fd,
            pointer,
            length,
            0,
            std::ptr::null_mut::<libc::sockaddr>(),
            std::ptr::null_mut::<libc::socklen_t>(),
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn local_addr(fd: &OwnedFd) -> io::Result<SocketAddr> {
    // SAFETY: all zeroes is a valid, unspecified address.
    let mut raw: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `raw` has room for any address and `length` says how much.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut raw).cast(), &mut length) })?;
    match i32::from(raw.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is an IPv4 address.
            let v4 = unsafe { *(&raw const raw).cast::<libc::sockaddr_in>() };
            let ip = u32::from_be(v4.sin_addr.s_addr).into();
            Ok(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        _ => {
            // SAFETY: our sockets are of one of the two families.
            let v6 = unsafe { *(&raw const raw).cast::<libc::sockaddr_in6>() };
            let ip = v6.sin6_addr.s6_addr.into();
            let port = u16::from_be(v6.sin6_port);
            Ok(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
    }
}

fn raw_address(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeroes is a valid, unspecified address.
    let mut raw: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*v4.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage has room for and the alignment of any address.
            unsafe { (&raw mut raw).cast::<libc::sockaddr_in>().write(value) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: the storage has room for and the alignment of any address.
            unsafe { (&raw mut raw).cast::<libc::sockaddr_in6>().write(value) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (raw, length as libc::socklen_t)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
