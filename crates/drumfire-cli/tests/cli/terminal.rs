//! The live view on a terminal: it draws, lets Ctrl-C through, and leaves the
//! terminal as it was.

use crate::drumfire::{Folder, script, target};
use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

/// What a terminal is asked for its cursor with.
const ASK: &[u8] = b"\x1b[6n";
/// Where the cursor says it is.
const ANSWER: &[u8] = b"\x1b[3;1R";
const CTRL_C: &[u8] = b"\x03";

/// Both ends of a terminal.
struct Terminal {
    /// The person's end.
    person: File,
    /// The program's end, until the program has it.
    program: Option<OwnedFd>,
    seen: Vec<u8>,
}

impl Terminal {
    fn open() -> Self {
        let (mut person, mut program) = (-1, -1);
        let size = libc::winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: both descriptors are valid to write to, `size` to read from; the rest may be null.
        let opened = unsafe {
            let no_name = std::ptr::null_mut();
            libc::openpty(&mut person, &mut program, no_name, std::ptr::null(), &size)
        };
        assert_eq!(opened, 0, "a terminal can be had");
        // SAFETY: openpty has just opened both, and nobody else owns them.
        let (person, program) =
            unsafe { (OwnedFd::from_raw_fd(person), OwnedFd::from_raw_fd(program)) };
        Terminal {
            person: person.into(),
            program: Some(program),
            seen: Vec::new(),
        }
    }

    fn modes(&self) -> (u32, u32, u32) {
        let mut modes = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: `modes` is valid to write to, and zeroes are a valid value.
        let modes = unsafe {
            libc::tcgetattr(self.person.as_raw_fd(), modes.as_mut_ptr());
            modes.assume_init()
        };
        (modes.c_iflag, modes.c_oflag, modes.c_lflag)
    }

    /// Starts the program, which alone has its end then: reading fails when it is gone.
    fn start(&mut self, folder: &Folder, arguments: &[&str]) -> Child {
        let program = self.program.take().expect("a terminal is for one program");
        let end = || Stdio::from(program.try_clone().expect("descriptors are left"));
        let mut command = folder.command(arguments);
        command
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        // SAFETY: both calls may be made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        command.spawn().expect("the binary starts")
    }

    /// Reads until `text` has come, answering as a terminal does.
    fn wait_for(&mut self, text: &str) {
        while !contains(&self.seen, text.as_bytes()) {
            let mut piece = [0; 4096];
            let length = self
                .person
                .read(&mut piece)
                .expect("the program still writes");
            self.seen.extend(&piece[..length]);
            if contains(&piece[..length], ASK) {
                self.write(ANSWER);
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.person
            .write_all(bytes)
            .expect("the program still reads");
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn ctrl_c_ends_the_live_view_and_leaves_the_terminal_as_it_was() {
    let (folder, target, mut terminal) = (Folder::new(), target(), Terminal::open());
    let phase = "phases: [{duration: 50, arrivalRate: 5}]";
    let flow = "{get: {url: /}}, {log: hello}";
    folder.write("script.yml", &script(&target.url(), phase, flow));
    let before = terminal.modes();
    let mut child = terminal.start(&folder, &["run", "script.yml", "--json", "out.json"]);
    terminal.wait_for("latency");
    terminal.wait_for("hello");
    assert_ne!(terminal.modes(), before, "keys are not shown meanwhile");
    terminal.write(b"typed blindly");
    terminal.write(CTRL_C);
    terminal.wait_for("run failed: ended by Ctrl-C (exit code 130)");
    let status = child.wait().expect("the child ends");
    assert_eq!(status.code(), Some(130));
    assert_eq!(terminal.modes(), before);
    assert!(folder.result("out.json").total.iterations.completed > 0);
}

#[test]
fn a_run_shows_its_report_after_the_live_view() {
    let (folder, target, mut terminal) = (Folder::new(), target(), Terminal::open());
    let phase = "phases: [{duration: 1, arrivalRate: 5}]";
    folder.write(
        "script.yml",
        &script(&target.url(), phase, "{get: {url: /}}"),
    );
    let before = terminal.modes();
    let mut child = terminal.start(&folder, &["run", "script.yml"]);
    terminal.wait_for("Summary report @");
    terminal.wait_for("verdict");
    assert_eq!(child.wait().expect("the child ends").code(), Some(0));
    assert_eq!(terminal.modes(), before);
}
