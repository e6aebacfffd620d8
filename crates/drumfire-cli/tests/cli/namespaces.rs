//! A cluster on hosts of their own: a broker with the coordinator, three agents and a target, 20 ms and one lost packet in a
//! hundred away from each other in each direction, and an agent that is cut off for 30 s.

use crate::agents::agents_of;
use crate::cluster::{Cluster, dismiss};
use crate::drumfire::Running;
use crate::network::{DELAY_NS, Network};
use crate::recorder::{self, Recorder, Request};
use drumfire_metrics::DropReason;
use std::collections::HashSet;
use std::net::IpAddr;

/// Hosts by what runs there; the agents' follow.
const BROKER: usize = 0;
const TARGET: usize = 1;
const FIRST_AGENT: usize = 2;
const AGENTS: usize = 3;

/// What tests wait longer for than any part of the network takes: a packet lost twice in a row.
const PATIENCE: &str = "http: {timeout: 30}";

/// A cluster over a network. The fields end in this order.
struct Spread {
    agents: Vec<Running>,
    cluster: Cluster,
    target: Recorder,
    network: Network,
}

impl Spread {
    /// None where there is no nats-server, or no namespaces.
    fn start() -> Option<Self> {
        let network = Network::start(FIRST_AGENT + AGENTS)?;
        let address = network.hosts[BROKER].address();
        let cluster = network.hosts[BROKER].inside(|| Cluster::start_at(&address.to_string()))?;
        let host = &network.hosts[TARGET];
        let target = host.inside(|| Recorder::start(host.address()));
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            let host = &network.hosts[FIRST_AGENT + number];
            agents.push(host.inside(|| cluster.agent(&format!("agent-{number}"))));
        }
        Some(Spread {
            agents,
            cluster,
            target,
            network,
        })
    }

    fn begin(&self, seconds: u64, rate: u64) -> Running {
        let url = self.target.url();
        recorder::write_script(&self.cluster.folder, &url, seconds, rate, PATIENCE);
        let cluster = &self.cluster;
        self.network.hosts[BROKER].inside(|| cluster.coordinator(&["--agents", "3"]))
    }

    fn address(&self, agent: usize) -> IpAddr {
        self.network.hosts[FIRST_AGENT + agent].address()
    }
}

#[test]
fn hosts_with_delay_and_loss_between_them_keep_the_schedule() {
    const SECONDS: u64 = 20;
    const RATE: u64 = 50;
    let Some(mut spread) = Spread::start() else {
        return;
    };
    spread.begin(SECONDS, RATE).end().expect_code(0);
    assert_eq!(
        spread.cluster.balance(),
        (SECONDS * RATE, SECONDS * RATE, vec![])
    );
    let summary = spread.cluster.result();
    for second in &summary.timeline {
        let started = second.snapshot.iterations.started;
        assert!(
            second.planned.round() as u64 == started,
            "{} were planned, and {started} started",
            second.planned
        );
    }
    let requests = spread.target.take();
    assert_eq!(requests.len() as u64, SECONDS * RATE);
    assert_none_twice(&requests);
    for agent in 0..AGENTS {
        let own = requests
            .iter()
            .filter(|request| request.from == spread.address(agent));
        let own = own.count() as u64;
        assert!(
            own.abs_diff(SECONDS * RATE / AGENTS as u64) <= 1,
            "{own} of agent {agent}"
        );
    }
    // Packets that were lost are sent again, later; nothing else keeps an arrival from its instant for long.
    let late = lateness_ns(&requests, RATE);
    let usual = late[late.len() / 2];
    let in_time = late.iter().filter(|late| **late < usual + 150_000_000);
    assert!(
        in_time.count() * 10 > late.len() * 8,
        "half of the requests are {usual} ns late, but {late:?}"
    );
    let told = agents_of(&summary).start_skew;
    let told = told.expect("several agents have started");
    assert!(
        told.error_ns >= DELAY_NS,
        "nothing is faster than the wire: {told:?}"
    );
    let measured_ns = recorder::skew_ns(&requests, RATE);
    assert!(
        measured_ns <= told.skew_ns + told.error_ns,
        "{measured_ns} ns were measured: {told:?}"
    );
    dismiss(spread.agents);
}

#[test]
fn an_agent_that_is_cut_off_sends_nothing_twice_and_comes_back() {
    // Both at once: they mostly wait.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let from_broker = |network: &Network| network.cut(FIRST_AGENT, BROKER);
            if let Some((started, requests)) = survive(from_broker) {
                // It reaches the target all the time, so that whatever was started was seen.
                assert_eq!(requests, started);
            }
        });
        scope.spawn(|| {
            let from_everything = |network: &Network| network.cut_off(FIRST_AGENT);
            if let Some((started, requests)) = survive(from_everything) {
                // What it sent into the void was not seen, unless it was sent again until it was.
                assert!(requests <= started, "{requests} of {started}");
            }
        });
    });
}

/// Cuts the first agent off for 30 s of a run; gives how many arrivals were started, and how many the target saw. None where
/// it cannot be tried.
fn survive(cut: impl Fn(&Network)) -> Option<(u64, u64)> {
    const SECONDS: u64 = 52;
    const RATE: u64 = 30;
    const CUT_S: u64 = 4;
    const MENDED_S: u64 = CUT_S + 30;
    let mut spread = Spread::start()?;
    let coordinator = spread.begin(SECONDS, RATE);
    spread.target.wait_for(CUT_S * RATE);
    cut(&spread.network);
    spread.target.wait_for(MENDED_S * RATE);
    spread.network.mend();
    let ended = coordinator.end().expect_code(0);
    let (planned, started, dropped) = spread.cluster.balance();
    assert_eq!(planned, SECONDS * RATE);
    let [(DropReason::AgentLost, lost)] = dropped[..] else {
        panic!("{dropped:?}\n{}", ended.stderr);
    };
    assert_eq!(started + lost, planned);
    // Its part of ten seconds: the others take over long before it is back.
    assert!(
        lost <= 10 * RATE / AGENTS as u64,
        "{lost} were lost\n{}",
        ended.stderr
    );
    let requests = spread.target.take();
    assert_none_twice(&requests);
    let mut own = requests
        .iter()
        .filter(|request| request.from == spread.address(0));
    assert!(
        own.any(|request| request.arrival > MENDED_S * RATE),
        "it is not back\n{}",
        ended.stderr
    );
    dismiss(spread.agents);
    Some((started, requests.len() as u64))
}

fn assert_none_twice(requests: &[Request]) {
    let mut seen = HashSet::new();
    for request in requests {
        assert!(seen.insert(request.arrival), "twice: {request:?}");
    }
}

/// Sorted.
fn lateness_ns(requests: &[Request], rate: u64) -> Vec<i64> {
    let mut late: Vec<i64> = requests
        .iter()
        .map(|request| recorder::late_ns(request, rate))
        .collect();
    late.sort();
    late
}
