//! The generator watches itself: processor time of the shard, lag of its loop,
//! memory of the process.

use drumfire_metrics::{GeneratorHealth, Histogram};
use drumfire_reactor::{now, open_sockets, sleep_until_precise};
use std::cell::RefCell;
use std::rc::Rc;

use crate::program::ProgramHealth;

/// How often the loop's lag is probed.
const PROBE_INTERVAL_NS: u64 = 20_000_000;

/// Probes the loop's lag until the shard ends: how late a precise timer fires.
pub(crate) async fn probe_lag(lag_us: Rc<RefCell<Histogram>>) {
    let mut due_ns = now();
    loop {
        due_ns = due_ns.max(now()) + PROBE_INTERVAL_NS;
        sleep_until_precise(due_ns).await;
        let late_us = now().saturating_sub(due_ns) / 1000;
        lag_us.borrow_mut().record(late_us);
    }
}

/// What a shard has used since the last reading.
#[derive(Debug, Default)]
pub(crate) struct HealthReader {
    cpu_us: u64,
    program: ProgramHealth,
}

impl HealthReader {
    pub(crate) fn new() -> Self {
        HealthReader {
            cpu_us: thread_cpu_us(),
            ..HealthReader::default()
        }
    }

    /// The shard's part of an interval of `length_us`.
    pub(crate) fn read(
        &mut self,
        length_us: u64,
        users: u64,
        lag_us: Histogram,
        program: ProgramHealth,
    ) -> GeneratorHealth {
        let cpu_us = thread_cpu_us();
        let used_us = cpu_us - std::mem::replace(&mut self.cpu_us, cpu_us);
        let before = std::mem::replace(&mut self.program, program);
        GeneratorHealth {
            cpu_us: used_us,
            cpu_available_us: length_us,
            busiest_shard: (used_us as f64 / length_us.max(1) as f64).min(1.0),
            memory_bytes: 0,
            sockets: open_sockets() as u64,
            users,
            loop_lag_us: lag_us,
            descriptors_exhausted: program.descriptors_exhausted - before.descriptors_exhausted,
            ports_exhausted: program.ports_exhausted - before.ports_exhausted,
        }
    }
}

fn thread_cpu_us() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to write to; the clock always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

/// Resident memory of the process in bytes; zero where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
    // SAFETY: no pointers.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.unwrap_or(0) * u64::try_from(page_bytes).unwrap_or(0)
}
