//! Whether a thread without work looks for events once more before it sleeps.
//!
//! Being put to sleep and woken costs more than several looks. Where answers follow each other within
//! microseconds, as from a target that is a little slower than this thread, looking pays; where it
//! did not pay, it is tried ever less often, so that a thread with long pauses sleeps through them.

use std::cell::Cell;

/// How long a thread looks before it sleeps.
pub(crate) const LOOK_NS: u64 = 8_000;
/// After so many failures in a row or more, one pause in two to the power of it begins with a look.
const FAILURES_COUNTED: u32 = 8;

/// What was learned from the pauses so far.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    failures: Cell<u32>,
    pauses_slept: Cell<u32>,
}

impl Idle {
    /// Whether this pause should begin with a look; [`Idle::learn`] what came of it.
    pub(crate) fn looks(&self) -> bool {
        let slept = self.pauses_slept.get();
        let looks = slept + 1 >= 1 << self.failures.get();
        self.pauses_slept.set(if looks { 0 } else { slept + 1 });
        looks
    }

    /// Takes in whether an event came while the thread looked.
    pub(crate) fn learn(&self, paid: bool) {
        let failures = self.failures.get();
        self.failures.set(match paid {
            true => 0,
            false => (failures + 1).min(FAILURES_COUNTED),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many pauses begin with a look.
    fn looks_in(idle: &Idle, pauses: u32, pays: bool) -> u32 {
        let mut looks = 0;
        for _ in 0..pauses {
            if idle.looks() {
                looks += 1;
                idle.learn(pays);
            }
        }
        looks
    }

    #[test]
    fn what_pays_is_always_done_and_what_does_not_ever_less() {
        let idle = Idle::default();
        assert_eq!(looks_in(&idle, 100, true), 100);
        // At pauses 1, 3, 7, 15, … and from 511 on every 256.
        assert_eq!(looks_in(&idle, 511, false), 9);
        assert_eq!(looks_in(&idle, 2560, false), 10);
        assert_eq!(looks_in(&idle, 256, true), 1);
        assert_eq!(looks_in(&idle, 100, true), 100);
    }
}
