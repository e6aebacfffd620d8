//! The arrivals of a shard whose share may change while it walks them. Pure: time is no argument, since an arrival
//! belongs to the epoch that is in force when it is due, whenever that is asked.

use crate::tenure::Terms;
use drumfire_plan::{Arrival, OpenLoad, Schedule};
use std::time::Duration;

/// Where a shard is in its schedule.
#[derive(Debug)]
pub(crate) struct Walk {
    plan: OpenLoad,
    /// The place of the epoch that is walked.
    place: usize,
    /// Its arrivals, share by share, once it is walked.
    schedules: Option<Vec<Ahead>>,
    /// Which of them comes next.
    next: Option<(usize, Arrival)>,
}

/// The arrivals of one share, and the next of them.
#[derive(Debug)]
struct Ahead {
    next: Option<Arrival>,
    rest: Schedule,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// An arrival; [`Walk::take`] moves past it.
    Arrival(Arrival),
    /// Nothing more, as far as is known, up to the end of the schedule.
    Nothing {
        /// When the schedule ends.
        until: Duration,
    },
}

impl Walk {
    pub(crate) fn new(plan: &OpenLoad) -> Walk {
        Walk {
            plan: plan.clone(),
            place: 0,
            schedules: None,
            next: None,
        }
    }

    /// The next arrival under these terms.
    pub(crate) fn peek(&mut self, terms: &Terms) -> Step {
        loop {
            self.enter(terms);
            let end = terms.end_of(self.place);
            match self.next {
                Some((_, arrival)) if end.is_none_or(|end| arrival.at < end) => {
                    return Step::Arrival(arrival);
                }
                _ if self.place + 1 < terms.epochs.len() => {
                    self.place += 1;
                    self.schedules = None;
                }
                _ => {
                    let until = self.load(terms).duration();
                    return Step::Nothing {
                        until: terms.closed_at.map_or(until, |at| at.min(until)),
                    };
                }
            }
        }
    }

    /// Moves past the arrival that was peeked at.
    pub(crate) fn take(&mut self) {
        let schedules = self.schedules.as_deref_mut().unwrap_or_default();
        if let Some((of, _)) = self.next {
            schedules[of].next = schedules[of].rest.next();
        }
        let ahead = schedules.iter().enumerate();
        let arrivals = ahead.filter_map(|(of, ahead)| Some((of, ahead.next?)));
        self.next = arrivals.min_by_key(|(_, arrival)| arrival.number);
    }

    /// The load that the walked epoch shares.
    pub(crate) fn load<'a>(&'a self, terms: &'a Terms) -> &'a OpenLoad {
        let epoch = terms.epochs.get(self.place);
        epoch.map_or(&self.plan, |epoch| epoch.open_load(&self.plan))
    }

    /// The number of an arrival of the walked epoch among all of the run.
    pub(crate) fn number(&self, terms: &Terms, arrival: &Arrival) -> u64 {
        let epoch = terms.epochs.get(self.place);
        let shift = epoch.map_or(0, |epoch| epoch.number_shift);
        arrival.number.wrapping_add_signed(shift)
    }

    /// The shard's part of a number that everyone who shares the walked epoch has together.
    pub(crate) fn owned(&self, terms: &Terms, whole: u64) -> u64 {
        let epoch = terms.epochs.get(self.place);
        epoch.map_or(0, |epoch| epoch.count_below(whole))
    }

    /// How many arrivals are left under these terms.
    pub(crate) fn left(&mut self, terms: &Terms) -> u64 {
        let Step::Arrival(next) = self.peek(terms) else {
            return 0;
        };
        let from_here = terms.spans().filter(|span| span.place >= self.place);
        from_here
            .map(|span| {
                let load = span.epoch.open_load(&self.plan);
                let first = match span.place == self.place {
                    true => next.number,
                    false => load.arrivals_before(span.epoch.from),
                };
                let end = load.arrivals_before(span.end);
                span.epoch.count_below(end) - span.epoch.count_below(first)
            })
            .sum()
    }

    /// Begins the walk of the epoch, if it has not begun.
    fn enter(&mut self, terms: &Terms) {
        let Some(epoch) = terms.epochs.get(self.place) else {
            return;
        };
        if self.schedules.is_some() {
            return;
        }
        let load = self.load(terms);
        let ahead = |share| {
            let mut rest = load.schedule_from(share, epoch.from);
            let next = rest.next();
            Ahead { next, rest }
        };
        let schedules = epoch.shares.iter().map(ahead).collect();
        self.schedules = Some(schedules);
        self.next = None;
        self.take();
    }
}
