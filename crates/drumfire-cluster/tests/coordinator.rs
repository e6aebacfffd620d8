//! A coordinator by itself: what it answers, refuses and gives up.

use drumfire_cluster::{
    AgentPhase, Balance, Command, CoordinatorMachine, Digest, Fact, Heartbeat, Input, LockId,
    Member, Order, Output, Phase, Policy, Promise, ProposalId, Reply, Settings, Timing,
};
use drumfire_metrics::DropReason;
use drumfire_plan::{Arrivals, Load, OpenLoad, OpenStage, Spacing};
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;

/// A directive that every agent here says that it knows.
const KNOWN: u64 = 1;

fn settings() -> Settings {
    let stage = OpenStage {
        name: None,
        duration: Duration::from_secs(200),
        arrivals: Arrivals::Count(100),
        spacing: Spacing::Uniform,
        max_users: None,
    };
    Settings {
        run: "run-1".to_owned(),
        bundle: Digest([1; 32]),
        load: Load::Open(OpenLoad::new(vec![stage], 1).expect("a valid load")),
        agents: 3,
        quorum: 2,
        policy: Policy::Rebalance,
        paused: false,
        warm_up: None,
        timing: Timing::default(),
    }
}

fn heartbeat(name: &str, number: u64, phase: AgentPhase) -> Heartbeat {
    Heartbeat {
        member: Member::new(name, 1),
        number,
        term: 1,
        directive: KNOWN,
        sent_ns: 5,
        capacity: 1,
        version: "0.1.0".to_owned(),
        clock: None,
        begun_late_ns: None,
        epoch: (phase == AgentPhase::Running).then_some(0),
        promise: None,
        reached_ns: 0,
        leaving: false,
        phase,
    }
}

/// A coordinator, and the time.
struct Desk {
    machine: CoordinatorMachine,
    now_ns: u64,
    /// How far every agent has extended its lease when it is locked.
    extended_until_ns: u64,
}

impl Desk {
    fn new() -> Self {
        Self {
            machine: CoordinatorMachine::new(settings(), 1, [], 0, &mut Vec::new()),
            now_ns: 0,
            extended_until_ns: 0,
        }
    }

    fn take(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.machine.step(self.now_ns, input, &mut outputs);
        let locks: Vec<_> = outputs.iter().filter_map(locked).collect();
        for (member, lock) in locks {
            outputs.extend(self.take(Input::Locked {
                member,
                lock,
                extended_until_ns: self.extended_until_ns,
            }));
        }
        outputs
    }

    fn hear(&mut self, name: &str, number: u64, phase: AgentPhase) -> Vec<Output> {
        self.take(Input::Heartbeat(heartbeat(name, number, phase)))
    }

    /// Three agents, and the run's start at 2 s.
    fn running() -> Self {
        let mut desk = Self::new();
        for name in ["a", "b", "c"] {
            desk.hear(name, 1, AgentPhase::Announced);
        }
        for name in ["a", "b", "c"] {
            desk.hear(name, 2, AgentPhase::Armed { warmed_up: false });
        }
        assert_eq!(desk.machine.phase(), &Phase::Running);
        desk
    }

    /// Once a second these agents say that they run; gives what was sent last.
    fn run_with(&mut self, agents: &[&str], seconds: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..seconds {
            outputs = self.wait(1);
            for name in agents {
                let number = self.now_ns;
                outputs.extend(self.hear(name, number, AgentPhase::Running));
            }
        }
        outputs
    }

    fn command(&mut self, command: Command) -> Reply {
        let outputs = self.take(Input::Command { id: 7, command });
        let mut replies = outputs.into_iter().filter_map(|output| match output {
            Output::Reply { id: 7, reply } => Some(reply),
            _ => None,
        });
        replies.next().expect("every command is answered")
    }

    fn wait(&mut self, seconds: u64) -> Vec<Output> {
        self.now_ns += seconds * SECOND_NS;
        self.take(Input::Tick)
    }
}

fn locked(output: &Output) -> Option<(Member, LockId)> {
    match output {
        Output::Lock { member, lock } => Some((member.clone(), *lock)),
        _ => None,
    }
}

/// Who is asked to promise which proposal.
fn asked(outputs: &[Output]) -> Vec<(String, u64)> {
    let asked = outputs.iter().filter_map(|output| match output {
        Output::Send(directive) => {
            let proposal = directive.proposal?;
            Some((directive.to.agent.to_string(), proposal.id.number))
        }
        _ => None,
    });
    asked.collect()
}

fn epochs(outputs: &[Output]) -> Vec<u64> {
    let epochs = outputs.iter().filter_map(|output| match output {
        Output::Persist(Fact::Epoch(epoch)) => Some(epoch.from_ns),
        _ => None,
    });
    epochs.collect()
}

fn closed(outputs: &[Output]) -> Option<(&Phase, &Balance)> {
    outputs.iter().find_map(|output| match output {
        Output::Closed(phase, balance) => Some((phase, balance)),
        _ => None,
    })
}

#[test]
fn too_few_agents_by_the_deadline_fail_the_run_with_everything_dropped() {
    let mut desk = Desk::new();
    desk.hear("a", 1, AgentPhase::Announced);
    assert_eq!(closed(&desk.wait(119)), None);
    let outputs = desk.wait(1);
    let (phase, balance) = closed(&outputs).expect("the deadline is over");
    assert_eq!(
        phase,
        &Phase::Failed("0 of 2 agents came in time".to_owned())
    );
    assert_eq!(balance.dropped, [(DropReason::Stopped, 100)].into());
    assert!(balance.is_even());
}

#[test]
fn a_quorum_is_enough_when_the_deadline_is_over() {
    let mut desk = Desk::new();
    desk.now_ns = 119 * SECOND_NS;
    desk.hear("a", 1, AgentPhase::Announced);
    desk.hear("b", 1, AgentPhase::Announced);
    assert_eq!(desk.machine.phase(), &Phase::Gathering);
    desk.wait(1);
    assert_eq!(desk.machine.phase(), &Phase::Preparing);
    desk.hear("a", 2, AgentPhase::Armed { warmed_up: false });
    desk.hear("b", 2, AgentPhase::Armed { warmed_up: false });
    assert_eq!(desk.machine.phase(), &Phase::Running);
    assert_eq!(desk.machine.start_ns(), Some(122 * SECOND_NS));
}

#[test]
fn who_is_asked_to_prepare_has_a_part_and_who_comes_later_has_none() {
    let mut desk = Desk::new();
    let asked = |outputs: &[Output], of: &str| {
        let mut orders = outputs.iter().filter_map(|output| match output {
            Output::Send(directive) if *directive.to.agent == *of => Some(directive.order.clone()),
            _ => None,
        });
        let order = orders.next_back().expect("it is told something");
        let Order::Prepare { share, .. } = order else {
            panic!("{order:?}");
        };
        share.map(|share| share.share().expect("a share").count_below(20))
    };
    desk.hear("a", 1, AgentPhase::Announced);
    let mut strong = heartbeat("b", 1, AgentPhase::Announced);
    strong.capacity = 3;
    desk.take(Input::Heartbeat(strong));
    let outputs = desk.hear("c", 1, AgentPhase::Announced);
    let parts = ["a", "b", "c"].map(|name| asked(&outputs, name));
    assert_eq!(parts, [Some(4), Some(12), Some(4)]);
    let outputs = desk.hear("d", 1, AgentPhase::Announced);
    assert_eq!(asked(&outputs, "d"), None);
}

#[test]
fn all_agents_failing_alike_fail_the_run_at_once_and_by_name() {
    let mut desk = Desk::new();
    for name in ["a", "b", "c"] {
        desk.hear(name, 1, AgentPhase::Announced);
    }
    let failed = || AgentPhase::Failed("prepare: line 3: unknown key".to_owned());
    assert_eq!(closed(&desk.hear("a", 2, failed())), None);
    let outputs = desk.hear("b", 2, failed());
    let (phase, _) = closed(&outputs).expect("one of three is less than the quorum");
    let reason = "agents cannot prepare: prepare: line 3: unknown key";
    assert_eq!(phase, &Phase::Failed(reason.to_owned()));
}

#[test]
fn a_coordinator_whose_agents_follow_a_later_one_falls_silent() {
    let mut desk = Desk::new();
    let mut later = heartbeat("a", 1, AgentPhase::Announced);
    later.term = 2;
    assert_eq!(desk.take(Input::Heartbeat(later)), [Output::Superseded]);
    assert_eq!(desk.hear("b", 1, AgentPhase::Announced), []);
}

#[test]
fn commands_that_cannot_be_obeyed_are_refused_with_the_reason() {
    let mut desk = Desk::new();
    let permille = 1_000_001;
    let refused = |reason: &str| Reply::Refused(reason.to_owned());
    let too_much = refused("1000001 thousandths are more than 1000000");
    assert_eq!(desk.command(Command::Scale { permille }), too_much);
    assert_eq!(desk.command(Command::Resume), Reply::Accepted);
    let reason = "enough".to_owned();
    assert_eq!(desk.command(Command::Stop { reason }), Reply::Accepted);
    assert_eq!(desk.machine.phase(), &Phase::Stopped("enough".to_owned()));
    let over = refused("the run is ending or over");
    assert_eq!(desk.command(Command::Resume), over);
    let Reply::Status(status) = desk.command(Command::Status) else {
        panic!("status is always told");
    };
    assert_eq!(status.phase, Phase::Stopped("enough".to_owned()));
}

#[test]
fn who_comes_after_the_end_is_told_so() {
    let mut desk = Desk::new();
    let reason = "enough".to_owned();
    desk.command(Command::Stop { reason });
    let outputs = desk.hear("a", 1, AgentPhase::Announced);
    let orders = outputs.iter().filter_map(|output| match output {
        Output::Send(directive) => Some((&directive.order, directive.echo)),
        _ => None,
    });
    let orders: Vec<_> = orders.collect();
    assert!(
        matches!(orders[..], [(Order::Finish, Some(_))]),
        "{orders:?}"
    );
}

#[test]
fn every_coordinator_of_a_run_has_a_term_of_its_own() {
    let mut record = Vec::new();
    for term in 1..4 {
        let mut outputs = Vec::new();
        CoordinatorMachine::new(settings(), 1, record.clone(), 0, &mut outputs);
        assert_eq!(outputs, [Output::Persist(Fact::Term(term))]);
        record.push(Fact::Term(term));
    }
}

#[test]
fn many_agents_report_less_often() {
    let mut desk = Desk::new();
    let interval_ns = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Send(directive) => Some(directive.interval_ns),
            _ => None,
        })
    };
    assert_eq!(
        interval_ns(&desk.hear("a", 1, AgentPhase::Announced)),
        Some(SECOND_NS)
    );
    for agent in 0..2_500 {
        desk.hear(&agent.to_string(), 1, AgentPhase::Announced);
    }
    desk.wait(1);
    let last = desk.hear("a", 2, AgentPhase::Announced);
    assert_eq!(interval_ns(&last), Some(2_501 * SECOND_NS / 1_000));
}

#[test]
fn silence_is_not_death_before_the_lease_ends() {
    // What is granted, 8 s after the start; what c gave itself; what it may go on for in an outage.
    for (extended_until_ns, outage, quiet_s) in [
        (0, false, 3),
        (19 * SECOND_NS, false, 10),
        (0, true, 59),
        (90 * SECOND_NS, true, 81),
    ] {
        let mut desk = Desk::running();
        desk.run_with(&["a", "b", "c"], 10);
        desk.extended_until_ns = extended_until_ns;
        if outage {
            desk.take(Input::Outage);
        }
        let quiet = desk.run_with(&["a", "b"], quiet_s);
        assert!(asked(&quiet).is_empty(), "{quiet_s} s: {:?}", asked(&quiet));
        let outputs = desk.run_with(&["a", "b"], 2);
        let names: Vec<String> = asked(&outputs).into_iter().map(|(name, _)| name).collect();
        assert!(
            names.contains(&"a".to_owned()) && !names.contains(&"c".to_owned()),
            "{quiet_s} s: {names:?}"
        );
    }
}

#[test]
fn a_silent_agents_lease_is_locked_once_until_it_is_heard() {
    let mut desk = Desk::running();
    let mut locks = Vec::new();
    let mut told = Vec::new();
    for round in 1..=2 {
        desk.run_with(&["a", "b", "c"], 2);
        let outputs: Vec<Output> = (0..9).flat_map(|_| desk.run_with(&["a", "b"], 1)).collect();
        locks.extend(outputs.iter().filter_map(locked));
        assert_eq!(locks.len(), round, "{locks:?}");
        let back = desk.run_with(&["c"], 1);
        told.extend(back.iter().filter_map(|output| match output {
            Output::Send(directive) if &*directive.to.agent == "c" => directive.grant,
            _ => None,
        }));
    }
    let told: Vec<LockId> = told.into_iter().map(|grant| grant.lock).collect();
    let locks: Vec<LockId> = locks.into_iter().map(|(_, lock)| lock).collect();
    assert!(locks[0] < locks[1]);
    assert!(locks.iter().all(|lock| told.contains(lock)), "{told:?}");
}

#[test]
fn one_who_comes_back_while_an_epoch_without_it_is_proposed_is_asked_too() {
    let mut desk = Desk::running();
    desk.run_with(&["a", "b", "c"], 10);
    let leaving = |number| {
        let mut leaving = heartbeat("c", number, AgentPhase::Running);
        leaving.leaving = true;
        Input::Heartbeat(leaving)
    };
    let number = desk.now_ns + 1;
    desk.take(leaving(number));
    let outputs = desk.run_with(&["a", "b"], 70);
    let without_c = asked(&outputs);
    assert!(
        without_c.iter().all(|(name, _)| name != "c"),
        "{without_c:?}"
    );
    let old = without_c.last().map_or(0, |(_, number)| *number);

    let number = desk.now_ns + 1;
    let outputs = desk.take(leaving(number));
    let with_c = asked(&outputs);
    let names: Vec<&str> = with_c.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 3, "{with_c:?}");
    assert!(
        with_c.iter().all(|(_, number)| *number > old),
        "{with_c:?} after {old}"
    );
}

#[test]
fn an_epoch_is_decided_when_all_that_it_affects_have_promised() {
    let mut desk = Desk::running();
    desk.run_with(&["a", "b", "c"], 10);
    let outputs = desk.take(Input::PeerGone(Member::new("c", 1)));
    let proposal = asked(&outputs).first().map_or(0, |(_, number)| *number);
    let mut promise = |name: &str, holds_from_ns| {
        let mut promising = heartbeat(name, desk.now_ns + 1, AgentPhase::Running);
        promising.promise = Some(Promise {
            proposal: ProposalId {
                term: 1,
                number: proposal,
            },
            holds_from_ns,
        });
        epochs(&desk.take(Input::Heartbeat(promising)))
    };
    assert!(promise("a", 10 * SECOND_NS).is_empty());
    // It takes effect where the last of them holds, not before.
    assert_eq!(promise("b", 11 * SECOND_NS), [11 * SECOND_NS]);
}
