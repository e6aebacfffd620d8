//! Signals end a run with its report: the first asks it to drain, the second
//! interrupts it, the third ends the process.
//!
//! The signals are blocked in every thread and taken by one that waits for
//! them, so no code ever runs inside a signal handler.

use drumfire_engine::{Control, StopReason};
use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};

/// A signal that ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The terminal is gone.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// A supervisor asks.
    Terminate,
}

impl Signal {
    const ALL: [Signal; 3] = [Signal::Hangup, Signal::Interrupt, Signal::Terminate];

    /// The system's number for it.
    pub fn number(self) -> i32 {
        match self {
            Signal::Hangup => libc::SIGHUP,
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
        }
    }
}

/// The first signal that came.
static FIRST: OnceLock<Signal> = OnceLock::new();

/// The first signal that came, if any has.
pub fn first() -> Option<Signal> {
    FIRST.get().copied()
}

/// Ends the run behind `control` by signals from now on. Call it before any
/// thread is started, for threads inherit what is blocked.
///
/// # Errors
/// The thread that waits cannot be started.
pub fn stop_by(control: Control) -> io::Result<()> {
    let signals = listen()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for (count, signal) in signals.iter().enumerate() {
                if count >= 2 {
                    crate::screen::restore_terminal();
                    std::process::exit(128 + signal.number());
                }
                control.stop(StopReason::Requested);
            }
        })
        .map(drop)
}

/// Every signal from now on, in the order they come.
///
/// # Errors
/// The thread that waits cannot be started.
pub fn listen() -> io::Result<Receiver<Signal>> {
    let set = block(Signal::ALL.into_iter().filter(|signal| !ignored(*signal)));
    let (sender, receiver) = channel();
    std::thread::Builder::new()
        .name("signal-wait".to_owned())
        .spawn(move || {
            while let Some(signal) = wait(&set) {
                FIRST.get_or_init(|| signal);
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

/// Blocks `signals` in this thread and those it starts.
fn block(signals: impl Iterator<Item = Signal>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that the other two then read; all numbers are valid.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.number());
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        set.assume_init()
    }
}

/// Whether whoever started us (nohup, a shell's background job) wants it ignored.
fn ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `action` is valid to write to, and zeroes are a valid value should the call fail.
    let action = unsafe {
        libc::sigaction(signal.number(), std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

fn wait(set: &libc::sigset_t) -> Option<Signal> {
    let mut number = 0;
    // SAFETY: the set is initialised and `number` valid to write to.
    let failed = unsafe { libc::sigwait(set, &mut number) };
    let signal = Signal::ALL
        .into_iter()
        .find(|signal| signal.number() == number);
    signal.filter(|_| failed == 0)
}
