//! One iteration of one user: walks the operations of a scenario.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::time::Duration;

use drumfire_engine::{Iteration, IterationEnd};
use drumfire_protocols::Connections;
use drumfire_reactor::{Part, now, sleep_until, will_touch, yield_now};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;

use crate::duration;
use crate::flow::{Branches, Operation, Turning};
use crate::jar::Jar;
use crate::program::ShardScript;
use crate::script::{Jitter, Think, ThinkTime};
use crate::send::SendableRequest;
use crate::variables::Vars;

/// Turns of a loop without a pause before the other users get their turn.
const TURNS_PER_YIELD: u32 = 64;

/// A user for whom a payload that gives each row once has none left.
const PAYLOAD_USED_UP: &str = "payload_used_up";

/// What Artillery counts for a think time that is neither a text nor a number.
const NO_TIME_AT_ALL: &str = "val is not a non-empty string or a valid number. val=";

/// A user ended by a failing step; what failed has been counted.
pub(crate) struct Failed;

/// A user in the middle of its scenario. Parallel branches share it, hence the cells;
/// none is borrowed across a wait.
pub(crate) struct Session<'a> {
    pub(crate) script: &'a ShardScript,
    pub(crate) connections: &'a Connections,
    pub(crate) vars: RefCell<Vars>,
    pub(crate) rng: RefCell<Xoshiro256PlusPlus>,
    pub(crate) jar: RefCell<Jar>,
    iteration: Iteration,
}

/// Where one line of steps is in time: when its next request is due.
pub(crate) struct Due(Cell<u64>);

impl Due {
    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }

    pub(crate) fn set(&self, due_ns: u64) {
        self.0.set(due_ns);
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        script: &'a ShardScript,
        connections: &'a Connections,
        iteration: Iteration,
    ) -> Self {
        Session {
            script,
            connections,
            vars: RefCell::new(Vars::new(script.variables.clone(), iteration.number)),
            rng: RefCell::new(Xoshiro256PlusPlus::seed_from_u64(iteration.seed.0)),
            jar: RefCell::new(Jar::new(
                script.script.config.http.default_cookies.is_some(),
            )),
            iteration,
        }
    }

    /// Runs a scenario picked by weight.
    pub(crate) async fn run(self) -> IterationEnd {
        let chance = self.rng.borrow_mut().random();
        let Some(scenario) = self.script.pick(chance) else {
            return IterationEnd::Completed;
        };
        let recorder = self.script.recorder();
        recorder.borrow_mut().add(scenario.created, 1);
        if self.vars.borrow().are_used_up() {
            self.fail(PAYLOAD_USED_UP);
            return IterationEnd::Failed;
        }
        match self.run_flow(&scenario.operations).await {
            Ok(()) => IterationEnd::Completed,
            Err(Failed) => IterationEnd::Failed,
        }
    }

    pub(crate) async fn run_flow(
        &self,
        operations: &[Operation<SendableRequest>],
    ) -> Result<(), Failed> {
        let due = Due(Cell::new(self.iteration.intended_ns));
        self.walk(operations, &due).await
    }

    async fn walk(
        &self,
        operations: &[Operation<SendableRequest>],
        due: &Due,
    ) -> Result<(), Failed> {
        let mut loops: Vec<Turning> = Vec::new();
        let mut turns_in_a_row = 0;
        let mut at = 0;
        while let Some(operation) = operations.get(at) {
            at += 1;
            match operation {
                Operation::Request(request) => {
                    if request.applies(self) {
                        turns_in_a_row = 0;
                        let step = Box::pin(request.send(self, due));
                        will_touch(Part::Step, &*step);
                        step.await?;
                    }
                }
                Operation::Think(think) => {
                    turns_in_a_row = 0;
                    self.think(think, due).await?;
                }
                Operation::Log(line) => self.log(line),
                Operation::Enter(entrance) => {
                    let rng = &mut *self.rng.borrow_mut();
                    match Turning::begin(entrance, &mut self.vars.borrow_mut(), rng) {
                        Some(turning) => loops.push(turning),
                        None => at = entrance.after,
                    }
                }
                Operation::Repeat { body } => {
                    let turning = loops.last_mut().expect("a loop ends inside itself");
                    will_touch(Part::Loop, turning);
                    if turning.next(&mut self.vars.borrow_mut()) {
                        at = *body;
                    } else {
                        loops.pop();
                    }
                    turns_in_a_row += 1;
                    if turns_in_a_row % TURNS_PER_YIELD == 0 {
                        yield_now().await;
                    }
                }
                Operation::Parallel(branches) => {
                    Box::pin(self.run_beside(branches, due)).await?;
                }
            }
        }
        Ok(())
    }

    /// Runs branches side by side, so many at a time; the first failure ends them all.
    async fn run_beside<'b>(
        &self,
        branches: &'b Branches<SendableRequest>,
        due: &Due,
    ) -> Result<(), Failed> {
        let start_ns = due.get();
        let mut waiting = branches.branches.iter();
        let run = |operations: &'b Vec<Operation<SendableRequest>>| async move {
            let due = Due(Cell::new(start_ns));
            self.walk(operations, &due).await.map(|()| due.get())
        };
        let mut running: FuturesUnordered<_> =
            waiting.by_ref().take(branches.limit).map(run).collect();
        while let Some(ended) = running.next().await {
            due.set(due.get().max(ended?));
            running.extend(waiting.next().map(run));
        }
        Ok(())
    }

    async fn think(&self, think: &Think, due: &Due) -> Result<(), Failed> {
        let pause = self.think_time(think)?;
        // A pause counts from when the step began, not from when it should have.
        let until_ns = now().saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX));
        sleep_until(until_ns).await;
        due.set(until_ns);
        Ok(())
    }

    fn think_time(&self, think: &Think) -> Result<Duration, Failed> {
        let rng = &mut *self.rng.borrow_mut();
        let time = match &think.time {
            ThinkTime::Fixed(time) => *time,
            ThinkTime::Templated(template) => {
                let value = template.render(&*self.vars.borrow(), rng);
                let parsed = value.as_ref().and_then(duration::parse_value);
                parsed.ok_or_else(|| {
                    let text = value.as_ref().map_or_else(
                        || Cow::Borrowed("undefined"),
                        |value| Cow::Owned(crate::javascript::text(value)),
                    );
                    self.fail(&match value {
                        None | Some(Value::Object(_)) => format!("{NO_TIME_AT_ALL}{text}"),
                        Some(_) => format!("Invalid think time: {text}"),
                    })
                })?
            }
        };
        let spread_ms = match think.jitter {
            None => return Ok(time),
            Some(Jitter::Percent(percent)) => time.as_secs_f64() * 10.0 * percent,
            Some(Jitter::Milliseconds(ms)) => ms,
        };
        let shift_ms = rng.random_range(-spread_ms..=spread_ms);
        let jittered = (time.as_secs_f64() + shift_ms / 1000.0).max(0.0);
        Ok(Duration::from_secs_f64(jittered))
    }

    fn log(&self, line: &crate::template::Template) {
        let rng = &mut *self.rng.borrow_mut();
        let text = line.render_text(&*self.vars.borrow(), rng);
        let text = text.unwrap_or_else(|| "undefined".to_owned());
        self.script.shard.log(text);
    }

    /// Chance for what is only shown: it leaves the user's own untouched.
    pub(crate) fn chance(&self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.iteration.seed.0)
    }

    /// Counts a step's failure that is not an exchange's.
    pub(crate) fn fail(&self, code: &str) -> Failed {
        self.script.recorder().borrow_mut().error(code);
        Failed
    }
}
