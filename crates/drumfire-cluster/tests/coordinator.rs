//! A coordinator by itself: what it answers, refuses and gives up.

use drumfire_cluster::{
    AgentPhase, Balance, Command, CoordinatorMachine, Digest, Fact, Heartbeat, Input, Member,
    Order, Output, Phase, Policy, Reply, Settings, Timing,
};
use drumfire_metrics::DropReason;
use drumfire_plan::{Arrivals, Load, OpenLoad, OpenStage, Spacing};
use std::time::Duration;

const SECOND_NS: u64 = 1_000_000_000;

fn settings() -> Settings {
    let stage = OpenStage {
        name: None,
        duration: Duration::from_secs(10),
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
        sent_ns: 5,
        phase,
        capacity: 1,
        version: "0.1.0".to_owned(),
        clock: None,
        epoch: None,
        promise: None,
        leaving: false,
    }
}

/// A coordinator, and the time.
struct Desk {
    machine: CoordinatorMachine,
    now_ns: u64,
}

impl Desk {
    fn new() -> Self {
        Self {
            machine: CoordinatorMachine::new(settings(), 1, [], 0, &mut Vec::new()),
            now_ns: 0,
        }
    }

    fn take(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.machine.step(self.now_ns, input, &mut outputs);
        outputs
    }

    fn hear(&mut self, name: &str, number: u64, phase: AgentPhase) -> Vec<Output> {
        self.take(Input::Heartbeat(heartbeat(name, number, phase)))
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
