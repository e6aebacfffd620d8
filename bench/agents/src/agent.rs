//! One simulated agent: the machine between its link and an engine that only reckons.

use crate::engine::{Engine, Part};
use crate::fleet::World;
use drumfire_cluster::nats::NatsAgentLink;
use drumfire_cluster::{
    AgentInput, AgentLink, AgentMachine, AgentMail, AgentOutput, AgentPhase, AgentSettings, Digest,
    Directive, Member,
};
use drumfire_reactor::now;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// So long without a word of the coordinator, and an agent gives up.
const ABANDON_NS: u64 = 60_000_000_000;

/// One agent.
pub struct Agent {
    link: NatsAgentLink,
    machine: AgentMachine,
    engine: Engine,
    world: Rc<World>,
    /// What was waited for: the bundle, a longer lease.
    news: (UnboundedSender<AgentInput>, UnboundedReceiver<AgentInput>),
    start_ns: Option<u64>,
    finished: bool,
}

impl Agent {
    /// An agent that has joined a run.
    pub fn new(link: NatsAgentLink, member: Member, world: Rc<World>) -> Self {
        let settings = AgentSettings {
            abandon_ns: ABANDON_NS,
            ..AgentSettings::new(member, env!("CARGO_PKG_VERSION"))
        };
        Self {
            link,
            machine: AgentMachine::new(settings, now()),
            engine: Engine::new(&world.load),
            world,
            news: unbounded_channel(),
            start_ns: None,
            finished: false,
        }
    }

    /// Takes part, to the end of the run.
    pub async fn take_part(mut self) {
        while !self.finished {
            let wake = Duration::from_nanos(self.wake_ns().saturating_sub(now()));
            let input = tokio::select! {
                biased;
                mail = self.link.next() => self.opened(mail),
                Some(news) = self.news.1.recv() => news,
                () = tokio::time::sleep(wake) => AgentInput::Tick,
            };
            self.step(input).await;
        }
        self.world.figures.borrow_mut().finished += 1;
    }

    fn wake_ns(&self) -> u64 {
        let engine_ns = self.start_ns.zip(self.engine.wake_ns());
        let engine_ns = engine_ns.map_or(u64::MAX, |(start_ns, run_ns)| start_ns + run_ns);
        self.machine.wake_ns().min(engine_ns)
    }

    fn opened(&self, mail: AgentMail) -> AgentInput {
        match mail {
            AgentMail::Refused { began_ns, ended_ns } => AgentInput::Refused { began_ns, ended_ns },
            AgentMail::Directive(directive) => {
                self.note_answer(&directive);
                AgentInput::Directive(directive)
            }
        }
    }

    /// While load runs, how soon the coordinator answers is what an agent depends on.
    fn note_answer(&self, directive: &Directive) {
        if let (AgentPhase::Running, Some(echo)) = (self.machine.phase(), directive.echo) {
            let answer_ns = now().saturating_sub(echo.sent_ns);
            self.world.figures.borrow_mut().answered(answer_ns);
        }
    }

    /// Gives the machine an input, and what follows from it.
    async fn step(&mut self, input: AgentInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now_ns = now();
            for known in self.look(now_ns) {
                self.give(now_ns, known, &mut inputs).await;
            }
            self.give(now_ns, input, &mut inputs).await;
        }
    }

    async fn give(&mut self, now_ns: u64, input: AgentInput, inputs: &mut VecDeque<AgentInput>) {
        let mut outputs = Vec::new();
        self.machine.step(now_ns, input, &mut outputs);
        for output in outputs {
            inputs.extend(self.carry_out(output).await);
        }
    }

    /// What the engine has to say by now.
    fn look(&mut self, now_ns: u64) -> Vec<AgentInput> {
        let Some(start_ns) = self.start_ns.filter(|&start_ns| start_ns <= now_ns) else {
            return Vec::new();
        };
        let mut inputs = Vec::new();
        let run_ns = now_ns - start_ns;
        if self.engine.begin() {
            self.world.figures.borrow_mut().begun_late_ns.record(run_ns);
            inputs.push(AgentInput::Begun { late_ns: run_ns });
        }
        let parts = self.engine.look(run_ns);
        inputs.extend(parts.into_iter().map(|part| self.report(&part)));
        inputs
    }

    fn report(&self, part: &Part) -> AgentInput {
        let snapshot = self.world.samples.snapshot(part);
        self.world.figures.borrow_mut().reported(part);
        let to_ns = part.to_ns;
        match part.last {
            true => AgentInput::Drained { snapshot, to_ns },
            false => AgentInput::Snapshot { snapshot, to_ns },
        }
    }

    /// Does what the machine wants; gives what it is to be told of that at once.
    async fn carry_out(&mut self, output: AgentOutput) -> Option<AgentInput> {
        match output {
            AgentOutput::Send(heartbeat) => self.link.heartbeat(&heartbeat).await,
            AgentOutput::SendSnapshot(snapshot) => {
                self.world.figures.borrow_mut().sent += 1;
                self.link.snapshot(&snapshot).await;
            }
            AgentOutput::Fetch(digest) => self.fetch(digest),
            AgentOutput::Prepare { .. } => return Some(AgentInput::Prepared(Ok(()))),
            AgentOutput::WarmUp { .. } => return Some(AgentInput::WarmedUp),
            AgentOutput::Start { start_ns } => self.start_ns = Some(start_ns),
            AgentOutput::Epoch(epoch) => self.engine.epoch(epoch),
            AgentOutput::Advance {
                until_ns,
                drop_before_ns,
            } => self.engine.advance(until_ns, drop_before_ns),
            AgentOutput::Extend { until_ns, known } => {
                let (extending, news) = (self.link.extend(until_ns, known), self.news.0.clone());
                tokio::task::spawn_local(async move {
                    let until_ns = extending.await.then_some(until_ns);
                    news.send(AgentInput::Extended { until_ns }).ok();
                });
            }
            AgentOutput::Interval { interval_ns } => self.engine.report_every(interval_ns),
            AgentOutput::Close { at_ns } => self.engine.close(at_ns),
            AgentOutput::Stop => self.engine.stop(),
            AgentOutput::Finished => self.finished = true,
        }
        None
    }

    /// The first agent fetches the bundle, the others wait for it: the broker is measured with one agent's bundle.
    fn fetch(&mut self, digest: Digest) {
        let (fetching, news) = (self.link.fetch(digest), self.news.0.clone());
        let world = Rc::clone(&self.world);
        tokio::task::spawn_local(async move {
            let bundle = world.bundle.get_or_init(|| async {
                let bundle = fetching.await?;
                Ok(Digest::of(&bundle))
            });
            // Nobody hears it when the run is over already.
            news.send(AgentInput::Bundle(bundle.await.clone())).ok();
        });
    }
}
