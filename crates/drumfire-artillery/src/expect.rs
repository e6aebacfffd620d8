//! The expect plugin: what is expected of each response, how it is counted and what is printed.

mod checks;
pub mod output;

use std::borrow::Cow;
use std::sync::Arc;

use rand::Rng;
use serde_json::Value;
use smallvec::SmallVec;

use crate::capture::CompileError;
use crate::path::Scope;
use crate::response::ResponseView;
use crate::script::{Expect, ExpectFormatter, ExpectKind, ExpectOptions};
use crate::template::ValueTemplate;
use checks::Checker;

/// The exit code of a run in which an expectation failed.
pub const EXIT_CODE: i32 = 21;

/// Counts every expectation that held; one counter more says which type it was.
pub const OK_COUNTER: &str = "plugins.expect.ok";

/// Counts every expectation that failed; one counter more says which type it was.
pub const FAILED_COUNTER: &str = "plugins.expect.failed";

/// A request's expectations, ready to check.
#[derive(Debug, Clone)]
pub struct CompiledExpects {
    expects: Box<[CompiledExpect]>,
    options: ExpectOptions,
}

#[derive(Debug, Clone)]
struct CompiledExpect {
    checker: Checker,
    /// Absent where the type has a variable in it.
    names: Option<Names>,
}

/// The name of an expectation's type, alone and in its two counters.
#[derive(Debug, Clone)]
struct Names {
    type_name: Arc<str>,
    ok_counter: Arc<str>,
    failed_counter: Arc<str>,
}

impl Names {
    fn new(type_name: &str) -> Names {
        Names {
            type_name: type_name.into(),
            ok_counter: format!("{OK_COUNTER}.{type_name}").into(),
            failed_counter: format!("{FAILED_COUNTER}.{type_name}").into(),
        }
    }
}

/// One expectation held against one response.
#[derive(Debug, Clone, PartialEq)]
pub struct Check<'e> {
    /// Which of the request's expectations, from 0.
    pub index: usize,
    /// Its type as counters and reports name it.
    pub type_name: Cow<'e, str>,
    /// Whether it held.
    pub ok: bool,
    /// What was expected.
    pub expected: Shown<'e>,
    /// What there was.
    pub got: Shown<'e>,
}

impl Check<'_> {
    /// The counter of its type to add 1 to, beside [`OK_COUNTER`] or [`FAILED_COUNTER`]. Where
    /// [`CompiledExpects::counter`] knows it, that one costs nothing.
    pub fn counter(&self) -> String {
        let all = if self.ok { OK_COUNTER } else { FAILED_COUNTER };
        format!("{all}.{}", self.type_name)
    }
}

/// A value in a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown<'e> {
    /// Nothing is known.
    Undefined,
    /// A status code.
    Status(u16),
    /// True or false.
    Truth(bool),
    /// A text.
    Text(Cow<'e, str>),
    /// A value of the script.
    Value(Cow<'e, Value>),
}

/// The checks of one response; those of most requests need no allocation.
pub type Checks<'e> = SmallVec<[Check<'e>; 2]>;

impl CompiledExpects {
    /// Compiles the expectations of a request. None of its own are status 200 with
    /// `expectDefault200`.
    ///
    /// # Errors
    ///
    /// When a regular expression or JMESPath without templates in it is not one.
    pub fn compile(
        expects: &[Expect],
        options: &ExpectOptions,
    ) -> Result<CompiledExpects, CompileError> {
        let mut compiled = expects
            .iter()
            .map(CompiledExpect::compile)
            .collect::<Result<Vec<_>, _>>()?;
        if compiled.is_empty() && options.expect_default_200 {
            let status = ExpectKind::StatusCode(ValueTemplate::constant(200.into()));
            let checker = Checker::compile(&status).expect("a number compiles");
            compiled.push(CompiledExpect {
                checker,
                names: Some(Names::new("statusCode")),
            });
        }
        Ok(CompiledExpects {
            expects: compiled.into(),
            options: options.clone(),
        })
    }

    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.expects.is_empty()
    }

    /// Whether the body must be kept: for a check of it, or to print it beside a failure.
    pub fn reads_body(&self) -> bool {
        let prints_bodies = matches!(
            self.options.formatter,
            ExpectFormatter::Pretty | ExpectFormatter::PrettyError
        );
        !self.is_empty() && prints_bodies
            || self
                .expects
                .iter()
                .any(|expect| expect.checker.reads_body())
    }

    /// Holds all expectations against `response`.
    pub fn check<'e>(
        &'e self,
        response: &ResponseView<'_>,
        scope: &dyn Scope,
        rng: &mut dyn Rng,
    ) -> Checks<'e> {
        let mut checks = Checks::new();
        for (index, expect) in self.expects.iter().enumerate() {
            let finding = expect.checker.check(response, scope, rng);
            let type_name = match (&expect.names, finding.type_name) {
                (Some(names), _) => Cow::Borrowed(&*names.type_name),
                (None, found) => Cow::Owned(found.unwrap_or_default()),
            };
            checks.push(Check {
                index,
                type_name,
                ok: finding.ok,
                expected: finding.expected,
                got: finding.got,
            });
        }
        checks
    }

    /// How many expectations there are.
    pub fn len(&self) -> usize {
        self.expects.len()
    }

    /// The counter of the type of expectation `index`, for when it holds or fails: to be asked for
    /// once, at load time. `None` where the type depends on a variable; see [`Check::counter`].
    pub fn counter(&self, index: usize, ok: bool) -> Option<&str> {
        let names = self.expects[index].names.as_ref()?;
        Some(if ok {
            &names.ok_counter
        } else {
            &names.failed_counter
        })
    }

    /// What ends the user, and what `errors.` counts it by, when an expectation failed and
    /// `reportFailuresAsErrors` is set. It comes before a failed capture.
    pub fn failure(&self, checks: &[Check<'_>], name: Option<&str>, url: &str) -> Option<String> {
        if !self.options.report_failures_as_errors || checks.iter().all(|check| check.ok) {
            return None;
        }
        let request = name
            .filter(|name| self.options.use_only_request_names && !name.is_empty())
            .unwrap_or(url);
        Some(format!("Failed expectations for request {request}"))
    }

    /// How the plugin reports.
    pub fn options(&self) -> &ExpectOptions {
        &self.options
    }
}

impl CompiledExpect {
    fn compile(expect: &Expect) -> Result<CompiledExpect, CompileError> {
        let checker = Checker::compile(&expect.kind).map_err(|message| CompileError {
            span: expect.span,
            message,
        })?;
        let names = match (&expect.kind, expect.kind.type_name()) {
            (ExpectKind::HeaderEquals(name, _), _) => name
                .as_constant()
                .map(|name| Names::new(&checks::header_type(name))),
            (_, name) => name.map(Names::new),
        };
        Ok(CompiledExpect { checker, names })
    }
}

#[cfg(test)]
mod tests;
