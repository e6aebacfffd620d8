//! Bodies that captures look into as JSON, HTML, XML and text: whatever they
//! are, each capture finds something or does not, in bounded time and depth.

#![no_main]

use drumfire_artillery::capture::{CompiledCapture, capture};
use drumfire_artillery::path::Path;
use drumfire_artillery::response::ResponseView;
use drumfire_artillery::script::{Capture, Extractor, Group, SelectorIndex};
use drumfire_artillery::source::{Sources, Span};
use drumfire_artillery::template::Template;
use drumfire_protocols::Headers;
use libfuzzer_sys::fuzz_target;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::{Map, Value};

thread_local! {
    /// Compiled once, as for a run.
    static CAPTURES: Vec<CompiledCapture> =
        extractors().into_iter().enumerate().map(compiled).collect();
}

fuzz_target!(|body: &[u8]| {
    let headers = Headers::from_pairs([(&b"content-type"[..], &b"application/json"[..])]);
    let response = ResponseView::new(200, &headers, body);
    let scope = Map::<String, Value>::new();
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(1);
    CAPTURES.with(|captures| {
        let captured = capture(captures, &response, &scope, &mut chance);
        assert_eq!(captured.assignments.len(), captures.len());
        assert!(captured.failures.is_empty());
    });
});

/// One way to look of every kind.
fn extractors() -> [Extractor; 6] {
    let json = |expression: &str, pick_one| Extractor::Json {
        expression: Template::constant(expression),
        pick_one,
    };
    [
        json("$.items[0].id", true),
        json("$..id", false),
        Extractor::Xpath(Template::constant("//book[price > 1]/@id")),
        Extractor::Regexp {
            expression: Template::constant("(?<word>[a-z]+)-(\\d+)"),
            group: Some(Group::Name("word".to_owned())),
            flags: "i".to_owned(),
        },
        Extractor::Selector {
            expression: Template::constant("ul > li a.link[href]"),
            attribute: Some("href".to_owned()),
            index: SelectorIndex::Last,
        },
        Extractor::Header(Template::constant("content-type")),
    ]
}

/// A capture that may find nothing.
fn compiled((index, extractor): (usize, Extractor)) -> CompiledCapture {
    let capture = Capture {
        extractor,
        variable: Path::parse(&format!("found{index}")),
        strict: false,
        span: Span::start_of(Sources::default().add("fuzz", "")),
    };
    CompiledCapture::compile(&capture).expect("the expressions above are valid")
}
