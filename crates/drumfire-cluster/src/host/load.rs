//! An agent's load: what the machine asks of it, carried to an engine on threads of its own.

use crate::agent::{EngineEpoch, NOTICE_NS};
use crate::scale;
use drumfire_engine::{
    Control, Epoch, Event, Observer, Prepared, Program, RunError, Settings, StopReason, Tenure,
    prepare,
};
use drumfire_metrics::{Snapshot, Summary};
use drumfire_plan::{Load as PlannedLoad, Plan, PlanError, Share};
use drumfire_reactor::now;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Turns a bundle into what runs: a front end's part.
pub trait Loader: Send + Sync + 'static {
    /// Compiles a bundle. May take its time; it is called on a thread of its own.
    ///
    /// # Errors
    /// Why it cannot be run, for the coordinator's user to read.
    fn load(&self, bundle: &[u8]) -> Result<Loaded, String>;
}

/// What a bundle becomes.
#[derive(Clone)]
pub struct Loaded {
    /// What to do; the same on every agent.
    pub plan: Arc<Plan>,
    /// How to do it.
    pub program: Arc<dyn Program>,
    /// How to run it here.
    pub settings: Settings,
}

/// What a load says of itself.
pub(crate) enum News {
    /// The bundle's bytes; or why they cannot be had.
    Fetched(Result<Vec<u8>, String>),
    /// It is compiled and its shards are open; or why not.
    Prepared(Result<Box<Ready>, String>),
    /// The warm-up is over.
    WarmedUp,
    /// The shards are awake; the last of them this much after the start, in nanoseconds.
    Begun(u64),
    /// A second is over.
    Interval(Box<Snapshot>),
    /// Up to where the agent's lease is extended; none when it is not known to be.
    Extended(Option<u64>),
    /// What a person should know before the start.
    Warning(String),
    /// A line of the script.
    Log(String),
    /// Every iteration has ended, and all intervals are out.
    Ended,
}

/// A load that only waits for its start.
pub(crate) struct Ready {
    loaded: Loaded,
    prepared: Prepared,
}

/// One run's load on this agent.
pub(crate) struct Load {
    news: UnboundedSender<News>,
    tenure: Tenure,
    control: Control,
    loaded: Option<Loaded>,
    prepared: Option<Prepared>,
    warm_up: Option<Control>,
    threads: Vec<JoinHandle<()>>,
    start_ns: u64,
    closed_ns: Option<u64>,
}

impl Load {
    pub(crate) fn new(news: UnboundedSender<News>) -> Self {
        Self {
            news,
            tenure: Tenure::awaited(),
            control: Control::default(),
            loaded: None,
            prepared: None,
            warm_up: None,
            threads: Vec::new(),
            start_ns: 0,
            closed_ns: None,
        }
    }

    /// Compiles the bundle, opens the shards and makes a share of what all agents need ready; [`News::Prepared`] follows.
    pub(crate) fn prepare(
        &mut self,
        loader: &Arc<dyn Loader>,
        bundle: Vec<u8>,
        ahead: Option<Share>,
    ) {
        let (loader, tenure) = (Arc::clone(loader), self.tenure.clone());
        let (control, news) = (self.control.clone(), self.news.clone());
        self.spawn("prepare", move || {
            let ready = loader.load(&bundle).and_then(|loaded| {
                let prepared = open(&loaded, &loaded.plan, &tenure, &control, ahead);
                let mut prepared = prepared.map_err(|error| match error {
                    RunError::Program(reason) => reason,
                    RunError::Shard { .. } => error.to_string(),
                })?;
                for warning in prepared.take_warnings() {
                    news.send(News::Warning(warning)).ok();
                }
                Ok(Box::new(Ready { loaded, prepared }))
            });
            // Nobody hears it when the run is over already.
            news.send(News::Prepared(ready)).ok();
        });
    }

    /// Keeps what was prepared.
    pub(crate) fn take(&mut self, ready: Ready) {
        self.loaded = Some(ready.loaded);
        self.prepared = Some(ready.prepared);
    }

    /// Runs a part of the load that is in no report; [`News::WarmedUp`] follows.
    pub(crate) fn warm_up(
        &mut self,
        start_ns: u64,
        duration: Duration,
        permille: u32,
        share: Share,
    ) -> Result<(), String> {
        let loaded = self.loaded.clone().ok_or("nothing is prepared")?;
        let load = scale::scaled(&loaded.plan.load, permille, loaded.plan.seed);
        let load = load.map_err(|error| error.to_string())?;
        let plan = Arc::new(Plan {
            load,
            ..Plan::clone(&loaded.plan)
        });
        let tenure = Tenure::of(share);
        tenure.close(duration);
        let control = Control::default();
        self.warm_up = Some(control.clone());
        let news = self.news.clone();
        self.spawn("warm-up", move || {
            // What was made ready is the run's own.
            match open(&loaded, &plan, &tenure, &control, None) {
                Ok(prepared) => {
                    prepared.start(start_ns, &mut |_: &Event, _: &Summary| None);
                }
                Err(error) => drop(news.send(News::Log(format!("no warm-up: {error}")))),
            }
            news.send(News::WarmedUp).ok();
        });
        Ok(())
    }

    /// Starts what was prepared; [`News::Ended`] follows.
    pub(crate) fn start(&mut self, start_ns: u64) {
        let Some(prepared) = self.prepared.take() else {
            return;
        };
        self.start_ns = start_ns;
        let news = self.news.clone();
        self.spawn("run", move || {
            let mut reporter = Reporter { news };
            prepared.start(start_ns, &mut reporter);
            reporter.news.send(News::Ended).ok();
        });
    }

    /// From an instant on, this is the agent's.
    pub(crate) fn epoch(&self, epoch: EngineEpoch) -> Result<(), PlanError> {
        self.tenure.begin(Epoch {
            from: Duration::from_nanos(epoch.from_ns),
            load: self.scaled(epoch.permille)?,
            number_shift: epoch.number_shift,
            shares: epoch.shares,
        });
        Ok(())
    }

    /// The load at another rate; none as planned.
    fn scaled(&self, permille: u32) -> Result<Option<PlannedLoad>, PlanError> {
        let plan = self.loaded.as_ref().map(|loaded| &loaded.plan);
        let plan = plan.filter(|_| permille != scale::AS_PLANNED_PERMILLE);
        plan.map(|plan| scale::scaled(&plan.load, permille, plan.seed))
            .transpose()
    }

    pub(crate) fn advance(&self, until_ns: u64, drop_before_ns: u64) {
        self.tenure.advance(
            Duration::from_nanos(until_ns),
            Duration::from_nanos(drop_before_ns),
        );
    }

    /// Ends the agent's part at an instant of the run.
    pub(crate) fn close(&mut self, at_ns: u64) {
        let at_ns = self.closed_ns.map_or(at_ns, |closed| closed.min(at_ns));
        self.closed_ns = Some(at_ns);
        self.tenure.close(Duration::from_nanos(at_ns));
    }

    /// Starts nothing more, and lets what runs end.
    pub(crate) fn stop(&mut self) {
        if let Some(warm_up) = &self.warm_up {
            warm_up.stop(StopReason::Requested);
        }
        // All shards stop at the same arrival: a little ahead, so that none is past it.
        self.close(now().saturating_sub(self.start_ns) + NOTICE_NS);
        self.control.stop(StopReason::Requested);
    }

    /// Interrupts what still runs.
    pub(crate) fn interrupt(&self) {
        for control in self.warm_up.iter().chain([&self.control]) {
            control.stop_now(StopReason::Requested);
        }
    }

    /// Interrupts what still runs and waits for its threads.
    pub(crate) fn end(mut self) {
        self.interrupt();
        self.prepared = None;
        self.join();
    }

    /// Waits for the threads; a panic in one of them goes on here.
    pub(crate) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Up to where an interval accounts for the schedule, nanoseconds since the run's start.
    pub(crate) fn accounted_ns(&self, interval: &Snapshot) -> u64 {
        // Nothing is due after the load, however long its iterations go on.
        let end_ns = interval.end_us.saturating_mul(1_000);
        end_ns.min(self.all_accounted_ns())
    }

    /// Up to where everything together accounts for the schedule.
    pub(crate) fn all_accounted_ns(&self) -> u64 {
        let whole = self
            .loaded
            .as_ref()
            .map(|loaded| loaded.plan.load.duration());
        // What is due at the very end of the load is before this.
        let end_ns = whole.map_or(0, |whole| whole.as_nanos() as u64 + 1);
        self.closed_ns.unwrap_or(end_ns)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) {
        let ended = Ended(self.news.clone());
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || {
            let _ended = ended;
            work();
        });
        self.threads
            .push(thread.expect("a thread can be started where shards were"));
    }
}

/// Tells of a thread that panicked, so that it is joined and the panic goes on where it is seen.
struct Ended(UnboundedSender<News>);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send(News::Ended).ok();
        }
    }
}

fn open(
    loaded: &Loaded,
    plan: &Arc<Plan>,
    tenure: &Tenure,
    control: &Control,
    ahead: Option<Share>,
) -> Result<Prepared, RunError> {
    let settings = Settings {
        ahead,
        ..loaded.settings.clone()
    };
    prepare(plan, tenure, &loaded.program, &settings, control)
}

/// Hands the engine's news on.
struct Reporter {
    news: UnboundedSender<News>,
}

impl Observer for Reporter {
    fn interval(&mut self, snapshot: &Snapshot) {
        self.news
            .send(News::Interval(Box::new(snapshot.clone())))
            .ok();
    }

    fn event(&mut self, event: &Event, _: &Summary) -> Option<StopReason> {
        match event {
            Event::Log(line) => drop(self.news.send(News::Log(line.clone()))),
            Event::Begun { late_ns } => drop(self.news.send(News::Begun(*late_ns))),
            _ => {}
        }
        None
    }
}
