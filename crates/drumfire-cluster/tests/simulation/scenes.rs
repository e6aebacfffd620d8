//! Histories with a set course: what a run owes its user when one thing happens to it.

use super::checks;
use super::story::{Fault, SECOND_NS, Story, plain};
use super::world::World;
use drumfire_cluster::{Balance, Epoch, Event, Phase, Policy, Reply, WarmUp};
use drumfire_metrics::DropReason;

/// Lives a story; checks what always holds.
fn lived(story: Story) -> World {
    let mut world = World::new(story);
    world.run();
    let broken = checks::broken(&world);
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), world.tale());
    world
}

fn closed(world: &World) -> (&Phase, &Balance) {
    let closed = world.closed.as_ref();
    closed
        .map(|(phase, balance)| (phase, balance))
        .expect("the run is closed")
}

fn dropped(world: &World, reason: DropReason) -> u64 {
    closed(world).1.dropped.get(&reason).copied().unwrap_or(0)
}

/// How long after the start of the history, and which.
fn epochs(world: &World) -> Vec<(u64, &Epoch)> {
    let epochs = world
        .events
        .iter()
        .filter_map(|(at_ns, event)| match event {
            Event::Epoch(epoch) => Some((*at_ns, epoch)),
            _ => None,
        });
    epochs.collect()
}

/// When an epoch takes effect, in true time.
fn takes_effect_ns(world: &World, epoch: &Epoch) -> u64 {
    world.start_true_ns.expect("the run has started") + epoch.from_ns
}

fn at(seconds: u64, fault: Fault) -> Vec<(u64, Fault)> {
    vec![(seconds * SECOND_NS, fault)]
}

#[test]
fn any_number_of_agents_makes_the_schedule_that_one_makes() {
    let schedule = |agents| {
        let world = lived(plain(agents, 20, Vec::new()));
        assert_eq!(closed(&world).1.started, 1_200);
        let started = world.handled.iter().filter(|(_, (_, started))| *started);
        started.map(|(id, _)| *id).collect::<Vec<_>>()
    };
    let alone = schedule(1);
    assert_eq!(schedule(3), alone);
    assert_eq!(schedule(64), alone);
}

#[test]
fn agents_start_together_though_their_clocks_differ() {
    let mut story = plain(16, 5, Vec::new());
    story.clock_error_ns = 50_000_000;
    let half_a_round_trip_ns = story.network.most_delay_ns;
    let world = lived(story);
    let start_ns = world.start_true_ns.expect("the run has started");
    for agent in &world.agents {
        let started_ns = agent.started_true_ns.expect("all have started");
        let skew_ns = started_ns.abs_diff(start_ns);
        assert!(
            skew_ns <= half_a_round_trip_ns / 2,
            "{} is off by {skew_ns} ns",
            agent.member
        );
    }
}

#[test]
fn a_killed_agent_costs_less_than_five_seconds_of_its_share() {
    for noticed in [true, false] {
        let fault = Fault::KillAgent {
            agent: 1,
            noticed,
            back_after_ns: None,
        };
        let world = lived(plain(3, 30, at(12, fault)));
        assert_eq!(epochs(&world).len(), 2);
        let (_, epoch) = epochs(&world)[1];
        let killed_ns = super::clock::BEGIN_NS + 12 * SECOND_NS;
        let back_ns = takes_effect_ns(&world, epoch) - killed_ns;
        assert!(back_ns < 5 * SECOND_NS, "back at plan after {back_ns} ns");
        // Five seconds of a third of the rate, and what it had not reported yet.
        let lost = dropped(&world, DropReason::AgentLost);
        assert!((1..=20 * 6).contains(&lost), "{lost} arrivals were lost");
    }
}

#[test]
fn thirty_seconds_without_coordinator_or_broker_change_nothing() {
    let for_ns = 30 * SECOND_NS;
    let told_permille = 1_000;
    for fault in [
        Fault::PartitionCoordinator { for_ns },
        Fault::BrokerOutage {
            for_ns,
            told_permille,
        },
    ] {
        let world = lived(plain(3, 60, at(15, fault)));
        assert_eq!(epochs(&world).len(), 1);
        assert_eq!(closed(&world).1.started, 3_600);
        assert_eq!(closed(&world).1.dropped, [].into());
    }
}

/// Who cannot know whether the broker is out of order for everyone, or only out of its reach, waits.
#[test]
fn agents_that_are_not_told_of_an_outage_wait() {
    let outage = Fault::BrokerOutage {
        for_ns: 10 * SECOND_NS,
        told_permille: 0,
    };
    let world = lived(plain(3, 40, at(15, outage)));
    assert_eq!(epochs(&world).len(), 1);
    let lost = dropped(&world, DropReason::AgentLost);
    assert!(
        (60 * 6..=60 * 9).contains(&lost),
        "{lost} arrivals were lost"
    );
}

#[test]
fn an_agent_whose_lease_ends_in_silence_is_replaced_and_comes_back() {
    let for_ns = 30 * SECOND_NS;
    let world = lived(plain(3, 60, at(10, Fault::Partition { agent: 1, for_ns })));
    let sizes: Vec<usize> = epochs(&world)
        .iter()
        .map(|(_, epoch)| epoch.slots.len())
        .collect();
    assert_eq!(sizes, [3, 2, 3]);
    // From the end of the lease to the epoch without it.
    let lost = dropped(&world, DropReason::AgentLost);
    assert!((1..=20 * 3).contains(&lost), "{lost} arrivals were lost");
}

/// After an outage an agent that has not been heard may be going on because of it.
#[test]
fn an_outage_makes_a_silent_agents_lease_longer() {
    let outage = Fault::BrokerOutage {
        for_ns: 2 * SECOND_NS,
        told_permille: 1_000,
    };
    let partition = Fault::Partition {
        agent: 1,
        for_ns: 30 * SECOND_NS,
    };
    let faults = vec![(10 * SECOND_NS, outage), (11 * SECOND_NS, partition)];
    let world = lived(plain(3, 60, faults));
    assert_eq!(epochs(&world).len(), 1);
    assert_eq!(closed(&world).1.dropped, [].into());
}

#[test]
fn a_killed_agent_is_stood_in_for_while_another_is_silent() {
    let for_ns = 20 * SECOND_NS;
    let kill = Fault::KillAgent {
        agent: 1,
        noticed: true,
        back_after_ns: None,
    };
    // So it keeps what it has.
    let outage = Fault::BrokerOutage {
        for_ns: 2 * SECOND_NS,
        told_permille: 1_000,
    };
    let faults = vec![
        (9 * SECOND_NS, outage),
        (10 * SECOND_NS, Fault::Partition { agent: 0, for_ns }),
        (15 * SECOND_NS, kill),
    ];
    let world = lived(plain(3, 50, faults));
    let epochs = epochs(&world);
    let sizes: Vec<usize> = epochs.iter().map(|(_, epoch)| epoch.slots.len()).collect();
    assert_eq!(sizes, [3, 3, 2]);
    let lost = dropped(&world, DropReason::AgentLost);
    assert!((1..=20 * 6).contains(&lost), "{lost} arrivals were lost");
}

#[test]
fn an_agent_that_leaves_loses_nothing() {
    let world = lived(plain(3, 30, at(10, Fault::Leave { agent: 1 })));
    let agent = &world.agents[1];
    assert!(agent.left_well);
    let started = |world: &World| closed(world).1.started;
    assert_eq!(started(&world), 1_800);
    assert_eq!(closed(&world).1.dropped, [].into());
    let (_, epoch) = epochs(&world)[1];
    assert_eq!(epoch.slots.len(), 2);
}

#[test]
fn an_agent_that_joins_takes_its_share() {
    let world = lived(plain(3, 30, at(10, Fault::Join { capacity: 1 })));
    assert_eq!(closed(&world).1.started, 1_800);
    let (_, epoch) = epochs(&world)[1];
    assert_eq!(epoch.slots.len(), 4);
    let newcomer = &world.agents[3].member;
    let own = world
        .handled
        .values()
        .filter(|(member, _)| member == newcomer);
    let left_ns = 30 * SECOND_NS - epoch.from_ns;
    let expected = left_ns * 60 / SECOND_NS / 4;
    assert!(own.count().abs_diff(expected as usize) <= 1);
}

#[test]
fn a_restarted_agent_takes_the_place_of_its_earlier_life() {
    let fault = Fault::KillAgent {
        agent: 1,
        noticed: true,
        back_after_ns: Some(SECOND_NS / 4),
    };
    let world = lived(plain(3, 30, at(12, fault)));
    let weights: Vec<usize> = epochs(&world)
        .iter()
        .map(|(_, epoch)| epoch.slots.len())
        .collect();
    assert_eq!(weights.first(), weights.last());
    let agent_1 = |epoch: &Epoch| {
        let slots = epoch.slots.iter().filter_map(|slot| slot.member.as_ref());
        slots
            .filter(|member| &*member.agent == "agent-1")
            .map(|member| member.incarnation)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        epochs(&world)
            .first()
            .map(|(_, epoch)| agent_1(epoch).len()),
        Some(1)
    );
    assert_eq!(
        epochs(&world).last().map(|(_, epoch)| agent_1(epoch)),
        Some(vec![4])
    );
}

#[test]
fn a_coordinator_that_dies_is_restarted_to_the_same_totals() {
    for (seconds, outputs) in [(1, 3), (2, 0), (4, 1), (12, 0), (12, 5), (31, 0), (33, 1)] {
        let back_after_ns = 8 * SECOND_NS;
        let fault = Fault::KillCoordinator {
            outputs,
            back_after_ns,
        };
        let world = lived(plain(3, 30, at(seconds, fault)));
        assert_eq!(closed(&world).1.started, 1_800, "killed after {seconds} s");
        assert_eq!(closed(&world).1.dropped, [].into());
    }
}

#[test]
fn a_coordinator_may_die_at_any_step_of_the_start() {
    for outputs in 0..60 {
        let fault = Fault::KillCoordinator {
            outputs,
            back_after_ns: 2 * SECOND_NS,
        };
        let world = lived(Story {
            faults: vec![(SECOND_NS, fault)],
            ..plain(3, 10, Vec::new())
        });
        assert_eq!(closed(&world).0, &Phase::Finished);
        // At worst, agents hear of the start as late as the coordinator is away.
        let started = closed(&world).1.started;
        assert!(
            started > 600 - 2 * 60,
            "{started} started, killed after {outputs} outputs"
        );
    }
}

/// The one moment at which a coordinator's death holds load up: some have promised an epoch that is not decided.
#[test]
fn an_undecided_epoch_holds_load_no_longer_than_the_coordinator_is_away() {
    let kill = Fault::KillCoordinator {
        outputs: 2,
        back_after_ns: 4 * SECOND_NS,
    };
    let faults = vec![
        (10 * SECOND_NS, kill),
        (10 * SECOND_NS, Fault::Leave { agent: 0 }),
    ];
    let world = lived(plain(3, 30, faults));
    assert_eq!(epochs(&world).len(), 2);
    // Back four seconds later, two of which were the lead.
    let lost = dropped(&world, DropReason::AgentLost);
    assert!(lost < 2 * 60, "{lost} arrivals were held too long");
}

#[test]
fn policies_decide_what_becomes_of_a_lost_share() {
    let fault = Fault::KillAgent {
        agent: 1,
        noticed: true,
        back_after_ns: None,
    };
    let mut story = plain(3, 30, at(12, fault));
    story.settings.policy = Policy::Continue;
    let world = lived(story.clone());
    assert_eq!(closed(&world).0, &Phase::Finished);
    let lost = dropped(&world, DropReason::AgentLost);
    // About 20 s of a third of the rate.
    assert!((350..=450).contains(&lost), "{lost} arrivals were lost");

    story.settings.policy = Policy::Abort;
    let world = lived(story);
    let (phase, balance) = closed(&world);
    assert!(
        matches!(phase, Phase::Failed(reason) if reason.ends_with("was lost")),
        "{phase:?}"
    );
    assert!(dropped(&world, DropReason::Stopped) > 900, "{balance:?}");
}

#[test]
fn a_stop_ends_the_run_everywhere_within_two_seconds() {
    let world = lived(plain(8, 60, at(12, Fault::Stop)));
    let (phase, balance) = closed(&world);
    assert_eq!(phase, &Phase::Stopped("as asked".to_owned()));
    assert!((500..700).contains(&balance.started), "{balance:?}");
    assert_eq!(dropped(&world, DropReason::AgentLost), 0);
    let took_ns = world.now_ns - super::clock::BEGIN_NS - 12 * SECOND_NS;
    assert!(took_ns < 2 * SECOND_NS, "over after {took_ns} ns");
}

#[test]
fn a_paused_run_waits_to_be_resumed_and_says_how_it_is() {
    let faults = vec![
        (5 * SECOND_NS, Fault::Status),
        (20 * SECOND_NS, Fault::Resume),
        (27 * SECOND_NS, Fault::Status),
    ];
    let mut story = plain(2, 10, faults);
    story.settings.paused = true;
    let world = lived(story);
    let start_ns = world.start_true_ns.expect("the run has started");
    assert!(start_ns > super::clock::BEGIN_NS + 20 * SECOND_NS);
    let [
        Reply::Status(armed),
        Reply::Accepted,
        Reply::Status(running),
    ] = &world.replies[..]
    else {
        panic!("{:?}", world.replies);
    };
    assert_eq!(
        (&armed.phase, armed.run_ns, armed.agents.len()),
        (&Phase::Armed, None, 2)
    );
    assert_eq!((&running.phase, running.epoch), (&Phase::Running, Some(0)));
    assert!(running.balance.started > 0 && running.agents.iter().all(|agent| agent.started > 0));
}

#[test]
fn a_scaled_run_plans_more_from_then_on() {
    let world = lived(plain(3, 30, at(12, Fault::Scale { permille: 2_000 })));
    let (_, balance) = closed(&world);
    let (_, epoch) = epochs(&world)[1];
    let doubled_ns = 30 * SECOND_NS - epoch.from_ns;
    let expected = 1_800 + doubled_ns * 60 / SECOND_NS;
    assert!(
        balance.started.abs_diff(expected) <= 2,
        "{balance:?}, expected {expected}"
    );
    assert_eq!(balance.dropped, [].into());
}

#[test]
fn an_agent_with_another_bundle_does_not_take_part() {
    // Whenever it fetches.
    let wrong = (0..20).map(|i| (i * SECOND_NS / 20, Fault::WrongBundle { agent: 0 }));
    let world = lived(plain(3, 10, wrong.collect()));
    let (phase, balance) = closed(&world);
    let Phase::Failed(reason) = phase else {
        panic!("{phase:?}");
    };
    assert!(
        reason.contains("the bundle is another one: its digest is 0909"),
        "{reason}"
    );
    assert_eq!(balance.dropped, [(DropReason::Stopped, 600)].into());
}

#[test]
fn a_warm_up_stays_out_of_the_results() {
    let mut story = plain(3, 10, Vec::new());
    story.settings.warm_up = Some(WarmUp {
        permille: 100,
        duration_ns: 4 * SECOND_NS,
    });
    let world = lived(story);
    assert_eq!(closed(&world).1.started, 600);
    let phases: Vec<&Phase> = world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Phase(phase) => Some(phase),
            _ => None,
        })
        .collect();
    let expected = [
        Phase::Preparing,
        Phase::Armed,
        Phase::WarmingUp,
        Phase::Armed,
        Phase::Running,
        Phase::Draining,
        Phase::Finished,
    ];
    assert_eq!(phases, expected.iter().collect::<Vec<_>>());
}
