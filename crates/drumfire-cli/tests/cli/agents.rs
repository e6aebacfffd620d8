//! `run --agents`: several agents in one process do together what one machine does alone.

use crate::drumfire::{Folder, REPORT_FILES, script, target};
use drumfire_metrics::{AgentEnding, AgentEventKind, Agents, DropReason, Summary};
use std::collections::BTreeMap;

/// The agents of a shared run. Whatever there is of their rows adds up to the whole.
pub fn agents_of(summary: &Summary) -> &Agents {
    let agents = summary.agents.as_ref().expect("agents shared the run");
    let sum = |of: &dyn Fn(&drumfire_metrics::Agent) -> u64| -> u64 {
        agents.rows.values().map(of).sum()
    };
    let whole = &summary.total.iterations;
    assert_eq!(sum(&|row| row.iterations.started), whole.started);
    assert_eq!(sum(&|row| row.iterations.completed), whole.completed);
    for reason in DropReason::ALL {
        let of = |dropped: &BTreeMap<DropReason, u64>| dropped.get(&reason).copied().unwrap_or(0);
        assert_eq!(
            sum(&|row| of(&row.iterations.dropped)) + of(&agents.unowned),
            of(&whole.dropped),
            "{reason:?}"
        );
    }
    let endpoints = || summary.total.endpoints.values();
    let requests: u64 = endpoints().map(|endpoint| endpoint.requests).sum();
    assert_eq!(sum(&|row| row.exchanges.requests), requests);
    let answers: u64 = endpoints()
        .map(|endpoint| endpoint.service_us.count())
        .sum();
    assert_eq!(sum(&|row| row.exchanges.service_us.count()), answers);
    let lateness = &summary.total.iterations.lateness_us;
    assert_eq!(
        sum(&|row| row.iterations.lateness_us.count()),
        lateness.count()
    );
    agents
}

/// What happened after the start: what and to whom.
pub fn happened(agents: &Agents) -> Vec<(AgentEventKind, &str)> {
    let later = agents.events.iter().filter(|event| event.at_us >= 0);
    let named = later.filter_map(|event| Some((event.kind, &*event.agent.as_ref()?.name)));
    named.collect()
}

/// What must be the same however many agents there are: requests by endpoint and code, and custom counters.
fn counts(summary: &Summary) -> BTreeMap<String, u64> {
    let endpoints = summary.total.endpoints.iter();
    let codes = endpoints.flat_map(|(name, endpoint)| {
        let codes = endpoint.codes.iter();
        codes.map(move |(code, count)| (format!("{name} {code}"), *count))
    });
    let counters = summary.total.counters.clone();
    codes.chain(counters).collect()
}

#[test]
fn agents_do_together_what_one_machine_does() {
    let (folder, target) = (Folder::new(), target());
    let rows: String = (0..7).map(|row| format!("row-{row}\n")).collect();
    folder.write("rows.csv", &rows);
    let config = "phases: [{duration: 1, arrivalRate: 30}, {duration: 1, arrivalRate: 5, rampTo: 40}, {arrivalCount: 9, duration: 1}], \
                  payload: {path: rows.csv, fields: [row], order: sequence}, http: {extendedMetrics: true}";
    let flow =
        "{get: {url: '/status/204?{{ row }}'}}, {get: {url: '/'}}, {log: '{{ row }} {{ token }}'}";
    let text = script(&target.url(), config, flow);
    let open = text.strip_suffix('}').expect("it ends so");
    let before = "before: {flow: [{get: {url: /json, capture: {json: $.id, as: token, strict: false}}}, {log: once}]}";
    folder.write("script.yml", &format!("{open}, {before}}}"));
    let run = |agents: &[&str], json: &str| {
        let base = ["run", "script.yml", "--seed", "5", "-q", "--json", json];
        let ended = folder.run(&[&base[..], agents].concat()).expect_code(0);
        let mut lines: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        (folder.result(json), lines)
    };
    let (alone, alone_lines) = run(&[], "alone.json");
    assert_eq!(alone_lines.iter().filter(|line| *line == "once").count(), 1);
    for count in ["1", "3"] {
        let (shared, lines) = run(&["--agents", count], "shared.json");
        assert_eq!(shared.facts.planned, alone.facts.planned);
        let stages = |summary: &Summary| -> Vec<_> {
            summary
                .facts
                .stages
                .iter()
                .map(|stage| stage.planned)
                .collect()
        };
        assert_eq!(stages(&shared), stages(&alone));
        let (ours, theirs) = (&shared.total.iterations, &alone.total.iterations);
        assert_eq!(
            (ours.started, ours.completed),
            (theirs.started, theirs.completed)
        );
        assert_eq!(counts(&shared), counts(&alone));
        assert_eq!(agents_of(&shared).rows.len().to_string(), count);
        // Every user logs its row: the rows are dealt out over all agents.
        assert_eq!(lines, alone_lines);
    }
}

#[test]
fn a_signal_drains_all_agents_and_every_sum_holds() {
    let (folder, target) = (Folder::new(), target());
    let flow = "{get: {url: /}}, {log: hello}";
    let phases = "phases: [{duration: 50, arrivalRate: 20}]";
    folder.write("script.yml", &script(&target.url(), phases, flow));
    let arguments = [
        "run",
        "script.yml",
        "-q",
        "--agents",
        "2",
        "--json",
        "out.json",
    ];
    let mut running = folder.start(&arguments);
    running.wait_for("hello");
    running.signal(libc::SIGINT);
    running.end().expect_code(130);
    let summary = folder.result("out.json");
    let iterations = &summary.total.iterations;
    assert_eq!(summary.facts.planned, Some(1000));
    assert!(iterations.started > 0);
    assert_eq!(
        iterations.dropped.keys().collect::<Vec<_>>(),
        [&DropReason::Stopped]
    );
    let agents = agents_of(&summary);
    assert_eq!(agents.rows.len(), 2);
    assert_eq!(agents.unowned, BTreeMap::new());
    let stopped = agents
        .rows
        .values()
        .map(|row| row.iterations.dropped_total());
    assert!(stopped.into_iter().all(|stopped| stopped > 0));
}

#[test]
fn reports_show_every_agent() {
    let (folder, target) = (Folder::new(), target());
    let phases = "phases: [{duration: 2, arrivalRate: 30}]";
    let text = script(&target.url(), phases, "{get: {url: /}}");
    folder.write("script.yml", &text);
    let run = ["run", "script.yml", "--agents", "3", "--report-dir", "out"];
    let ended = folder.run(&run).expect_code(0);
    let mut files = REPORT_FILES.to_vec();
    files.insert(0, "agents.csv");
    assert_eq!(folder.list("out"), files);
    let summary = folder.result("out/result.json");
    let agents = agents_of(&summary);
    assert_eq!(agents.rows.len(), 3);
    for row in agents.rows.values() {
        assert_eq!(
            (row.iterations.started, row.weight, row.capacity),
            (20, 1, 1)
        );
        assert_eq!(row.ending, AgentEnding::Stayed);
        assert!(row.clock.is_some() && row.start_late_ns.is_some());
        assert_eq!(row.version, summary.facts.version);
    }
    let epochs = agents
        .epochs
        .iter()
        .map(|epoch| (epoch.from_us, epoch.agents, epoch.weight));
    assert_eq!(epochs.collect::<Vec<_>>(), [(0, 3, 3)]);
    let announced = agents
        .events
        .iter()
        .map(|event| (event.kind, event.at_us < 0));
    assert_eq!(
        announced.collect::<Vec<_>>(),
        [(AgentEventKind::Announced, true); 3]
    );
    assert!(agents.start_skew.is_some_and(|skew| skew.error_ns > 0));
    for name in ["agent-1", "agent-2", "agent-3"] {
        assert!(
            ended.stdout.contains(&format!("\n  {name} ")),
            "{}",
            ended.stdout
        );
        assert!(
            folder
                .read("out/agents.csv")
                .contains(&format!("\r\n{name},1,"))
        );
        assert!(
            folder
                .read("out/report.html")
                .contains(&format!(">{name}</td>"))
        );
    }
    // Rendered again from the result they are the same.
    let again = ["report", "-q", "out/result.json", "--csv", "again"];
    folder.run(&again).expect_code(0);
    assert_eq!(
        folder.read("again-agents.csv"),
        folder.read("out/agents.csv")
    );
}

#[test]
fn a_check_of_the_merged_run_ends_it_for_all_agents() {
    let (folder, target) = (Folder::new(), target());
    let config = "phases: [{duration: 50, arrivalRate: 20}], \
                  plugins: {ensure: {thresholds: [{'http.codes.503': 1, abortOnFail: true}]}}";
    let flow = "{get: {url: /status/503}}";
    folder.write("script.yml", &script(&target.url(), config, flow));
    let ended = folder.run(&["run", "script.yml", "--agents", "2", "--json", "out.json"]);
    ended.expect_code(20);
    let summary = folder.result("out.json");
    assert!(summary.verdict.thresholds[0].aborted_at_us.is_some());
    assert!(summary.facts.duration_us < 20_000_000);
}
