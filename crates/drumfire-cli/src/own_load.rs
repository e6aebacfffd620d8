//! The load of the scenarios that a coordinator runs itself, beside that of its agents: a run on one machine that begins at
//! the instant at which theirs does, reports into the same summary, and is scaled and stopped with them.

use crate::{facts, words};
use anyhow::Context;
use drumfire_cluster::{Epoch as ClusterEpoch, Epochs, Member, NumberedSnapshot, Slot, scaled};
use drumfire_engine::{
    Control, Epoch, Event, Observer, Outcome, Prepared, Program, Settings, StopReason, Tenure,
    prepare,
};
use drumfire_metrics::{Snapshot, Summary};
use drumfire_plan::{Plan, Share};
use drumfire_reactor::now;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the coordinator is called among those who report. Agents have lives that are not 0, so none is taken for it.
const NAME: &str = "coordinator";

/// Scenarios that a coordinator is to run itself.
pub struct OwnScenarios {
    /// What to do.
    pub plan: Arc<Plan>,
    /// How to do it.
    pub program: Arc<dyn Program>,
    /// How to run it.
    pub settings: Settings,
}

/// What becomes known of the load while it runs.
pub enum OwnNews {
    /// A part of it is reported.
    Report(Box<NumberedSnapshot>),
    /// A line of the script.
    Log(String),
    /// It has begun, so many nanoseconds after the start.
    Begun(u64),
}

/// The load, ready or under way.
pub struct OwnLoad {
    member: Member,
    plan: Arc<Plan>,
    epochs: Epochs,
    tenure: Tenure,
    control: Control,
    start: Option<Sender<u64>>,
    news: Receiver<OwnNews>,
    /// The start, nanoseconds of this process's clock.
    start_ns: Option<u64>,
    ended: bool,
    thread: JoinHandle<Option<Outcome>>,
}

impl OwnLoad {
    /// Opens the shards; they wait for [`OwnLoad::start`].
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn prepare(own: OwnScenarios) -> anyhow::Result<Self> {
        let OwnScenarios {
            plan,
            program,
            settings,
        } = own;
        let (tenure, control) = (Tenure::of(Share::whole()), Control::default());
        let mut prepared = prepare(&plan, &tenure, &program, &settings, &control)
            .context("prepare the coordinator's own scenarios")?;
        for warning in prepared.take_warnings() {
            words::warn(&warning, None);
        }
        let member = Member::new(NAME, 0);
        let (start, started) = channel();
        let (sender, news) = channel();
        let reporter = Reporter {
            member: member.clone(),
            number: 0,
            news: sender,
        };
        let thread = std::thread::Builder::new()
            .name("own-load".to_owned())
            .spawn(move || run(prepared, &started, reporter))
            .context("start the coordinator's own scenarios")?;
        Ok(OwnLoad {
            epochs: Epochs::new(plan.load.clone(), plan.seed),
            member,
            plan,
            tenure,
            control,
            start: Some(start),
            news,
            start_ns: None,
            ended: false,
            thread,
        })
    }

    /// Who reports it.
    pub fn member(&self) -> Member {
        self.member.clone()
    }

    /// Follows the agents' epoch, whose scale holds here too.
    pub fn follow(&mut self, epoch: &ClusterEpoch) {
        let latest = self.epochs.latest();
        if latest.is_some_and(|latest| latest.permille == epoch.permille) {
            return;
        }
        let whole = Slot {
            member: Some(self.member()),
            weight: 1,
        };
        let own = ClusterEpoch {
            number: latest.map_or(0, |latest| latest.number + 1),
            slots: vec![whole],
            ..epoch.clone()
        };
        let tried =
            "the coordinator tried the scale on the agents' load, which is of the same phases";
        let load = scaled(&self.plan.load, epoch.permille, self.plan.seed).expect(tried);
        self.epochs.push(own).expect(tried);
        self.tenure.begin(Epoch {
            from: Duration::from_nanos(epoch.from_ns),
            load: Some(load),
            number_shift: self.epochs.latest_number_shift(),
            shares: vec![Share::whole()],
        });
    }

    /// Starts at an instant, nanoseconds since 1970. Where that is past, another coordinator has begun the run: what was due
    /// before now was that one's, and is lost with it.
    pub fn start(&mut self, unix_ns: u64) {
        let (clock_ns, now_unix_ns) = (now(), facts::now_ns());
        let late_ns = now_unix_ns.saturating_sub(unix_ns);
        let ahead_ns = unix_ns.saturating_sub(now_unix_ns);
        let start_ns = (clock_ns + ahead_ns).saturating_sub(late_ns);
        if late_ns > 0 {
            let lost = Duration::from_nanos(late_ns);
            self.tenure.advance(Duration::MAX, lost);
        }
        // A host that was started after the run has no such instant on its clock.
        if late_ns > clock_ns {
            self.control.stop(StopReason::Requested);
        }
        self.start_ns = Some(start_ns);
        // The thread waits for nothing else.
        self.start.take().map(|start| start.send(start_ns));
    }

    /// Begins nothing more, unless the schedule is over already, and lets what runs end.
    pub fn stop(&self, reason: StopReason) {
        let runs_ns = now().saturating_sub(self.start_ns.unwrap_or(u64::MAX));
        let is_over = Duration::from_nanos(runs_ns) >= self.plan.load.duration();
        if !is_over && self.control.stopping().is_none() {
            self.control.stop(reason);
        }
    }

    /// Interrupts what runs; what has not been started never is.
    pub fn interrupt(&mut self) {
        self.start = None;
        self.control.stop_now(StopReason::Requested);
    }

    /// The next news, waited for so long; none as long as there is none and when it has ended.
    pub fn next(&mut self, wait: Duration) -> Option<OwnNews> {
        match self.news.recv_timeout(wait) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                None
            }
        }
    }

    /// Whether nothing more comes.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many arrivals are planned before an instant of the run; none of a load that plans none.
    pub fn planned_before(&self, at_ns: u64) -> Option<u64> {
        self.epochs.planned_before(at_ns)
    }

    /// Adds to a run's sums what was planned here and what was not started.
    pub fn settle(self, summary: &mut Summary) {
        let outcome = match self.thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let Some(outcome) = outcome else { return };
        let own = outcome.summary;
        let planned = summary.facts.planned.zip(own.facts.planned);
        summary.facts.planned = planned.map(|(agents, own)| agents + own);
        for (reason, count) in own.total.iterations.dropped {
            *summary.total.iterations.dropped.entry(reason).or_default() += count;
        }
    }
}

/// Waits for the start and runs; none where there is no start.
fn run(prepared: Prepared, started: &Receiver<u64>, mut reporter: Reporter) -> Option<Outcome> {
    let start_ns = started.recv().ok()?;
    let outcome = prepared.start(start_ns, &mut reporter);
    reporter.report(Snapshot::default(), true);
    Some(outcome)
}

/// Hands the engine's news on, as an agent would.
struct Reporter {
    member: Member,
    number: u64,
    news: Sender<OwnNews>,
}

impl Reporter {
    fn report(&mut self, snapshot: Snapshot, last: bool) {
        let report = NumberedSnapshot {
            member: self.member.clone(),
            number: self.number,
            from_ns: snapshot.start_us.saturating_mul(1_000),
            to_ns: snapshot.end_us.saturating_mul(1_000),
            last,
            snapshot,
        };
        self.number += 1;
        self.tell(OwnNews::Report(Box::new(report)));
    }

    /// Whoever watches may have gone, when another coordinator has taken over.
    fn tell(&self, news: OwnNews) {
        self.news.send(news).ok();
    }
}

impl Observer for Reporter {
    fn interval(&mut self, snapshot: &Snapshot) {
        self.report(snapshot.clone(), false);
    }

    fn event(&mut self, event: &Event, _: &Summary) -> Option<StopReason> {
        match event {
            Event::Log(line) => self.tell(OwnNews::Log(line.clone())),
            Event::Begun { late_ns } => self.tell(OwnNews::Begun(*late_ns)),
            _ => {}
        }
        None
    }
}
