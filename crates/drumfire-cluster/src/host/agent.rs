//! One agent in one run: the machine between its link to the coordinator and its load.

use super::load::{Load, Loader, News};
use crate::agent::{AgentInput, AgentMachine, AgentOutput};
use crate::link::{AgentLink, AgentMail};
use crate::member::Digest;
use crate::messages::AgentPhase;
use crate::settings::AgentSettings;
use drumfire_metrics::Snapshot;
use drumfire_reactor::now;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// What an agent has to say to whoever watches its process.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentNews {
    /// It has come further.
    Phase(AgentPhase),
    /// A line of the script.
    Log(String),
    /// What a person should know before the start.
    Warning(String),
}

/// Takes part in one run, until it is over or the agent has left it. `leave` counts: 1 hands the share back and flushes,
/// 2 interrupts what runs too.
pub async fn run_agent(
    mut link: impl AgentLink,
    settings: AgentSettings,
    loader: Arc<dyn Loader>,
    mut leave: watch::Receiver<u32>,
    watcher: &mut dyn FnMut(AgentNews),
) {
    let (sender, mut news) = unbounded_channel();
    let mut agent = Agent {
        machine: AgentMachine::new(settings, now()),
        load: Load::new(sender.clone()),
        news: sender,
        loader,
        bundle: Vec::new(),
        pending: None,
        interval_ns: 0,
        finished: false,
        watcher,
    };
    // Whoever was asked to leave before the run does so at once.
    leave.mark_changed();
    while !agent.finished {
        let wake = Duration::from_nanos(agent.machine.wake_ns().saturating_sub(now()));
        let input = tokio::select! {
            biased;
            mail = link.next() => Some(opened(mail)),
            Some(news) = news.recv() => agent.hear(news),
            Ok(()) = leave.changed() => agent.asked_to_leave(*leave.borrow_and_update()),
            () = tokio::time::sleep(wake) => Some(AgentInput::Tick),
        };
        if let Some(input) = input {
            agent.step(input, &mut link).await;
        }
    }
    agent.load.end();
}

fn opened(mail: AgentMail) -> AgentInput {
    match mail {
        AgentMail::Directive(directive) => AgentInput::Directive(directive),
        AgentMail::Refused { began_ns, ended_ns } => AgentInput::Refused { began_ns, ended_ns },
    }
}

struct Agent<'a> {
    machine: AgentMachine,
    load: Load,
    news: UnboundedSender<News>,
    loader: Arc<dyn Loader>,
    bundle: Vec<u8>,
    /// What happened since the last snapshot.
    pending: Option<Snapshot>,
    interval_ns: u64,
    finished: bool,
    watcher: &'a mut dyn FnMut(AgentNews),
}

impl Agent<'_> {
    /// Gives the machine an input, and the answers to what it wants done.
    async fn step(&mut self, input: AgentInput, link: &mut impl AgentLink) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let before = self.machine.phase().clone();
            let mut outputs = Vec::new();
            self.machine.step(now(), input, &mut outputs);
            let phase = self.machine.phase();
            if *phase != before {
                (self.watcher)(AgentNews::Phase(phase.clone()));
            }
            for output in outputs {
                inputs.extend(self.carry_out(output, link).await);
            }
        }
    }

    /// What the load says, as far as the machine needs it.
    fn hear(&mut self, news: News) -> Option<AgentInput> {
        match news {
            News::Fetched(Ok(bundle)) => {
                let digest = Digest::of(&bundle);
                self.bundle = bundle;
                Some(AgentInput::Bundle(Ok(digest)))
            }
            News::Fetched(Err(reason)) => Some(AgentInput::Bundle(Err(reason))),
            News::Prepared(Ok(ready)) => {
                self.load.take(*ready);
                Some(AgentInput::Prepared(Ok(())))
            }
            News::Prepared(Err(reason)) => Some(AgentInput::Prepared(Err(reason))),
            News::WarmedUp => Some(AgentInput::WarmedUp),
            News::Begun(late_ns) => Some(AgentInput::Begun { late_ns }),
            News::Interval(snapshot) => self.report(*snapshot),
            News::Extended(until_ns) => Some(AgentInput::Extended { until_ns }),
            News::Warning(line) => {
                (self.watcher)(AgentNews::Warning(line));
                None
            }
            News::Log(line) => self.log(line),
            News::Ended => {
                self.load.join();
                Some(AgentInput::Drained {
                    snapshot: self.pending.take().unwrap_or_default(),
                    to_ns: self.load.all_accounted_ns(),
                })
            }
        }
    }

    /// Gathers seconds until they are as many as the coordinator wants at a time.
    fn report(&mut self, second: Snapshot) -> Option<AgentInput> {
        let snapshot = match self.pending.take() {
            Some(mut pending) => {
                pending.append(&second);
                pending
            }
            None => second,
        };
        let length_ns = (snapshot.end_us - snapshot.start_us).saturating_mul(1_000);
        if length_ns < self.interval_ns {
            self.pending = Some(snapshot);
            return None;
        }
        let to_ns = self.load.accounted_ns(&snapshot);
        Some(AgentInput::Snapshot { snapshot, to_ns })
    }

    fn log(&mut self, line: String) -> Option<AgentInput> {
        (self.watcher)(AgentNews::Log(line));
        None
    }

    fn asked_to_leave(&mut self, times: u32) -> Option<AgentInput> {
        if times > 1 {
            self.load.interrupt();
        }
        (times > 0).then_some(AgentInput::Leave)
    }

    /// Does what the machine wants; gives what it is to be told of that at once.
    async fn carry_out(
        &mut self,
        output: AgentOutput,
        link: &mut impl AgentLink,
    ) -> Option<AgentInput> {
        match output {
            AgentOutput::Send(heartbeat) => link.heartbeat(&heartbeat).await,
            AgentOutput::SendSnapshot(snapshot) => link.snapshot(&snapshot).await,
            AgentOutput::Fetch(digest) => {
                let (fetched, news) = (link.fetch(digest), self.news.clone());
                // Nobody hears it when the run is over already.
                tokio::spawn(async move { drop(news.send(News::Fetched(fetched.await))) });
            }
            AgentOutput::Prepare { share } => {
                let bundle = std::mem::take(&mut self.bundle);
                self.load.prepare(&self.loader, bundle, share);
            }
            AgentOutput::WarmUp {
                start_ns,
                duration_ns,
                permille,
                share,
            } => {
                let duration = Duration::from_nanos(duration_ns);
                let begun = self.load.warm_up(start_ns, duration, permille, share);
                return begun.err().map(|reason| {
                    self.log(format!("no warm-up: {reason}"));
                    AgentInput::WarmedUp
                });
            }
            AgentOutput::Start { start_ns } => self.load.start(start_ns),
            AgentOutput::Epoch(epoch) => {
                let number = epoch.number;
                self.load.epoch(epoch).unwrap_or_else(|error| {
                    panic!("epoch {number} was scaled by the coordinator before: {error}")
                });
            }
            AgentOutput::Advance {
                until_ns,
                drop_before_ns,
            } => self.load.advance(until_ns, drop_before_ns),
            AgentOutput::Extend { until_ns, known } => {
                let (extended, news) = (link.extend(until_ns, known), self.news.clone());
                tokio::spawn(async move {
                    let until_ns = extended.await.then_some(until_ns);
                    drop(news.send(News::Extended(until_ns)));
                });
            }
            AgentOutput::Interval { interval_ns } => self.interval_ns = interval_ns,
            AgentOutput::Close { at_ns } => self.load.close(at_ns),
            AgentOutput::Stop => self.load.stop(),
            AgentOutput::Finished => self.finished = true,
        }
        None
    }
}
