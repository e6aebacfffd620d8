//! The reactor's clock: monotonic nanoseconds, real or simulated.

use crate::executor::with_current;
use std::cell::Cell;

/// Where a reactor's time comes from.
pub(crate) enum Clock {
    /// `CLOCK_MONOTONIC`.
    Real,
    /// Moves only when the reactor has nothing to do.
    Simulated(Cell<u64>),
}

impl Clock {
    pub(crate) fn now(&self) -> u64 {
        match self {
            Clock::Real => monotonic_ns(),
            Clock::Simulated(now_ns) => now_ns.get(),
        }
    }
}

/// Nanoseconds of the current reactor's clock; outside of a reactor, of
/// `CLOCK_MONOTONIC`, which a real reactor's clock is too.
pub fn now() -> u64 {
    with_current(|current| current.map_or_else(monotonic_ns, |inner| inner.clock.now()))
}

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to write to; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
