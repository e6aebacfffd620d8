//! Result files, which `drumfire report` and `compare` read from anyone: each
//! is refused or read, and what was read can be rendered, merged with itself
//! and read again.

#![no_main]

use drumfire_report::{findings, html, result};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mut summary) = result::parse(text) else {
        return;
    };
    let rendered = result::render(&summary);
    let again = result::parse(&rendered).expect("what was rendered can be read");
    assert_eq!(rendered, result::render(&again));
    findings::render(&summary);
    html::render(&summary);
    summary.merge(&again);
    result::render(&summary);
});
