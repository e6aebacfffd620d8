//! An agent by itself: whom it obeys, and what it does when nobody speaks to it.

use drumfire_cluster::{
    AgentEpoch, AgentInput, AgentMachine, AgentOutput, AgentPhase, AgentSettings, Digest,
    Directive, Echo, Grant, Heartbeat, LockId, MIN_ECHOES, Member, NOTICE_NS, Order, ProposalId,
    Proposed, ShareOf,
};
use drumfire_metrics::Snapshot;

const SECOND_NS: u64 = 1_000_000_000;
const BUNDLE: Digest = Digest([1; 32]);
const PREPARE: Order = Order::Prepare {
    bundle: BUNDLE,
    share: None,
};
/// The coordinator's clock is so far ahead.
const AHEAD_NS: u64 = 500 * SECOND_NS;

struct Bench {
    machine: AgentMachine,
    now_ns: u64,
    directives: u64,
}

impl Bench {
    fn new() -> Self {
        let settings = AgentSettings::new(Member::new("a", 1), "0.1.0");
        Self {
            machine: AgentMachine::new(settings, 0),
            now_ns: 0,
            directives: 0,
        }
    }

    fn take(&mut self, input: AgentInput) -> Vec<AgentOutput> {
        let mut outputs = Vec::new();
        self.machine.step(self.now_ns, input, &mut outputs);
        outputs
    }

    fn directive(&mut self, order: Order) -> Directive {
        self.directives += 1;
        Directive {
            run: "run-1".to_owned(),
            to: Member::new("a", 1),
            term: 1,
            number: self.directives,
            order,
            echo: Some(Echo {
                sent_ns: self.now_ns,
                answered_ns: self.now_ns + AHEAD_NS,
            }),
            epochs: Vec::new(),
            proposal: None,
            grant: None,
            interval_ns: SECOND_NS,
            snapshots_before: 0,
        }
    }

    fn hear(&mut self, directive: Directive) -> Vec<AgentOutput> {
        self.take(AgentInput::Directive(Box::new(directive)))
    }

    /// An agent that runs since the time 10 s, with all of epoch 0, granted until 60 s of the run.
    fn running() -> Self {
        let mut bench = Self::new();
        for _ in 0..MIN_ECHOES {
            let directive = bench.directive(PREPARE);
            bench.hear(directive);
        }
        bench.take(AgentInput::Bundle(Ok(BUNDLE)));
        bench.take(AgentInput::Prepared(Ok(())));
        assert_eq!(
            bench.machine.phase(),
            &AgentPhase::Armed { warmed_up: false }
        );
        let directive = bench.run(0, Some(60));
        let outputs = bench.hear(directive);
        assert!(outputs.contains(&AgentOutput::Start {
            start_ns: 10 * SECOND_NS
        }));
        assert_eq!(limit(&outputs), Some((60 * SECOND_NS, 0)));
        bench
    }

    fn run(&mut self, epoch: u64, granted_s: Option<u64>) -> Directive {
        let start_ns = AHEAD_NS + 10 * SECOND_NS;
        let share = ShareOf {
            weights: vec![1].into(),
            index: 0,
        };
        Directive {
            epochs: vec![AgentEpoch {
                number: epoch,
                from_ns: epoch * 20 * SECOND_NS,
                permille: 1_000,
                number_shift: 0,
                shares: vec![share],
            }],
            grant: granted_s.map(|seconds| Grant {
                epoch,
                until_ns: seconds * SECOND_NS,
                outage_until_ns: (seconds + 57) * SECOND_NS,
                silence_ns: 3 * SECOND_NS,
                lock: LockId::default(),
            }),
            ..self.directive(Order::Run { start_ns })
        }
    }
}

fn limit(outputs: &[AgentOutput]) -> Option<(u64, u64)> {
    outputs.iter().find_map(|output| match output {
        AgentOutput::Advance {
            until_ns,
            drop_before_ns,
        } => Some((*until_ns, *drop_before_ns)),
        _ => None,
    })
}

fn heartbeat(outputs: &[AgentOutput]) -> Option<&Heartbeat> {
    outputs.iter().find_map(|output| match output {
        AgentOutput::Send(heartbeat) => Some(&**heartbeat),
        _ => None,
    })
}

#[test]
fn directives_of_others_and_older_ones_change_nothing() {
    let mut bench = Bench::new();
    let for_another = Directive {
        to: Member::new("a", 2),
        ..bench.directive(PREPARE)
    };
    let old = bench.directive(PREPARE);
    let new = bench.directive(Order::Wait);
    bench.hear(for_another);
    bench.hear(new);
    bench.hear(old);
    assert_eq!(bench.machine.phase(), &AgentPhase::Announced);
    let of_a_later_term = Directive {
        term: 2,
        number: 1,
        ..bench.directive(PREPARE)
    };
    bench.hear(of_a_later_term);
    assert_eq!(bench.machine.phase(), &AgentPhase::Fetching);
}

#[test]
fn a_promise_holds_until_its_epoch_is_known_or_it_is_withdrawn() {
    for decided in [true, false] {
        let mut bench = Bench::running();
        bench.now_ns = 15 * SECOND_NS;
        let proposed = Proposed {
            id: ProposalId { term: 1, number: 4 },
            holds_from_ns: 7 * SECOND_NS,
        };
        let directive = Directive {
            proposal: Some(proposed),
            ..bench.directive(Order::Wait)
        };
        let outputs = bench.hear(directive);
        assert_eq!(limit(&outputs), Some((7 * SECOND_NS, 0)));
        let promise = heartbeat(&outputs).and_then(|heartbeat| heartbeat.promise);
        let promise = promise.expect("a promise is told at once");
        assert_eq!(promise.holds_from_ns, 7 * SECOND_NS);

        // Three seconds of the run late: what is overdue by more than one is dropped.
        bench.now_ns = 20 * SECOND_NS;
        let directive = match decided {
            true => bench.run(1, None),
            false => bench.directive(Order::Wait),
        };
        let outputs = bench.hear(directive);
        assert_eq!(limit(&outputs), Some((60 * SECOND_NS, 9 * SECOND_NS)));
        let told = heartbeat(&outputs).expect("that it holds no more is told at once");
        assert_eq!((told.promise, told.epoch), (None, Some(u64::from(decided))));
    }
}

#[test]
fn a_promise_that_is_asked_too_late_holds_from_a_little_ahead() {
    let mut bench = Bench::running();
    bench.now_ns = 18 * SECOND_NS;
    let directive = Directive {
        proposal: Some(Proposed {
            id: ProposalId { term: 1, number: 4 },
            holds_from_ns: 7 * SECOND_NS,
        }),
        ..bench.directive(Order::Wait)
    };
    let outputs = bench.hear(directive);
    assert_eq!(limit(&outputs), Some((8 * SECOND_NS + NOTICE_NS, 0)));
}

#[test]
fn a_grant_counts_only_with_the_epoch_that_it_goes_with() {
    let mut bench = Bench::running();
    let without_epoch_1 = Directive {
        epochs: Vec::new(),
        ..bench.run(1, Some(90))
    };
    assert_eq!(limit(&bench.hear(without_epoch_1)), None);
    let with_epoch_1 = bench.run(1, Some(90));
    assert_eq!(limit(&bench.hear(with_epoch_1)), Some((90 * SECOND_NS, 0)));
}

#[test]
fn reports_come_as_far_apart_as_the_coordinator_says() {
    let mut bench = Bench::running();
    let directive = Directive {
        interval_ns: 10 * SECOND_NS,
        ..bench.directive(Order::Wait)
    };
    let outputs = bench.hear(directive);
    let interval_ns = 10 * SECOND_NS;
    assert!(outputs.contains(&AgentOutput::Interval { interval_ns }));
    bench.now_ns = bench.machine.wake_ns();
    assert!(heartbeat(&bench.take(AgentInput::Tick)).is_some());
    assert_eq!(bench.machine.wake_ns(), bench.now_ns + interval_ns);
}

#[test]
fn a_stop_drains_and_the_last_snapshot_says_so() {
    let mut bench = Bench::running();
    let directive = bench.directive(Order::Stop);
    assert!(bench.hear(directive).contains(&AgentOutput::Stop));
    let snapshot = Snapshot::default();
    let outputs = bench.take(AgentInput::Drained { snapshot, to_ns: 5 });
    let sent = outputs.iter().find_map(|output| match output {
        AgentOutput::SendSnapshot(numbered) => Some((numbered.number, numbered.last)),
        _ => None,
    });
    assert_eq!(sent, Some((0, true)));
    let last_snapshot = Some(0);
    assert_eq!(
        bench.machine.phase(),
        &AgentPhase::Drained { last_snapshot }
    );
    let directive = bench.directive(Order::Finish);
    assert!(bench.hear(directive).contains(&AgentOutput::Finished));
}

#[test]
fn an_agent_that_leaves_before_it_has_a_share_just_goes() {
    let mut bench = Bench::new();
    let outputs = bench.take(AgentInput::Leave);
    assert!(outputs.contains(&AgentOutput::Finished));
    let told = heartbeat(&outputs).expect("it says goodbye");
    assert_eq!((&told.phase, told.leaving), (&AgentPhase::Finished, true));
}

#[test]
fn an_agent_that_no_coordinator_speaks_to_gives_up_in_the_end() {
    let mut bench = Bench::running();
    bench.now_ns = 3_599 * SECOND_NS;
    assert!(
        !bench
            .take(AgentInput::Tick)
            .contains(&AgentOutput::Finished)
    );
    bench.now_ns += SECOND_NS;
    assert!(
        bench
            .take(AgentInput::Tick)
            .contains(&AgentOutput::Finished)
    );
}

/// At 45 s of the run, in which it was granted up to 60 s, 117 s in an outage, and calls itself silent 3 s after an echo.
fn refused(began_ms: u64, ended_ms: u64) -> (Bench, Vec<AgentOutput>) {
    const MS_NS: u64 = 1_000_000;
    let mut bench = Bench::running();
    bench.now_ns = 55 * SECOND_NS;
    let directive = bench.run(1, Some(60));
    bench.hear(directive);
    let heard_ns = bench.now_ns;
    bench.now_ns = heard_ns + ended_ms.max(began_ms) * MS_NS;
    let outputs = bench.take(AgentInput::Refused {
        began_ns: heard_ns + began_ms * MS_NS,
        ended_ns: heard_ns + ended_ms * MS_NS,
    });
    (bench, outputs)
}

#[test]
fn an_outage_that_is_known_in_time_lets_an_agent_go_on() {
    for (began_ms, ended_ms, goes_on) in [
        (1, 2, true),
        (1_000, 2_800, true),
        // By then a coordinator may have given its share away.
        (1_000, 3_000, false),
        // It has heard the coordinator since.
        (0, 2, false),
    ] {
        let (_, outputs) = refused(began_ms, ended_ms);
        let expected = goes_on.then_some((117 * SECOND_NS, 0));
        assert_eq!(limit(&outputs), expected, "{began_ms} to {ended_ms} ms");
    }
}

#[test]
fn an_agent_says_how_far_it_went_in_an_outage() {
    let (mut bench, _) = refused(1, 2);
    bench.now_ns += 20 * SECOND_NS;
    let directive = bench.directive(Order::Wait);
    let outputs = bench.hear(directive);
    let reached_ns = bench.now_ns - 10 * SECOND_NS + NOTICE_NS;
    assert_eq!(limit(&outputs), Some((reached_ns, 0)));
    let told = heartbeat(&outputs).expect("it has news");
    assert_eq!(told.reached_ns, reached_ns);
    assert_eq!((told.term, told.directive), (1, bench.directives));
}

#[test]
fn an_agent_that_hears_nobody_extends_its_lease() {
    let mut bench = Bench::running();
    bench.now_ns = 50 * SECOND_NS;
    let directive = bench.run(1, Some(41));
    bench.hear(directive);
    let extends = |outputs: &[AgentOutput]| {
        outputs.iter().find_map(|output| match output {
            AgentOutput::Extend { until_ns, known } => Some((*until_ns, *known)),
            _ => None,
        })
    };
    bench.now_ns += SECOND_NS;
    assert_eq!(extends(&bench.take(AgentInput::Tick)), None);
    // Whatever it was granted before counts still.
    bench.now_ns = 69 * SECOND_NS;
    let until_ns = 62 * SECOND_NS;
    let asked = Some((until_ns, LockId::default()));
    assert_eq!(extends(&bench.take(AgentInput::Tick)), asked);
    // Once at a time; what was not done is asked for with the next heartbeat.
    bench.now_ns = bench.machine.wake_ns();
    assert_eq!(extends(&bench.take(AgentInput::Tick)), None);
    let failed = bench.take(AgentInput::Extended { until_ns: None });
    assert_eq!((limit(&failed), extends(&failed)), (None, None));
    bench.now_ns = bench.machine.wake_ns();
    let until_ns = until_ns + 2 * SECOND_NS;
    let asked = Some((until_ns, LockId::default()));
    assert_eq!(extends(&bench.take(AgentInput::Tick)), asked);
    let done = bench.take(AgentInput::Extended {
        until_ns: Some(until_ns),
    });
    assert_eq!(limit(&done), Some((until_ns, 0)));
}

#[test]
fn an_agent_that_owes_nothing_does_not_wait_long_for_a_coordinator_that_is_gone() {
    let waits = |mut bench: Bench| {
        let from_ns = bench.now_ns;
        while !bench
            .take(AgentInput::Tick)
            .contains(&AgentOutput::Finished)
        {
            bench.now_ns += SECOND_NS;
        }
        (bench.now_ns - from_ns) / SECOND_NS
    };
    assert_eq!(waits(Bench::new()), 30);
    assert_eq!(waits(Bench::running()), 3_600);
    let drained = |acknowledged| {
        let mut bench = Bench::running();
        let snapshot = Snapshot::default();
        bench.take(AgentInput::Drained { snapshot, to_ns: 5 });
        let directive = Directive {
            snapshots_before: acknowledged,
            ..bench.directive(Order::Wait)
        };
        bench.hear(directive);
        bench
    };
    assert_eq!(waits(drained(0)), 3_600);
    assert_eq!(waits(drained(1)), 30);
}
