//! Summaries: a bounded timeline, totals that do not depend on it, and the
//! sums that must hold.

use drumfire_metrics::{
    Abort, DropReason, GeneratorHealth, Interval, RunFacts, Snapshot, StageFacts, Summary,
    ThresholdOutcome, Verdict,
};

const SECOND_US: u64 = 1_000_000;

/// A second from `start` on in which `n` iterations start and `users` are in the middle of one.
fn second(start: u64, n: u64, users: u64) -> Interval {
    let mut snapshot = Snapshot {
        start_us: start * SECOND_US,
        end_us: (start + 1) * SECOND_US,
        health: GeneratorHealth {
            users,
            ..GeneratorHealth::default()
        },
        ..Snapshot::default()
    };
    snapshot.iterations.started = n;
    snapshot
        .iterations
        .lateness_us
        .record_n(70 + start % 100, n);
    Interval {
        planned: n as f64,
        snapshot,
    }
}

fn summary(facts: RunFacts, seconds: impl IntoIterator<Item = Interval>) -> Summary {
    let mut summary = Summary {
        facts,
        ..Summary::default()
    };
    seconds.into_iter().for_each(|at| summary.push(at));
    summary
}

fn open_load() -> RunFacts {
    let stage = StageFacts {
        planned: Some(9),
        ..StageFacts::default()
    };
    RunFacts {
        stages: vec![stage],
        ..RunFacts::default()
    }
}

fn closed_load() -> RunFacts {
    RunFacts {
        stages: vec![StageFacts::default()],
        ..RunFacts::default()
    }
}

/// Start in seconds, planned, started and users of every interval.
fn points(summary: &Summary) -> Vec<(u64, f64, u64, u64)> {
    let points = summary.timeline.iter().map(|at| {
        let snapshot = &at.snapshot;
        let start = snapshot.start_us / SECOND_US;
        (
            start,
            at.planned,
            snapshot.iterations.started,
            snapshot.health.users,
        )
    });
    points.collect()
}

#[test]
fn a_timeline_is_bounded_and_evenly_coarse() {
    let limit = Summary::TIMELINE_LIMIT as u64;
    for (seconds, intervals, width) in [
        (limit, limit, 1),
        (limit + 1, limit / 2 + 1, 2),
        (2 * limit + 1, limit / 2 + 1, 4),
    ] {
        let summary = summary(open_load(), (0..seconds).map(|s| second(s, 1, 1)));
        assert_eq!(summary.timeline.len() as u64, intervals, "{seconds} s");
        let widths = summary
            .timeline
            .iter()
            .map(|at| at.snapshot.end_us - at.snapshot.start_us);
        let inner = widths.take(intervals as usize - 1);
        assert!(
            inner.clone().all(|us| us == width * SECOND_US),
            "{seconds} s"
        );
        let started: u64 = points(&summary)
            .iter()
            .map(|(_, _, started, _)| started)
            .sum();
        assert_eq!(
            (started, summary.total.iterations.started),
            (seconds, seconds)
        );
        assert_eq!(summary.total.iterations.lateness_us.count(), seconds);
    }
}

#[test]
fn levels_keep_their_peak_over_time_and_plans_follow_the_kind_of_load() {
    let limit = Summary::TIMELINE_LIMIT as u64;
    for (facts, planned) in [(open_load(), 30.0), (closed_load(), 20.0)] {
        let seconds = [second(0, 10, 7), second(1, 20, 5)];
        let rest = (2..=limit).map(|s| second(s, 0, 0));
        let summary = summary(facts, seconds.into_iter().chain(rest));
        assert_eq!(points(&summary)[0], (0, planned, 30, 7));
        assert_eq!(summary.total.health.users, 7);
    }
}

#[test]
fn summaries_that_ran_beside_each_other_merge_by_their_instants() {
    let ours = || summary(open_load(), (0..4).map(|s| second(s, 10, 3)));
    let shifted = |by: u64| summary(open_load(), (by..by + 4).map(|s| second(s, 1, 2)));
    let both = |s| (s, 11.0, 11, 5);
    let (only_ours, only_theirs) = (|s| (s, 10.0, 10, 3), |s| (s, 1.0, 1, 2));
    for (by, expected) in [
        (0, vec![both(0), both(1), both(2), both(3)]),
        (
            2,
            vec![
                only_ours(0),
                only_ours(1),
                both(2),
                both(3),
                only_theirs(4),
                only_theirs(5),
            ],
        ),
    ] {
        let mut merged = ours();
        merged.merge(&shifted(by));
        assert_eq!(points(&merged), expected, "shifted by {by}");
        let mut reversed = shifted(by);
        reversed.merge(&ours());
        assert_eq!(points(&reversed), expected, "shifted by {by}, reversed");
        assert_eq!(merged.total, reversed.total);
        assert_eq!(merged.total.iterations.started, 44);
    }
}

#[test]
fn a_finer_timeline_takes_the_width_of_a_coarser_one() {
    let coarse = summary(
        open_load(),
        [0, 2].map(|s| {
            let mut at = second(s, 10, 3);
            at.snapshot.end_us += SECOND_US;
            at
        }),
    );
    let fine = summary(open_load(), (0..4).map(|s| second(s, 1, 2)));
    for (mut first, second) in [(coarse.clone(), &fine), (fine.clone(), &coarse)] {
        first.merge(second);
        assert_eq!(points(&first), [(0, 12.0, 12, 5), (2, 12.0, 12, 5)]);
    }
}

#[test]
fn an_empty_summary_changes_nothing() {
    let some = summary(open_load(), (0..4).map(|s| second(s, 10, 3)));
    let mut merged = Summary::default();
    merged.merge(&some);
    assert_eq!(merged, some);
}

#[test]
fn facts_of_two_parts_merge() {
    let facts = |host: &str, planned| RunFacts {
        planned,
        host: host.to_owned(),
        shards: 2,
        started_at_us: planned.unwrap_or(9),
        stages: vec![StageFacts {
            planned,
            ..StageFacts::default()
        }],
        ..RunFacts::default()
    };
    for (ours, theirs, planned, host) in [
        (facts("a", Some(5)), facts("b", Some(6)), Some(11), "a, b"),
        (facts("a", Some(5)), facts("a", None), None, "a"),
    ] {
        let mut merged = summary(ours, [second(0, 1, 1)]);
        merged.merge(&summary(theirs, [second(0, 1, 1)]));
        assert_eq!(merged.facts.planned, planned);
        assert_eq!(merged.facts.stages[0].planned, planned);
        assert_eq!(merged.facts.host, host);
        assert_eq!((merged.facts.shards, merged.facts.started_at_us), (4, 5));
    }
}

#[test]
fn broken_sums_are_said() {
    let with = |planned, [started, dropped, completed, failed, interrupted]: [u64; 5]| {
        let mut summary = Summary::default();
        summary.facts.planned = planned;
        let iterations = &mut summary.total.iterations;
        iterations.started = started;
        iterations.dropped.insert(DropReason::UserCap, dropped);
        (iterations.completed, iterations.failed) = (completed, failed);
        iterations.interrupted = interrupted;
        summary.check_invariants()
    };
    let none: [&str; 0] = [];
    assert_eq!(with(Some(100), [90, 10, 80, 6, 4]), none);
    assert_eq!(with(None, [90, 7, 90, 0, 0]), none);
    assert_eq!(
        with(Some(100), [90, 9, 80, 6, 3]),
        [
            "planned 100 is not started 90 + dropped 9",
            "started 90 is not completed 80 + failed 6 + interrupted 3"
        ]
    );
}

#[test]
fn limits_that_were_hit_are_said() {
    let mut summary = Summary::default();
    summary
        .total
        .endpoints
        .insert("(other)".to_owned(), Default::default());
    summary.total.errors.insert("(other)".to_owned(), 3);
    summary.total.iterations.duration_us.record(u64::MAX);
    assert_eq!(
        summary.limits_hit(),
        [
            "endpoints past the limit of 2000 are counted as (other)",
            "error codes past the limit of 200 are counted as (other)",
            "1 values above 281474976710655 are counted as that",
        ]
    );
}

/// A threshold on the number of users, as judged.
fn users_below(limit: u64, users: u64, strict: bool) -> ThresholdOutcome {
    ThresholdOutcome {
        text: format!("vusers.created < {limit}"),
        passed: users < limit,
        strict,
        value: Some(users as f64),
        aborted_at_us: None,
    }
}

#[test]
fn a_verdict_is_made_of_thresholds_saturations_and_notes() {
    let mut run = summary(open_load(), (0..4).map(|s| second(s, 10, 3)));
    run.timeline[2].snapshot.health.ports_exhausted = 1;
    let cases = [
        (vec![], None, true),
        (vec![users_below(41, 40, true)], None, true),
        (vec![users_below(40, 40, true)], None, false),
        (vec![users_below(40, 40, false)], None, true),
        (
            vec![users_below(41, 40, true)],
            Some(Abort {
                threshold: 0,
                at_us: 7,
            }),
            false,
        ),
    ];
    for (thresholds, aborted, passed) in cases {
        let verdict = Verdict::judge(&run, thresholds.clone(), aborted);
        assert_eq!(verdict.passed(), passed, "{thresholds:?}");
        let at = verdict
            .thresholds
            .iter()
            .find_map(|outcome| outcome.aborted_at_us);
        assert_eq!(at, aborted.map(|abort| abort.at_us));
        assert!(!verdict.trustworthy());
        assert_eq!(verdict.notes.len(), 1, "{:?}", verdict.notes);
    }
}

#[test]
fn a_threshold_that_failed_in_one_part_has_failed() {
    let judge = |n| {
        let run = summary(open_load(), [second(0, n, 1)]);
        Verdict::judge(&run, vec![users_below(40, n, true)], None)
    };
    for (ours, theirs, passed, value) in [
        (10, 20, true, 10.0),
        (10, 50, false, 50.0),
        (50, 10, false, 50.0),
    ] {
        let mut verdict = judge(ours);
        verdict.merge(&judge(theirs));
        assert_eq!(verdict.thresholds.len(), 1);
        assert_eq!(verdict.thresholds[0].value, Some(value));
        assert_eq!(verdict.passed(), passed);
    }
}
