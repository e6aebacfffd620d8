//! Hosts of their own on this machine: a network namespace each, joined by a wire that delays and loses packets and can be cut.
//!
//! `tc netem` is in few kernels of build machines. A TUN device is in all: what goes out of a host's only device comes to
//! the wire, a thread, which hands it to the other host later, or never. Nothing of the machine's own network is touched,
//! and all of it is gone with the last descriptor, however a test ends.

use crate::broker::skip;
use drumfire_reactor::now;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// From one host to another, each way.
pub const DELAY_NS: u64 = 20_000_000;

/// One packet of so many is lost, each way.
const LOST_OF: u64 = 100;

/// The largest packet that a host sends.
const PACKET_BYTES: usize = 1_500;

/// The wire looks whether it has ended at least so often.
const LOOK_NS: u64 = 100_000_000;

/// Of hosts, so that pairs of them fit into a word of bits.
const MAX_HOSTS: usize = 8;

/// Hosts and the wire between them.
pub struct Network {
    pub hosts: Vec<Host>,
    state: Arc<State>,
    wire: Option<JoinHandle<()>>,
}

/// A network namespace with one address.
pub struct Host {
    namespace: File,
    number: usize,
}

/// What tests tell the wire.
#[derive(Default)]
struct State {
    ended: AtomicBool,
    /// A bit for each pair of hosts between which nothing passes.
    cuts: AtomicU64,
}

struct Wire {
    devices: Vec<File>,
    state: Arc<State>,
    /// On their way, the first to arrive first.
    flying: VecDeque<Flight>,
    chance: u64,
}

struct Flight {
    lands_ns: u64,
    to: usize,
    packet: Vec<u8>,
}

impl Network {
    /// None where there are no namespaces to be had.
    pub fn start(hosts: usize) -> Option<Self> {
        static TOLD: Once = Once::new();
        assert!(hosts <= MAX_HOSTS);
        let made: io::Result<Vec<(Host, File)>> = (0..hosts).map(Host::new).collect();
        let (hosts, devices) = match made {
            Ok(made) => made.into_iter().unzip(),
            Err(error) => {
                skip(
                    &TOLD,
                    &format!("network namespaces, which root makes: {error}"),
                );
                return None;
            }
        };
        let state = Arc::new(State::default());
        let wire = Wire {
            devices,
            state: Arc::clone(&state),
            flying: VecDeque::new(),
            chance: 1,
        };
        Some(Network {
            hosts,
            state,
            wire: Some(std::thread::spawn(|| wire.carry())),
        })
    }

    /// From now on each hears nothing of the other, not even that the wire is cut.
    pub fn cut(&self, one: usize, other: usize) {
        let cuts = pair(one, other) | pair(other, one);
        self.state.cuts.fetch_or(cuts, Ordering::Relaxed);
    }

    /// Cuts a host off from all others.
    pub fn cut_off(&self, one: usize) {
        let others = (0..self.hosts.len()).filter(|other| *other != one);
        others.for_each(|other| self.cut(one, other));
    }

    /// As before every cut.
    pub fn mend(&self) {
        self.state.cuts.store(0, Ordering::Relaxed);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        let ended = self.wire.take().map(JoinHandle::join);
        // A test that fails already does so for a reason of its own.
        if !std::thread::panicking()
            && let Some(Err(panic)) = ended
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Host {
    fn new(number: usize) -> io::Result<(Self, File)> {
        let made = move || {
            // SAFETY: no pointers; only this thread, which ends soon, goes to another network.
            done(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            let namespace = File::open("/proc/thread-self/ns/net")?;
            raise("lo", None)?;
            let device = open_device("wire")?;
            raise("wire", Some(address(number)))?;
            Ok((Host { namespace, number }, device))
        };
        std::thread::spawn(made).join().expect("it does not panic")
    }

    pub fn address(&self) -> IpAddr {
        address(self.number).into()
    }

    /// Does something in this host's network: what it starts and what it opens stays there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = self.namespace.as_raw_fd();
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                // SAFETY: no pointers; the descriptor is open, and only this thread goes there.
                done(unsafe { libc::setns(namespace, libc::CLONE_NEWNET) })
                    .expect("a thread may go where its process made a network");
                work()
            });
            let done = inside.join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Wire {
    fn carry(mut self) {
        while !self.state.ended.load(Ordering::Relaxed) {
            self.wait();
            (0..self.devices.len()).for_each(|from| self.take_from(from));
            self.land();
        }
    }

    /// Waits for a packet of any host, or for one to land.
    fn wait(&self) {
        let ready = |device: &File| libc::pollfd {
            fd: device.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut ready: Vec<_> = self.devices.iter().map(ready).collect();
        let next = self.flying.front();
        let wait_ns = next.map_or(LOOK_NS, |flight| flight.lands_ns.saturating_sub(now()));
        let wait = libc::timespec {
            tv_sec: 0,
            tv_nsec: wait_ns.min(LOOK_NS) as libc::c_long,
        };
        // SAFETY: the list is valid to write to and as long as said, the time valid to read, and there is no mask.
        let found = unsafe {
            libc::ppoll(
                ready.as_mut_ptr(),
                ready.len() as libc::nfds_t,
                &wait,
                std::ptr::null(),
            )
        };
        done(found).expect("the devices can be waited for");
    }

    /// Takes all that a host has sent.
    fn take_from(&mut self, from: usize) {
        let mut bytes = [0; PACKET_BYTES];
        loop {
            let length = match (&self.devices[from]).read(&mut bytes) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("read what host {from} sends: {error}"),
            };
            let packet = &bytes[..length];
            let to = destination(packet).filter(|to| self.joins(from, *to));
            if let Some(to) = to.filter(|_| !self.loses()) {
                self.flying.push_back(Flight {
                    lands_ns: now() + DELAY_NS,
                    to,
                    packet: packet.to_vec(),
                });
            }
        }
    }

    fn joins(&self, from: usize, to: usize) -> bool {
        let cuts = self.state.cuts.load(Ordering::Relaxed);
        to < self.devices.len() && cuts & pair(from, to) == 0
    }

    /// Hands over what is due.
    fn land(&mut self) {
        let landed_ns = now();
        while let Some(flight) = self
            .flying
            .pop_front_if(|flight| flight.lands_ns <= landed_ns)
        {
            let written = (&self.devices[flight.to]).write(&flight.packet);
            written.unwrap_or_else(|error| panic!("hand a packet to host {}: {error}", flight.to));
        }
    }

    /// Decides by chance (xorshift).
    fn loses(&mut self) -> bool {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance.is_multiple_of(LOST_OF)
    }
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number as u8 + 1)
}

/// Which host an IPv4 packet goes to; hosts say other things too.
fn destination(packet: &[u8]) -> Option<usize> {
    match packet {
        [first, rest @ ..] if first >> 4 == 4 => {
            let number = rest.get(15..19)?.strip_prefix(&[10, 0, 0])?;
            usize::from(number[0]).checked_sub(1)
        }
        _ => None,
    }
}

fn pair(from: usize, to: usize) -> u64 {
    1 << (from * MAX_HOSTS + to)
}

/// A new device of this thread's network, whose packets are read and written here.
fn open_device(name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let device = options
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = named(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    ask(device.as_raw_fd(), libc::TUNSETIFF, &mut request)?;
    Ok(device)
}

/// Brings a device of this thread's network up, with an address where it needs one.
fn raise(name: &str, address: Option<Ipv4Addr>) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    let socket = socket.as_raw_fd();
    if let Some(address) = address {
        let mut request = named(name);
        request.ifr_ifru.ifru_addr = socket_address(address);
        ask(socket, libc::SIOCSIFADDR, &mut request)?;
        request.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::new(255, 255, 255, 0));
        ask(socket, libc::SIOCSIFNETMASK, &mut request)?;
    }
    let mut request = named(name);
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    ask(socket, libc::SIOCSIFFLAGS, &mut request)
}

fn named(name: &str) -> libc::ifreq {
    // SAFETY: zeroes are valid for every field.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut bytes = [0; 14];
    bytes[2..6].copy_from_slice(&address.octets());
    libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: bytes.map(|byte| byte as libc::c_char),
    }
}

fn ask(descriptor: RawFd, what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: all requests of this file take an `ifreq`, valid to read and write.
    done(unsafe { libc::ioctl(descriptor, what, request) })
}

fn done(returned: libc::c_int) -> io::Result<()> {
    match returned {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
