//! An agent's snapshots until the coordinator has them: numbered when they are sent, sent again until they are
//! acknowledged, merged with their neighbours when too many wait.
//!
//! What was sent is never merged again: the coordinator may have it already. Only a few are under way at a time, the
//! rest waits without a number, and what waits may be merged.

use crate::member::Member;
use crate::messages::NumberedSnapshot;
use drumfire_metrics::Snapshot;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most snapshots of an agent that are under way at a time.
pub const MAX_IN_FLIGHT: usize = 8;

/// Most snapshots that wait; more are merged with their neighbours.
pub const MAX_WAITING: usize = 32;

/// So long after the next heartbeat, whose answer acknowledges it, a snapshot is sent again.
pub const RESEND_NS: u64 = 500_000_000;

#[derive(Debug)]
pub(crate) struct Outbox {
    member: Member,
    next: u64,
    /// The end of the last snapshot.
    to_ns: u64,
    ended: bool,
    waiting: VecDeque<Waiting>,
    in_flight: VecDeque<Sent>,
}

/// A snapshot under way.
#[derive(Debug)]
struct Sent {
    snapshot: Arc<NumberedSnapshot>,
    /// When it was sent last.
    at_ns: u64,
}

#[derive(Debug)]
struct Waiting {
    from_ns: u64,
    to_ns: u64,
    last: bool,
    snapshot: Snapshot,
}

impl Outbox {
    pub(crate) fn new(member: Member) -> Self {
        Self {
            member,
            next: 0,
            to_ns: 0,
            ended: false,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Takes what happened up to `to_ns` of the run.
    ///
    /// # Panics
    /// When it ends before the one before, or comes after the last.
    pub(crate) fn add(&mut self, snapshot: Snapshot, to_ns: u64, last: bool) {
        assert!(to_ns >= self.to_ns, "snapshots come in order");
        assert!(!self.ended, "nothing comes after the last snapshot");
        let from_ns = std::mem::replace(&mut self.to_ns, to_ns);
        self.ended = last;
        self.waiting.push_back(Waiting {
            from_ns,
            to_ns,
            last,
            snapshot,
        });
        if self.waiting.len() > MAX_WAITING {
            self.merge_neighbours();
        }
    }

    /// Forgets what the coordinator has: all before this number.
    pub(crate) fn acknowledge(&mut self, before: u64) {
        while self
            .in_flight
            .front()
            .is_some_and(|first| first.snapshot.number < before)
        {
            self.in_flight.pop_front();
        }
    }

    /// What is to be sent now: what is new, and everything under way when the first of it should have been acknowledged.
    /// Heartbeats are `interval_ns` apart.
    pub(crate) fn due(&mut self, now_ns: u64, interval_ns: u64) -> Vec<Arc<NumberedSnapshot>> {
        let mut due = Vec::new();
        let first = self.in_flight.front();
        let unheard_ns = first.map_or(0, |first| now_ns.saturating_sub(first.at_ns));
        if unheard_ns >= interval_ns + RESEND_NS {
            for sent in &mut self.in_flight {
                sent.at_ns = now_ns;
                due.push(Arc::clone(&sent.snapshot));
            }
        }
        while self.in_flight.len() < MAX_IN_FLIGHT {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            let snapshot = Arc::new(self.number(waiting));
            due.push(Arc::clone(&snapshot));
            self.in_flight.push_back(Sent {
                snapshot,
                at_ns: now_ns,
            });
        }
        due
    }

    /// Whether the coordinator has everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// The number of the last snapshot of all, once it has one.
    pub(crate) fn last_number(&self) -> Option<u64> {
        let numbered = self.ended && self.waiting.is_empty();
        numbered.then(|| self.next.checked_sub(1)).flatten()
    }

    fn number(&mut self, waiting: Waiting) -> NumberedSnapshot {
        let number = self.next;
        self.next += 1;
        NumberedSnapshot {
            member: self.member.clone(),
            number,
            from_ns: waiting.from_ns,
            to_ns: waiting.to_ns,
            last: waiting.last,
            snapshot: waiting.snapshot,
        }
    }

    fn merge_neighbours(&mut self) {
        let mut unmerged = std::mem::take(&mut self.waiting).into_iter();
        while let Some(mut first) = unmerged.next() {
            if let Some(second) = unmerged.next() {
                first.snapshot.append(&second.snapshot);
                first.snapshot.pack();
                first.to_ns = second.to_ns;
                first.last = second.last;
            }
            self.waiting.push_back(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn snapshot(n: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.iterations.started = n;
        snapshot.iterations.duration_us.record(n);
        snapshot
    }

    proptest! {
        /// However long the coordinator is away, and whatever it acknowledges: all arrives, once, in order.
        #[test]
        fn nothing_is_lost_or_doubled(steps in prop::collection::vec((1..80_u64, prop::option::of(0..12_u64)), 1..12)) {
            let mut outbox = Outbox::new(Member::new("a", 1));
            let (mut received, mut expected) = (Vec::<Arc<NumberedSnapshot>>::new(), Snapshot::default());
            let (mut now_ns, mut n) = (0, 0);
            let mut deliver = |outbox: &mut Outbox, now_ns| {
                for numbered in outbox.due(now_ns, 0) {
                    if numbered.number == received.len() as u64 {
                        received.push(numbered);
                    }
                }
                received.len() as u64
            };
            for (many, acknowledged) in steps {
                for _ in 0..many {
                    n += 1;
                    expected.append(&snapshot(n));
                    outbox.add(snapshot(n), n * 10, false);
                }
                prop_assert!(outbox.waiting.len() <= MAX_WAITING);
                now_ns += RESEND_NS / 2;
                let have = deliver(&mut outbox, now_ns);
                if let Some(lag) = acknowledged {
                    outbox.acknowledge(have.saturating_sub(lag));
                }
            }
            expected.append(&snapshot(0));
            outbox.add(snapshot(0), n * 10, true);
            while !outbox.is_empty() {
                now_ns += RESEND_NS;
                let have = deliver(&mut outbox, now_ns);
                outbox.acknowledge(have);
            }
            let mut total = Snapshot::default();
            let mut to_ns = 0;
            for numbered in &received {
                prop_assert_eq!(numbered.from_ns, to_ns);
                to_ns = numbered.to_ns;
                total.append(&numbered.snapshot);
            }
            prop_assert_eq!(to_ns, n * 10);
            prop_assert_eq!(total, expected);
            prop_assert_eq!(outbox.last_number(), Some(received.len() as u64 - 1));
            prop_assert!(received.last().is_some_and(|last| last.last));
        }
    }
}
