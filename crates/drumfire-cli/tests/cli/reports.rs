//! The files a run leaves, and what is made of them afterwards.

use crate::drumfire::{Folder, REPORT_FILES, script, target};
use serde_json::Value;

/// A folder in which `a.json` and `b.json` are results of two short runs.
fn two_runs() -> Folder {
    let (folder, target) = (Folder::new(), target());
    let phase = "phases: [{duration: 1, arrivalCount: 5}]";
    folder.write(
        "script.yml",
        &script(&target.url(), phase, "{get: {url: /json}}"),
    );
    for name in ["a.json", "b.json"] {
        folder
            .run(&["run", "-q", "script.yml", "--json", name])
            .expect_code(0);
    }
    folder
}

#[test]
fn a_report_folder_gets_every_report() {
    let (folder, target) = (Folder::new(), target());
    let phase = "phases: [{duration: 1, arrivalCount: 3}]";
    folder.write(
        "script.yml",
        &script(&target.url(), phase, "{get: {url: /}}"),
    );
    let ended = folder
        .run(&["run", "script.yml", "--report-dir", "out/run 1"])
        .expect_code(0);
    assert_eq!(folder.list("out/run 1"), REPORT_FILES);
    assert!(
        ended.stdout.contains("Log file: out/run 1/artillery.json"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("report: out/run 1/report.html"),
        "{}",
        ended.stderr
    );
    let report: Value =
        serde_json::from_str(&folder.read("out/run 1/artillery.json")).expect("it is JSON");
    assert_eq!(
        report.pointer("/aggregate/counters/http.requests"),
        Some(&3.into())
    );
    assert_eq!(
        folder.result("out/run 1/result.json").facts.title,
        "script.yml"
    );
}

#[test]
fn a_run_without_load_has_reports_too() {
    let (folder, target) = (Folder::new(), target());
    let phase = "phases: [{pause: 1}]";
    folder.write(
        "script.yml",
        &script(&target.url(), phase, "{get: {url: /}}"),
    );
    folder
        .run(&["run", "-q", "script.yml", "--report-dir", "out"])
        .expect_code(0);
    assert_eq!(folder.list("out"), REPORT_FILES);
    let report: Value =
        serde_json::from_str(&folder.read("out/artillery.json")).expect("it is JSON");
    assert_eq!(
        report.pointer("/aggregate/counters"),
        Some(&serde_json::json!({}))
    );
}

#[test]
fn artillerys_report_goes_into_a_folder_by_the_time() {
    let folder = two_runs();
    std::fs::create_dir(folder.path("reports")).expect("a folder can be made");
    folder
        .run(&["report", "-q", "a.json", "-o", "reports"])
        .expect_code(0);
    let names = folder.list("reports");
    assert!(
        names.len() == 1 && names[0].starts_with("artillery_report_2"),
        "{names:?}"
    );
}

#[test]
fn results_merge() {
    let folder = two_runs();
    let ended = folder
        .run(&["report", "a.json", "b.json", "--json", "both.json"])
        .expect_code(0);
    assert!(
        ended.stdout.contains("planned 10 = started 10 + dropped 0"),
        "{}",
        ended.stdout
    );
    let requests = |name: &str| {
        let summary = folder.result(name);
        summary
            .total
            .endpoints
            .values()
            .map(|endpoint| endpoint.requests)
            .sum::<u64>()
    };
    assert_eq!(["a.json", "both.json"].map(requests), [5, 10]);
}

#[test]
fn a_result_renders_again_as_it_did() {
    let folder = two_runs();
    for _ in 0..2 {
        folder
            .run(&["report", "-q", "a.json", "--report-dir", "again"])
            .expect_code(0);
    }
    assert_eq!(folder.list("again"), REPORT_FILES);
    assert_eq!(folder.read("again/result.json"), folder.read("a.json"));
}

#[test]
fn two_runs_compare() {
    let folder = two_runs();
    let ended = folder.run(&["compare", "a.json", "b.json"]).expect_code(0);
    assert!(ended.stdout.contains("/json"), "{}", ended.stdout);
    let ended = folder
        .run(&["compare", "--json", "a.json", "b.json"])
        .expect_code(0);
    let comparison: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert!(comparison.is_object(), "{comparison}");
}

#[test]
fn what_is_no_result_is_refused_by_name() {
    let folder = two_runs();
    folder.write("other.json", "{\"aggregate\": {}}");
    let ended = folder.run(&["report", "other.json"]).expect_code(1);
    assert!(
        ended.stderr.starts_with("error: result other.json: ") && ended.stderr.contains("\nhint: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_report_can_go_to_standard_output() {
    let folder = two_runs();
    let ended = folder
        .run(&["report", "-q", "a.json", "--junit", "/dev/stdout"])
        .expect_code(0);
    assert!(ended.stdout.contains("<testsuite"), "{}", ended.stdout);
}
