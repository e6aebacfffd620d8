//! Scripts: any YAML or JSON is refused with an error that can be shown, or
//! loaded, with warnings that can be shown; and its load can be planned.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::phases::open_load;
use libfuzzer_sys::fuzz_target;

/// Seed of what chance decides in a load.
const SEED: u64 = 1;

/// A table of payload rows that scripts may name.
const ROWS: &[u8] = b"name,age\nAda,36\n\"Bob, Jr.\",7\n";

fuzz_target!(|text: &[u8]| {
    let files = BTreeMap::from([
        ("a.yml".to_owned(), Arc::from(text)),
        ("rows.csv".to_owned(), Arc::from(ROWS)),
    ]);
    let options = LoadOptions {
        scripts: vec!["a.yml".to_owned()],
        test_id: "fuzz".to_owned(),
        seed: SEED,
        ..LoadOptions::default()
    };
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
    match load(&options, &files, &environment) {
        Ok(script) => {
            for span in script.warnings.iter().filter_map(|warning| warning.span) {
                assert!(!script.sources.place(span).to_string().is_empty());
            }
            assert!(!script.scenarios.is_empty());
            if let Ok(Some(plan)) = open_load(&script.config.phases, SEED) {
                assert!(plan.total() > 0);
            }
        }
        Err(error) => assert!(error.render().contains(error.message())),
    }
});
