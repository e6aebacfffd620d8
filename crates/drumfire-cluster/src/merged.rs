//! The merged view: seconds of the run, each put together from the reports of all agents.
//!
//! A report is merged into its second as it comes and forgotten, so that memory is that of a few seconds, however many
//! agents there are, and the work is spread over the interval.

use crate::coordinator::MAX_REPORTS_PER_SECOND;
use crate::member::Member;
use crate::messages::NumberedSnapshot;
use drumfire_metrics::Snapshot;
use std::collections::{BTreeMap, BTreeSet};

/// The shortest interval of a merged view, in microseconds; where agents report less often it is theirs.
pub const UNIT_US: u64 = 1_000_000;

/// So long after its end a shortest interval is no longer held up by an agent that has not reported, in microseconds;
/// a longer one, which has the reports of more agents, in proportion.
pub const PATIENCE_US: u64 = 1_500_000;

/// Reports of all agents on their way to one timeline. Pure: time is an argument.
#[derive(Debug, Default)]
pub struct Merged {
    /// The start of the next interval.
    next_us: u64,
    /// The length of intervals; 0 before the first member is known.
    unit_us: u64,
    expected: BTreeSet<Member>,
    /// Of the expected, those whose reports do not reach the end of the next interval.
    awaited: BTreeSet<Member>,
    /// Of the expected, how many last reported on more than an interval.
    slower: usize,
    progress: BTreeMap<Member, Progress>,
    /// Up to where anyone has reported.
    reached_us: u64,
    /// By the second that reports begin in.
    seconds: BTreeMap<u64, Second>,
    /// Of intervals that are out, by the second that reports begin in.
    late: BTreeMap<u64, Second>,
}

/// How far one member is.
#[derive(Debug, Default)]
struct Progress {
    to_us: u64,
    last: bool,
    /// What its newest report is on, in whole units.
    length_us: u64,
}

/// What began in one second.
#[derive(Debug, Default)]
struct Second {
    whole: Snapshot,
    levels: BTreeMap<Member, Levels>,
}

/// What is not added up over one member's reports: its peak counts.
#[derive(Debug, Default, Clone, Copy)]
struct Levels {
    memory_bytes: u64,
    sockets: u64,
    users: u64,
}

impl Merged {
    /// From now on intervals wait for these members.
    pub fn expect(&mut self, members: impl IntoIterator<Item = Member>) {
        self.expected = members.into_iter().collect();
        let reports = self.expected.len() as u64;
        let seconds = reports.div_ceil(MAX_REPORTS_PER_SECOND).max(1);
        self.unit_us = self.unit_us.max(seconds * UNIT_US);
        self.look_again();
    }

    /// Takes a report; says whether its interval is out already, so that it will be in [`Merged::late`].
    pub fn add(&mut self, report: &NumberedSnapshot) -> bool {
        let snapshot = &report.snapshot;
        self.advance(report);
        let is_late = snapshot.end_us <= self.next_us && *snapshot != Snapshot::default();
        let seconds = match is_late {
            true => &mut self.late,
            false => &mut self.seconds,
        };
        let second = seconds.entry(snapshot.start_us / UNIT_US).or_default();
        second.add(&report.member, snapshot);
        is_late
    }

    /// The next interval that is complete, or that is not waited for any longer at `run_us` of the run.
    pub fn complete(&mut self, run_us: u64) -> Option<Snapshot> {
        let end_us = self.end_us();
        let complete = self.awaited.is_empty() && self.reached_us >= end_us;
        let patience_us = PATIENCE_US * (end_us - self.next_us) / UNIT_US;
        let overdue = run_us >= end_us + patience_us;
        (complete || overdue).then(|| self.take(end_us))
    }

    /// What came for intervals that are out: it is added where it belongs in time.
    pub fn late(&mut self) -> impl Iterator<Item = Snapshot> + use<> {
        let late = std::mem::take(&mut self.late).into_values();
        late.map(|second| Second::together([second]))
    }

    /// The next interval, when nothing more comes; none when everything is out.
    pub fn rest(&mut self) -> Option<Snapshot> {
        let waits = !self.seconds.is_empty();
        waits.then(|| self.take(self.end_us()))
    }

    /// The end of the next interval.
    fn end_us(&self) -> u64 {
        self.next_us + self.unit_us.max(UNIT_US)
    }

    fn advance(&mut self, report: &NumberedSnapshot) {
        let snapshot = &report.snapshot;
        let length_us = snapshot.end_us.saturating_sub(snapshot.start_us);
        let length_us = (length_us / UNIT_US).max(1) * UNIT_US;
        let progress = match self.progress.get_mut(&report.member) {
            Some(progress) => progress,
            None => self.progress.entry(report.member.clone()).or_default(),
        };
        let was_slower = progress.length_us > self.unit_us;
        progress.to_us = progress.to_us.max(snapshot.end_us);
        progress.last |= report.last;
        progress.length_us = length_us;
        self.reached_us = self.reached_us.max(progress.to_us);
        let end_us = self.next_us + self.unit_us.max(UNIT_US);
        if progress.reaches(end_us) {
            self.awaited.remove(&report.member);
        }
        if was_slower == (length_us > self.unit_us) || !self.expected.contains(&report.member) {
            return;
        }
        match was_slower {
            true => self.slower -= 1,
            false => self.slower += 1,
        }
        // A few may send longer reports because they could not be heard for a while; what most do is the rule.
        if self.slower * 2 > self.expected.len() {
            self.unit_us = length_us;
            self.look_again();
        }
    }

    /// Reckons anew who is waited for.
    fn look_again(&mut self) {
        let end_us = self.end_us();
        let progress = |member: &Member| self.progress.get(member);
        let behind = |member: &&Member| progress(member).is_none_or(|it| !it.reaches(end_us));
        let awaited = self.expected.iter().filter(behind).cloned().collect();
        let slower =
            |member: &&Member| progress(member).is_some_and(|it| it.length_us > self.unit_us);
        self.slower = self.expected.iter().filter(slower).count();
        self.awaited = awaited;
    }

    fn take(&mut self, end_us: u64) -> Snapshot {
        let rest = self.seconds.split_off(&end_us.div_ceil(UNIT_US));
        let taken = std::mem::replace(&mut self.seconds, rest);
        let mut whole = Second::together(taken.into_values());
        let start_us = std::mem::replace(&mut self.next_us, end_us);
        // The last interval of a run may be short, one that was held up long.
        if whole.end_us <= start_us || whole.end_us > end_us {
            whole.end_us = end_us;
        }
        whole.start_us = start_us;
        self.look_again();
        whole
    }
}

impl Progress {
    fn reaches(&self, end_us: u64) -> bool {
        self.last || self.to_us >= end_us
    }
}

impl Second {
    fn add(&mut self, member: &Member, snapshot: &Snapshot) {
        self.whole.merge(snapshot);
        let levels = Levels {
            memory_bytes: snapshot.health.memory_bytes,
            sockets: snapshot.health.sockets,
            users: snapshot.health.users,
        };
        self.levels.entry(member.clone()).or_default().rise(levels);
    }

    /// Reports of one member follow each other, those of several are beside each other.
    fn together(seconds: impl IntoIterator<Item = Self>) -> Snapshot {
        let mut all = Self::default();
        for second in seconds {
            match all.levels.is_empty() {
                true => all = second,
                false => {
                    all.whole.merge(&second.whole);
                    for (member, levels) in second.levels {
                        all.levels.entry(member).or_default().rise(levels);
                    }
                }
            }
        }
        let sum = |level: fn(&Levels) -> u64| all.levels.values().map(level).sum();
        all.whole.health.memory_bytes = sum(|levels| levels.memory_bytes);
        all.whole.health.sockets = sum(|levels| levels.sockets);
        all.whole.health.users = sum(|levels| levels.users);
        all.whole
    }
}

impl Levels {
    fn rise(&mut self, other: Self) {
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.sockets = self.sockets.max(other.sockets);
        self.users = self.users.max(other.users);
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
        assert!(!merged.add(&report("a", 0, (0.0, 1.0), 1, false)));
        assert_eq!(complete(&mut merged, 1_100_000), []);
        assert!(!merged.add(&report("b", 0, (0.0, 1.0), 10, false)));
        assert_eq!(complete(&mut merged, 1_200_000), [(0, 1_000, 11)]);
        assert!(!merged.add(&report("a", 1, (1.0, 2.0), 2, false)));
        assert_eq!(complete(&mut merged, 3_400_000), []);
        assert_eq!(complete(&mut merged, 3_500_000), [(1_000, 2_000, 2)]);
        // What comes after that belongs to where it was.
        assert!(merged.add(&report("b", 1, (1.0, 2.0), 20, false)));
        let late: Vec<_> = merged.late().map(|late| shown(&late)).collect();
        assert_eq!(late, [(1_000, 2_000, 20)]);
        assert_eq!(merged.late().count(), 0);
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

    #[test]
    fn so_many_agents_that_they_report_less_often_are_known_before_they_do() {
        let names: Vec<String> = (0..=MAX_REPORTS_PER_SECOND)
            .map(|n| n.to_string())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut merged = Merged::default();
        merged.expect(members(&names));
        assert_eq!(complete(&mut merged, 4_900_000), []);
        for name in &names {
            merged.add(&report(name, 0, (0.0, 2.0), 1, false));
        }
        let n = names.len() as u64;
        assert_eq!(complete(&mut merged, 4_900_000), [(0, 2_000, n)]);
    }

    #[test]
    fn one_long_report_among_many_changes_nothing() {
        let mut merged = Merged::default();
        merged.expect(members(&["a", "b", "c"]));
        for name in ["a", "b"] {
            merged.add(&report(name, 0, (0.0, 1.0), 1, false));
        }
        merged.add(&report("c", 0, (0.0, 2.0), 10, false));
        assert_eq!(complete(&mut merged, 1_100_000), [(0, 1_000, 12)]);
        for name in ["a", "b"] {
            merged.add(&report(name, 1, (1.0, 2.0), 1, false));
        }
        assert_eq!(complete(&mut merged, 2_100_000), [(1_000, 2_000, 2)]);
    }

    #[test]
    fn levels_are_peaks_of_one_agent_and_add_up_over_all() {
        let mut merged = Merged::default();
        merged.expect(members(&["a", "b"]));
        for (name, span_s, users) in [
            ("a", (0.0, 0.5), 7),
            ("a", (0.5, 1.0), 5),
            ("b", (0.0, 1.0), 10),
        ] {
            let mut report = report(name, 0, span_s, 0, false);
            report.snapshot.health.users = users;
            merged.add(&report);
        }
        let users = merged.complete(1_000_000).map(|whole| whole.health.users);
        assert_eq!(users, Some(17));
    }
}
