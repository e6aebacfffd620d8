//! `run --agents`: several agents in one process do together what one machine does alone.

use crate::drumfire::{Folder, script, target};
use drumfire_metrics::{DropReason, Summary};
use std::collections::BTreeMap;

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
