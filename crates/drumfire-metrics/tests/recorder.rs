//! What a shard records is what its snapshot says, interval by interval, and
//! snapshots merge whatever the order.

use drumfire_metrics::{
    DropReason, EndpointStats, GeneratorHealth, Histogram, NameOptions, NamedMetrics, Outcome,
    Phases, Recorder, Sample, Snapshot, Unit,
};
use proptest::collection::vec;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

/// An exchange that was due at 0, began after 10 ms and ended after 30 ms.
fn sample(outcome: Outcome) -> Sample {
    Sample {
        intended_ns: 0,
        start_ns: 10 * MS,
        end_ns: 30 * MS,
        phases: Phases {
            first_byte_ns: 15 * MS,
            ..Phases::default()
        },
        connected: false,
        outcome,
        body_bytes: 100,
        sent_bytes: 40,
    }
}

fn one(value: u64) -> Histogram {
    Histogram::from_iter([value])
}

/// Records one exchange at one endpoint.
fn recorded(sample: &Sample) -> EndpointStats {
    let mut recorder = Recorder::new();
    let endpoint = recorder.endpoint("/");
    recorder.request(endpoint);
    recorder.sample(endpoint, sample);
    recorder.take(0, 1).endpoints.remove("/").unwrap()
}

#[test]
fn outcomes_are_counted() {
    let answered = |class: usize, code| {
        let mut stats = EndpointStats {
            requests: 1,
            body_bytes: 100,
            sent_bytes: 40,
            ..EndpointStats::default()
        };
        stats.codes.insert(code, 1);
        stats.first_byte_us[class] = one(15_000);
        stats
    };
    let complete = |class, code| EndpointStats {
        service_us: one(20_000),
        intended_us: one(30_000),
        ..answered(class, code)
    };
    let failed = |mut stats: EndpointStats, code: &str| {
        stats.errors.insert(code.to_owned(), 1);
        stats
    };
    let nothing = EndpointStats {
        requests: 1,
        body_bytes: 100,
        sent_bytes: 40,
        ..EndpointStats::default()
    };
    for (outcome, expected) in [
        (Outcome::Status(101), complete(1, 101)),
        (Outcome::Status(200), complete(2, 200)),
        (Outcome::Status(503), complete(5, 503)),
        (Outcome::Status(999), complete(0, 999)),
        (
            Outcome::Broken(206, "ECONNRESET".into()),
            failed(answered(2, 206), "ECONNRESET"),
        ),
        (
            Outcome::Error("ETIMEDOUT".into()),
            failed(nothing, "ETIMEDOUT"),
        ),
    ] {
        assert_eq!(recorded(&sample(outcome.clone())), expected, "{outcome:?}");
    }
}

/// A target that stalls for the first second of every five, 100 requests a second for
/// a minute. Who sends in time and who waits for a free connection first: from the
/// intended start both see what users would have waited.
#[test]
fn latency_from_the_intended_start_tells_the_stall() {
    for connections in [10, 1000] {
        let mut recorder = Recorder::new();
        let endpoint = recorder.endpoint("/");
        for arrival in 0..6000u64 {
            let intended_ns = arrival * 10 * MS;
            let stall_ns = intended_ns / (5000 * MS) * 5000 * MS;
            let stalled = intended_ns - stall_ns < 1000 * MS;
            let end_ns = if stalled {
                stall_ns + 1000 * MS
            } else {
                intended_ns
            };
            // With all connections stuck, a request begins when the stall ends.
            let in_stall = (intended_ns - stall_ns) / (10 * MS);
            let start_ns = if stalled && in_stall >= connections {
                end_ns
            } else {
                intended_ns
            };
            let times = Sample {
                intended_ns,
                start_ns,
                end_ns,
                ..sample(Outcome::Status(200))
            };
            recorder.sample(endpoint, &times);
        }
        let stats = recorder.take(0, 1).endpoints.remove("/").unwrap();
        let intended = &stats.intended_us;
        for (measured, truth_ms) in [
            (intended.mean(), 100.0),
            (intended.quantile(0.90) as f64, 500.0),
            (intended.quantile(0.95) as f64, 750.0),
            (intended.quantile(0.99) as f64, 950.0),
        ] {
            let off = (measured / 1000.0 / truth_ms - 1.0).abs();
            assert!(
                off <= 0.02,
                "{measured} µs for {truth_ms} ms, {connections} connections"
            );
        }
        let service_p95_us = stats.service_us.quantile(0.95);
        assert_eq!(service_p95_us < 1000, connections == 10, "{service_p95_us}");
    }
}

#[test]
fn a_new_connection_has_its_times() {
    let mut opened = sample(Outcome::Status(200));
    opened.connected = true;
    opened.phases.connect_ns = 2 * MS;
    opened.phases.tls_ns = 3 * MS;
    let stats = recorded(&opened);
    assert_eq!(stats.connections, 1);
    assert_eq!(
        (stats.dns_us, stats.connect_us, stats.tls_us),
        (Histogram::new(), one(2000), one(3000))
    );
}

#[test]
fn nanoseconds_round_half_up() {
    for (ns, us) in [
        (0, 0),
        (499, 0),
        (500, 1),
        (1499, 1),
        (1500, 2),
        (u64::MAX, u64::MAX / 1000),
    ] {
        let mut recorder = Recorder::new();
        let duration = recorder.histogram("duration", Unit::Duration);
        let number = recorder.histogram("number", Unit::Number);
        recorder.observe(duration, ns);
        recorder.observe(number, ns);
        let taken = recorder.take(0, 1).histograms;
        assert_eq!(taken["duration"], (Unit::Duration, one(us)), "{ns} ns");
        assert_eq!(taken["number"], (Unit::Number, one(ns)));
    }
}

#[test]
fn ids_outlive_an_interval_and_numbers_do_not() {
    let mut recorder = Recorder::new();
    let endpoint = recorder.endpoint("/");
    let counter = recorder.counter("n");
    let rate = recorder.rate("r");
    for n in 1..=3 {
        recorder.request(endpoint);
        recorder.sample(
            endpoint,
            &sample(Outcome::Status(if n == 2 { 404 } else { 200 })),
        );
        recorder.sample(endpoint, &sample(Outcome::Error(format!("E{n}").into())));
        recorder.add(counter, n);
        recorder.tick(rate);
        recorder.error("Failed capture or match");
        recorder.iteration_started(MS);
        recorder.iteration_completed(5 * MS);
        recorder.iterations_dropped(DropReason::UserCap, n);
        recorder.iterations_dropped(DropReason::Stopped, 0);
        let taken = recorder.take(n * 10, n * 10 + 10);
        assert_eq!((taken.start_us, taken.end_us), (n * 10, n * 10 + 10));
        let stats = &taken.endpoints["/"];
        assert_eq!(stats.codes, [(if n == 2 { 404 } else { 200 }, 1)].into());
        assert_eq!(stats.errors, [(format!("E{n}"), 1)].into());
        assert_eq!(taken.counters, [("n".to_owned(), n)].into());
        assert_eq!(taken.rates, [("r".to_owned(), 1)].into());
        assert_eq!(
            taken.errors,
            [("Failed capture or match".to_owned(), 1)].into()
        );
        assert_eq!(taken.iterations.dropped, [(DropReason::UserCap, n)].into());
        assert_eq!(taken.iterations.duration_us, one(5000));
    }
    let nothing = recorder.take(40, 50);
    assert_eq!(
        nothing,
        Snapshot {
            start_us: 40,
            end_us: 50,
            ..Snapshot::default()
        }
    );
}

#[test]
fn a_counter_that_was_given_zero_is_there() {
    let mut recorder = Recorder::new();
    let (given, not_given) = (recorder.counter("given"), recorder.counter("not given"));
    recorder.add(given, 0);
    assert_eq!(
        recorder.take(0, 1).counters,
        [("given".to_owned(), 0)].into()
    );
    recorder.add(not_given, 1);
    assert_eq!(
        recorder.take(1, 2).counters,
        [("not given".to_owned(), 1)].into()
    );
}

#[test]
fn names_are_one_series_and_series_are_limited() {
    let mut recorder = Recorder::new();
    assert_eq!(recorder.endpoint("/a"), recorder.endpoint("/a"));
    assert_ne!(recorder.endpoint("/a"), recorder.endpoint("/b"));
    for n in 0..2 * Recorder::ENDPOINT_LIMIT {
        let endpoint = recorder.endpoint(&format!("/{n}"));
        recorder.request(endpoint);
        recorder.error(&format!("E{n}"));
    }
    let unlisted = recorder.unlisted_endpoint();
    recorder.request(unlisted);
    let taken = recorder.take(0, 1);
    // `/a` and `/b` saw no request.
    assert_eq!(taken.endpoints.len(), Recorder::ENDPOINT_LIMIT - 2 + 1);
    let kept = Recorder::ENDPOINT_LIMIT as u64 - 3;
    let past = 2 * Recorder::ENDPOINT_LIMIT as u64 - kept;
    assert_eq!(taken.endpoints[Recorder::OTHER].requests, past);
    assert_eq!(taken.endpoints[Recorder::UNLISTED].requests, 1);
    assert_eq!(taken.errors.len(), Recorder::ERROR_CODE_LIMIT);
    assert_eq!(
        taken.errors.values().sum::<u64>(),
        2 * Recorder::ENDPOINT_LIMIT as u64
    );
}

#[test]
fn long_names_are_cut() {
    let limit = Recorder::NAME_LIMIT_CHARS;
    for (name, kept) in [
        ("a".repeat(limit), "a".repeat(limit)),
        ("a".repeat(limit + 1), "a".repeat(limit)),
        ("é".repeat(limit - 1), "é".repeat(limit - 1)),
        ("é".repeat(limit + 5), "é".repeat(limit)),
    ] {
        let mut recorder = Recorder::new();
        let counter = recorder.counter(&name);
        recorder.add(counter, 1);
        assert_eq!(recorder.take(0, 1).counters, [(kept, 1)].into());
    }
}

/// Everything that can be recorded, at one of a few names.
#[derive(Debug, Clone)]
enum Act {
    Sample(u8, u16, u64),
    Error(u8, u8),
    Iteration(u64),
    Drop(u64),
    Count(u8, u64),
    Observe(u8, u64),
    Users(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let time = 0u64..10_000_000_000;
    prop_oneof![
        (0u8..3, 100u16..600, time.clone()).prop_map(|(e, c, t)| Act::Sample(e, c, t)),
        (0u8..3, 0u8..4).prop_map(|(e, c)| Act::Error(e, c)),
        time.clone().prop_map(Act::Iteration),
        (0u64..5).prop_map(Act::Drop),
        (0u8..3, 0u64..9).prop_map(|(c, n)| Act::Count(c, n)),
        (0u8..3, time).prop_map(|(h, v)| Act::Observe(h, v)),
        (0u64..100).prop_map(Act::Users),
    ]
}

fn perform(recorder: &mut Recorder, health: &mut GeneratorHealth, act: &Act) {
    match act {
        Act::Sample(name, code, ns) => {
            let endpoint = recorder.endpoint(&format!("/{name}"));
            recorder.request(endpoint);
            let end_ns = 10 * MS + ns;
            recorder.sample(
                endpoint,
                &Sample {
                    end_ns,
                    ..sample(Outcome::Status(*code))
                },
            );
        }
        Act::Error(name, code) => {
            let endpoint = recorder.endpoint(&format!("/{name}"));
            recorder.sample(endpoint, &sample(Outcome::Error(format!("E{code}").into())));
        }
        Act::Iteration(ns) => {
            recorder.iteration_started(*ns);
            recorder.iteration_completed(*ns);
        }
        Act::Drop(n) => recorder.iterations_dropped(DropReason::Generator, *n),
        Act::Count(name, n) => {
            let counter = recorder.counter(&format!("c{name}"));
            recorder.add(counter, *n);
        }
        Act::Observe(name, value) => {
            let histogram = recorder.histogram(&format!("h{name}"), Unit::Number);
            recorder.observe(histogram, *value);
        }
        Act::Users(n) => health.users += n,
    }
}

fn snapshot(acts: &[Act], start_us: u64) -> Snapshot {
    let (mut recorder, mut health) = (Recorder::new(), GeneratorHealth::default());
    acts.iter()
        .for_each(|act| perform(&mut recorder, &mut health, act));
    Snapshot {
        health,
        ..recorder.take(start_us, start_us + 1000)
    }
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    (vec(act(), 0..30), 0u64..5000).prop_map(|(acts, start_us)| snapshot(&acts, start_us))
}

fn joined(parts: [&Snapshot; 2], join: impl Fn(&mut Snapshot, &Snapshot)) -> Snapshot {
    let mut whole = parts[0].clone();
    join(&mut whole, parts[1]);
    whole
}

proptest! {
    #[test]
    fn joining_snapshots_does_not_depend_on_order_or_grouping(
        a in snapshots(), b in snapshots(), c in snapshots(),
    ) {
        for join in [Snapshot::merge, Snapshot::append] {
            prop_assert_eq!(joined([&a, &b], join), joined([&b, &a], join));
            let left = joined([&joined([&a, &b], join), &c], join);
            let right = joined([&a, &joined([&b, &c], join)], join);
            prop_assert_eq!(left, right);
            prop_assert_eq!(&joined([&Snapshot::default(), &a], join), &a);
        }
    }

    /// n shards say together what one would have said.
    #[test]
    fn shards_add_up_to_the_whole(acts in vec((act(), 0usize..3), 0..90)) {
        let mut merged = Snapshot::default();
        for shard in 0..3 {
            let mine = acts.iter().filter(|(_, owner)| *owner == shard);
            let mine: Vec<Act> = mine.map(|(act, _)| act.clone()).collect();
            let mut part = snapshot(&mine, 0);
            if shard == 1 {
                part.pack();
            }
            merged.merge(&part);
        }
        let all: Vec<Act> = acts.into_iter().map(|(act, _)| act).collect();
        prop_assert_eq!(merged, snapshot(&all, 0));
    }
}

/// Names as counters, rates, and histograms with their counts.
fn names(snapshot: &Snapshot, options: &NameOptions) -> Vec<String> {
    let metrics = NamedMetrics::of_with(snapshot, options);
    let counters = metrics
        .counters
        .iter()
        .map(|(name, n)| format!("{name}={n}"));
    let rates = metrics.rates.iter().map(|(name, n)| format!("{name}={n}/"));
    let histograms = metrics.histograms.iter();
    let histograms = histograms.map(|(name, (factor, h))| format!("{name}={}×{factor}", h.count()));
    counters.chain(rates).chain(histograms).collect()
}

/// Three users ask for an empty page; two of them go on to one that fails, unlisted, and
/// to a port that refuses.
fn run_as_observed() -> Snapshot {
    let mut recorder = Recorder::new();
    let empty = recorder.endpoint("/x (empty)");
    let failing = recorder.unlisted_endpoint();
    let refusing = recorder.endpoint(":18799/zz (refused)");
    let created = recorder.counter("vusers.created_by_name.0");
    let size = recorder.histogram("size", Unit::Number);
    for user in 0..3 {
        recorder.iteration_started(80_000);
        recorder.add(created, 1);
        recorder.request(empty);
        let mut answer = sample(Outcome::Status(204));
        (
            answer.connected,
            answer.phases.connect_ns,
            answer.body_bytes,
        ) = (true, MS, 0);
        recorder.sample(empty, &answer);
        recorder.observe(size, 7);
        if user == 2 {
            recorder.iteration_completed(50 * MS);
            continue;
        }
        recorder.request(failing);
        recorder.sample(failing, &sample(Outcome::Status(503)));
        recorder.request(refusing);
        let error = Outcome::Error("ECONNREFUSED".into());
        recorder.sample(
            refusing,
            &Sample {
                body_bytes: 0,
                ..sample(error)
            },
        );
        recorder.iteration_failed();
    }
    recorder.take(0, 2_000_000)
}

#[test]
fn names_are_those_of_artillery() {
    let options = NameOptions {
        by_endpoint: "my.ns".to_owned(),
        phases: true,
        own: false,
    };
    assert_eq!(
        names(&run_as_observed(), &options),
        [
            "errors.ECONNREFUSED=2",
            "http.codes.204=3",
            "http.codes.503=2",
            "http.downloaded_bytes=200",
            "http.requests=7",
            "http.responses=5",
            "my.ns./x (empty).codes.204=3",
            "my.ns.:18799/zz (refused).errors.ECONNREFUSED=2",
            "vusers.completed=1",
            "vusers.created=3",
            "vusers.created_by_name.0=3",
            "vusers.failed=2",
            "http.request_rate=7/",
            "http.dns=5×0.001",
            "http.response_time=5×0.001",
            "http.response_time.2xx=3×0.001",
            "http.response_time.5xx=2×0.001",
            "http.tcp=5×0.001",
            "http.tls=5×0.001",
            "http.total=5×0.001",
            "my.ns.response_time./x (empty)=3×0.001",
            "size=3×1",
            "vusers.session_length=1×0.001",
        ]
    );
}

#[test]
fn zeros_are_named_where_artillery_names_them() {
    let mut recorder = Recorder::new();
    let endpoint = recorder.endpoint("/");
    let options = NameOptions {
        own: false,
        ..NameOptions::default()
    };
    let none: [&str; 0] = [];
    assert_eq!(names(&recorder.take(0, 1), &options), none);
    recorder.iteration_started(0);
    recorder.request(endpoint);
    assert_eq!(
        names(&recorder.take(0, 1), &options),
        [
            "http.requests=1",
            "vusers.created=1",
            "http.request_rate=1/"
        ]
    );
    let mut empty = sample(Outcome::Status(204));
    empty.body_bytes = 0;
    recorder.sample(endpoint, &empty);
    recorder.iteration_completed(MS);
    let named = names(&recorder.take(1, 2), &options);
    assert!(
        named.contains(&"http.downloaded_bytes=0".to_owned()),
        "{named:?}"
    );
    assert!(named.contains(&"vusers.failed=0".to_owned()), "{named:?}");
}

#[test]
fn own_names_stand_beside_them() {
    let mut snapshot = run_as_observed();
    snapshot.iterations.interrupted = 4;
    for (n, reason) in DropReason::ALL.into_iter().enumerate() {
        snapshot.iterations.dropped.insert(reason, n as u64 + 1);
    }
    let named = names(&snapshot, &NameOptions::default());
    let own: Vec<_> = named
        .iter()
        .filter(|name| name.starts_with("drumfire") || name.contains("skipped"))
        .collect();
    assert_eq!(
        own,
        [
            "drumfire.connections=3",
            "drumfire.dropped.agent_lost=4",
            "drumfire.dropped.generator=2",
            "drumfire.dropped.stopped=3",
            "drumfire.dropped.user_cap=1",
            "drumfire.interrupted=4",
            "drumfire.sent_bytes=280",
            "vusers.skipped=1",
            "drumfire.intended_latency=5×0.001",
            "drumfire.lateness=3×0.001",
            "drumfire.service_time=5×0.001",
        ]
    );
}

#[test]
fn values_are_found_by_name() {
    let mut snapshot = run_as_observed();
    let latencies = (1..=1000).map(|ms| ms * 1000).collect();
    snapshot
        .histograms
        .insert("t".to_owned(), (Unit::Duration, latencies));
    let metrics = NamedMetrics::of(&snapshot);
    for (name, expected) in [
        ("http.requests", Some(7.0)),
        ("http.request_rate", Some(3.5)),
        ("vusers.failed", Some(2.0)),
        ("vusers.session_length.max", Some(50.0)),
        ("http.response_time.count", Some(5.0)),
        ("http.response_time.2xx.mean", Some(15.0)),
        (
            "plugins.metrics-by-endpoint.response_time./x (empty).p95",
            Some(15.0),
        ),
        ("size.median", Some(7.0)),
        ("t.min", Some(1.0)),
        ("t.p5", Some(50.0)),
        ("t.p50", Some(500.0)),
        ("t.median", Some(500.0)),
        ("t.p95", Some(950.0)),
        ("t.p999", Some(999.0)),
        ("t.p9999", Some(1000.0)),
        ("t.p100", Some(1000.0)),
        ("t.p", None),
        ("t.p9x", None),
        ("t.p-9", None),
        ("t", None),
        ("errors.ETIMEDOUT", None),
        ("nothing.p95", None),
    ] {
        let value = metrics.value(name, 2.0);
        let close = match (value, expected) {
            (Some(value), Some(expected)) => (value - expected).abs() <= 0.0005 * expected,
            (value, expected) => value == expected,
        };
        assert!(close, "{name}: {value:?}, not {expected:?}");
    }
    assert_eq!(metrics.value("http.request_rate", 0.0), Some(0.0));
}
