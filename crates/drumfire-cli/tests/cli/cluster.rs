//! Coordinator and agents as processes that meet at a real nats-server, while processes are killed and brokers restarted.
//!
//! How long something takes decides nothing here: what is asserted are sums, and what became of every arrival.

use crate::agents::{agents_of, happened};
use crate::broker::Server;
use crate::drumfire::{Ended, Folder, Running, script, signal, target};
use drumfire_metrics::{AgentEnding, AgentEventKind, DropReason, Summary};
use std::collections::BTreeSet;

/// A cluster at its own broker. Processes that still run when a test fails are ended with it.
pub struct Cluster {
    pub folder: Folder,
    pub server: Server,
    /// Options of every command.
    everywhere: Vec<&'static str>,
    url: String,
}

impl Cluster {
    /// None where there is no nats-server.
    pub fn start() -> Option<Self> {
        Some(Self::around(Server::start("")?))
    }

    fn around(server: Server) -> Self {
        Cluster {
            url: server.url(),
            server,
            folder: Folder::new(),
            everywhere: Vec::new(),
        }
    }

    /// One whose broker listens for other hosts, for which its members need a run key.
    pub fn start_at(host: &str) -> Option<Self> {
        let mut cluster = Self::around(Server::start_at(host, "")?);
        cluster.folder.write("run.key", &"key".repeat(20));
        cluster.everywhere = vec!["--run-key-file", "run.key"];
        Some(cluster)
    }

    /// A script of one request, `rate` times a second.
    fn write_script(&self, target: &str, seconds: u32, rate: u32) {
        let phases = format!("phases: [{{duration: {seconds}, arrivalRate: {rate}}}]");
        let text = script(target, &phases, "{get: {url: /}}, {log: hello}");
        self.folder.write("script.yml", &text);
    }

    pub fn agent(&self, name: &str) -> Running {
        self.agent_with(name, &[])
    }

    pub fn agent_with(&self, name: &str, options: &[&str]) -> Running {
        let named = ["agent", "--agent-name", name, "--shards", "1"];
        let mut agent = self.folder.start(&self.command(&named, options));
        agent.wait_for_error("waits for runs");
        agent
    }

    fn agents(&self, count: usize) -> Vec<Running> {
        (1..=count)
            .map(|number| self.agent(&format!("agent-{number}")))
            .collect()
    }

    pub fn coordinator(&self, options: &[&str]) -> Running {
        let script = ["coordinator", "script.yml", "--json", "out.json"];
        self.folder.start(&self.command(&script, options))
    }

    fn command<'a>(&'a self, command: &[&'a str], options: &[&'a str]) -> Vec<&'a str> {
        let nats = ["--nats", &self.url];
        [command, &nats, &self.everywhere, options].concat()
    }

    fn ask(&self, command: &[&str]) -> String {
        let ended = self.folder.run(&self.command(command, &[]));
        ended.expect_code(0).stdout
    }

    /// What the coordinator reports; its agents' rows add up.
    pub fn result(&self) -> Summary {
        let summary = self.folder.result("out.json");
        agents_of(&summary);
        summary
    }

    /// What became of every arrival: planned, started, dropped by reason.
    pub fn balance(&self) -> (u64, u64, Vec<(DropReason, u64)>) {
        let summary = self.result();
        let iterations = &summary.total.iterations;
        let dropped = iterations.dropped.iter();
        let dropped = dropped.map(|(reason, count)| (*reason, *count)).collect();
        let planned = summary.facts.planned.expect("open load is planned");
        (planned, iterations.started, dropped)
    }
}

/// Agents stay for the next run until they are asked to go.
pub fn dismiss(agents: Vec<Running>) -> Vec<Ended> {
    let end = |agent: Running| {
        agent.signal(libc::SIGTERM);
        agent.end().expect_code(0)
    };
    agents.into_iter().map(end).collect()
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
fn a_warm_up_runs_first_and_stays_out_of_the_results() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 2, 40);
    let agents = cluster.agents(2);
    let warm_up = ["--warm-up-duration", "2s", "--warm-up-share", "50%"];
    let coordinator = cluster.coordinator(&[&["--agents", "2"], &warm_up[..]].concat());
    coordinator.end().expect_code(0);
    assert_eq!(cluster.balance(), (80, 80, vec![]));
    // Half of the rate for as long as the run itself.
    assert_eq!(target.stats().requests, 80 + 40);
    for ended in dismiss(agents) {
        assert!(ended.stderr.contains("warming up"), "{}", ended.stderr);
    }
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
fn a_broker_that_is_asked_to_end_and_started_again_costs_nothing() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 8, 30);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2"]);
    agents[0].wait_for("hello");
    signal(cluster.server.process_id(), libc::SIGTERM);
    cluster.server.wait();
    cluster.server.start_again();
    coordinator.end().expect_code(0);
    assert_eq!(cluster.balance(), (240, 240, vec![]));
    dismiss(agents);
}

#[test]
fn a_coordinator_that_is_asked_to_go_stops_the_run_for_all_and_reports() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster.write_script(&target.url(), 60, 20);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2"]);
    for agent in &mut agents {
        agent.wait_for("hello");
    }
    coordinator.signal(libc::SIGTERM);
    coordinator.end().expect_code(143);
    for agent in &mut agents {
        agent.wait_for_error("is over");
    }
    let (planned, started, dropped) = cluster.balance();
    let [(DropReason::Stopped, stopped)] = dropped[..] else {
        panic!("{dropped:?}");
    };
    assert_eq!((planned, started + stopped), (1200, planned));
    assert!(started > 0 && stopped > 0, "{started} were started");
    assert_eq!(target.stats().requests, started);
    dismiss(agents);
}

#[test]
fn a_run_can_be_held_scaled_looked_at_and_stopped_from_elsewhere() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    let rows: String = (0..3_000).map(|row| format!("row-{row}\n")).collect();
    cluster.folder.write("rows.csv", &rows);
    let config = "phases: [{duration: 60, arrivalRate: 20}], \
                  payload: {path: rows.csv, fields: [row], order: unique}";
    let flow = "{get: {url: /}}, {log: '{{ row }}'}";
    let text = script(&target.url(), config, flow);
    cluster.folder.write("script.yml", &text);
    let mut agents = cluster.agents(2);
    let coordinator = cluster.coordinator(&["--agents", "2", "--paused"]);
    while !cluster.ask_until_there(&["status"]).contains(": ready") {}
    assert_eq!(cluster.ask(&["resume"]), "resumed\n");
    let mut given = vec![agents[0].wait_for("row-")];
    assert_eq!(cluster.ask(&["scale", "150%"]), "scaled\n");
    let mut status = String::new();
    while !status.contains("150 % of the plan") {
        status = cluster.ask(&["status"]);
    }
    assert!(status.contains("agent-1"), "{status}");
    // Long enough for the new schedule to be in force.
    given.extend((0..60).map(|_| agents[0].wait_for("row-")));
    assert_eq!(cluster.ask(&["stop", "--reason", "enough"]), "stopping\n");
    coordinator.end().expect_code(0);
    let (planned, started, dropped) = cluster.balance();
    let [(DropReason::Stopped, stopped)] = dropped[..] else {
        panic!("{dropped:?}");
    };
    assert!(started > 0 && started + stopped == planned);
    // Each user has a row of its own, before and after the schedule was changed.
    let ended = dismiss(agents);
    let rest = ended.iter().flat_map(|ended| ended.stdout.lines());
    given.extend(rest.map(str::to_owned));
    let different: BTreeSet<&String> = given.iter().collect();
    assert_eq!(
        (given.len() as u64, different.len() as u64),
        (started, started)
    );
}

impl Cluster {
    /// As long as nobody coordinates there is no answer.
    fn ask_until_there(&self, command: &[&str]) -> String {
        loop {
            let ended = self.folder.run(&self.command(command, &[]));
            if ended.code == Some(0) {
                return ended.stdout;
            }
        }
    }
}
