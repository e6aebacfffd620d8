//! What is made of an answer: captures and matches, expectations, apdex, in
//! Artillery's order.

use std::cell::RefCell;
use std::sync::Arc;

use drumfire_metrics::{CounterId, Recorder};
use drumfire_protocols::{Body, Headers, Wants};
use serde_json::Value;

use crate::apdex;
use crate::capture::{self, Captured, CompileError, CompiledCapture, capture};
use crate::expect::output::RequestFacts;
use crate::expect::{Checks, CompiledExpects, FAILED_COUNTER, OK_COUNTER};
use crate::matching::{CompiledMatch, mismatches};
use crate::response::ResponseView;
use crate::script::{Apdex, Config, Request};
use crate::session::{Failed, Session};
use crate::template::{Template, ValueTemplate};

/// The last answer to a request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a Headers,
    pub(crate) body: &'a [u8],
    /// Where the request was sent.
    pub(crate) url: &'a str,
    /// From the start of the exchange to the last byte.
    pub(crate) total_ns: u64,
}

/// How the answers to one request are judged.
pub(crate) struct Judge {
    captures: Vec<CompiledCapture>,
    matches: Vec<CompiledMatch>,
    expects: Option<Expects>,
    apdex: Option<(Apdex, [CounterId; 3])>,
    wants: Wants,
}

struct Expects {
    compiled: CompiledExpects,
    /// Failed and ok, of all types.
    totals: [CounterId; 2],
    /// Failed and ok, of each expectation's type where it is known.
    counters: Vec<[Option<CounterId>; 2]>,
    method: Arc<str>,
    name: Option<Template>,
    json: Option<ValueTemplate>,
}

impl Judge {
    /// Compiles what `request` says of its answers.
    ///
    /// # Errors
    /// An expression is none.
    pub(crate) fn compile(
        request: &Request,
        config: &Config,
        recorder: &RefCell<Recorder>,
    ) -> Result<Judge, CompileError> {
        let captures = request.captures.iter().map(CompiledCapture::compile);
        let captures = captures.collect::<Result<Vec<_>, _>>()?;
        let matches = request.matches.iter().map(CompiledMatch::compile);
        let matches = matches.collect::<Result<Vec<_>, _>>()?;
        let expects = Expects::compile(request, config, recorder)?;
        let apdex = config.plugins.apdex.map(|apdex| {
            let mut recorder = recorder.borrow_mut();
            (apdex, apdex::COUNTERS.map(|name| recorder.counter(name)))
        });
        let reads_body = captures.iter().any(CompiledCapture::reads_body)
            || matches.iter().any(CompiledMatch::reads_body)
            || expects.as_ref().is_some_and(|e| e.compiled.reads_body());
        let body = match (reads_body, request.decompress) {
            (false, _) => Body::Discard,
            (true, true) => Body::KeepDecoded,
            (true, false) => Body::Keep,
        };
        let headers = !captures.is_empty() || !matches.is_empty() || expects.is_some();
        Ok(Judge {
            captures,
            matches,
            expects,
            apdex,
            wants: Wants { headers, body },
        })
    }

    /// What must be kept of the answer.
    pub(crate) fn wants(&self) -> Wants {
        self.wants
    }

    /// Sets what the answer gives and counts what it is worth.
    pub(crate) fn judge(&self, session: &Session<'_>, answer: &Answer<'_>) -> Result<(), Failed> {
        let response = ResponseView::new(answer.status, answer.headers, answer.body);
        let found = self.find(session, &response);
        if let Some(expects) = &self.expects {
            expects.hold(session, answer, &response)?;
        }
        if let Some((apdex, counters)) = &self.apdex {
            let satisfaction = apdex.satisfaction(answer.total_ns);
            let mut recorder = session.script.recorder().borrow_mut();
            // All three appear, as zero where nobody was so.
            for (index, counter) in counters.iter().enumerate() {
                recorder.add(*counter, u64::from(index == satisfaction as usize));
            }
        }
        match found {
            true => Ok(()),
            false => Err(session.fail(capture::FAILED)),
        }
    }

    /// Captures and matches; sets nothing unless all of them succeed.
    fn find(&self, session: &Session<'_>, response: &ResponseView<'_>) -> bool {
        if self.captures.is_empty() && self.matches.is_empty() {
            return true;
        }
        let rng = &mut *session.rng.borrow_mut();
        let (captured, missed) = {
            let vars = &*session.vars.borrow();
            let captured = capture(&self.captures, response, vars, rng);
            let missed = mismatches(&self.matches, response, vars, rng);
            (captured, missed)
        };
        let Captured {
            assignments,
            failures,
        } = captured;
        if !failures.is_empty() || missed.iter().any(|mismatch| mismatch.strict) {
            return false;
        }
        let mut vars = session.vars.borrow_mut();
        for assignment in assignments {
            vars.set_path(assignment.variable, assignment.value);
        }
        true
    }
}

impl Expects {
    fn compile(
        request: &Request,
        config: &Config,
        recorder: &RefCell<Recorder>,
    ) -> Result<Option<Expects>, CompileError> {
        let Some(options) = &config.plugins.expect else {
            return Ok(None);
        };
        let compiled = CompiledExpects::compile(&request.expects, options)?;
        if compiled.is_empty() {
            return Ok(None);
        }
        let mut recorder = recorder.borrow_mut();
        let mut counter = |name: Option<&str>| name.map(|name| recorder.counter(name));
        let counters = (0..compiled.len())
            .map(|index| [false, true].map(|ok| counter(compiled.counter(index, ok))))
            .collect();
        Ok(Some(Expects {
            totals: [FAILED_COUNTER, OK_COUNTER].map(|name| recorder.counter(name)),
            counters,
            method: request.method.clone(),
            name: request.name.clone(),
            json: match &request.body {
                crate::script::Body::Json(json) => Some(json.clone()),
                _ => None,
            },
            compiled,
        }))
    }

    /// Checks, counts and prints.
    fn hold(
        &self,
        session: &Session<'_>,
        answer: &Answer<'_>,
        response: &ResponseView<'_>,
    ) -> Result<(), Failed> {
        let rng = &mut *session.rng.borrow_mut();
        let vars = session.vars.borrow();
        let checks = self.compiled.check(response, &*vars, rng);
        self.count(&checks, session.script.recorder());
        let name = self.name.as_ref();
        let name = || name.and_then(|name| name.render_text(&*vars, &mut session.chance()));
        if session.script.may_print_expectations() {
            let (name, json) = (name(), self.json(session));
            let request = RequestFacts {
                method: &self.method,
                url: answer.url,
                name: name.as_deref(),
                json: json.as_ref(),
            };
            let variables = || vars.own().into_iter().collect();
            let text = self
                .compiled
                .output(&checks, request, response, &variables, false);
            if !text.is_empty() {
                session.script.print_expectations(text);
            }
        }
        if checks.iter().all(|check| check.ok) {
            return Ok(());
        }
        match self
            .compiled
            .failure(&checks, name().as_deref(), answer.url)
        {
            Some(code) => Err(session.fail(&code)),
            None => Ok(()),
        }
    }

    fn json(&self, session: &Session<'_>) -> Option<Value> {
        let json = self.json.as_ref()?;
        json.render(&*session.vars.borrow(), &mut session.chance())
    }

    fn count(&self, checks: &Checks<'_>, recorder: &RefCell<Recorder>) {
        let mut recorder = recorder.borrow_mut();
        for check in checks {
            let ok = usize::from(check.ok);
            recorder.add(self.totals[ok], 1);
            let counter = match self.counters[check.index][ok] {
                Some(counter) => counter,
                None => recorder.counter(&check.counter()),
            };
            recorder.add(counter, 1);
        }
    }
}
