//! That agents start at one instant, whatever their clocks say: their first requests, as a target sees them by its own clock.
//!
//! An agent has the monotonic clock only, and learns how the coordinator's differs. In time namespaces that clock is another
//! one. How close together the agents start is measured by `bench/skew.py`; what is asserted here only a wrong clock
//! correction breaks.

use crate::agents::agents_of;
use crate::broker::skip;
use crate::cluster::{Cluster, dismiss};
use crate::drumfire::Running;
use crate::recorder::{self, Recorder};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Once;

const RATE: u64 = 150;

/// How often the agents start.
const STARTS: usize = 3;

/// Less than half of the clocks' differences, and far more than a busy machine makes of it.
const BOUND_NS: u64 = 25_000_000;

#[test]
fn agents_of_one_host_start_at_one_instant() {
    start_together([0, 0, 0]);
}

#[test]
fn agents_with_other_clocks_start_at_one_instant() {
    start_together([-50, 0, 50]);
}

/// Starts a run several times on agents whose clocks are ahead so much.
fn start_together(ahead_ms: [i64; 3]) {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let mut target = Recorder::start(Ipv4Addr::LOCALHOST.into());
    recorder::write_script(&cluster.folder, &target.url(), 1, RATE, "http: {pool: 2}");
    let mut agents = Vec::new();
    for (number, ahead_ms) in ahead_ms.into_iter().enumerate() {
        match agent(&cluster, number, ahead_ms) {
            Some(agent) => agents.push(agent),
            None => {
                dismiss(agents);
                return;
            }
        }
    }
    let mut skews = Vec::new();
    for _ in 0..STARTS {
        cluster.coordinator(&["--agents", "3"]).end().expect_code(0);
        assert_eq!(cluster.balance(), (RATE, RATE, vec![]));
        let told = agents_of(&cluster.result()).start_skew;
        skews.push((recorder::skew_ns(&target.take(), RATE), told));
    }
    skews.sort_by_key(|(measured_ns, _)| *measured_ns);
    assert!(
        skews[STARTS / 2].0 < BOUND_NS,
        "measured in ns, and reported: {skews:?}"
    );
    dismiss(agents);
}

/// An agent that sends from an address of its own; none where its clock cannot be another one.
fn agent(cluster: &Cluster, number: usize, ahead_ms: i64) -> Option<Running> {
    let name = format!("agent-{number}");
    let address = Ipv4Addr::new(127, 0, 0, 2 + number as u8).to_string();
    let start = || cluster.agent_with(&name, &["--local-ip", &address]);
    if ahead_ms == 0 {
        return Some(start());
    }
    static TOLD: Once = Once::new();
    let started = with_clock_ahead(ahead_ms, start);
    let told = |error| {
        skip(
            &TOLD,
            &format!("time namespaces, which root makes: {error}"),
        )
    };
    started.map_err(told).ok()
}

/// Does something on a thread whose children have a monotonic clock that is ahead of this one's.
fn with_clock_ahead<T: Send>(ahead_ms: i64, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let shifted = move || {
        // SAFETY: no pointers; it is this thread alone whose children go to another time.
        if unsafe { libc::unshare(libc::CLONE_NEWTIME) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it has no arguments.
        let thread = unsafe { libc::gettid() };
        let (seconds, rest_ms) = (ahead_ms.div_euclid(1_000), ahead_ms.rem_euclid(1_000));
        let offset = format!("monotonic {seconds} {}", rest_ms * 1_000_000);
        fs::write(format!("/proc/{thread}/timens_offsets"), offset)?;
        Ok(work())
    };
    std::thread::scope(|scope| {
        let shifted = scope.spawn(shifted).join();
        shifted.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
