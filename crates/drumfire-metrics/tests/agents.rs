//! Agents of a shared run: who is found guilty, what adds up, and what is bounded.

use drumfire_metrics::{
    Agent, AgentEnding, AgentEvent, AgentEventKind, AgentId, Agents, DropReason, Interval, Outcome,
    Phases, Recorder, Sample, SaturationWatch, Snapshot, StartSkew, Summary, Verdict,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SECOND_US: u64 = 1_000_000;

fn id(name: &str) -> AgentId {
    AgentId {
        name: name.into(),
        life: 1,
    }
}

/// A second of one agent: `arrivals` of which `late` are late by so many ms.
fn second(at: u64, arrivals: u64, late: u64, late_ms: u64) -> Snapshot {
    let mut snapshot = Snapshot {
        start_us: at * SECOND_US,
        end_us: (at + 1) * SECOND_US,
        ..Snapshot::default()
    };
    let iterations = &mut snapshot.iterations;
    iterations.started = arrivals;
    iterations.completed = arrivals;
    iterations.lateness_us.record_n(80, arrivals - late);
    iterations.lateness_us.record_n(late_ms * 1_000, late);
    snapshot
}

/// A run of agents with their seconds.
fn shared(agents: &[(&str, Vec<Snapshot>)]) -> Summary {
    let mut summary = Summary::default();
    let rows = agents.iter().map(|(name, seconds)| {
        let (mut row, mut watch) = (Agent::default(), SaturationWatch::default());
        for second in seconds {
            row.append(second, &mut watch);
        }
        (id(name), row)
    });
    summary.agents = Some(Agents {
        rows: rows.collect(),
        ..Agents::default()
    });
    for at in 0..agents[0].1.len() {
        let mut snapshot = Snapshot::default();
        for (_, seconds) in agents {
            snapshot.merge(&seconds[at]);
        }
        summary.push(Interval {
            planned: 0.0,
            snapshot,
        });
    }
    summary
}

fn said(summary: &Summary) -> Vec<String> {
    let verdict = Verdict::judge(summary, Vec::new(), None);
    verdict
        .saturations
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn one_bad_agent_of_many_is_named() {
    let names: Vec<String> = (0..150).map(|n| format!("agent-{n}")).collect();
    let seconds = |name: &str| -> Vec<Snapshot> {
        let late = |at| {
            if name == "agent-7" && (2..5).contains(&at) {
                60
            } else {
                0
            }
        };
        (0..8).map(|at| second(at, 100, late(at), 30)).collect()
    };
    let agents: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), seconds(name)))
        .collect();
    let summary = shared(&agents);
    // 60 of 15,000 are none to the merged p99.
    assert_eq!(drumfire_metrics::saturations(&summary.timeline), []);
    assert_eq!(
        said(&summary),
        ["generator saturated from 2 s to 5 s on agent-7: late by p99 30 ms"]
    );
}

#[test]
fn stretches_of_agents_that_meet_are_one_with_the_worst_named() {
    let agent = |bad: std::ops::Range<u64>, ms| -> Vec<Snapshot> {
        let late = |at| if bad.contains(&at) { 80 } else { 0 };
        (0..12).map(|at| second(at, 100, late(at), ms)).collect()
    };
    let summary = shared(&[
        ("a", agent(1..4, 20)),
        ("b", agent(3..6, 50)),
        ("c", agent(5..7, 30)),
        ("d", agent(9..11, 40)),
        ("e", agent(0..0, 0)),
    ]);
    let expected = [
        "generator saturated from 1 s to 7 s on b and 2 more agents: late by p99 50 ms",
        "generator saturated from 9 s to 11 s on d: late by p99 40 ms",
    ];
    assert_eq!(said(&summary), expected);
}

#[test]
fn what_only_shows_in_all_together_is_said_too() {
    // Nine late ones are a hiccup of one agent; of ten agents in the same second they are not.
    let agents: Vec<(String, Vec<Snapshot>)> = (0..10)
        .map(|n| {
            (
                format!("agent-{n}"),
                vec![second(0, 9, 9, 30), second(1, 9, 0, 0)],
            )
        })
        .collect();
    let agents: Vec<_> = agents
        .iter()
        .map(|(name, s)| (name.as_str(), s.clone()))
        .collect();
    let expected = "generator saturated from 0 s to 1 s: late by p99 30 ms";
    assert_eq!(said(&shared(&agents)), [expected]);
    assert_eq!(said(&shared(&agents[..1])), Vec::<String>::new());
}

#[test]
fn a_full_processor_is_noted_with_its_agent() {
    let seconds = |share| -> Vec<Snapshot> {
        let busy = |at| {
            let mut second = second(at, 10, 0, 0);
            second.health.busiest_shard = share;
            second
        };
        (0..4).map(busy).collect()
    };
    let notes = |summary: &Summary| Verdict::judge(summary, Vec::new(), None).notes;
    let summary = shared(&[("a", seconds(0.5)), ("b", seconds(0.99))]);
    let [note] = &notes(&summary)[..] else {
        panic!("{:?}", notes(&summary));
    };
    assert!(
        note.starts_with("a shard of b used its whole processor in 4 of 4 intervals"),
        "{note}"
    );
    assert_eq!(notes(&shared(&[("a", seconds(0.5))])), Vec::<String>::new());
}

#[test]
fn rows_hold_all_endpoints_in_one() {
    let mut recorder = Recorder::new();
    for (name, status, n) in [("/", 200, 3), ("/a", 200, 2), ("/b", 404, 1)] {
        let endpoint = recorder.endpoint(name);
        for _ in 0..n {
            recorder.request(endpoint);
            let sample = Sample {
                intended_ns: 0,
                start_ns: 1_000_000,
                end_ns: 3_000_000,
                phases: Phases::default(),
                connected: false,
                outcome: Outcome::Status(status),
                body_bytes: 10,
                sent_bytes: 1,
            };
            recorder.sample(endpoint, &sample);
        }
    }
    let (mut row, mut watch) = (Agent::default(), SaturationWatch::default());
    row.append(&recorder.take(0, SECOND_US), &mut watch);
    let exchanges = &row.exchanges;
    assert_eq!(
        (
            exchanges.requests,
            exchanges.responses(),
            exchanges.body_bytes
        ),
        (6, 6, 60)
    );
    assert_eq!(exchanges.codes, [(200, 5), (404, 1)].into());
    assert_eq!(
        (exchanges.service_us.count(), exchanges.intended_us.max()),
        (6, 3_000)
    );
    assert!(row.kept_up());
}

#[test]
fn how_rows_are_kept_changes_nothing() {
    let seconds: Vec<Snapshot> = (0..4).map(|at| second(at, 50, at, 300)).collect();
    let reported = |others: usize| {
        let mut agents = Agents::default();
        let others = (0..others).map(|other| (id(&other.to_string()), Agent::default()));
        agents.rows = others.collect();
        let mut watch = SaturationWatch::default();
        for second in &seconds {
            agents.report(id("a"), second, &mut watch);
        }
        agents.rows.remove(&id("a")).expect("it reported")
    };
    let (one_of_few, one_of_many) = (reported(0), reported(Agents::UNPACKED_ROWS_LIMIT + 1));
    assert_eq!(one_of_few, one_of_many);
    let bytes = |row: &Agent| row.iterations.lateness_us.memory_bytes();
    assert!(bytes(&one_of_many) < bytes(&one_of_few));
}

#[test]
fn an_epoch_says_who_has_what() {
    let mut agents = Agents::default();
    let weights = [
        (Some(id("b")), 2),
        (None, 3),
        (Some(id("a")), 1),
        (Some(id("b")), 4),
    ];
    agents.begin_epoch(1, 5 * SECOND_US, 500, weights);
    let epoch = &agents.epochs[0];
    let shares: Vec<_> = epoch
        .shares
        .iter()
        .map(|s| (&*s.agent.name, s.weight))
        .collect();
    assert_eq!(shares, [("a", 1), ("b", 6)]);
    assert_eq!(
        (epoch.agents, epoch.weight, epoch.unowned_weight),
        (2, 10, 3)
    );
}

#[test]
fn what_could_grow_without_end_is_bounded_and_counted() {
    let mut agents = Agents::default();
    let many: Vec<AgentId> = (0..Agents::EPOCH_SHARES_LIMIT / 2 + 1)
        .map(|n| id(&n.to_string()))
        .collect();
    for number in 0..3 {
        let weights = many.iter().map(|id| (Some(id.clone()), 1));
        agents.begin_epoch(number, number, 1_000, weights);
    }
    let listed: Vec<_> = agents
        .epochs
        .iter()
        .map(|e| (e.agents as usize, e.shares.len()))
        .collect();
    assert_eq!(
        listed,
        [(many.len(), many.len()), (many.len(), 0), (many.len(), 0)]
    );
    let event = |kind, reason: Option<String>| AgentEvent {
        at_us: 0,
        kind,
        agent: None,
        others: 0,
        reason,
    };
    let limit = Agents::EVENTS_OF_KIND_LIMIT;
    for _ in 0..limit + 5 {
        agents.note(event(AgentEventKind::Announced, None));
    }
    agents.note(event(AgentEventKind::Failed, Some("é".repeat(2_000))));
    assert_eq!(
        (agents.events.len(), agents.events_left_out),
        (limit + 1, 5)
    );
    let reason = agents.events[limit].reason.as_deref().unwrap_or_default();
    assert_eq!(reason.chars().count(), Agents::REASON_LIMIT_CHARS);
}

#[test]
fn the_skew_is_as_wrong_as_two_clocks_may_be() {
    let of = |started: &[(u64, u64)]| StartSkew::of(started).map(|s| (s.skew_ns, s.error_ns));
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[(5, 1)]), None);
    assert_eq!(of(&[(50, 10), (20, 3), (90, 7)]), Some((70, 17)));
}

fn an_agent() -> impl Strategy<Value = (String, Agent)> {
    let seconds = prop::collection::vec((1..50_u64, 0..2_u64, 0..3_u64), 0..4);
    let dropped = prop::collection::btree_map(
        prop::sample::select(DropReason::ALL.to_vec()),
        0..9_u64,
        0..4,
    );
    let ending = prop::sample::select(vec![
        AgentEnding::Stayed,
        AgentEnding::Left,
        AgentEnding::Lost,
    ]);
    ("[abc]", seconds, dropped, ending, 0..5_u32).prop_map(
        |(name, seconds, dropped, ending, weight)| {
            let (mut row, mut watch) = (Agent::default(), SaturationWatch::default());
            for (at, (arrivals, late, errors)) in seconds.into_iter().enumerate() {
                let mut second = second(at as u64, arrivals, late.min(arrivals), 500);
                let endpoint = second.endpoints.entry("/".to_owned()).or_default();
                endpoint.requests = arrivals;
                endpoint.service_us.record_n(arrivals * 100, arrivals);
                endpoint.errors.insert("ETIMEDOUT".to_owned(), errors);
                row.append(&second, &mut watch);
            }
            row.iterations.dropped = dropped;
            (
                name,
                Agent {
                    weight,
                    ending,
                    ..row
                },
            )
        },
    )
}

fn some_agents() -> impl Strategy<Value = Agents> {
    let event = (0..5_i64, "[abc]").prop_map(|(at_us, name)| AgentEvent {
        at_us,
        kind: AgentEventKind::Joined,
        agent: Some(id(&name)),
        others: 0,
        reason: None,
    });
    let skew = prop::option::of((0..9_u64, 0..9_u64));
    let rows = prop::collection::vec(an_agent(), 0..3);
    (rows, prop::collection::vec(event, 0..3), skew, 0..3_u64).prop_map(
        |(rows, events, skew, from_us)| {
            let mut agents = Agents {
                rows: rows
                    .into_iter()
                    .map(|(name, row)| (id(&name), row))
                    .collect(),
                start_skew: skew.map(|(skew_ns, error_ns)| StartSkew { skew_ns, error_ns }),
                ..Agents::default()
            };
            agents.begin_epoch(0, from_us, 1_000, [(Some(id("a")), 1)]);
            events.into_iter().for_each(|event| agents.note(event));
            agents
        },
    )
}

proptest! {
    #[test]
    fn merging_does_not_depend_on_order_or_grouping(
        a in some_agents(), b in some_agents(), c in some_agents(),
    ) {
        let joined = |parts: [&Agents; 2]| {
            let mut whole = parts[0].clone();
            whole.merge(parts[1]);
            whole
        };
        prop_assert_eq!(joined([&joined([&a, &b]), &c]), joined([&a, &joined([&b, &c])]));
        prop_assert_eq!(joined([&a, &b]), joined([&b, &a]));
    }

    #[test]
    fn rows_and_what_nobody_owned_add_up_to_what_was_dropped(
        agents in some_agents(), unowned in prop::collection::btree_map(prop::sample::select(DropReason::ALL.to_vec()), 1..9_u64, 0..4),
    ) {
        let mut dropped: BTreeMap<DropReason, u64> = unowned.clone();
        for (reason, n) in agents.rows.values().flat_map(|row| &row.iterations.dropped) {
            *dropped.entry(*reason).or_default() += n;
        }
        let mut settled = agents.clone();
        settled.settle(&dropped);
        prop_assert_eq!(settled.unowned, unowned);
    }
}
