//! A shard's intervals: when each ends, and handing it over.
//!
//! Intervals end at whole seconds of the run, by the clock. Where they must account for the schedule exactly
//! ([`Tenure::awaited`]), one ends when the schedule has passed its end too, and an arrival that is due after the end is
//! started after the interval was handed over.
//!
//! [`Tenure::awaited`]: crate::Tenure::awaited

use crate::health::HealthReader;
use crate::shard::{Assignment, Message, ShardRun, tell};
use drumfire_metrics::{Histogram, Snapshot};
use drumfire_reactor::{now, sleep_until_precise};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

/// Length of the intervals that shards hand over.
pub(crate) const INTERVAL_US: u64 = 1_000_000;

/// Hands the recorder over once an interval.
pub(crate) struct Snapshots {
    run: Rc<ShardRun>,
    messages: SyncSender<Message>,
    pub(crate) lag_us: Rc<RefCell<Histogram>>,
    health: RefCell<HealthReader>,
    taken_us: Cell<u64>,
    /// Arrivals before this are accounted for, microseconds since the run's start.
    accounted_us: Cell<u64>,
    /// What the aggregator had no room for yet.
    waiting: RefCell<Option<Box<Snapshot>>>,
    blocking: bool,
}

impl Snapshots {
    pub(crate) fn new(run: Rc<ShardRun>, assignment: &Assignment) -> Self {
        Snapshots {
            messages: assignment.messages.clone(),
            lag_us: Rc::default(),
            health: RefCell::new(HealthReader::new()),
            taken_us: Cell::new(0),
            accounted_us: Cell::new(0),
            waiting: RefCell::default(),
            blocking: assignment.simulated || run.tenure.exact,
            run,
        }
    }

    pub(crate) async fn every_interval(self: Rc<Self>) {
        let mut boundary_us = INTERVAL_US;
        loop {
            sleep_until_precise(self.run.start_ns + boundary_us * 1000).await;
            match self.run.tenure.exact {
                true => self.cut().await,
                false => self.hand_over(self.run.start_ns + boundary_us * 1000, false),
            }
            // A shard that was held up takes one long interval instead of several empty ones.
            boundary_us =
                (self.run_us() / INTERVAL_US + 1).max(boundary_us / INTERVAL_US + 1) * INTERVAL_US;
        }
    }

    /// Takes down that the arrivals before `to` are started or dropped, and hands over the intervals that this completes.
    #[inline]
    pub(crate) async fn account(&self, to: Duration) {
        if self.run.tenure.exact {
            self.accounted_us
                .set(u64::try_from(to.as_micros()).unwrap_or(u64::MAX));
            self.cut().await;
        }
    }

    /// Hands over the intervals whose end both the clock and the schedule have passed.
    async fn cut(&self) {
        while self.next_cut_us() <= self.accounted_us.get() && self.next_cut_us() <= self.run_us() {
            let end_us = self.next_cut_us();
            self.run.settle().await;
            // Meanwhile another task may have done it.
            if end_us == self.next_cut_us() {
                self.take(end_us, false);
            }
        }
    }

    fn next_cut_us(&self) -> u64 {
        (self.taken_us.get() / INTERVAL_US + 1) * INTERVAL_US
    }

    fn run_us(&self) -> u64 {
        now().saturating_sub(self.run.start_ns) / 1000
    }

    pub(crate) fn hand_over(&self, at_ns: u64, last: bool) {
        let now_us = at_ns.max(now()).saturating_sub(self.run.start_ns) / 1000;
        // A boundary that is met in time is exact; one that is met late ends where it was met.
        let end_us = match now_us % INTERVAL_US {
            rest if rest < INTERVAL_US / 10 && !last => now_us - rest,
            _ => now_us,
        };
        self.take(end_us, last);
    }

    fn take(&self, end_us: u64, last: bool) {
        let run = &self.run;
        let start_us = self.taken_us.replace(end_us).min(end_us);
        let mut snapshot = run.recorder.borrow_mut().take(start_us, end_us);
        snapshot.health = self.health.borrow_mut().read(
            end_us - start_us,
            run.running.users(),
            self.lag_us.take(),
            run.program.health(),
        );
        self.send(snapshot, last);
    }

    fn send(&self, snapshot: Snapshot, last: bool) {
        let mut waiting = self.waiting.borrow_mut();
        let snapshot = match waiting.take() {
            Some(mut earlier) => {
                earlier.append(&snapshot);
                earlier
            }
            None => Box::new(snapshot),
        };
        let message = Message::Snapshot(self.run.index as usize, snapshot);
        if last || self.blocking {
            return tell(&self.messages, message);
        }
        if let Err(TrySendError::Full(Message::Snapshot(_, snapshot))) =
            self.messages.try_send(message)
        {
            *waiting = Some(snapshot);
        }
    }
}
