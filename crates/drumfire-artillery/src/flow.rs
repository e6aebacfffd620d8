//! A flow flattened into a list of operations, so that a user who waits holds a
//! place in a list and not a chain of nested futures.

use std::sync::Arc;

use crate::javascript;
use crate::path::Path;
use crate::script::{Loop, Request, Step, StepKind, Think, Turns};
use crate::template::Template;
use crate::variables::Vars;
use rand::Rng;
use serde_json::Value;

/// One operation; `R` is what a request was compiled to.
pub(crate) enum Operation<R> {
    Request(Box<R>),
    Think(Think),
    Log(Template),
    /// Begins a loop, or skips it.
    Enter(Box<Entrance>),
    /// Ends a turn of the innermost loop: goes back to `body` or falls through.
    Repeat {
        body: usize,
    },
    Parallel(Box<Branches<R>>),
}

/// How a loop begins.
pub(crate) struct Entrance {
    turns: Turns,
    value: Arc<str>,
    element: Arc<str>,
    /// The operation after the loop.
    pub(crate) after: usize,
}

/// Steps to run side by side.
pub(crate) struct Branches<R> {
    pub(crate) branches: Vec<Vec<Operation<R>>>,
    pub(crate) limit: usize,
}

/// Flattens `steps`, compiling each request with `request`.
pub(crate) fn flatten<R, E>(
    steps: &[Step],
    request: &mut dyn FnMut(&Request) -> Result<R, E>,
) -> Result<Vec<Operation<R>>, E> {
    let mut operations = Vec::new();
    append(steps, request, &mut operations)?;
    Ok(operations)
}

fn append<R, E>(
    steps: &[Step],
    request: &mut dyn FnMut(&Request) -> Result<R, E>,
    operations: &mut Vec<Operation<R>>,
) -> Result<(), E> {
    for step in steps {
        match &step.kind {
            StepKind::Request(spec) => {
                operations.push(Operation::Request(Box::new(request(spec)?)))
            }
            StepKind::Think(think) => operations.push(Operation::Think(think.clone())),
            StepKind::Log(line) => operations.push(Operation::Log(line.clone())),
            StepKind::Loop(spec) => append_loop(spec, request, operations)?,
            StepKind::Parallel(spec) => {
                let branches = spec
                    .steps
                    .iter()
                    .map(|step| flatten(std::slice::from_ref(step), request))
                    .collect::<Result<_, E>>()?;
                operations.push(Operation::Parallel(Box::new(Branches {
                    branches,
                    limit: (spec.limit as usize).max(1),
                })));
            }
        }
    }
    Ok(())
}

fn append_loop<R, E>(
    spec: &Loop,
    request: &mut dyn FnMut(&Request) -> Result<R, E>,
    operations: &mut Vec<Operation<R>>,
) -> Result<(), E> {
    let enter = operations.len();
    operations.push(Operation::Repeat { body: 0 });
    append(&spec.steps, request, operations)?;
    operations.push(Operation::Repeat { body: enter + 1 });
    operations[enter] = Operation::Enter(Box::new(Entrance {
        turns: spec.turns.clone(),
        value: spec.value_variable.clone(),
        element: spec.element_variable.clone(),
        after: operations.len(),
    }));
    Ok(())
}

/// Where a user is in a loop.
pub(crate) struct Turning {
    turn: i64,
    end: Option<i64>,
    /// The elements, where the loop goes over a list.
    elements: Option<Vec<Value>>,
    value: Arc<str>,
    element: Arc<str>,
}

impl Turning {
    /// Begins a loop; none when it makes no turn.
    pub(crate) fn begin(
        entrance: &Entrance,
        vars: &mut Vars,
        rng: &mut dyn Rng,
    ) -> Option<Turning> {
        let (turn, end, elements) = match &entrance.turns {
            Turns::Range(from, to) => (*from, Some(*to), None),
            Turns::Templated(template) => {
                let (from, end) = range_of(template.render(vars, rng).as_ref());
                (from, end, None)
            }
            Turns::Endless => (0, None, None),
            Turns::Over(items) => {
                let elements: Vec<_> = items
                    .iter()
                    .map(|item| item.render(vars, rng).unwrap_or(Value::Null))
                    .collect();
                (0, Some(elements.len() as i64), Some(elements))
            }
            Turns::OverVariable(path) => {
                let elements = list_at(vars, path)?;
                (0, Some(elements.len() as i64), Some(elements))
            }
        };
        let turning = Turning {
            turn,
            end,
            elements,
            value: entrance.value.clone(),
            element: entrance.element.clone(),
        };
        turning.goes_on().then(|| {
            turning.show(vars);
            turning
        })
    }

    /// Ends a turn; whether another one follows.
    pub(crate) fn next(&mut self, vars: &mut Vars) -> bool {
        self.turn += 1;
        self.show(vars);
        self.goes_on()
    }

    fn goes_on(&self) -> bool {
        self.end.is_none_or(|end| self.turn < end)
    }

    fn show(&self, vars: &mut Vars) {
        let turn = Value::from(self.turn);
        let element = match &self.elements {
            Some(elements) => usize::try_from(self.turn)
                .ok()
                .and_then(|turn| elements.get(turn).cloned()),
            None => Some(turn.clone()),
        };
        vars.set(&self.value, Some(turn));
        vars.set(&self.element, element);
    }
}

/// What a `count` that was a template came to: a number, or `a-b`; anything
/// else makes no turn, and -1 turns for ever.
fn range_of(value: Option<&Value>) -> (i64, Option<i64>) {
    let text = value.map(javascript::text).unwrap_or_default();
    if let Ok(count) = text.trim().parse::<f64>() {
        return match count {
            -1.0 => (0, None),
            count => (0, Some(count as i64)),
        };
    }
    let bounds = text.split_once('-').and_then(|(from, to)| {
        let from = from.trim().parse::<i64>().ok()?;
        Some((from, Some(to.trim().parse::<i64>().ok()?)))
    });
    bounds.unwrap_or((0, Some(0)))
}

fn list_at(vars: &Vars, path: &Path) -> Option<Vec<Value>> {
    match path.get(vars)?.as_ref() {
        Value::Array(items) => Some(items.clone()),
        _ => None,
    }
}
