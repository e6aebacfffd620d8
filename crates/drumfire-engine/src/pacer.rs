//! Open load: starts each arrival of the shard's part at its instant.

use crate::control::Stop;
use crate::shard::ShardRun;
use crate::snapshots::Snapshots;
use crate::tenure::Terms;
use crate::walk::{Step, Walk};
use drumfire_metrics::DropReason;
use drumfire_plan::{Arrival, OpenLoad};
use drumfire_reactor::{now, sleep_until_precise, yield_now};
use std::time::Duration;
use tokio::sync::watch;

/// Arrivals started in a row while behind schedule before sockets get a turn.
const CATCH_UP_BURST: u32 = 32;

/// Walks the schedule to its end or to the stop; what is not started is
/// counted as dropped with its reason.
pub(crate) async fn pace(load: &OpenLoad, run: &ShardRun, snapshots: &Snapshots) {
    Pacer {
        run,
        snapshots,
        walk: Walk::new(load),
        changes: run.tenure.watch(),
        terms: run.terms(),
        stop: run.control.watch(),
        burst: 0,
    }
    .pace()
    .await;
}

struct Pacer<'a> {
    run: &'a ShardRun,
    snapshots: &'a Snapshots,
    walk: Walk,
    /// News of the terms, and the shard's part of them as last heard.
    changes: watch::Receiver<Terms>,
    terms: Terms,
    stop: watch::Receiver<Stop>,
    /// Arrivals started in a row.
    burst: u32,
}

impl Pacer<'_> {
    async fn pace(mut self) {
        loop {
            self.hear();
            if *self.stop.borrow() != Stop::No {
                self.leave().await;
                break;
            }
            let step = self.walk.peek(&self.terms);
            self.account(step).await;
            match step {
                Step::Arrival(arrival) => self.meet(arrival).await,
                Step::Nothing { until } if self.is_past(until) => break,
                Step::Nothing { until } => self.wait(Some(until)).await,
            }
        }
        self.snapshots.account(Duration::MAX).await;
    }

    /// Drops what is left.
    async fn leave(&mut self) {
        if !self.run.tenure.exact {
            let left = self.walk.left(&self.terms);
            return self.run.drop_iterations(DropReason::Stopped, left);
        }
        // One by one, each into its own interval.
        while let Step::Arrival(arrival) = self.walk.peek(&self.terms) {
            self.snapshots.account(arrival.at).await;
            self.run.drop_iterations(DropReason::Stopped, 1);
            self.walk.take();
        }
    }

    /// Says how far the schedule is accounted for.
    async fn account(&self, next: Step) {
        let next = match next {
            Step::Arrival(arrival) => arrival.at,
            Step::Nothing { .. } => Duration::MAX,
        };
        // From where it may not go on, another epoch may give it arrivals.
        let to = self.terms.until.map_or(next, |until| until.min(next));
        self.snapshots.account(to).await;
    }

    /// Takes in what has changed.
    fn hear(&mut self) {
        // The sender lives as long as the run does.
        if self.changes.has_changed().unwrap_or(false) {
            self.changes.mark_unchanged();
            self.terms = self.run.terms();
        }
    }

    /// Starts an arrival if it is due, or waits for that.
    async fn meet(&mut self, arrival: Arrival) {
        if self.terms.until.is_some_and(|until| arrival.at >= until) {
            return self.wait(None).await;
        }
        if arrival.at < self.terms.drop_before {
            self.walk.take();
            return self.run.drop_iterations(DropReason::AgentLost, 1);
        }
        if !self.is_past(arrival.at) {
            self.burst = 0;
            return self.wait(Some(arrival.at)).await;
        }
        self.burst += 1;
        if self.burst.is_multiple_of(CATCH_UP_BURST) {
            yield_now().await;
        }
        self.start(arrival);
        self.walk.take();
    }

    fn start(&self, arrival: Arrival) {
        let run = self.run;
        let stage = &self.walk.load(&self.terms).stages()[arrival.stage as usize];
        let cap = stage
            .max_users
            .map(|cap| self.walk.owned(&self.terms, u64::from(cap)));
        let room = cap.unwrap_or(u64::MAX).min(run.users_limit);
        if run.running.users() < room {
            let number = self.walk.number(&self.terms, &arrival);
            run.start_user(number, self.instant(arrival.at));
        } else if room == run.users_limit {
            run.drop_iterations(DropReason::Generator, 1);
        } else {
            run.drop_iterations(DropReason::UserCap, 1);
        }
    }

    fn is_past(&self, at: Duration) -> bool {
        now() >= self.instant(at)
    }

    fn instant(&self, at: Duration) -> u64 {
        self.run.start_ns + at.as_nanos() as u64
    }

    /// Waits for an instant, a stop or a change of the terms.
    async fn wait(&mut self, until: Option<Duration>) {
        let until_ns = until.map(|until| self.instant(until));
        let due = async move {
            match until_ns {
                Some(until_ns) => sleep_until_precise(until_ns).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due => {}
            // Both senders live as long as the run does.
            _ = self.stop.changed() => {}
            _ = self.changes.changed() => self.terms = self.run.terms(),
        }
    }
}
