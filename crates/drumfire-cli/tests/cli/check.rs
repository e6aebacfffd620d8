//! What `drumfire check` says of a script.

use crate::drumfire::Folder;

const SHOP: &str = r#"
config:
  target: https://me:secret@shop.example
  phases:
    - { name: warm up, duration: 1min, arrivalRate: 2 }
    - { name: ramp, duration: 30, arrivalRate: 1, rampTo: 30, maxVusers: 50 }
    - { pause: 5 }
    - { name: by chance, duration: 10, arrivalRate: 5, mode: poisson }
  plugins:
    ensure:
      thresholds: [ { http.response_time.p95: 200 } ]
      conditions: [ { expression: "http.codes.500 < 1", strict: false } ]
before:
  flow: [ { post: { url: /reset } } ]
scenarios:
  - name: browse
    weight: 3
    flow:
      - get: { url: / }
      - loop: [ { get: { url: "/item/{{ $loopCount }}" } } ]
        count: 4
      - get: { url: /rare, probability: 50 }
  - name: buy
    flow:
      - get: { url: / }
      - think: 1
      - post: { url: /buy, json: { id: 1 } }
"#;

fn shop() -> Folder {
    let folder = Folder::new();
    folder.write("shop.yml", SHOP);
    folder
}

#[test]
fn a_plan_is_shown_in_words() {
    let ended = shop().run(&["check", "shop.yml"]).expect_code(0);
    insta::assert_snapshot!(ended.stdout);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_plan_is_shown_as_json() {
    let ended = shop().run(&["check", "shop.yml", "--json"]).expect_code(0);
    insta::assert_snapshot!(ended.stdout);
}

#[test]
fn an_error_points_at_its_line() {
    let folder = Folder::new();
    folder.write(
        "bad.yml",
        "config:\n  target: http://x\nscenarios:\n  - flow:\n      - get: { uri2: / }\n",
    );
    let ended = folder.run(&["check", "bad.yml"]).expect_code(1);
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn warnings_carry_their_place() {
    let folder = Folder::new();
    folder.write(
        "odd.yml",
        "config:\n  target: http://x\n  plugins:\n    slack: {}\nscenarios:\n  - flow:\n      - get: { url: / }\n",
    );
    let ended = folder.run(&["check", "odd.yml"]).expect_code(0);
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn a_loop_without_end_has_requests_without_end() {
    let folder = Folder::new();
    folder.write(
        "endless.yml",
        "config: {target: 'http://x', phases: [{duration: 1, arrivalRate: 1}]}\n\
         scenarios: [{flow: [{loop: [{get: {url: /}}]}]}]",
    );
    let ended = folder.run(&["check", "endless.yml"]).expect_code(0);
    assert!(
        ended
            .stdout
            .ends_with("1 user over 1 s, requests without end\n"),
        "{}",
        ended.stdout
    );
}
