//! A hierarchical timing wheel: a million thinking users each hold one entry,
//! and arming or dropping one is a list operation.
//!
//! Six levels of 64 slots over ticks of 65.5 µs reach 52 days (the scheme of
//! Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987). A timer
//! never fires before its deadline and at most one tick after it; what must be
//! finer goes to the reactor's precise queue.

use std::task::Waker;

/// One tick is 2^16 ns.
const TICK_BITS: u32 = 16;
const LEVELS: usize = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// One slot of the top level short of a full turn, whose last slot would be the present one.
const REACH_TICKS: u64 = (SLOTS as u64 - 1) << (SLOT_BITS * (LEVELS as u32 - 1));
const NONE: u32 = u32::MAX;

/// Names an armed timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey(u32);

struct Entry {
    when_tick: u64,
    waker: Option<Waker>,
    previous: u32,
    next: u32,
    /// Level and slot while linked, `UNLINKED` otherwise.
    place: u16,
}

const UNLINKED: u16 = u16::MAX;

struct Level {
    occupied: u64,
    heads: [u32; SLOTS],
}

pub(crate) struct Wheel {
    elapsed_tick: u64,
    levels: [Level; LEVELS],
    entries: Vec<Entry>,
    free: u32,
}

impl Wheel {
    pub(crate) fn new(now_ns: u64) -> Self {
        let level = || Level {
            occupied: 0,
            heads: [NONE; SLOTS],
        };
        Wheel {
            elapsed_tick: now_ns >> TICK_BITS,
            levels: std::array::from_fn(|_| level()),
            entries: Vec::new(),
            free: NONE,
        }
    }

    /// Arms a timer.
    pub(crate) fn insert(&mut self, deadline_ns: u64, waker: Waker) -> TimerKey {
        let entry = Entry {
            when_tick: 0,
            waker: Some(waker),
            previous: NONE,
            next: NONE,
            place: UNLINKED,
        };
        let index = if self.free == NONE {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.arm(index, deadline_ns);
        TimerKey(index)
    }

    /// Arms a timer that has fired for another deadline.
    pub(crate) fn rearm(&mut self, key: TimerKey, deadline_ns: u64, waker: Waker) {
        self.unlink(key.0);
        self.entries[key.0 as usize].waker = Some(waker);
        self.arm(key.0, deadline_ns);
    }

    fn arm(&mut self, index: u32, deadline_ns: u64) {
        let tick = (deadline_ns >> TICK_BITS) + 1;
        let when = tick.clamp(self.elapsed_tick + 1, self.elapsed_tick + REACH_TICKS - 1);
        self.entries[index as usize].when_tick = when;
        self.link(index);
    }

    /// Whether the timer has fired since it was armed.
    pub(crate) fn fired(&self, key: TimerKey) -> bool {
        self.entries[key.0 as usize].place == UNLINKED
    }

    /// Replaces whom the timer wakes.
    pub(crate) fn set_waker(&mut self, key: TimerKey, waker: &Waker) {
        match &mut self.entries[key.0 as usize].waker {
            Some(current) => current.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Disarms and forgets a timer.
    pub(crate) fn remove(&mut self, key: TimerKey) {
        self.unlink(key.0);
        let entry = &mut self.entries[key.0 as usize];
        entry.waker = None;
        entry.next = self.free;
        self.free = key.0;
    }

    /// A time at or before the next firing; none when nothing is armed.
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        self.next_slot().map(|(_, _, tick)| tick << TICK_BITS)
    }

    /// Fires everything that is due, handing each waker to `wake`.
    pub(crate) fn advance(&mut self, now_ns: u64, mut wake: impl FnMut(Waker)) {
        let now_tick = now_ns >> TICK_BITS;
        while let Some((level, slot, tick)) = self.next_slot() {
            if tick > now_tick {
                break;
            }
            self.elapsed_tick = self.elapsed_tick.max(tick);
            let mut index = self.detach(level, slot);
            while index != NONE {
                let next = self.entries[index as usize].next;
                self.entries[index as usize].place = UNLINKED;
                if self.entries[index as usize].when_tick <= tick {
                    if let Some(waker) = self.entries[index as usize].waker.take() {
                        wake(waker);
                    }
                } else {
                    self.link(index);
                }
                index = next;
            }
        }
        self.elapsed_tick = self.elapsed_tick.max(now_tick);
    }

    /// The first occupied slot in time: level, slot, and the tick at which it
    /// must be looked at. Lower levels always come before higher ones.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        self.levels.iter().enumerate().find_map(|(level, slots)| {
            if slots.occupied == 0 {
                return None;
            }
            let shift = SLOT_BITS * level as u32;
            let now_slot = (self.elapsed_tick >> shift) as u32 & (SLOTS as u32 - 1);
            let ahead = slots.occupied.rotate_right(now_slot).trailing_zeros();
            let slot = (now_slot + ahead) & (SLOTS as u32 - 1);
            let round = self.elapsed_tick & !((1u64 << (shift + SLOT_BITS)) - 1);
            let mut tick = round + (u64::from(slot) << shift);
            if slot < now_slot {
                tick += 1u64 << (shift + SLOT_BITS);
            }
            Some((level, slot as usize, tick))
        })
    }

    fn link(&mut self, index: u32) {
        let when = self.entries[index as usize].when_tick;
        let differing = (self.elapsed_tick ^ when) | (SLOTS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1);
        let slot = (when >> (SLOT_BITS * level)) as usize & (SLOTS - 1);
        let head = self.levels[level as usize].heads[slot];
        let entry = &mut self.entries[index as usize];
        entry.place = (level as u16) << 8 | slot as u16;
        entry.previous = NONE;
        entry.next = head;
        if head != NONE {
            self.entries[head as usize].previous = index;
        }
        let level = &mut self.levels[level as usize];
        level.heads[slot] = index;
        level.occupied |= 1 << slot;
    }

    fn unlink(&mut self, index: u32) {
        let Entry {
            place,
            previous,
            next,
            ..
        } = self.entries[index as usize];
        if place == UNLINKED {
            return;
        }
        self.entries[index as usize].place = UNLINKED;
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
            return;
        }
        let (level, slot) = ((place >> 8) as usize, (place & 0xff) as usize);
        self.levels[level].heads[slot] = next;
        if next == NONE {
            self.levels[level].occupied &= !(1 << slot);
        }
    }

    fn detach(&mut self, level: usize, slot: usize) -> u32 {
        let level = &mut self.levels[level];
        level.occupied &= !(1 << slot);
        std::mem::replace(&mut level.heads[slot], NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Count(AtomicU64);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_deadline_beyond_the_reach_waits_and_is_looked_at_in_time_to_come() {
        for now_ns in [0, 1 << TICK_BITS, 12_345_678_901_234] {
            let mut wheel = Wheel::new(now_ns);
            let count = Arc::new(Count(AtomicU64::new(0)));
            wheel.insert(u64::MAX, count.clone().into());
            wheel.advance(now_ns + 1_000_000_000, |waker| waker.wake());
            assert_eq!(count.0.load(Ordering::Relaxed), 0);
            let next = wheel.next_deadline_ns().unwrap();
            assert!(next > now_ns + 3_600_000_000_000, "{next}");
        }
    }

    /// Deadlines over every level, fired by walking the wheel's own next
    /// deadline: none early, none more than a tick late, none lost.
    #[test]
    fn fires_each_deadline_once_and_never_early() {
        let tick = 1u64 << TICK_BITS;
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut wheel = Wheel::new(5 * tick);
        let mut armed = Vec::new();
        for i in 0..20_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(i | 1);
            let deadline = 5 * tick + (state >> (20 + i % 30));
            let count = Arc::new(Count(AtomicU64::new(0)));
            let key = wheel.insert(deadline, count.clone().into());
            armed.push((deadline, key, count));
        }
        let removed: Vec<_> = armed.iter().step_by(3).map(|(_, key, _)| *key).collect();
        removed.iter().for_each(|key| wheel.remove(*key));
        let mut now = 5 * tick;
        while let Some(next) = wheel.next_deadline_ns() {
            assert!(next > now, "time moves: {next} after {now}");
            now = next;
            wheel.advance(now, |waker| waker.wake());
            for (index, (deadline, key, count)) in armed.iter().enumerate() {
                if index % 3 != 0 && index % 97 == 1 {
                    let fired = count.0.load(Ordering::Relaxed) == 1;
                    assert_eq!(fired, wheel.fired(*key));
                    assert!(
                        !fired || now >= *deadline,
                        "{deadline} fired early at {now}"
                    );
                    assert!(
                        fired || now < deadline + tick,
                        "{deadline} not fired at {now}"
                    );
                }
            }
        }
        for (index, (deadline, _, count)) in armed.iter().enumerate() {
            let expected = u64::from(index % 3 != 0);
            assert_eq!(count.0.load(Ordering::Relaxed), expected, "{deadline}");
        }
    }
}
