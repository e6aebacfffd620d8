//! What runs where: scenarios that are targeted, and targets that an agent refuses.

use crate::broker::Server;
use crate::drumfire::{Ended, Folder, Running, target};
use std::collections::BTreeMap;

/// Three scenarios, each with a weight and a line of its own, under twenty arrivals.
fn shop(target: &str) -> String {
    format!(
        "config: {{target: '{target}', phases: [{{duration: 1, arrivalRate: 20}}]}}\n\
         scenarios:\n\
         - {{name: browse, weight: 7, flow: [{{get: {{url: /}}}}, {{log: browsed}}]}}\n\
         - {{name: buy, weight: 2, flow: [{{get: {{url: /}}}}, {{log: bought}}]}}\n\
         - {{name: watch, flow: [{{get: {{url: /}}}}, {{log: watched}}]}}\n"
    )
}

/// A script, a broker, and a target.
struct Cluster {
    folder: Folder,
    server: Server,
}

impl Cluster {
    fn start(script: &str) -> Option<Self> {
        let folder = Folder::new();
        folder.write("script.yml", script);
        let server = Server::start("")?;
        Some(Cluster { folder, server })
    }

    fn agent(&self, name: &str, options: &[&str]) -> Running {
        let url = self.server.url();
        let arguments = ["agent", "--nats", &url, "--agent-name", name];
        let mut agent = self.folder.start(&[&arguments[..], options].concat());
        agent.wait_for_error("waits for runs");
        agent
    }

    fn coordinator(&self, options: &[&str]) -> Ended {
        let url = self.server.url();
        let arguments = ["coordinator", "script.yml", "--nats", &url];
        self.folder.run(&[&arguments[..], options].concat())
    }
}

/// The lines of scripts, and how often each was said.
fn said(ended: &[Ended]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in ended.iter().flat_map(|ended| ended.stdout.lines()) {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn agents_run_the_scenarios_that_are_targeted() {
    let target = target();
    let Some(cluster) = Cluster::start(&shop(&target.url())) else {
        return;
    };
    for (options, expected) in [
        (&["--target-scenarios", "buy"][..], &["bought"][..]),
        (
            &["--agent-target-scenarios", "browse,watch"],
            &["browsed", "watched"],
        ),
        (
            &[
                "--target-scenarios",
                "buy,watch",
                "--agent-target-scenarios",
                "watch,browse",
            ],
            &["watched"],
        ),
    ] {
        let agents = ["one", "two"].map(|name| cluster.agent(name, &["--once"]));
        let base = ["--agents", "2", "--seed", "3", "--quiet"];
        cluster
            .coordinator(&[&base[..], options].concat())
            .expect_code(0);
        let agents = agents.map(|agent| agent.end().expect_code(0));
        // Each agent runs the same list, its share of the load.
        assert!(agents.iter().all(|agent| !agent.stdout.is_empty()));
        let said = said(&agents);
        assert_eq!(said.keys().collect::<Vec<_>>(), expected, "{options:?}");
        assert_eq!(said.values().sum::<u64>(), 20);
    }
}

#[test]
fn targets_that_no_scenario_is_are_told() {
    let target = target();
    let Some(cluster) = Cluster::start(&shop(&target.url())) else {
        return;
    };
    for (options, words) in [
        (
            &["--target-scenarios", "bui"][..],
            "hint: target-scenarios leaves none of the script's scenarios: browse, buy, watch",
        ),
        (
            &["--coordinator-target-scenarios", "browse,buy,watch"],
            "hint: coordinator-target-scenarios leaves the agents none",
        ),
        (
            &["--target-scenarios", "buy", "--scenario-name", "watch"],
            "--scenario-name picks watch, which the settings of targets leave out",
        ),
        (
            &[
                "--coordinator-target-scenarios",
                "buy",
                "--scenario-name",
                "watch",
            ],
            "--scenario-name picks watch alone, and coordinator-target-scenarios more",
        ),
    ] {
        let ended = cluster.coordinator(options).expect_code(2);
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
}

#[test]
fn an_agent_that_may_not_reach_the_target_refuses_and_the_run_fails() {
    let target = target();
    let Some(cluster) = Cluster::start(&shop(&target.url())) else {
        return;
    };
    let agent = cluster.agent(
        "picky",
        &["--allow-targets", "shop:80,10.0.0.0/8", "--once"],
    );
    let limits = ["--gather-timeout", "2s", "--prepare-timeout", "2s"];
    let ended = cluster.coordinator(&limits).expect_code(25);
    let refusal = format!(
        "cannot prepare: target {} is not among the allowed targets of this agent",
        target.url()
    );
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(ended.stderr.contains("agent picky/"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&refusal), "{}", ended.stderr);
    assert!(last.starts_with("run failed: "), "{}", ended.stderr);
    assert!(last.ends_with("(exit code 25)"), "{}", ended.stderr);
    let agent = agent.end().expect_code(25);
    assert!(agent.stderr.contains(&refusal), "{}", agent.stderr);
}

#[test]
fn agents_that_may_reach_the_target_run_what_a_picky_one_refuses() {
    let target = target();
    let Some(cluster) = Cluster::start(&shop(&target.url())) else {
        return;
    };
    let picky = cluster.agent("picky", &["--allow-targets", "10.0.0.0/8"]);
    let welcome = cluster.agent("open", &["--allow-targets", "127.0.0.1", "--once"]);
    let limits = ["--gather-timeout", "2s", "--prepare-timeout", "2s"];
    let base = ["--agents", "2", "--quorum", "1", "--json", "out.json"];
    cluster
        .coordinator(&[&base[..], &limits].concat())
        .expect_code(0);
    let summary = cluster.folder.result("out.json");
    assert_eq!(summary.total.iterations.started, 20);
    let lines = said(&[welcome.end().expect_code(0)]);
    assert_eq!(lines.values().sum::<u64>(), 20);
    // It stays for a run that it may take part in, so the refusal of this one is no failure of its own.
    picky.signal(libc::SIGTERM);
    let picky = picky.end().expect_code(0);
    assert_eq!(picky.stdout, "");
}
