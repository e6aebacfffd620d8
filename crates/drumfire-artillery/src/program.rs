//! An Artillery script as a program for the engine: compiled once per shard,
//! then one small user per arrival.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use drumfire_engine::{
    Iteration, IterationFuture, PreparingFuture, Program, ProgramError, ProgramHealth, Shard,
    ShardProgram, VirtualUser,
};
use drumfire_metrics::{CounterId, Recorder};
use drumfire_plan::Share;
use drumfire_protocols::{Client, ClientConfig, Connections, RequestBytes, Timeouts};
use drumfire_reactor::{Part, now, will_touch};
use serde_json::{Map, Value};

use crate::capture::CompileError;
use crate::endpoint::{Endpoint, intern};
use crate::flow::{Operation, flatten};
use crate::judge::Judge;
use crate::prepare::prepare;
use crate::script::{Request, Scenario, Script, Step, StepKind};
use crate::send::SendableRequest;
use crate::session::Session;
use crate::variables::SharedVariables;

/// Lines about expectations that a shard prints in a run before it only counts
/// them: a person reads no more, and printing would cost more than the requests.
const EXPECT_LINES_LIMIT: u32 = 10_000;

/// A loaded script that is ready to run.
pub struct ArtilleryProgram {
    script: Arc<Script>,
    client: ClientConfig,
    /// What `before` captured.
    before: Map<String, Value>,
    test_id: String,
    seed: u64,
    unix_now_s: i64,
    preconnect: u32,
}

impl ArtilleryProgram {
    /// A program for `script` whose requests go through clients of `client`,
    /// with the variables that its `before` section set; `unix_now_s` is the
    /// wall clock, for cookies that expire.
    pub fn new(
        script: Arc<Script>,
        client: ClientConfig,
        before: Map<String, Value>,
        test_id: String,
        seed: u64,
        unix_now_s: i64,
    ) -> Self {
        ArtilleryProgram {
            script,
            client,
            before,
            test_id,
            seed,
            unix_now_s,
            preconnect: 0,
        }
    }

    /// The same with so many connections to the script's target opened before the start, over all processes and shards.
    pub fn preconnecting(self, connections: u32) -> Self {
        ArtilleryProgram {
            preconnect: connections,
            ..self
        }
    }

    /// The script.
    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// The variables that `before` set.
    pub fn before(&self) -> &Map<String, Value> {
        &self.before
    }

    pub(crate) fn shard(&self, shard: Shard) -> Result<Rc<ShardScript>, CompileError> {
        let mut client = self.client.clone();
        if let Some(pool) = &mut client.pool_sockets {
            let (shards, index) = (shard.shards as usize, shard.index as usize);
            *pool = *pool / shards + usize::from(index < *pool % shards);
        }
        Ok(Rc::new(ShardScript::new(self, Client::new(client), shard)?))
    }
}

impl Program for ArtilleryProgram {
    fn open(&self, shard: Shard) -> Result<Rc<dyn ShardProgram>, ProgramError> {
        if speaks_tls(&self.script) {
            // Reading the system's certificates takes tens of milliseconds: not in the first handshake.
            self.client.tls.load();
        }
        let script = self.shard(shard);
        let script = script.map_err(|error| ProgramError(error.to_string()))?;
        Ok(Rc::new(OpenScript(script)))
    }

    fn shards_limit(&self) -> Option<u32> {
        self.client
            .pool_sockets
            .map(|sockets| u32::try_from(sockets).unwrap_or(u32::MAX))
    }
}

/// A script as compiled for one shard.
pub(crate) struct ShardScript {
    pub(crate) script: Arc<Script>,
    pub(crate) client: Client,
    pub(crate) shard: Shard,
    pub(crate) variables: Rc<SharedVariables>,
    pub(crate) timeouts: Timeouts,
    pub(crate) scenarios: Vec<CompiledScenario>,
    /// Buffers in which requests are built.
    pub(crate) spare_bytes: RefCell<Vec<RequestBytes>>,
    pub(crate) expect_lines_left: Cell<u32>,
    pub(crate) descriptors_exhausted: Cell<u64>,
    pub(crate) ports_exhausted: Cell<u64>,
    /// Connections that all shards of all processes open before the start.
    pub(crate) preconnect: u32,
    weight_total: u64,
    /// Seconds since 1970 at the zero of the reactor's clock.
    unix_zero_s: i64,
}

/// A scenario as compiled for one shard.
pub(crate) struct CompiledScenario {
    pub(crate) operations: Vec<Operation<SendableRequest>>,
    pub(crate) created: CounterId,
    weight: u64,
}

impl ShardScript {
    fn new(program: &ArtilleryProgram, client: Client, shard: Shard) -> Result<Self, CompileError> {
        let script = program.script.clone();
        let variables =
            SharedVariables::new(&script, &program.test_id, &program.before, program.seed);
        let compile =
            |(index, scenario)| compile_scenario(&script, &shard.recorder, index, scenario);
        let scenarios = script.scenarios.iter().enumerate().map(compile);
        let mut scenarios = scenarios.collect::<Result<Vec<_>, _>>()?;
        if let Some(selected) = script.selected {
            for (index, scenario) in scenarios.iter_mut().enumerate() {
                scenario.weight = u64::from(index == selected);
            }
        }
        Ok(ShardScript {
            client,
            variables: Rc::new(variables),
            timeouts: Timeouts::artillery(script.config.http.response_timeout),
            weight_total: scenarios.iter().map(|scenario| scenario.weight).sum(),
            scenarios,
            spare_bytes: RefCell::default(),
            expect_lines_left: Cell::new(EXPECT_LINES_LIMIT),
            descriptors_exhausted: Cell::default(),
            ports_exhausted: Cell::default(),
            preconnect: program.preconnect,
            unix_zero_s: program.unix_now_s - (now() / 1_000_000_000) as i64,
            script,
            shard,
        })
    }

    pub(crate) fn recorder(&self) -> &RefCell<Recorder> {
        &self.shard.recorder
    }

    /// The scenario that a number below 2^64 draws, by weight; none where all
    /// weights are zero.
    pub(crate) fn pick(&self, chance: u64) -> Option<&CompiledScenario> {
        let mut left = ((u128::from(chance) * u128::from(self.weight_total)) >> 64) as u64;
        self.scenarios.iter().find(|scenario| {
            let picked = left < scenario.weight;
            left = left.saturating_sub(scenario.weight);
            picked
        })
    }

    /// Seconds since 1970 at `now_ns` of the reactor's clock.
    pub(crate) fn unix_s(&self, now_ns: u64) -> i64 {
        self.unix_zero_s + (now_ns / 1_000_000_000) as i64
    }

    /// Whether expectations are still printed, or only counted.
    pub(crate) fn may_print_expectations(&self) -> bool {
        self.expect_lines_left.get() > 0
    }

    /// Prints about expectations, as long as somebody may read it.
    pub(crate) fn print_expectations(&self, text: String) {
        let left = self.expect_lines_left.get() - 1;
        self.expect_lines_left.set(left);
        self.shard.log(text.trim_end().to_owned());
        if left == 0 {
            let limit = EXPECT_LINES_LIMIT;
            let line = format!("further expectations are counted and not shown (after {limit})");
            self.shard.log(line);
        }
    }

    /// A user's connections.
    pub(crate) fn connections(&self) -> Connections {
        self.client.connections()
    }
}

/// Whether a URL that is known at load time is an https one.
fn speaks_tls(script: &Script) -> bool {
    let https = |url: &str| url.starts_with("https:");
    let mut flows = script.scenarios.iter().map(|scenario| &scenario.flow);
    script.config.target.as_deref().is_some_and(https)
        || flows.any(|flow| requests(flow).any(|request| https(&request.url_text)))
}

/// All requests of a flow, those in loops and branches too.
pub(crate) fn requests(steps: &[Step]) -> Box<dyn Iterator<Item = &Request> + '_> {
    Box::new(steps.iter().flat_map(|step| match &step.kind {
        StepKind::Request(request) => Box::new(std::iter::once(&**request)),
        StepKind::Loop(spec) => requests(&spec.steps),
        StepKind::Parallel(spec) => requests(&spec.steps),
        StepKind::Think(_) | StepKind::Log(_) => Box::new(std::iter::empty()),
    }))
}

fn compile_scenario(
    script: &Script,
    recorder: &RefCell<Recorder>,
    index: usize,
    scenario: &Scenario,
) -> Result<CompiledScenario, CompileError> {
    let created = format!("vusers.created_by_name.{}", scenario.title(index));
    let created = recorder.borrow_mut().counter(&created);
    Ok(CompiledScenario {
        operations: compile_flow(script, recorder, scenario)?,
        created,
        weight: u64::from(scenario.weight),
    })
}

/// Compiles everything once, for the errors in it.
///
/// # Errors
/// An expression is none.
pub(crate) fn check_expressions(script: &Script) -> Result<(), CompileError> {
    let recorder = RefCell::default();
    let sections = script.before.iter().chain(&script.after);
    for scenario in script.scenarios.iter().chain(sections) {
        compile_flow(script, &recorder, scenario)?;
    }
    Ok(())
}

pub(crate) fn compile_flow(
    script: &Script,
    recorder: &RefCell<Recorder>,
    scenario: &Scenario,
) -> Result<Vec<Operation<SendableRequest>>, CompileError> {
    let mut compile = |request: &Request| {
        let options = &script.config.plugins.metrics_by_endpoint;
        let target = script.config.target.as_deref();
        let endpoint = Endpoint::of(request, options, target, recorder);
        let hops = intern(recorder, None);
        let judge = Judge::compile(request, &script.config, recorder)?;
        let config = &script.config;
        Ok(SendableRequest::new(request, config, endpoint, hops, judge))
    };
    flatten(&scenario.flow, &mut compile)
}

/// The engine's view of a shard's script.
struct OpenScript(Rc<ShardScript>);

impl ShardProgram for OpenScript {
    fn user(&self, _: u64) -> Box<dyn VirtualUser> {
        Box::new(User {
            connections: self.0.connections(),
            script: self.0.clone(),
        })
    }

    fn health(&self) -> ProgramHealth {
        ProgramHealth {
            descriptors_exhausted: self.0.descriptors_exhausted.get(),
            ports_exhausted: self.0.ports_exhausted.get(),
        }
    }

    fn prepare(&self, ahead: Option<Share>) -> PreparingFuture<'_> {
        Box::pin(prepare(&self.0, ahead))
    }
}

/// A user: its connections outlive its iterations, all else is new in each.
struct User {
    script: Rc<ShardScript>,
    connections: Connections,
}

impl VirtualUser for User {
    fn iterate(&mut self, iteration: Iteration) -> IterationFuture<'_> {
        will_touch(Part::User, self);
        let iteration: IterationFuture<'_> = Box::pin(async move {
            Session::new(&self.script, &self.connections, iteration)
                .run()
                .await
        });
        will_touch(Part::Iteration, &*iteration);
        iteration
    }
}
