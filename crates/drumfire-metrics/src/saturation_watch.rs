//! Finds the stretches in which a generator was the limit while its intervals come, and keeps none of them: only the
//! signs of a stretch that is not over yet.

use crate::saturation::{Signs, join, judged};
use crate::{Saturation, Snapshot};

/// So many good intervals in a row end every stretch: one good interval between two bad ones does not.
const GOOD_THAT_END: usize = 2;
/// Most intervals that are looked at together. A generator that is the limit for longer is judged piece by piece, and the
/// pieces are joined.
const SPELL_LIMIT: usize = 600;

/// Watches one generator: what it finds is what [`crate::saturations`] finds in the whole timeline, unless a spell of bad
/// intervals is longer than ten minutes.
#[derive(Debug, Clone, Default)]
pub struct SaturationWatch {
    ended: Vec<Saturation>,
    ended_left_out: u64,
    /// The intervals since the last stretch ended, the first of them bad.
    spell: Vec<Signs>,
    good: usize,
}

impl SaturationWatch {
    /// Most stretches that are kept; later ones are counted.
    pub const STRETCH_LIMIT: usize = 16;

    /// Looks at the next interval; whether [`SaturationWatch::found`] may be another.
    pub fn add(&mut self, interval: &Snapshot) -> bool {
        let signs = Signs::of(interval);
        if signs.are_good() {
            self.good += 1;
            if self.good >= GOOD_THAT_END || self.spell.is_empty() {
                self.settle();
                return false;
            }
        } else {
            self.good = 0;
        }
        self.spell.push(signs);
        if self.spell.len() >= SPELL_LIMIT {
            self.settle();
        }
        true
    }

    /// The stretches so far, and how many are left out.
    pub fn found(&self) -> (Vec<Saturation>, u64) {
        let mut found = join(&self.ended, &judged(&self.spell));
        let beyond = found.len().saturating_sub(Self::STRETCH_LIMIT);
        if beyond > 0 {
            found.sort_by_key(|stretch| (stretch.start_us, stretch.cause));
            found.truncate(Self::STRETCH_LIMIT);
        }
        (found, self.ended_left_out + beyond as u64)
    }

    /// Ends the spell.
    fn settle(&mut self) {
        if !self.spell.is_empty() {
            (self.ended, self.ended_left_out) = self.found();
            self.spell.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DropReason, Interval, saturations};
    use proptest::prelude::*;

    /// What a second was like: late arrivals of 100, by how many ms; late timers of 50; the busiest shard; dropped users.
    type Second = ((u64, u64), (u64, u64), bool, u64);

    fn interval(place: usize, second: &Second) -> Interval {
        let ((late, late_ms), (lags, lag_ms), full, dropped) = *second;
        let mut snapshot = Snapshot {
            start_us: place as u64 * 1_000_000,
            end_us: (place as u64 + 1) * 1_000_000,
            ..Snapshot::default()
        };
        let iterations = &mut snapshot.iterations;
        iterations.lateness_us.record_n(50, 100 - late);
        iterations.lateness_us.record_n(late_ms * 1_000, late);
        if dropped > 0 {
            iterations.dropped.insert(DropReason::Generator, dropped);
        }
        snapshot.health.loop_lag_us.record_n(50, 50 - lags);
        snapshot.health.loop_lag_us.record_n(lag_ms * 1_000, lags);
        snapshot.health.busiest_shard = if full { 0.99 } else { 0.4 };
        Interval {
            planned: 100.0,
            snapshot,
        }
    }

    fn a_second() -> impl Strategy<Value = Second> {
        let quiet = Just(((0, 0), (0, 0), false, 0));
        let behind = prop::sample::select(vec![(0, 0), (1, 20), (3, 30), (70, 15), (5, 400)]);
        let dropped = prop::sample::select(vec![0, 0, 0, 4]);
        let odd = (behind.clone(), behind, any::<bool>(), dropped);
        let odd = odd.prop_map(|(late, (lags, ms), full, dropped)| {
            (late, (u64::min(lags, 50), ms), full, dropped)
        });
        prop_oneof![2 => quiet, 1 => odd]
    }

    fn in_time(mut stretches: Vec<Saturation>) -> Vec<Saturation> {
        stretches.sort_by_key(|stretch| (stretch.start_us, stretch.cause));
        stretches
    }

    proptest! {
        #[test]
        fn the_watch_finds_what_the_whole_timeline_shows(seconds in prop::collection::vec(a_second(), 0..40)) {
            let numbered = seconds.iter().enumerate();
            let timeline: Vec<Interval> = numbered.map(|(place, second)| interval(place, second)).collect();
            let mut watch = SaturationWatch::default();
            let mut found = watch.found();
            for (place, at) in timeline.iter().enumerate() {
                if watch.add(&at.snapshot) {
                    found = watch.found();
                }
                let whole = in_time(saturations(&timeline[..=place]));
                let (kept, left_out) = (in_time(found.0.clone()), found.1);
                prop_assert_eq!(kept.len() as u64 + left_out, whole.len() as u64);
                prop_assert!(left_out > 0 || kept == whole, "{:?} is not {:?}", kept, whole);
            }
        }
    }

    #[test]
    fn one_that_is_always_late_is_late_once() {
        let mut watch = SaturationWatch::default();
        for place in 0..3 * SPELL_LIMIT {
            assert!(watch.add(&interval(place, &((90, 30), (0, 0), false, 0)).snapshot));
            assert!(watch.spell.len() < SPELL_LIMIT);
        }
        let (found, left_out) = watch.found();
        let spans: Vec<_> = found.iter().map(|s| (s.start_us, s.end_us)).collect();
        assert_eq!(spans, [(0, 3 * SPELL_LIMIT as u64 * 1_000_000)]);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn stretches_beyond_the_limit_are_counted() {
        let mut watch = SaturationWatch::default();
        let stretches = SaturationWatch::STRETCH_LIMIT + 3;
        for place in 0..4 * stretches {
            let late = if place % 4 == 0 { 90 } else { 0 };
            watch.add(&interval(place, &((late, 30), (0, 0), false, 0)).snapshot);
        }
        let (found, left_out) = watch.found();
        assert_eq!((found.len(), left_out), (SaturationWatch::STRETCH_LIMIT, 3));
    }
}
