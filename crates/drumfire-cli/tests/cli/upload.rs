//! Reports into a real object store that speaks S3 and checks who comes: versitygw, over a folder.
//!
//! `make test` installs the program and names it in DRUMFIRE_S3_SERVER. Without it the tests say so and pass, unless
//! DRUMFIRE_FORBID_SKIPS is set.

use crate::drumfire::{Ended, Folder, script, target};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = "DRUMFIRE_S3_SERVER";
const KEY: &str = "drumfire";
const SECRET: &str = "a secret of the store";

/// An object store with the bucket `results`.
struct Store {
    folder: TempDir,
    endpoint: String,
    running: Child,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.running.kill().expect("a child to kill");
        self.running.wait().expect("a child that ended");
    }
}

impl Store {
    /// None where the program is not there.
    fn start() -> Option<Self> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            let missing =
                format!("S3: no {PROGRAM}, the path of a versitygw: `make tools` installs one");
            let forbidden = std::env::var("DRUMFIRE_FORBID_SKIPS");
            let forbidden = forbidden.is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
            assert!(!forbidden, "{missing}");
            writeln!(std::io::stderr(), "skipped: {missing}").expect("standard error");
            return None;
        };
        let folder = TempDir::new().expect("a temporary folder");
        fs::create_dir(folder.path().join("results")).expect("a bucket");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let running = Command::new(program)
            .args(["--port", &address, "--access", KEY, "--secret", SECRET])
            .arg("posix")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut store = Self {
            folder,
            endpoint: format!("http://{address}"),
            running: running.expect("a versitygw that starts"),
        };
        let stdout = store.running.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(&store.endpoint)));
        // It must not come to wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        while TcpStream::connect(&address).is_err() {
            let ended = store.running.try_wait().expect("a child");
            assert!(ended.is_none(), "the store ended: {ended:?}");
            std::thread::yield_now();
        }
        Some(store)
    }

    /// Runs drumfire with what it needs to know of the store.
    fn run(&self, folder: &Folder, secret: &str, arguments: &[&str]) -> Ended {
        let mut command = folder.command(arguments);
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_REGION", "us-east-1");
        let output = command.output().expect("drumfire runs");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr: String::from_utf8(output.stderr).expect("stderr is text"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("results").join(name)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect("a folder in the store");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
        names.sort();
        names
    }
}

const LOAD: &str = "phases: [{duration: 1, arrivalRate: 5}]";

#[test]
fn every_report_of_a_run_is_uploaded_to_a_folder_of_its_own() {
    let Some(store) = Store::start() else {
        return;
    };
    let (folder, target) = (Folder::new(), target());
    folder.write(
        "script.yml",
        &script(&target.url(), LOAD, "{get: {url: /}}"),
    );
    let run = ["run", "script.yml", "--json", "out.json"];
    let upload = ["--report-upload", "s3://results/nightly/a b"];
    let ended = store.run(&folder, SECRET, &[&run[..], &upload].concat());
    let ended = ended.expect_code(0);
    let runs = store.list("nightly/a b");
    let [run] = &runs[..] else {
        panic!("{runs:?}");
    };
    let told = format!("reports uploaded to s3://results/nightly/a b/{run}\n");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let place = format!("nightly/a b/{run}");
    let files = store.list(&place);
    let mut expected = crate::drumfire::REPORT_FILES.to_vec();
    expected.push("started.txt");
    expected.sort_unstable();
    assert_eq!(files, expected);
    let uploaded = fs::read_to_string(store.path(&format!("{place}/result.json")));
    assert_eq!(uploaded.expect("a result"), folder.read("out.json"));
}

#[test]
fn a_store_that_takes_nothing_is_known_before_the_run() {
    let Some(store) = Store::start() else {
        return;
    };
    let (folder, target) = (Folder::new(), target());
    folder.write(
        "script.yml",
        &script(&target.url(), LOAD, "{get: {url: /}}"),
    );
    for (secret, url, reason) in [
        ("another secret", "s3://results/a", "SignatureDoesNotMatch"),
        (SECRET, "s3://no-such-bucket/a", "NoSuchBucket"),
        (SECRET, "https://results/a", "https:// is not spoken here"),
    ] {
        let run = ["run", "script.yml", "--report-upload", url];
        let ended = store.run(&folder, secret, &run);
        assert_ne!(ended.code, Some(0));
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
        assert!(!ended.stdout.contains("http.requests"), "{}", ended.stdout);
    }
}
