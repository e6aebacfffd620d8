//! `match`: what a response must say. Compared as JavaScript's `===` does, so 42 is not `"42"`.

use rand::Rng;
use serde_json::Value;

use crate::capture::{CompileError, Finder};
use crate::javascript;
use crate::path::Scope;
use crate::response::ResponseView;
use crate::script::Match;
use crate::template::ValueTemplate;

/// A match ready to run.
#[derive(Debug, Clone)]
pub struct CompiledMatch {
    finder: Finder,
    value: ValueTemplate,
    strict: bool,
}

/// A match that did not.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// Which of the request's matches, from 0.
    pub index: usize,
    /// Whether it ends the user, with [`crate::capture::FAILED`].
    pub strict: bool,
    /// What was expected; `None` is undefined.
    pub expected: Option<Value>,
    /// What was found, or why nothing was.
    pub got: Result<Option<Value>, String>,
}

impl CompiledMatch {
    /// Compiles a match.
    ///
    /// # Errors
    ///
    /// When a JSONPath, regular expression, selector or XPath without templates in it is not one.
    pub fn compile(one: &Match) -> Result<CompiledMatch, CompileError> {
        Ok(CompiledMatch {
            finder: Finder::compile(&one.extractor, one.span)?,
            value: one.value.clone(),
            strict: one.strict,
        })
    }

    /// Whether the match looks at the body, which must be kept for it then.
    pub fn reads_body(&self) -> bool {
        self.finder.reads_body()
    }

    fn holds(&self, found: Option<&Value>, scope: &dyn Scope, rng: &mut dyn Rng) -> bool {
        if let Some(expected) = self.value.as_constant() {
            return found.is_some_and(|found| javascript::strictly_equal(found, expected));
        }
        match (found, self.value.render(scope, rng)) {
            (Some(found), Some(expected)) => javascript::strictly_equal(found, &expected),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Runs `matches` over `response` and gives those that did not match. The variables are those from
/// before the request's own captures.
pub fn mismatches(
    matches: &[CompiledMatch],
    response: &ResponseView<'_>,
    scope: &dyn Scope,
    rng: &mut dyn Rng,
) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (index, one) in matches.iter().enumerate() {
        let got = one.finder.find(response, scope, rng);
        if let Ok(found) = &got
            && one.holds(found.as_ref(), scope, rng)
        {
            continue;
        }
        mismatches.push(Mismatch {
            index,
            strict: one.strict,
            expected: one.value.render(scope, rng),
            got,
        });
    }
    mismatches
}

#[cfg(test)]
mod tests {
    use drumfire_protocols::Headers;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use serde_json::{Map, json};

    use super::*;
    use crate::functions::Functions;
    use crate::script::Extractor;
    use crate::source::{Sources, Span};
    use crate::template::Template;

    #[test]
    fn types_must_agree() {
        let headers = Headers::from_pairs([(&b"x-id"[..], &b"42"[..])]);
        let response = ResponseView::new(200, &headers, br#"{"id": 42, "ok": true, "list": [1]}"#);
        let scope: Map<String, Value> = [("id".to_owned(), json!(42))].into_iter().collect();
        let json_path = |text: &str| Extractor::Json {
            expression: Template::parse(text),
            pick_one: true,
        };
        let header = || Extractor::Header(Template::parse("x-id"));
        for (extractor, value, holds) in [
            (json_path("$.id"), json!(42), true),
            (json_path("$.id"), json!(42.0), true),
            (json_path("$.id"), json!("42"), false),
            (json_path("$.id"), json!("{{ id }}"), true),
            (json_path("$.id"), json!("{{ id }}0"), false),
            (json_path("$.ok"), json!(true), true),
            (json_path("$.list"), json!([1]), false),
            (json_path("$.missing"), json!("{{ missing }}"), true),
            (json_path("$.missing"), json!(""), false),
            (json_path("$.{{ id"), json!(1), false),
            (header(), json!("42"), true),
            (header(), json!("{{ id }}"), false),
            (Extractor::Nothing, json!(""), true),
        ] {
            let label = format!("{extractor:?} {value}");
            let one = Match {
                extractor,
                value: ValueTemplate::compile(&value, &Functions::default()),
                strict: true,
                span: Span::start_of(Sources::default().add("test.yml", "")),
            };
            let matches = [CompiledMatch::compile(&one).expect("it compiles")];
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
            let failed = mismatches(&matches, &response, &scope, &mut rng);
            assert_eq!(failed.is_empty(), holds, "{label}");
        }
    }

    #[test]
    fn a_mismatch_says_what_was_expected_and_found() {
        let headers = Headers::from_pairs([]);
        let response = ResponseView::new(200, &headers, b"no json");
        let one = Match {
            extractor: Extractor::Json {
                expression: Template::parse("$.id"),
                pick_one: true,
            },
            value: ValueTemplate::constant(json!(1)),
            strict: false,
            span: Span::start_of(Sources::default().add("test.yml", "")),
        };
        let matches = [CompiledMatch::compile(&one).expect("it compiles")];
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let failed = mismatches(&matches, &response, &Map::new(), &mut rng);
        let expected = Mismatch {
            index: 0,
            strict: false,
            expected: Some(json!(1)),
            got: Err("body is not JSON".to_owned()),
        };
        assert_eq!(failed, [expected]);
    }
}
