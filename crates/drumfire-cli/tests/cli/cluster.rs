//! Coordinator and agents as processes that meet at a real nats-server, while processes are killed and brokers restarted.
//!
//! How long something takes decides nothing here: what is asserted are sums, and what became of every arrival.

use crate::agents::{agents_of, happened};
use crate::broker::Server;
use crate::drumfire::{Folder, Running, script, target};
use drumfire_metrics::{AgentEnding, AgentEventKind, DropReason, Summary};

/// A cluster at its own broker. Processes that still run when a test fails are ended with it.
struct Cluster {
    folder: Folder,
    server: Server,
}

impl Cluster {
    /// None where there is no nats-server.
    fn start() -> Option<Self> {
        Some(Cluster {
            server: Server::start("")?,
            folder: Folder::new(),
        })
    }

    /// A script of one request, `rate` times a second.
    fn write_script(&self, target: &str, seconds: u32, rate: u32) {
        let phases = format!("phases: [{{duration: {seconds}, arrivalRate: {rate}}}]");
        let text = script(target, &phases, "{get: {url: /}}, {log: hello}");
        self.folder.write("script.yml", &text);
    }

    fn agent(&self, name: &str) -> Running {
        let url = self.server.url();
        let arguments = [
            "agent",
            "--nats",
            &url,
            "--agent-name",
            name,
            "--shards",
            "1",
        ];
        let mut agent = self.folder.start(&arguments);
        agent.wait_for_error("waits for runs");
        agent
    }

    fn agents(&self, count: usize) -> Vec<Running> {
        (1..=count)
            .map(|number| self.agent(&format!("agent-{number}")))
            .collect()
    }

    fn coordinator(&self, options: &[&str]) -> Running {
        let url = self.server.url();
        let arguments = [
            "coordinator",
            "script.yml",
            "--nats",
            &url,
            "--json",
            "out.json",
        ];
        self.folder.start(&[&arguments[..], options].concat())
    }

    fn ask(&self, command: &[&str]) -> String {
        let url = self.server.url();
        let ended = self.folder.run(&[command, &["--nats", &url]].concat());
        ended.expect_code(0).stdout
    }

    /// What the coordinator reports; its agents' rows add up.
    fn result(&self) -> Summary {
        let summary = self.folder.result("out.json");
        agents_of(&summary);
        summary
    }

    /// What became of every arrival: planned, started, dropped by reason.
    fn balance(&self) -> (u64, u64, Vec<(DropReason, u64)>) {
        let summary = self.result();
        let iterations = &summary.total.iterations;
        let dropped = iterations.dropped.iter();
        let dropped = dropped.map(|(reason, count)| (*reason, *count)).collect();
        let planned = summary.facts.planned.expect("open load is planned");
        (planned, iterations.started, dropped)
    }
}

/// Agents stay for the next run until they are asked to go.
fn dismiss(agents: Vec<Running>) {
    for agent in agents {
        agent.signal(libc::SIGTERM);
        agent.end().expect_code(0);
    }
}

#[test]
fn agents_take_one_run_after_another_and_do_what_one_machine_would() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 2, 40);
    let agents = cluster.agents(3);
    for _ in 0..2 {
        let ended = cluster.coordinator(&["--agents", "3"]).end().expect_code(0);
        assert!(
            ended.stderr.contains("on 3 agents share the load"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("agents started within"),
            "{}",
            ended.stderr
        );
        assert_eq!(cluster.balance(), (80, 80, vec![]));
    }
    dismiss(agents);
}

#[test]
fn what_a_killed_agent_leaves_unsent_is_counted_and_others_take_over() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 12, 30);
    let mut agents = cluster.agents(3);
    let coordinator = cluster.coordinator(&["--agents", "3"]);
    let mut killed = agents.remove(1);
    killed.wait_for("hello");
    killed.signal(libc::SIGKILL);
    let ended = coordinator.end().expect_code(0);
    assert!(ended.stderr.contains("agent-2"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("on 2 agents share the load"),
        "{}",
        ended.stderr
    );
    let (planned, started, dropped) = cluster.balance();
    assert_eq!(planned, 360);
    let [(DropReason::AgentLost, lost)] = dropped[..] else {
        panic!("{dropped:?}");
    };
    assert_eq!(started + lost, planned);
    // Its third of the whole would be 120; the others have taken over most of it.
    assert!(lost < 80, "{lost} were lost");
    let summary = cluster.result();
    let seen = agents_of(&summary);
    assert!(happened(seen).contains(&(AgentEventKind::Silent, "agent-2")));
    for (id, row) in &seen.rows {
        let (lost_here, ending) = match &*id.name {
            "agent-2" => (lost, AgentEnding::Lost),
            _ => (0, AgentEnding::Stayed),
        };
        assert_eq!(
            (row.iterations.dropped_total(), row.ending),
            (lost_here, ending)
        );
    }
    killed.end();
    dismiss(agents);
}

#[test]
fn an_agent_that_is_asked_to_go_hands_its_share_back() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 8, 30);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2"]);
    let mut leaver = agents.remove(0);
    leaver.wait_for("hello");
    leaver.signal(libc::SIGTERM);
    leaver.end().expect_code(0);
    coordinator.end().expect_code(0);
    assert_eq!(cluster.balance(), (240, 240, vec![]));
    dismiss(agents);
}

#[test]
fn an_agent_that_comes_later_takes_its_share() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 8, 30);
    let mut agents = cluster.agents(1);
    let coordinator = cluster.coordinator(&["--agents", "1"]);
    agents[0].wait_for("hello");
    let mut later = cluster.agent("later");
    later.wait_for("hello");
    agents.push(later);
    let ended = coordinator.end().expect_code(0);
    assert!(
        ended.stderr.contains("on 2 agents share the load"),
        "{}",
        ended.stderr
    );
    assert_eq!(cluster.balance(), (240, 240, vec![]));
    dismiss(agents);
}

#[test]
fn reports_tell_who_came_and_who_went() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 12, 30);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2"]);
    agents[0].wait_for("hello");
    let mut later = cluster.agent("later");
    later.wait_for("hello");
    agents.push(later);
    let leaver = agents.remove(0);
    leaver.signal(libc::SIGTERM);
    leaver.end().expect_code(0);
    coordinator.end().expect_code(0);
    dismiss(agents);
    let summary = cluster.result();
    let agents = agents_of(&summary);
    assert_eq!(
        happened(agents)
            .into_iter()
            .filter(|(kind, _)| *kind != AgentEventKind::PushedBack)
            .collect::<Vec<_>>(),
        [
            (AgentEventKind::Announced, "later"),
            (AgentEventKind::Joined, "later"),
            (AgentEventKind::Left, "agent-1")
        ]
    );
    let rows = agents.rows.iter();
    let endings = rows.map(|(id, row)| {
        (
            &*id.name,
            row.ending,
            row.weight,
            row.start_late_ns.is_some(),
        )
    });
    assert_eq!(
        endings.collect::<Vec<_>>(),
        [
            ("agent-1", AgentEnding::Left, 0, true),
            ("agent-2", AgentEnding::Stayed, 1, true),
            ("later", AgentEnding::Stayed, 1, false)
        ]
    );
    assert!(
        agents
            .rows
            .values()
            .all(|row| row.iterations.started > 0 && row.clock.is_some())
    );
    let epochs: Vec<Vec<&str>> = agents
        .epochs
        .iter()
        .map(|epoch| {
            epoch
                .shares
                .iter()
                .map(|share| &*share.agent.name)
                .collect()
        })
        .collect();
    assert_eq!(
        epochs,
        [
            vec!["agent-1", "agent-2"],
            vec!["agent-1", "agent-2", "later"],
            vec!["agent-2", "later"]
        ]
    );
    assert!(agents.start_skew.is_some());
}

#[test]
fn a_coordinator_that_is_killed_and_started_again_writes_the_same_report() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 12, 30);
    let mut agents = cluster.agents(2);
    let first = cluster.coordinator(&["--agents", "2"]);
    agents[0].wait_for("hello");
    first.signal(libc::SIGKILL);
    first.end();
    go_on(&mut agents);
    let second = cluster.coordinator(&["--agents", "2"]);
    let ended = second.end().expect_code(0);
    assert!(
        ended.stderr.contains("going on with run"),
        "{}",
        ended.stderr
    );
    assert_eq!(cluster.balance(), (360, 360, vec![]));
    let summary = cluster.result();
    let rows = agents_of(&summary).rows.iter();
    let started = rows.map(|(id, row)| (&*id.name, row.iterations.started, row.ending));
    assert_eq!(
        started.collect::<Vec<_>>(),
        [
            ("agent-1", 180, AgentEnding::Stayed),
            ("agent-2", 180, AgentEnding::Stayed)
        ]
    );
    assert_eq!(agents_of(&summary).epochs.len(), 1);
    dismiss(agents);
}

/// Agents that have 15 arrivals a second each go on for longer than their leases.
fn go_on(agents: &mut [Running]) {
    for agent in agents {
        (0..75).for_each(|_| drop(agent.wait_for("hello")));
    }
}

#[test]
fn a_broker_that_is_away_for_longer_than_the_lease_costs_nothing() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 12, 30);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2"]);
    agents[0].wait_for("hello");
    cluster.server.kill();
    go_on(&mut agents);
    cluster.server.start_again();
    coordinator.end().expect_code(0);
    assert_eq!(cluster.balance(), (360, 360, vec![]));
    dismiss(agents);
}

#[test]
fn a_run_can_be_held_scaled_looked_at_and_stopped_from_elsewhere() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 60, 20);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2", "--paused"]);
    while !cluster.ask_until_there(&["status"]).contains(": ready") {}
    assert_eq!(cluster.ask(&["resume"]), "resumed\n");
    agents[0].wait_for("hello");
    assert_eq!(cluster.ask(&["scale", "150%"]), "scaled\n");
    let mut status = String::new();
    while !status.contains("150 % of the plan") {
        status = cluster.ask(&["status"]);
    }
    assert!(status.contains("agent-1"), "{status}");
    assert_eq!(cluster.ask(&["stop", "--reason", "enough"]), "stopping\n");
    coordinator.end().expect_code(0);
    let (planned, started, dropped) = cluster.balance();
    let [(DropReason::Stopped, stopped)] = dropped[..] else {
        panic!("{dropped:?}");
    };
    assert!(started > 0 && started + stopped == planned);
    dismiss(agents);
}

impl Cluster {
    /// As long as nobody coordinates there is no answer.
    fn ask_until_there(&self, command: &[&str]) -> String {
        let url = self.server.url();
        loop {
            let ended = self.folder.run(&[command, &["--nats", &url]].concat());
            if ended.code == Some(0) {
                return ended.stdout;
            }
        }
    }
}
