//! A run that is stopped from outside: it drains, reports, and its sums hold.

use crate::drumfire::{Ended, Folder, listener, script, target};
use drumfire_metrics::DropReason;

/// A script with further sections.
fn with(script: &str, sections: &str) -> String {
    let open = script.strip_suffix('}').expect("it ends so");
    format!("{open}, {sections}}}")
}

/// Starts a long run of users who say hello and think for `think_s`.
fn stopped_by(signals: &[i32], think_s: u32, options: &[&str]) -> (Folder, i32) {
    let (folder, target) = (Folder::new(), target());
    let phase = "phases: [{duration: 50, arrivalRate: 20}]";
    let flow = format!("{{get: {{url: /}}}}, {{log: hello}}, {{think: {think_s}}}");
    let sections = "before: {flow: [{log: tidy}]}, after: {flow: [{log: tidied}]}";
    let text = script(&target.url(), phase, &flow);
    folder.write("script.yml", &with(&text, sections));
    let command = [
        "run",
        "script.yml",
        "-q",
        "--json",
        "out.json",
        "-o",
        "artillery.json",
    ];
    let mut running = folder.start(&[&command[..], options].concat());
    running.wait_for("tidy");
    running.wait_for("hello");
    for signal in signals {
        running.signal(*signal);
        if *signal == signals[0] && signals.len() > 1 {
            running.wait_for_error("stopping: ");
        }
    }
    let ended = running.end();
    assert!(ended.stdout.ends_with("tidied\n"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("run failed: ended by"),
        "{}",
        ended.stderr
    );
    let code = ended.code.expect("it ends by itself");
    (folder, code)
}

#[test]
fn one_signal_drains() {
    for (signal, code) in [
        (libc::SIGTERM, 143),
        (libc::SIGINT, 130),
        (libc::SIGHUP, 129),
    ] {
        let (folder, ended) = stopped_by(&[signal], 0, &[]);
        assert_eq!(ended, code);
        let summary = folder.result("out.json");
        let iterations = &summary.total.iterations;
        assert_eq!(summary.facts.planned, Some(1000));
        assert!(
            iterations.completed > 0 && iterations.interrupted == 0,
            "{iterations:?}"
        );
        assert!(iterations.dropped[&DropReason::Stopped] > 0);
        assert!(
            folder
                .read("artillery.json")
                .contains("\"vusers.completed\"")
        );
    }
}

#[test]
fn a_second_signal_interrupts() {
    let (folder, ended) = stopped_by(&[libc::SIGINT, libc::SIGTERM], 60, &[]);
    assert_eq!(ended, 130, "the first one counts");
    let iterations = folder.result("out.json").total.iterations;
    assert!(
        iterations.interrupted > 0 && iterations.completed == 0,
        "{iterations:?}"
    );
}

#[test]
fn the_grace_ends() {
    let (folder, ended) = stopped_by(&[libc::SIGTERM], 60, &["--graceful-stop", "200ms"]);
    assert_eq!(ended, 143);
    assert!(folder.result("out.json").total.iterations.interrupted > 0);
}

#[test]
fn the_longest_duration_ends_a_run_that_passes() {
    let (folder, target) = (Folder::new(), target());
    let phase = "phases: [{duration: 50, arrivalRate: 20}]";
    folder.write(
        "script.yml",
        &script(&target.url(), phase, "{get: {url: /}}"),
    );
    let ended = folder
        .run(&[
            "run",
            "script.yml",
            "--max-duration",
            "1s",
            "--json",
            "out.json",
        ])
        .expect_code(0);
    assert!(
        ended.stderr.contains("--max-duration is reached"),
        "{}",
        ended.stderr
    );
    let iterations = folder.result("out.json").total.iterations;
    assert!(
        iterations.started > 0 && iterations.started < 100,
        "{iterations:?}"
    );
}

/// Signals a run that hangs in one of its sections, waiting for an answer that never comes.
fn stopped_in(section: &str) -> (Folder, Ended) {
    let (folder, (silent, url)) = (Folder::new(), listener());
    let text = script(
        &url,
        "phases: [{duration: 1, arrivalCount: 3}]",
        "{log: hello}",
    );
    let hanging = format!("{section}: {{flow: [{{log: begun}}, {{get: {{url: /}}}}]}}");
    folder.write("script.yml", &with(&text, &hanging));
    let running = folder.start(&["run", "script.yml", "-q", "--json", "out.json"]);
    let connection = silent.accept().expect("the section sends its request");
    running.signal(libc::SIGTERM);
    let ended = running.end();
    drop(connection);
    assert_eq!(ended.code, Some(143));
    let told = format!("stopping: `{section}` was cut short");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    (folder, ended)
}

#[test]
fn a_signal_ends_before_and_all_load_is_dropped() {
    let (folder, ended) = stopped_in("before");
    assert_eq!(ended.stdout, "begun\n");
    let summary = folder.result("out.json");
    assert_eq!(summary.facts.planned, Some(3));
    assert_eq!(summary.total.iterations.started, 0);
    assert_eq!(summary.total.iterations.dropped[&DropReason::Stopped], 3);
}

#[test]
fn a_signal_ends_after_and_the_result_is_kept() {
    let (folder, ended) = stopped_in("after");
    assert!(ended.stdout.ends_with("hello\nbegun\n"), "{}", ended.stdout);
    assert_eq!(folder.result("out.json").total.iterations.completed, 3);
}
