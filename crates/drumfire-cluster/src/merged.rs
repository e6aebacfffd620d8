//! The merged view: seconds of the run, each put together from the reports of all agents.

use crate::member::Member;
use crate::messages::NumberedSnapshot;
use drumfire_metrics::Snapshot;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The shortest interval of a merged view, in microseconds; where agents report less often it is theirs.
pub const UNIT_US: u64 = 1_000_000;

/// So long after its end an interval is no longer held up by an agent that has not reported, in microseconds.
pub const PATIENCE_US: u64 = 1_500_000;

/// Reports of all agents on their way to one timeline. Pure: time is an argument.
#[derive(Debug, Default)]
pub struct Merged {
    /// The start of the next interval.
    next_us: u64,
    unit_us: u64,
    expected: BTreeSet<Member>,
    parts: BTreeMap<Member, Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    waiting: VecDeque<Snapshot>,
    /// Up to where the member has reported.
    to_us: u64,
    last: bool,
}

impl Merged {
    /// From now on intervals wait for these members.
    pub fn expect(&mut self, members: impl IntoIterator<Item = Member>) {
        self.expected = members.into_iter().collect();
    }

    /// Takes a report. One that belongs to an interval that is out already comes back: it is added where it belongs in
    /// time.
    pub fn add(&mut self, report: &NumberedSnapshot) -> Option<Snapshot> {
        let parts = self.parts.entry(report.member.clone()).or_default();
        let snapshot = &report.snapshot;
        parts.to_us = parts.to_us.max(snapshot.end_us);
        parts.last |= report.last;
        let seconds = snapshot.end_us.saturating_sub(snapshot.start_us) / UNIT_US;
        // A report that was merged because the broker was away does not change what the others do.
        let usual = self.parts.values().filter(|parts| parts.waiting.len() > 1);
        if usual.count() == 0 {
            self.unit_us = self.unit_us.max(seconds.max(1) * UNIT_US);
        }
        if snapshot.end_us <= self.next_us && *snapshot != Snapshot::default() {
            return Some(snapshot.clone());
        }
        let parts = self.parts.entry(report.member.clone()).or_default();
        parts.waiting.push_back(snapshot.clone());
        None
    }

    /// The next interval that is complete, or that is not waited for any longer at `run_us` of the run.
    pub fn complete(&mut self, run_us: u64) -> Option<Snapshot> {
        let end_us = self.next_us + self.unit_us.max(UNIT_US);
        let reported = |member: &Member| {
            let parts = self.parts.get(member);
            parts.is_some_and(|parts| parts.last || parts.to_us >= end_us)
        };
        let complete = self.expected.iter().all(reported) && self.reached_us() >= end_us;
        let overdue = run_us >= end_us + PATIENCE_US;
        (complete || overdue).then(|| self.take(end_us))
    }

    /// The next interval, when nothing more comes; none when everything is out.
    pub fn rest(&mut self) -> Option<Snapshot> {
        let waits = self.parts.values().any(|parts| !parts.waiting.is_empty());
        let end_us = self.next_us + self.unit_us.max(UNIT_US);
        waits.then(|| self.take(end_us))
    }

    fn reached_us(&self) -> u64 {
        let parts = self.parts.values();
        parts.map(|parts| parts.to_us).max().unwrap_or(0)
    }

    fn take(&mut self, end_us: u64) -> Snapshot {
        let mut whole: Option<Snapshot> = None;
        for parts in self.parts.values_mut() {
            // Those of one agent follow each other, those of several are beside each other.
            let mut own: Option<Snapshot> = None;
            while let Some(part) = parts.waiting.pop_front_if(|part| part.start_us < end_us) {
                match &mut own {
                    Some(own) => own.append(&part),
                    None => own = Some(part),
                }
            }
            match (&mut whole, own) {
                (Some(whole), Some(own)) => whole.merge(&own),
                (None, own) => whole = own,
                (Some(_), None) => {}
            }
        }
        let mut whole = whole.unwrap_or_default();
        let start_us = std::mem::replace(&mut self.next_us, end_us);
        // The last interval of a run may be short, one that was held up long.
        if whole.end_us <= start_us || whole.end_us > end_us {
            whole.end_us = end_us;
        }
        whole.start_us = start_us;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, number: u64, span_s: (f64, f64), n: u64, last: bool) -> NumberedSnapshot {
        let us = |seconds: f64| (seconds * 1e6) as u64;
        let mut snapshot = Snapshot {
            start_us: us(span_s.0),
            end_us: us(span_s.1),
            ..Snapshot::default()
        };
        snapshot.counters.insert("n".into(), n);
        NumberedSnapshot {
            member: Member::new(name, 1),
            number,
            from_ns: snapshot.start_us * 1_000,
            to_ns: snapshot.end_us * 1_000,
            last,
            snapshot,
        }
    }

    fn members(names: &[&str]) -> Vec<Member> {
        names.iter().map(|name| Member::new(name, 1)).collect()
    }

    /// Start and end in milliseconds, and the count.
    fn shown(snapshot: &Snapshot) -> (u64, u64, u64) {
        let n = snapshot.counters.get("n").copied().unwrap_or(0);
        (snapshot.start_us / 1_000, snapshot.end_us / 1_000, n)
    }

    fn complete(merged: &mut Merged, run_us: u64) -> Vec<(u64, u64, u64)> {
        std::iter::from_fn(|| merged.complete(run_us).as_ref().map(shown)).collect()
    }

    #[test]
    fn an_interval_waits_for_everyone_but_not_for_ever() {
        let mut merged = Merged::default();
        merged.expect(members(&["a", "b"]));
        assert_eq!(complete(&mut merged, 900_000), []);
        assert!(merged.add(&report("a", 0, (0.0, 1.0), 1, false)).is_none());
        assert_eq!(complete(&mut merged, 1_100_000), []);
        assert!(merged.add(&report("b", 0, (0.0, 1.0), 10, false)).is_none());
        assert_eq!(complete(&mut merged, 1_200_000), [(0, 1_000, 11)]);
        assert!(merged.add(&report("a", 1, (1.0, 2.0), 2, false)).is_none());
        assert_eq!(complete(&mut merged, 3_400_000), []);
        assert_eq!(complete(&mut merged, 3_500_000), [(1_000, 2_000, 2)]);
        // What comes after that belongs to where it was.
        let late = merged.add(&report("b", 1, (1.0, 2.0), 20, false));
        assert_eq!(late.as_ref().map(shown), Some((1_000, 2_000, 20)));
    }

    #[test]
    fn who_is_not_expected_holds_nothing_up_and_is_counted() {
        let mut merged = Merged::default();
        merged.expect(members(&["a"]));
        merged.add(&report("gone", 0, (0.0, 0.7), 5, true));
        merged.add(&report("a", 0, (0.0, 1.0), 1, false));
        assert_eq!(complete(&mut merged, 1_000_000), [(0, 1_000, 6)]);
    }

    #[test]
    fn the_rest_comes_out_at_the_end() {
        let mut merged = Merged::default();
        merged.expect(members(&["a", "b"]));
        merged.add(&report("a", 0, (0.0, 1.0), 1, false));
        merged.add(&report("a", 1, (1.0, 1.4), 2, true));
        merged.add(&report("b", 0, (0.0, 1.0), 3, false));
        assert_eq!(complete(&mut merged, 1_500_000), [(0, 1_000, 4)]);
        let rest: Vec<_> = std::iter::from_fn(|| merged.rest().as_ref().map(shown)).collect();
        assert_eq!(rest, [(1_000, 1_400, 2)]);
    }

    #[test]
    fn agents_that_report_less_often_make_longer_intervals() {
        let mut merged = Merged::default();
        merged.expect(members(&["a", "b"]));
        merged.add(&report("a", 0, (0.0, 2.0), 1, false));
        merged.add(&report("b", 0, (0.0, 2.0), 2, false));
        assert_eq!(complete(&mut merged, 2_100_000), [(0, 2_000, 3)]);
    }
}
