//! The arrivals of one share, in order: what pacing walks through.

use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::Duration;

use crate::open::{Cursor, Timeline};
use crate::share::Share;

/// One arrival of open load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the whole schedule, from 0: the same whichever share runs it.
    pub number: u64,
    /// When it comes, from the start of the load.
    pub at: Duration,
    /// The index of the stage it belongs to.
    pub stage: u32,
}

/// An iterator over a share's arrivals, made by [`crate::OpenLoad::schedule`]. Each is computed from
/// its number; the iterator only remembers where it looked last. Its length is what is still to come.
#[derive(Debug, Clone)]
pub struct Schedule {
    timeline: Arc<Timeline>,
    share: Share,
    /// Owned arrivals given out so far, and the end of them.
    next_rank: u64,
    end_rank: u64,
    cursor: Cursor,
}

impl Schedule {
    pub(crate) fn new(timeline: Arc<Timeline>, share: Share, first: u64) -> Self {
        Self {
            end_rank: share.count_below(timeline.total()),
            timeline,
            next_rank: share.count_below(first),
            share,
            cursor: Cursor::default(),
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.next_rank == self.end_rank {
            return None;
        }
        let number = self.share.nth_owned(self.next_rank)?;
        self.next_rank += 1;
        let at_ns = self.timeline.time_of(number, &mut self.cursor);
        Some(Arrival {
            number,
            at: Duration::from_nanos(at_ns),
            stage: self.cursor.stage() as u32,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end_rank - self.next_rank) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Schedule {}
impl FusedIterator for Schedule {}
