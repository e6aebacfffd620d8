//! `--preconnect`: connections that are open before the first request, whoever makes the load.

use crate::broker::Server;
use crate::drumfire::{Folder, script};
use drumfire_metrics::Summary;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A target that knows how many connections had come before the first request.
struct Witness {
    address: SocketAddr,
    desk: Arc<Desk>,
    acceptor: Option<JoinHandle<()>>,
}

struct Desk {
    listener: TcpListener,
    ended: AtomicBool,
    /// A lock, since every connection has a thread that writes it.
    seen: Mutex<Seen>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    connections: usize,
    before_first_request: Option<usize>,
    requests: usize,
}

impl Witness {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound listener");
        let desk = Arc::new(Desk {
            listener,
            ended: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let accepting = desk.clone();
        let accept = move || {
            while !accepting.ended.load(Ordering::SeqCst) {
                accepting.wait();
                accepting.accept();
            }
        };
        Witness {
            address,
            desk,
            acceptor: Some(std::thread::spawn(accept)),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Seen {
        self.desk.accept();
        *self.desk.seen.lock().expect("no thread has panicked")
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.desk.ended.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
        let joined = self.acceptor.take().map(JoinHandle::join);
        assert!(matches!(joined, Some(Ok(()))) || std::thread::panicking());
    }
}

impl Desk {
    /// Waits for a connection that nobody has accepted.
    fn wait(&self) {
        let mut listens = libc::pollfd {
            fd: self.listener.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd, which outlives the call.
        unsafe { libc::poll(&raw mut listens, 1, -1) };
    }

    /// Accepts every connection that is there.
    fn accept(self: &Arc<Self>) {
        let mut seen = self.seen.lock().expect("no thread has panicked");
        while let Ok((stream, _)) = self.listener.accept() {
            seen.connections += 1;
            let desk = self.clone();
            std::thread::spawn(move || desk.serve(stream));
        }
    }

    fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let (mut request, mut byte) = (Vec::new(), [0]);
        while matches!(stream.read(&mut byte), Ok(1)) {
            request.push(byte[0]);
            if request.ends_with(b"\r\n\r\n") {
                request.clear();
                self.note();
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if stream.write_all(answer).is_err() {
                    return;
                }
            }
        }
    }

    /// Notes a request; connections that came before it may wait to be accepted still.
    fn note(self: &Arc<Self>) {
        self.accept();
        let mut seen = self.seen.lock().expect("no thread has panicked");
        seen.requests += 1;
        let connections = seen.connections;
        seen.before_first_request.get_or_insert(connections);
    }
}

/// Connections opened before the start, and in the run: counted, and timed.
fn connections(summary: &Summary) -> (u64, u64, u64) {
    let ahead = summary.total.counters.get("drumfire.preconnected");
    let endpoints = || summary.total.endpoints.values();
    (
        ahead.copied().unwrap_or(0),
        endpoints().map(|endpoint| endpoint.connections).sum(),
        endpoints()
            .map(|endpoint| endpoint.connect_us.count())
            .sum(),
    )
}

fn write_script(folder: &Folder, target: &str, users: u32) {
    let phases = format!("phases: [{{duration: 1, arrivalCount: {users}}}]");
    folder.write("script.yml", &script(target, &phases, "{get: {url: /}}"));
}

#[test]
fn all_are_open_before_the_first_request_and_no_user_opens_another() {
    for (users, who) in [
        (30, &["--agents", "2"][..]),
        (8, &["--agents", "2"]),
        (30, &["--shards", "3"]),
        (8, &["--shards", "3"]),
    ] {
        let (folder, target) = (Folder::new(), Witness::start());
        write_script(&folder, &target.url(), users);
        let run = [
            "run",
            "script.yml",
            "-q",
            "--json",
            "out.json",
            "--preconnect",
            "20",
        ];
        folder.run(&[&run, who].concat()).expect_code(0);
        let seen = target.seen();
        assert!(seen.before_first_request >= Some(20), "{seen:?}");
        assert_eq!(
            (seen.connections, seen.requests),
            (20.max(users as usize), users as usize)
        );
        let opened = u64::from(users.saturating_sub(20));
        assert_eq!(
            connections(&folder.result("out.json")),
            (20, opened, opened),
            "{who:?}"
        );
    }
}

#[test]
fn agents_of_a_cluster_divide_them_by_their_capacity() {
    let Some(server) = Server::start("") else {
        return;
    };
    let (folder, target) = (Folder::new(), Witness::start());
    write_script(&folder, &target.url(), 40);
    let url = server.url();
    let agent = |name: &str, capacity: &str| {
        let command = ["agent", "--once", "--shards", "2", "--nats", &url];
        let own = ["--agent-name", name, "--capacity", capacity];
        let mut agent = folder.start(&[&command[..], &own].concat());
        agent.wait_for_error("waits for runs");
        agent
    };
    let agents = [agent("one", "1"), agent("two", "3")];
    let command = ["coordinator", "script.yml", "--nats", &url, "--agents", "2"];
    let mut coordinator = folder.command(&[&command[..], &["--json", "out.json"]].concat());
    coordinator.env("DRUMFIRE_PRECONNECT", "20");
    crate::drumfire::Running::of(coordinator)
        .end()
        .expect_code(0);
    for agent in agents {
        agent.end().expect_code(0);
    }
    let seen = target.seen();
    assert!(seen.before_first_request >= Some(20), "{seen:?}");
    assert_eq!((seen.connections, seen.requests), (40, 40));
    assert_eq!(connections(&folder.result("out.json")), (20, 20, 20));
}

#[test]
fn a_target_that_cannot_be_reached_keeps_the_run_from_its_start() {
    let folder = Folder::new();
    write_script(&folder, "http://127.0.0.1:1", 1);
    let run = ["run", "script.yml", "-q", "--preconnect", "3"];
    let why = "connections to http://127.0.0.1:1 before the start: ECONNREFUSED after 0 of them";
    let hint = "\nhint: is the target up, can this machine reach it, and does it take so many connections?\n";
    let alone = folder
        .run(&[&run[..], &["--shards", "1"]].concat())
        .expect_code(11);
    let expected = format!("error: cannot prepare the program: open 3 {why}{hint}");
    assert_eq!(alone.stderr, expected);
    let shared = folder
        .run(&[&run[..], &["--agents", "3"]].concat())
        .expect_code(25);
    let expected =
        format!("run failed: agents cannot prepare: prepare: open 1 {why} (exit code 25){hint}");
    assert!(shared.stderr.ends_with(&expected), "{}", shared.stderr);
}

#[test]
fn a_name_that_is_not_found_is_told_before_the_start_and_counted_in_the_run() {
    let folder = Folder::new();
    write_script(&folder, "http://nowhere.invalid", 1);
    let run = ["run", "script.yml", "-q", "--json", "out.json"];
    let ended = folder.run(&run).expect_code(0);
    let warning = "warning: nowhere.invalid cannot be looked up: E";
    assert_eq!(ended.stderr.matches(warning).count(), 1, "{}", ended.stderr);
    let endpoints = folder.result("out.json").total.endpoints;
    let failed: u64 = endpoints
        .values()
        .flat_map(|endpoint| endpoint.errors.values())
        .sum();
    assert_eq!(failed, 1);
}
