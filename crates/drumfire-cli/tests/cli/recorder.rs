//! A target that notes of every request when it came, from where, and which arrival of the schedule it was: what the load
//! was by this process's clock, whatever those who made it say.

use crate::drumfire::Folder;
use drumfire_reactor::now;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A request that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Nanoseconds of this process's clock.
    pub at_ns: u64,
    pub from: IpAddr,
    /// Its number in the whole schedule; see [`write_script`].
    pub arrival: u64,
    pub failed: bool,
}

/// A target of one test.
pub struct Recorder {
    listener: TcpListener,
    address: SocketAddr,
    arriving: Receiver<Request>,
    seen: Vec<Request>,
    failing: Arc<AtomicBool>,
}

impl Recorder {
    /// Listens on a free port of this address, in this thread's network.
    pub fn start(host: IpAddr) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (sender, arriving) = channel();
        let failing = Arc::new(AtomicBool::new(false));
        let (accepting, fails) = (listener.try_clone(), Arc::clone(&failing));
        let accepting = accepting.expect("a descriptor is left");
        std::thread::spawn(move || {
            while let Ok((stream, peer)) = accepting.accept() {
                let (sender, fails) = (sender.clone(), Arc::clone(&fails));
                std::thread::spawn(move || serve(stream, peer.ip(), &fails, &sender));
            }
        });
        Recorder {
            listener,
            address,
            arriving,
            seen: Vec::new(),
            failing,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the schedule has come to this arrival.
    pub fn wait_for(&mut self, arrival: u64) {
        while self
            .seen
            .last()
            .is_none_or(|request| request.arrival < arrival)
        {
            let request = self.arriving.recv().expect("it listens");
            self.seen.push(request);
        }
    }

    /// Answers with 500 from now on.
    pub fn fail(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// What came since the last call.
    pub fn take(&mut self) -> Vec<Request> {
        self.seen.extend(self.arriving.try_iter());
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open as long as the listener lives. It wakes the thread that accepts.
        unsafe { libc::shutdown(self.listener.as_raw_fd(), libc::SHUT_RDWR) };
    }
}

/// Answers one connection's requests until it is closed, by whom and however.
fn serve(stream: TcpStream, from: IpAddr, failing: &AtomicBool, sender: &Sender<Request>) {
    let Ok(mut answers) = stream.try_clone() else {
        return;
    };
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(first)) = lines.next() {
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let at_ns = now();
        let failed = failing.load(Ordering::Relaxed);
        let status = if failed { "500 Failed" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let arrival = path.trim_start_matches('/').parse();
        let request = Request {
            at_ns,
            from,
            arrival: arrival.unwrap_or_else(|_| panic!("not an arrival: {first}")),
            failed,
        };
        // A test that has ended does not look.
        sender.send(request).ok();
    }
}

/// A script of `rate` arrivals a second, each of which asks for its own number in the whole schedule.
pub fn write_script(folder: &Folder, target: &str, seconds: u64, rate: u64, config: &str) {
    let mut rows = String::new();
    for number in 0..seconds * rate {
        writeln!(rows, "{number}").expect("text takes text");
    }
    folder.write("numbers.csv", &rows);
    let script = format!(
        "{{config: {{target: '{target}', phases: [{{duration: {seconds}, arrivalRate: {rate}}}], \
         payload: {{path: numbers.csv, fields: [number], order: sequence}}, {config}}}, \
         scenarios: [{{flow: [{{get: {{url: '/{{{{ number }}}}'}}}}]}}]}}"
    );
    folder.write("script.yml", &script);
}

/// How far apart agents began, by their requests: each of them is so late after its instant of the schedule, and an agent
/// as late as half of its requests are at most.
pub fn skew_ns(requests: &[Request], rate: u64) -> u64 {
    let mut agents: Vec<IpAddr> = requests.iter().map(|request| request.from).collect();
    agents.sort();
    agents.dedup();
    let late = |agent: &IpAddr| {
        let own = requests.iter().filter(|request| request.from == *agent);
        let mut late: Vec<i64> = own.map(|request| late_ns(request, rate)).collect();
        late.sort();
        late[late.len() / 2]
    };
    let late: Vec<i64> = agents.iter().map(late).collect();
    let (first, last) = (late.iter().min(), late.iter().max());
    let (first, last) = first.zip(last).expect("some requests came");
    last.abs_diff(*first)
}

/// How late a request was after its instant of the schedule; only differences of it mean something.
pub fn late_ns(request: &Request, rate: u64) -> i64 {
    request.at_ns as i64 - (request.arrival * 1_000_000_000 / rate) as i64
}
