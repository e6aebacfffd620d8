//! LoadStrike's keys as they are: the manifest of its documentation runs a test, in every form that its keys have, and in one
//! process.

use crate::broker::{self, Server};
use crate::drumfire::{Ended, Folder, Running, target};
use crate::pods::Pods;
use drumfire_metrics::{DropReason, Summary};
use drumfire_report::result;
use std::fs;

/// The manifest's ConfigMap, which every pod has in its environment.
const CONFIG_MAP: [(&str, &str); 6] = [
    ("LoadStrike__ClusterId", "orders-cluster"),
    ("LoadStrike__AgentGroup", "perf-agents"),
    (
        "LoadStrike__NatsServerUrl",
        "nats://nats.loadstrike.svc.cluster.local:4222",
    ),
    ("LoadStrike__AgentTargetScenarios", "kafka-consumer"),
    ("LoadStrike__CoordinatorTargetScenarios", "http-source"),
    ("LoadStrike__ClusterCommandTimeoutMs", "180000"),
];

/// What the pods of its agents have beside it. No container of the manifest has arguments.
const AGENT: [(&str, &str); 2] = [
    ("LoadStrike__NodeType", "Agent"),
    ("LoadStrike__TargetScenarios", "kafka-consumer"),
];

/// The replicas of its deployment.
const AGENTS: usize = 3;

/// What the pod of its coordinator has.
const COORDINATOR: [(&str, &str); 4] = [
    ("LoadStrike__NodeType", "Coordinator"),
    ("LoadStrike__AgentsCount", "3"),
    ("LoadStrike__RunnerKey", "rkr_your_remote_runner_key"),
    ("LoadStrike__ReportFolder", "/reports"),
];

/// What the service in front of the broker is called, and its port.
const SERVICE: &str = "nats.loadstrike.svc.cluster.local";

/// Arrivals of the script's load, which agents and coordinator make each.
const ARRIVALS: u64 = 60;

/// A script with the manifest's two scenarios, and what each says.
fn orders(target: &str, seconds: u32) -> String {
    format!(
        "config: {{target: '{target}', phases: [{{duration: {seconds}, arrivalRate: 20}}]}}\n\
         scenarios:\n\
         - {{name: http-source, flow: [{{get: {{url: /status/201}}}}, {{log: sourced}}]}}\n\
         - {{name: kafka-consumer, flow: [{{get: {{url: /status/202}}}}, {{log: consumed}}]}}\n"
    )
}

/// How often a script has said something.
fn said(ended: &Ended, what: &str) -> u64 {
    ended.stdout.lines().filter(|line| *line == what).count() as u64
}

/// Waits for the runs' end, asks the agents to go, and checks who has run what.
fn check_who_ran_what(coordinator: Running, agents: Vec<Running>) -> Ended {
    let coordinator = coordinator.end().expect_code(0);
    let agents = agents.into_iter().map(|agent| {
        agent.signal(libc::SIGTERM);
        agent.end().expect_code(0)
    });
    let agents: Vec<Ended> = agents.collect();
    let by_agents = |what| agents.iter().map(|agent| said(agent, what)).sum::<u64>();
    assert_eq!(said(&coordinator, "sourced"), ARRIVALS);
    assert_eq!(by_agents("consumed"), ARRIVALS);
    assert_eq!(said(&coordinator, "consumed") + by_agents("sourced"), 0);
    // Each agent had its part of it.
    assert!(agents.iter().all(|agent| said(agent, "consumed") > 0));
    coordinator
}

/// Checks the one set of reports in a folder, and gives its result.
fn reported(folder: &Folder, name: &str) -> Summary {
    let files = folder.list(name);
    let begin = "loadstrike_loadstrike-test_";
    for end in ["report.html", "result.json", "timeline.csv", "junit.xml"] {
        let found = files.iter().filter(|file| file.ends_with(end));
        let found: Vec<_> = found.filter(|file| file.starts_with(begin)).collect();
        assert_eq!(found.len(), 1, "{end} of {files:?}");
    }
    let result = files.iter().find(|file| file.ends_with("result.json"));
    let result = result.expect("it is among them");
    let summary = result::parse(&folder.read(&format!("{name}/{result}")));
    let summary = summary.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(summary.check_invariants(), Vec::<String>::new());
    summary
}

/// How often each scenario was run, by what its request is answered with.
fn ran(summary: &Summary) -> (u64, u64) {
    let endpoints = summary.total.endpoints.values();
    let codes = endpoints.flat_map(|endpoint| &endpoint.codes);
    let count = |code: u16| -> u64 {
        let found = codes.clone().filter(|(found, _)| **found == code);
        found.map(|(_, n)| *n).sum()
    };
    (count(201), count(202))
}

/// Whether both scenarios ran within one interval.
fn ran_at_the_same_time(summary: &Summary) -> bool {
    summary.timeline.iter().any(|interval| {
        let part = Summary {
            total: interval.snapshot.clone(),
            ..Summary::default()
        };
        let (sourced, consumed) = ran(&part);
        sourced > 0 && consumed > 0
    })
}

fn check_whole(summary: &Summary) {
    assert_eq!(summary.facts.planned, Some(2 * ARRIVALS));
    assert_eq!(ran(summary), (ARRIVALS, ARRIVALS));
    assert!(summary.total.iterations.dropped.is_empty());
    assert!(ran_at_the_same_time(summary));
    let stages: Vec<_> = summary
        .facts
        .stages
        .iter()
        .map(|stage| stage.planned)
        .collect();
    assert_eq!(stages, [Some(2 * ARRIVALS)]);
    let agents = summary.agents.as_ref().expect("agents shared it");
    let rows = agents.rows.iter();
    let started: Vec<(bool, u64)> = rows
        .map(|(id, row)| (&*id.name == "coordinator", row.iterations.started))
        .collect();
    let by = |own| started.iter().filter(move |(is_own, _)| *is_own == own);
    assert_eq!(by(true).map(|(_, n)| n).collect::<Vec<_>>(), [&ARRIVALS]);
    assert_eq!(by(false).map(|(_, n)| n).sum::<u64>(), ARRIVALS);
    assert!(agents.start_skew.is_some() && agents.unowned.is_empty());
}

#[test]
fn the_manifest_runs_a_test_with_only_the_image_changed() {
    let Some(nats) = broker::program() else {
        return;
    };
    let Some(pods) = Pods::start(SERVICE) else {
        return;
    };
    let start = |program: &str, environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = pods.command(program, environment);
        command.args(arguments);
        Running::of(command)
    };
    // The manifest's `-js`, and where the container has its disk.
    let nats = nats.display().to_string();
    let store = pods.folder.path("store").display().to_string();
    let mut broker = start(&nats, &[], &["-js", "-sd", &store]);
    broker.wait_for_error("Server is ready");
    let drumfire = env!("CARGO_BIN_EXE_drumfire");
    let mut service = start(drumfire, &[], &["target"]);
    service.wait_for("http://");
    let script = orders("http://127.0.0.1:8080", 3);
    fs::write(pods.folder.path("scripts/orders.yml"), script).expect("a file can be written");

    let pod = |own: &[(&str, &str)]| start(drumfire, &[&CONFIG_MAP[..], own].concat(), &[]);
    let agents: Vec<Running> = (0..AGENTS).map(|_| pod(&AGENT)).collect();
    let ended = check_who_ran_what(pod(&COORDINATOR), agents);
    for words in [
        "agents without a run key are taken",
        "has no run key: what it reports is taken unsigned",
        "on 3 agents share the load",
        "agents started within",
    ] {
        assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    }
    check_whole(&reported(&pods.folder, "reports"));
    for process in [service, broker] {
        process.signal(libc::SIGTERM);
        process.end();
    }
}

/// A cluster at a broker on loopback: the service's name and the volume are replaced by what they lead to.
struct Cluster {
    folder: Folder,
    server: Server,
}

/// A form that keys are written in.
#[derive(Debug, Clone, Copy)]
enum Form {
    Environment,
    Flags,
    File,
}

impl Cluster {
    fn start() -> Option<Self> {
        let server = Server::start("")?;
        let folder = Folder::new();
        Some(Cluster { folder, server })
    }

    fn resolved(&self, value: &str) -> String {
        let reports = self.folder.path("reports").display().to_string();
        let service = format!("{SERVICE}:4222");
        match value {
            "/reports" => reports,
            value => value.replace(&service, &self.server.address()),
        }
    }

    /// A pod of the manifest, its keys written in a form.
    fn pod(&self, form: Form, own: &[(&str, &str)]) -> Running {
        let all = CONFIG_MAP.iter().chain(own);
        let keys: Vec<(&str, String)> = all
            .map(|(name, value)| {
                let name = name.strip_prefix("LoadStrike__").expect("a key of theirs");
                (name, self.resolved(value))
            })
            .collect();
        let mut arguments = Vec::new();
        let mut variables = vec![("DRUMFIRE_SCRIPT".to_owned(), "orders.yml".to_owned())];
        match form {
            Form::Environment => variables.extend(
                keys.into_iter()
                    .map(|(name, value)| (format!("LoadStrike__{name}"), value)),
            ),
            Form::Flags => {
                arguments = keys
                    .iter()
                    .map(|(name, value)| format!("--{name}={value}"))
                    .collect()
            }
            Form::File => {
                let (_, node) = own[0];
                let section: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name:?}: {value:?}"))
                    .collect();
                let file = format!("{node}.json");
                let text = format!("{{\"LoadStrike\": {{{}}}}}", section.join(", "));
                // Pods that have started may be reading it.
                if !self.folder.path(&file).exists() {
                    self.folder.write(&file, &text);
                }
                arguments.push(format!("--config={file}"));
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.folder.command(&arguments);
        command.envs(variables);
        Running::of(command)
    }
}

#[test]
fn its_keys_run_the_same_test_from_environment_flags_and_file() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster
        .folder
        .write("orders.yml", &orders(&target.url(), 3));
    for form in [Form::Environment, Form::Flags, Form::File] {
        let agents = (0..AGENTS).map(|_| cluster.pod(form, &AGENT)).collect();
        check_who_ran_what(cluster.pod(form, &COORDINATOR), agents);
        check_whole(&reported(&cluster.folder, "reports"));
        fs::remove_dir_all(cluster.folder.path("reports")).expect("reports can be removed");
    }
}

#[test]
fn agents_that_have_the_runner_key_are_heard_beside_those_that_have_none() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster
        .folder
        .write("orders.yml", &orders(&target.url(), 3));
    let keyed = [&AGENT[..], &COORDINATOR[2..3]].concat();
    let pods = [&AGENT[..], &AGENT, &keyed];
    let mut agents: Vec<Running> = pods
        .iter()
        .map(|own| cluster.pod(Form::Environment, own))
        .collect();
    for (agent, verifies) in agents.iter_mut().zip([false, false, true]) {
        let warning = "this agent has no run key";
        match verifies {
            true => agent.wait_for_error("waits for runs"),
            false => agent.wait_for_error(warning),
        };
    }
    let coordinator = cluster.pod(Form::Environment, &COORDINATOR);
    let ended = check_who_ran_what(coordinator, agents);
    let unsigned = ended.stderr.matches("what it reports is taken unsigned");
    assert_eq!(unsigned.count(), 2, "{}", ended.stderr);
    check_whole(&reported(&cluster.folder, "reports"));
}

#[test]
fn a_coordinator_that_goes_on_counts_what_its_own_scenarios_have_lost() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let target = target();
    cluster
        .folder
        .write("orders.yml", &orders(&target.url(), 8));
    let agents: Vec<Running> = (0..AGENTS)
        .map(|_| cluster.pod(Form::Environment, &AGENT))
        .collect();
    let mut first = cluster.pod(Form::Environment, &COORDINATOR);
    first.wait_for("sourced");
    first.signal(libc::SIGKILL);
    first.end();
    let second = cluster.pod(Form::Environment, &COORDINATOR).end();
    let second = second.expect_code(0);
    assert!(
        second.stderr.contains("going on with run"),
        "{}",
        second.stderr
    );
    for agent in agents {
        agent.signal(libc::SIGTERM);
        agent.end().expect_code(0);
    }
    let summary = reported(&cluster.folder, "reports");
    let iterations = &summary.total.iterations;
    let lost = iterations.dropped.get(&DropReason::AgentLost).copied();
    assert_eq!(summary.facts.planned, Some(320));
    let (sourced, consumed) = ran(&summary);
    // Agents went on; of its own it knows what it has done itself.
    assert_eq!(consumed, 160);
    assert_eq!(Some(sourced), lost.map(|lost| 160 - lost));
    assert!(lost.is_some_and(|lost| lost > 0), "{lost:?}");
}

#[test]
fn a_coordinator_that_goes_on_with_a_run_that_is_ending_begins_nothing() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let (folder, target) = (&cluster.folder, target());
    let slow = orders(&target.url(), 50).replace("ed}]", "ed}, {think: 5}]");
    folder.write("orders.yml", &slow);
    let at = ["--nats", &cluster.server.url()];
    let agent = folder.start(&[&["agent"], &at[..], &["--once"]].concat());
    let own = ["--coordinator-target-scenarios", "http-source"];
    let options = [&own[..], &["--json", "out.json"]].concat();
    let coordinator = [&["coordinator", "orders.yml"], &at[..], &options].concat();
    let mut first = folder.start(&coordinator);
    first.wait_for("sourced");
    let stopped = folder.run(&[&["stop"], &at[..]].concat()).expect_code(0);
    assert_eq!(stopped.stdout, "stopping\n");
    first.signal(libc::SIGKILL);
    first.end();
    let second = folder.start(&coordinator).end().expect_code(0);
    assert!(
        second.stderr.contains("going on with run"),
        "{}",
        second.stderr
    );
    assert_eq!(said(&second, "sourced"), 0);
    agent.end().expect_code(0);
    let summary = folder.result("out.json");
    assert_eq!(summary.facts.planned, Some(2_000));
    assert_eq!(ran(&summary).0, 0);
}

/// A run in one process, by these keys.
fn in_one_process(folder: &Folder, keys: &[(&str, &str)]) -> Running {
    let mut command = folder.command(&[]);
    command.env("DRUMFIRE_SCRIPT", "orders.yml");
    command.envs(
        keys.iter()
            .map(|(name, value)| (format!("LoadStrike__{name}"), value)),
    );
    Running::of(command)
}

const LOCAL_CLUSTER: [(&str, &str); 3] = [
    ("EnableLocalDevCluster", "true"),
    ("AgentsCount", "2"),
    ("CoordinatorTargetScenarios", "http-source"),
];

#[test]
fn a_single_node_runs_alone_and_a_local_cluster_with_agents_of_its_process() {
    let (folder, target) = (Folder::new(), target());
    folder.write("orders.yml", &orders(&target.url(), 3));
    // Whatever a cluster's configuration says beside it, one node runs what is targeted at all.
    let single = [
        ("NodeType", "SingleNode"),
        ("AgentsCount", "3"),
        ("TargetScenarios", "kafka-consumer"),
        ("CoordinatorTargetScenarios", "http-source"),
    ];
    let ended = in_one_process(&folder, &single).end().expect_code(0);
    assert_eq!(said(&ended, "consumed"), ARRIVALS);
    let summary = reported(&folder, "reports");
    assert_eq!(ran(&summary), (0, ARRIVALS));
    assert_eq!(summary.facts.planned, Some(ARRIVALS));
    fs::remove_dir_all(folder.path("reports")).expect("reports can be removed");

    let ended = in_one_process(&folder, &LOCAL_CLUSTER).end().expect_code(0);
    assert!(
        ended.stderr.contains("on 2 agents share the load"),
        "{}",
        ended.stderr
    );
    check_whole(&reported(&folder, "reports"));
}

#[test]
fn a_signal_ends_the_coordinators_scenarios_with_the_agents() {
    let (folder, target) = (Folder::new(), target());
    folder.write("orders.yml", &orders(&target.url(), 50));
    let mut running = in_one_process(&folder, &LOCAL_CLUSTER);
    running.wait_for("sourced");
    running.signal(libc::SIGINT);
    running.end().expect_code(130);
    let summary = reported(&folder, "reports");
    let iterations = &summary.total.iterations;
    assert_eq!(summary.facts.planned, Some(2_000));
    let reasons: Vec<_> = iterations.dropped.keys().collect();
    assert_eq!(reasons, [&DropReason::Stopped]);
    assert!(summary.facts.duration_us < 40_000_000);
}

#[test]
fn the_coordinators_scenarios_are_scaled_and_stopped_with_the_agents() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let (folder, target) = (&cluster.folder, target());
    folder.write("orders.yml", &orders(&target.url(), 50));
    let at = ["--nats", &cluster.server.url()];
    let agent = folder.start(&[&["agent"], &at[..], &["--once"]].concat());
    let options = ["--paused", "--json", "out.json"];
    let own = ["--coordinator-target-scenarios", "http-source"];
    let coordinator = [&["coordinator", "orders.yml"], &at[..], &own, &options].concat();
    let mut coordinator = folder.start(&coordinator);
    let ask = |command: &[&str]| folder.run(&[command, &at[..]].concat());
    while !ask(&["status"]).stdout.contains(": ready") {}
    ask(&["scale", "150%"]).expect_code(0);
    ask(&["resume"]).expect_code(0);
    coordinator.wait_for("sourced");
    ask(&["stop"]).expect_code(0);
    coordinator.end().expect_code(0);
    agent.end().expect_code(0);
    let summary = folder.result("out.json");
    assert_eq!(summary.facts.planned, Some(2 * 1_500));
    let reasons: Vec<_> = summary.total.iterations.dropped.keys().collect();
    assert_eq!(reasons, [&DropReason::Stopped]);
}
