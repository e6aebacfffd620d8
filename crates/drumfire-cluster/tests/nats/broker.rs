//! A real nats-server for one test: on a free port, with a store of its own, ended by its own id.
//!
//! `make test` installs the program and names it in DRUMFIRE_NATS_SERVER. Without it the tests say so and pass, unless
//! DRUMFIRE_FORBID_SKIPS is set.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use tempfile::TempDir;

const PROGRAM: &str = "DRUMFIRE_NATS_SERVER";

pub struct Server {
    program: PathBuf,
    folder: TempDir,
    /// Of this machine.
    host: String,
    port: u16,
    running: Child,
}

impl Server {
    /// Starts a server with JetStream and this configuration beside; none where the program is not there.
    pub fn start(configuration: &str) -> Option<Self> {
        Self::start_at("127.0.0.1", configuration)
    }

    /// Starts one that listens at this address.
    pub fn start_at(host: &str, configuration: &str) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let store = folder.path().join("store");
        let jetstream = format!("jetstream {{ store_dir: {store:?} }}\n{configuration}\n");
        Self::begin(folder, host, &jetstream)
    }

    /// Starts a server with this configuration, which may name files of the folder.
    pub fn start_in(folder: TempDir, configuration: &str) -> Option<Self> {
        Self::begin(folder, "127.0.0.1", configuration)
    }

    fn begin(folder: TempDir, host: &str, configuration: &str) -> Option<Self> {
        let program = program()?;
        fs::write(folder.path().join("nats.conf"), configuration).expect("a file written");
        let (running, port) = run(&program, folder.path(), host, "-1");
        Some(Self {
            program,
            folder,
            host: host.to_owned(),
            port,
            running,
        })
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    pub fn kill(&mut self) {
        self.running.kill().expect("a child to kill");
        self.wait();
    }

    #[allow(dead_code, reason = "who tests the binary alone ends it by signals")]
    pub fn process_id(&self) -> u32 {
        self.running.id()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) {
        self.running.wait().expect("a child that ended");
    }

    /// Loses everything that it kept, after a kill.
    pub fn forget(&mut self) {
        let store = self.folder.path().join("store");
        fs::remove_dir_all(store).expect("a store to remove");
    }

    /// Starts it again where it was, after its end.
    pub fn start_again(&mut self) {
        let port = self.port.to_string();
        (self.running, _) = run(&self.program, self.folder.path(), &self.host, &port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The path of a nats-server, if there is one.
pub fn program() -> Option<PathBuf> {
    static TOLD: Once = Once::new();
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Some(program.into());
    }
    skip(
        &TOLD,
        &format!("NATS: no {PROGRAM}, the path of a nats-server: `make tools` installs one"),
    );
    None
}

/// Says once what cannot be tested here and why; fails where nothing may be skipped.
pub fn skip(told: &Once, missing: &str) {
    let forbidden = std::env::var("DRUMFIRE_FORBID_SKIPS");
    let forbidden = forbidden.is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
    assert!(!forbidden, "{missing}");
    // Written past the test harness, which keeps what passing tests print.
    told.call_once(|| {
        writeln!(std::io::stderr(), "skipped: {missing}").expect("standard error");
    });
}

/// Starts the program and waits for it to be ready; gives the port that it listens on.
fn run(program: &Path, folder: &Path, host: &str, port: &str) -> (Child, u16) {
    let mut running = Command::new(program)
        .arg("--config")
        .arg(folder.join("nats.conf"))
        .args(["--addr", host, "--port", port])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
    let stderr = running.stderr.take().expect("a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let (mut port, mut said) = (None, String::new());
    for line in &mut lines {
        let line = line.expect("a line of the server's log");
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = address
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok());
        }
        if line.ends_with("Server is ready") {
            break;
        }
        said = format!("{said}{line}\n");
    }
    let port = port.unwrap_or_else(|| panic!("the server did not start:\n{said}"));
    // It must not come to wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (running, port)
}
