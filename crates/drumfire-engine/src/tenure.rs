//! Which part of the load is this process's, from when on: one share for a whole run, or epochs of shares that come while
//! it goes on.

use drumfire_plan::{ClosedLoad, Load, OpenLoad, Share};
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::watch;

/// What this process runs of a plan. Clones are handles to the same tenure, which any thread may change while the run
/// goes on. All instants count from the run's start.
#[derive(Debug, Clone)]
pub struct Tenure {
    terms: watch::Sender<Terms>,
    /// Whether every interval ends between two arrivals of the schedule; see [`Tenure::awaited`].
    pub(crate) exact: bool,
}

/// From an instant on, a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// From when it is in force.
    pub from: Duration,
    /// The load that is shared from then on, instead of the plan's: of the same kind, and with as many stages.
    pub load: Option<Load>,
    /// What is added to the numbers of its arrivals, so that no two of the run have the same although another load was
    /// shared before.
    pub number_shift: i64,
    /// What is this process's of it: these shares, which do not overlap; none when it has no part.
    pub shares: Vec<Share>,
}

/// What holds now.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// In the order of their instants.
    pub(crate) epochs: Vec<Epoch>,
    /// Nothing is started that is due from here on; without bound if none.
    pub(crate) until: Option<Duration>,
    /// What is due before this and was not started, is dropped: its time is over.
    pub(crate) drop_before: Duration,
    /// From when on nothing is this process's any more.
    pub(crate) closed_at: Option<Duration>,
}

impl Tenure {
    /// The same share for the whole run.
    pub fn of(share: Share) -> Tenure {
        let tenure = Tenure {
            exact: false,
            ..Tenure::awaited()
        };
        tenure.begin(Epoch {
            from: Duration::ZERO,
            load: None,
            number_shift: 0,
            shares: vec![share],
        });
        tenure.terms.send_modify(|terms| terms.until = None);
        tenure
    }

    /// Nothing yet: epochs, and leave to start what they hold, are still to come.
    ///
    /// The intervals of such a run account for the schedule exactly: each arrival that is due before an interval's end is
    /// in it or in an earlier one, as started or as dropped, and no other is. An interval that cannot end yet, because the
    /// process is behind or may not go on, ends later.
    pub fn awaited() -> Tenure {
        Tenure {
            exact: true,
            terms: watch::Sender::new(Terms {
                epochs: Vec::new(),
                until: Some(Duration::ZERO),
                drop_before: Duration::ZERO,
                closed_at: None,
            }),
        }
    }

    /// Adds an epoch.
    ///
    /// # Panics
    /// When it begins before the last one.
    pub fn begin(&self, epoch: Epoch) {
        self.terms.send_modify(|terms| {
            let last = terms.epochs.last();
            assert!(
                last.is_none_or(|last| last.from <= epoch.from),
                "epochs come in order"
            );
            terms.epochs.push(epoch);
        });
    }

    /// Allows what is due before `until` to be started and nothing from there on. What is due before `drop_before` and
    /// was not started is dropped, as lost with an agent.
    pub fn advance(&self, until: Duration, drop_before: Duration) {
        self.terms.send_modify(|terms| {
            terms.until = Some(until);
            terms.drop_before = drop_before;
        });
    }

    /// Ends the tenure: what is due at `at` or later is not this process's, and the schedule is over then.
    pub fn close(&self, at: Duration) {
        self.terms.send_modify(|terms| terms.closed_at = Some(at));
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Terms> {
        self.terms.subscribe()
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms.borrow().clone()
    }
}

impl Terms {
    /// The part of one of `shards` shards.
    pub(crate) fn of_shard(&self, index: u32, shards: NonZeroU32) -> Terms {
        let mut terms = self.clone();
        for share in terms.epochs.iter_mut().flat_map(|epoch| &mut epoch.shares) {
            *share = share.split_evenly(shards).swap_remove(index as usize);
        }
        terms
    }

    /// When the epoch with this place ends, if one follows or the tenure does.
    pub(crate) fn end_of(&self, place: usize) -> Option<Duration> {
        let next = self.epochs.get(place + 1).map(|next| next.from);
        next.into_iter().chain(self.closed_at).min()
    }

    /// The epochs of which something is this process's, and when they end.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.epochs.iter().enumerate().filter_map(|(place, epoch)| {
            let end = self.end_of(place).unwrap_or(Duration::MAX);
            let some = !epoch.shares.is_empty() && epoch.from < end;
            some.then_some(Span { place, epoch, end })
        })
    }
}

impl Terms {
    /// How many arrivals in a span of time are this process's; `plan` is the load of epochs without one of their own.
    pub(crate) fn arrivals(&self, plan: &OpenLoad, time: Range<Duration>) -> u64 {
        self.spans()
            .map(|span| {
                let load = span.epoch.open_load(plan);
                let (start, end) = (span.epoch.from.max(time.start), span.end.min(time.end));
                let below = |at| span.epoch.count_below(load.arrivals_before(at));
                below(end.max(start)) - below(start)
            })
            .sum()
    }

    /// How many users are this process's at an instant.
    pub(crate) fn users_at(&self, plan: &ClosedLoad, at: Duration) -> u64 {
        let in_force = self
            .spans()
            .filter(|span| span.epoch.from <= at && at <= span.end);
        let last = in_force.last();
        last.map_or(0, |span| {
            let load = span.epoch.closed_load(plan);
            span.epoch.count_below(u64::from(load.users_at(at)))
        })
    }
}

impl Epoch {
    /// How many of the numbers below `number` are this process's.
    pub(crate) fn count_below(&self, number: u64) -> u64 {
        let shares = self.shares.iter();
        shares.map(|share| share.count_below(number)).sum()
    }

    /// The load that is shared, where it is open.
    pub(crate) fn open_load<'a>(&'a self, plan: &'a OpenLoad) -> &'a OpenLoad {
        match &self.load {
            Some(Load::Open(load)) => load,
            _ => plan,
        }
    }

    /// The load that is shared, where it is closed.
    pub(crate) fn closed_load<'a>(&'a self, plan: &'a ClosedLoad) -> &'a ClosedLoad {
        match &self.load {
            Some(Load::Closed(load)) => load,
            _ => plan,
        }
    }
}

/// An epoch while it is in force.
pub(crate) struct Span<'a> {
    pub(crate) place: usize,
    pub(crate) epoch: &'a Epoch,
    pub(crate) end: Duration,
}
