//! A folder with scripts, and the binary run in it.

use drumfire_metrics::Summary;
use drumfire_report::result;
use drumfire_target::TestTarget;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A folder that is gone with the test.
pub struct Folder(TempDir);

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command that still runs; it is ended with a test that fails.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

/// A server that says nothing by itself, and its URL.
pub fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    (listener, url)
}

pub fn target() -> TestTarget {
    TestTarget::start().expect("a port of 127.0.0.1 is free")
}

/// A script of one scenario with `flow`, and `config` besides the target.
pub fn script(target: &str, config: &str, flow: &str) -> String {
    format!(
        "{{config: {{target: '{target}', {config}}}, scenarios: [{{name: visit, flow: [{flow}]}}]}}"
    )
}

impl Folder {
    pub fn new() -> Self {
        Folder(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a temporary file can be written");
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The result that `--json` wrote; its sums hold.
    pub fn result(&self, name: &str) -> Summary {
        let summary = result::parse(&self.read(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(summary.check_invariants(), Vec::<String>::new());
        summary
    }

    /// Names of the files in a folder, sorted.
    pub fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect("the folder is there");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.expect("a folder entry can be read");
            entry.file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drumfire"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let heed_signals = || {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                // SAFETY: no handler is given, only the default is restored.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        };
        // What started the tests (nohup, a job in the background) may ignore signals, and drumfire
        // leaves ignored what was ignored.
        // SAFETY: between fork and exec it only calls `signal`, which is safe there.
        unsafe { command.pre_exec(heed_signals) };
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("the binary starts");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::of(self.command(arguments))
    }
}

impl Ended {
    /// Whether it ended with `code`; prints everything where it did not.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        let Ended { stdout, stderr, .. } = &self;
        assert_eq!(
            self.code,
            Some(code),
            "\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }
}

impl Running {
    /// Starts a command.
    pub fn of(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        Running {
            child,
            stdout,
            stderr,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard output that contains `text`; gives it.
    pub fn wait_for(&mut self, text: &str) -> String {
        wait_for(&mut self.stdout, text)
    }

    /// Waits for a line on standard error that contains `text`.
    pub fn wait_for_error(&mut self, text: &str) -> String {
        wait_for(&mut self.stderr, text)
    }

    pub fn signal(&self, number: i32) {
        signal(self.child.id(), number);
    }

    pub fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout
            .read_to_string(&mut stdout)
            .expect("stdout is text");
        self.stderr
            .read_to_string(&mut stderr)
            .expect("stderr is text");
        let status = self.child.wait().expect("the child ends");
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended already takes neither.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Signals a child that has not been waited for.
pub fn signal(child: u32, number: i32) {
    let pid = i32::try_from(child).expect("process ids are small");
    // SAFETY: no pointers, and the child is ours.
    let sent = unsafe { libc::kill(pid, number) };
    assert_eq!(sent, 0, "the child takes signal {number}");
}

fn wait_for(from: &mut impl BufRead, text: &str) -> String {
    let mut seen = String::new();
    for line in from.lines() {
        let line = line.expect("output is text");
        if line.contains(text) {
            return line;
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    panic!("no line with {text:?} in:\n{seen}");
}

/// The names of all files that a report folder gets.
pub const REPORT_FILES: [&str; 6] = [
    "artillery.json",
    "endpoints.csv",
    "junit.xml",
    "report.html",
    "result.json",
    "timeline.csv",
];
