//! One history: agents, coordinators and a bad network in simulated time, until the run is over.

use super::chance::Chance;
use super::clock::{BEGIN_NS, Clock};
use super::courier::{Courier, altered, recalled};
use super::engine::{ArrivalId, Engine};
use super::story::{BUNDLE, Fault, MS_NS, SECOND_NS, SEED_OF_LOAD, Story};
use drumfire_cluster::{
    AgentInput, AgentMachine, AgentOutput, AgentSettings, Balance, Command, CoordinatorMachine,
    Digest, Directive, Event, Fact, Heartbeat, Input, Lease, LockId, Member, NumberedSnapshot,
    Output, Phase, Reply,
};
use drumfire_metrics::{Histogram, Snapshot};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

/// A history that is not over by then hangs.
const LIMIT_NS: u64 = 150 * SECOND_NS;

pub struct World {
    pub story: Story,
    pub chance: Chance,
    pub now_ns: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    happened: u64,
    pub agents: Vec<Agent>,
    pub coordinator: Option<Coordinator>,
    /// One that does not know yet that another has taken over.
    earlier: Option<Coordinator>,
    /// What coordinators made durable.
    pub record: Vec<Fact>,
    gone: Vec<Member>,
    /// Everything that was started or dropped, by whom, and which of both.
    pub handled: BTreeMap<ArrivalId, (Member, bool)>,
    pub events: Vec<(u64, Event)>,
    pub closed: Option<(Phase, Balance)>,
    pub violations: Vec<String>,
    coordinator_away_until_ns: u64,
    broker_away_until_ns: u64,
    /// What the broker keeps of each member's lease.
    leases: BTreeMap<Member, Lease>,
    lives: u64,
    /// Carries messages as bytes, where the story says so.
    courier: Option<Courier>,
    /// The agreed start in true time.
    pub start_true_ns: Option<u64>,
    pub replies: Vec<Reply>,
}

pub struct Coordinator {
    pub machine: CoordinatorMachine,
    /// What it was told, by whom.
    pub accepted: BTreeMap<Member, Snapshot>,
    clock: Clock,
    /// It dies after so many more outputs.
    dies_after: Option<usize>,
    back_after_ns: u64,
    life: u64,
    /// The connection was lost, and is not known to have been.
    outage: bool,
    /// What waits for a fact to become durable: the rest of a step, and what came in since.
    stalled: Option<Vec<Output>>,
    waiting: Vec<Input>,
}

pub struct Agent {
    pub member: Member,
    pub machine: AgentMachine,
    pub clock: Clock,
    pub engine: Option<Engine>,
    /// The process runs.
    pub alive: bool,
    /// It ended by itself, with everything delivered that it cared to deliver.
    pub left_well: bool,
    pub taken: Vec<Snapshot>,
    pub started_true_ns: Option<u64>,
    /// It was partitioned at least once.
    pub cut_off: bool,
    away_until_ns: u64,
    mute_until_ns: u64,
    wrong_bundle: bool,
    drained: bool,
    interval_ns: u64,
    capacity: u32,
}

enum Happening {
    WakeAgent(usize),
    WakeCoordinator,
    Look(usize),
    BundleFetched(usize),
    Prepared(usize),
    WarmedUp(usize),
    ToCoordinator(usize, Letter),
    ToAgent(Member, Order),
    Gone(Member),
    /// The broker takes a lock, and answers the coordinator of that life.
    Lock(u64, Member, LockId),
    Locked(u64, Member, LockId, u64),
    /// The broker takes an extension.
    Extend(usize, u64, LockId),
    Extended(usize, Option<u64>),
    Refuse(usize),
    Refused(usize, u64, u64),
    /// The coordinator of that life can write facts again.
    Unstall(u64),
    StartCoordinator,
    StartAgent {
        name: String,
        capacity: u32,
    },
    Fault(Fault),
}

#[derive(Clone)]
enum Letter {
    Heartbeat(Box<Heartbeat>),
    Snapshot(Arc<NumberedSnapshot>),
    SealedHeartbeat(Vec<u8>),
    SealedSnapshot(Vec<u8>),
}

#[derive(Clone)]
enum Order {
    Open(Box<Directive>),
    Sealed(Vec<u8>),
}

impl World {
    pub fn new(story: Story) -> Self {
        let mut world = Self {
            chance: Chance::new(story.seed ^ 0x5eed),
            now_ns: BEGIN_NS,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            happened: 0,
            agents: Vec::new(),
            coordinator: None,
            earlier: None,
            record: Vec::new(),
            gone: Vec::new(),
            handled: BTreeMap::new(),
            events: Vec::new(),
            closed: None,
            violations: Vec::new(),
            coordinator_away_until_ns: 0,
            broker_away_until_ns: 0,
            leases: BTreeMap::new(),
            lives: 0,
            courier: story.encoded.then(|| Courier::new(story.seed)),
            start_true_ns: None,
            replies: Vec::new(),
            story,
        };
        world.after(0, Happening::StartCoordinator);
        for index in 0..world.story.agents {
            let delay_ns = world.chance.within(0..500 * MS_NS);
            let name = format!("agent-{index}");
            let capacity = world.chance.pick(&world.story.capacities);
            world.after(delay_ns, Happening::StartAgent { name, capacity });
        }
        for (at_ns, fault) in world.story.faults.clone() {
            world.after(at_ns, Happening::Fault(fault));
        }
        world
    }

    /// Lives the history to its end.
    pub fn run(&mut self) {
        while self.closed.is_none() && self.violations.is_empty() {
            let Some(Reverse((at_ns, key))) = self.queue.pop() else {
                return self.violate("nothing happens any more".to_owned());
            };
            if at_ns > BEGIN_NS + LIMIT_NS {
                let phase = self
                    .coordinator
                    .as_ref()
                    .map(|it| it.machine.phase().clone());
                return self.violate(format!("not over after {LIMIT_NS} ns: {phase:?}"));
            }
            self.now_ns = at_ns;
            if let Some(happening) = self.happenings.remove(&key) {
                self.happen(happening);
            }
        }
    }

    pub fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    fn after(&mut self, delay_ns: u64, happening: Happening) {
        self.at(self.now_ns + delay_ns, happening);
    }

    fn at(&mut self, at_ns: u64, happening: Happening) {
        self.happened += 1;
        self.happenings.insert(self.happened, happening);
        self.queue
            .push(Reverse((at_ns.max(self.now_ns), self.happened)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::WakeAgent(index) => self.wake_agent(index),
            Happening::WakeCoordinator => self.wake_coordinator(),
            Happening::Look(index) => self.look_and_report(index),
            Happening::BundleFetched(index) => {
                let wrong = std::mem::take(&mut self.agents[index].wrong_bundle);
                let digest = if wrong { Digest([9; 32]) } else { BUNDLE };
                self.step_agent(index, AgentInput::Bundle(Ok(digest)));
            }
            Happening::Prepared(index) => self.step_agent(index, AgentInput::Prepared(Ok(()))),
            Happening::WarmedUp(index) => self.step_agent(index, AgentInput::WarmedUp),
            Happening::ToCoordinator(index, letter) => self.deliver(index, letter),
            Happening::ToAgent(member, order) => self.direct(&member, order),
            Happening::Gone(member) => {
                self.gone.push(member.clone());
                self.step_coordinator(Input::PeerGone(member));
            }
            Happening::Lock(life, member, lock) => self.lock(life, member, lock),
            Happening::Locked(life, member, lock, until_ns) => {
                self.locked(life, member, lock, until_ns);
            }
            Happening::Extend(index, until_ns, known) => {
                self.extend(index, until_ns, known);
            }
            Happening::Extended(index, until_ns) => {
                self.step_agent(index, AgentInput::Extended { until_ns });
            }
            Happening::Refuse(index) => self.refuse(index),
            Happening::Refused(index, began_ns, ended_ns) => {
                self.step_agent(index, AgentInput::Refused { began_ns, ended_ns });
            }
            Happening::Unstall(life) => self.unstall(life),
            Happening::StartCoordinator => self.start_coordinator(),
            Happening::StartAgent { name, capacity } => self.start_agent(&name, capacity),
            Happening::Fault(fault) => self.befall(fault),
        }
    }

    fn befall(&mut self, fault: Fault) {
        match fault {
            Fault::KillAgent {
                agent,
                noticed,
                back_after_ns,
            } => self.kill_agent(agent, noticed, back_after_ns),
            Fault::Leave { agent } => self.step_agent(agent, AgentInput::Leave),
            Fault::Join { capacity } => {
                let name = format!("agent-{}", self.agents.len());
                self.start_agent(&name, capacity);
            }
            Fault::Partition { agent, for_ns } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.away_until_ns = self.now_ns + for_ns;
                    agent.cut_off = true;
                }
            }
            Fault::Mute { agent, for_ns } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.mute_until_ns = self.now_ns + for_ns;
                    agent.cut_off = true;
                }
            }
            Fault::TakeOver => {
                if let Some(coordinator) = self.coordinator.take() {
                    self.earlier = Some(coordinator);
                    self.start_coordinator();
                }
            }
            Fault::KillCoordinator {
                outputs,
                back_after_ns,
            } => {
                if let Some(coordinator) = &mut self.coordinator {
                    coordinator.dies_after = Some(outputs);
                    coordinator.back_after_ns = back_after_ns;
                }
            }
            Fault::PartitionCoordinator { for_ns } => {
                self.coordinator_away_until_ns = self.now_ns + for_ns;
                let reconnects = self.chance.happens(500);
                self.lose_coordinator(reconnects);
            }
            Fault::BrokerOutage {
                for_ns,
                told_permille,
            } => {
                self.broker_away_until_ns = self.now_ns + for_ns;
                self.lose_coordinator(true);
                for index in 0..self.agents.len() {
                    if self.chance.happens(told_permille) {
                        let delay_ns = self.chance.within(MS_NS..300 * MS_NS);
                        self.after(delay_ns, Happening::Refuse(index));
                    }
                }
            }
            Fault::Scale { permille } => self.command(Command::Scale { permille }),
            Fault::Resume => self.command(Command::Resume),
            Fault::Status => self.command(Command::Status),
            Fault::Stop => self.command(Command::Stop {
                reason: "as asked".to_owned(),
            }),
            Fault::WrongBundle { agent } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.wrong_bundle = true;
                }
            }
        }
    }

    /// Nothing goes to or from the coordinator for a while.
    fn lose_coordinator(&mut self, reconnects: bool) {
        self.agents
            .iter_mut()
            .for_each(|agent| agent.cut_off = true);
        for coordinator in self.coordinator.iter_mut().chain(&mut self.earlier) {
            coordinator.outage |= reconnects;
        }
    }

    fn command(&mut self, command: Command) {
        self.step_coordinator(Input::Command { id: 1, command });
    }

    fn clock(&mut self) -> Clock {
        let ahead_ns = self.chance.signed(self.story.clock_error_ns as i64);
        Clock {
            ahead_ns,
            fast_ppm: self.chance.signed(50),
        }
    }

    // Agents.

    fn start_agent(&mut self, name: &str, capacity: u32) {
        let clock = self.clock();
        let member = Member::new(name, self.agents.len() as u64 + 1);
        let mut settings = AgentSettings::new(member.clone(), "0.1.0");
        settings.capacity = capacity;
        settings.busy_heartbeat_ns = 120 * MS_NS;
        self.agents.push(Agent {
            machine: AgentMachine::new(settings, clock.at(self.now_ns)),
            member,
            clock,
            engine: None,
            alive: true,
            left_well: false,
            taken: Vec::new(),
            started_true_ns: None,
            cut_off: false,
            away_until_ns: 0,
            mute_until_ns: 0,
            wrong_bundle: false,
            drained: false,
            interval_ns: SECOND_NS,
            capacity,
        });
        self.wake_agent(self.agents.len() - 1);
    }

    fn kill_agent(&mut self, index: usize, noticed: bool, back_after_ns: Option<u64>) {
        if !self.agents.get(index).is_some_and(|agent| agent.alive) {
            return;
        }
        self.look(index);
        self.agents[index].alive = false;
        let member = self.agents[index].member.clone();
        if noticed {
            let delay_ns = self.chance.within(100 * MS_NS..SECOND_NS);
            self.after(delay_ns, Happening::Gone(member.clone()));
        }
        if let Some(delay_ns) = back_after_ns {
            let name = member.agent.to_string();
            let capacity = self.agents[index].capacity;
            self.after(delay_ns, Happening::StartAgent { name, capacity });
        }
    }

    fn wake_agent(&mut self, index: usize) {
        self.step_agent(index, AgentInput::Tick);
        let agent = &self.agents[index];
        if agent.alive {
            let at_ns = agent.clock.true_ns(agent.machine.wake_ns());
            self.at(at_ns.max(self.now_ns + MS_NS), Happening::WakeAgent(index));
        }
    }

    fn step_agent(&mut self, index: usize, input: AgentInput) {
        let Some(agent) = self.agents.get_mut(index).filter(|agent| agent.alive) else {
            return;
        };
        let mut outputs = Vec::new();
        let own_ns = agent.clock.at(self.now_ns);
        agent.machine.step(own_ns, input, &mut outputs);
        for output in outputs {
            self.carry_out(index, output);
        }
    }

    fn carry_out(&mut self, index: usize, output: AgentOutput) {
        // A real engine has gone on until now.
        self.look(index);
        let agent = &mut self.agents[index];
        match output {
            AgentOutput::Send(heartbeat) => self.post(index, Letter::Heartbeat(heartbeat)),
            AgentOutput::SendSnapshot(snapshot) => self.post(index, Letter::Snapshot(snapshot)),
            AgentOutput::Fetch(_) => {
                let delay_ns = self.chance.within(10 * MS_NS..400 * MS_NS);
                self.after(delay_ns, Happening::BundleFetched(index));
            }
            AgentOutput::Prepare { .. } => {
                let delay_ns = self.chance.within(10 * MS_NS..400 * MS_NS);
                self.after(delay_ns, Happening::Prepared(index));
            }
            AgentOutput::WarmUp {
                start_ns,
                duration_ns,
                ..
            } => {
                let end_ns = agent.clock.true_ns(start_ns + duration_ns);
                self.at(end_ns, Happening::WarmedUp(index));
            }
            AgentOutput::Start { start_ns } => {
                agent.engine = Some(Engine::new(&self.story.settings.load, start_ns));
                agent.started_true_ns = Some(agent.clock.true_ns(start_ns));
                self.after(0, Happening::Look(index));
            }
            AgentOutput::Extend { until_ns, known } => self.ask_to_extend(index, until_ns, known),
            AgentOutput::Interval { interval_ns } => agent.interval_ns = interval_ns,
            AgentOutput::Finished => self.finish(index),
            AgentOutput::Epoch(_)
            | AgentOutput::Advance { .. }
            | AgentOutput::Close { .. }
            | AgentOutput::Stop => {
                let output = &output;
                if let Some(engine) = &mut agent.engine
                    && !steer(engine, output)
                {
                    let what = format!(
                        "{} has gone to {} ns: {output:?}",
                        agent.member, engine.done_ns
                    );
                    self.violate(what);
                }
                self.look(index);
            }
        }
    }

    /// The process ends by itself.
    fn finish(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        agent.alive = false;
        agent.left_well = true;
        let member = agent.member.clone();
        self.after(200 * MS_NS, Happening::Gone(member));
    }

    fn look(&mut self, index: usize) {
        let agent = &mut self.agents[index];
        let own_ns = agent.clock.at(self.now_ns);
        let Some(engine) = &mut agent.engine else {
            return;
        };
        for (id, started) in engine.look(own_ns, &mut self.chance) {
            let doer = (agent.member.clone(), started);
            if let Some((first, _)) = self.handled.insert(id, doer) {
                let second = &agent.member;
                self.violations
                    .push(format!("arrival {id:?} belongs to {first} and to {second}"));
            }
        }
    }

    fn look_and_report(&mut self, index: usize) {
        if !self.agents[index].alive {
            return;
        }
        self.look(index);
        let agent = &mut self.agents[index];
        let Some(engine) = agent.engine.as_mut().filter(|_| !agent.drained) else {
            return;
        };
        let snapshot = engine.take();
        agent.taken.push(snapshot.clone());
        let input = match engine.drained() {
            Some(to_ns) => {
                agent.drained = true;
                AgentInput::Drained { snapshot, to_ns }
            }
            None => {
                let to_ns = engine.done_ns;
                AgentInput::Snapshot { snapshot, to_ns }
            }
        };
        self.step_agent(index, input);
        // A little uneven, as busy hosts are.
        let interval_ns = self.agents[index].interval_ns;
        let delay_ns = self.chance.within(interval_ns / 2..interval_ns * 3 / 2);
        self.after(delay_ns, Happening::Look(index));
    }

    // Coordinators.

    fn start_coordinator(&mut self) {
        let reachable_ns = self.coordinator_reaches_ns();
        if reachable_ns > self.now_ns {
            return self.at(reachable_ns, Happening::StartCoordinator);
        }
        let clock = self.clock();
        let settings = self.story.settings.clone();
        let mut outputs = Vec::new();
        let machine = CoordinatorMachine::new(
            settings,
            SEED_OF_LOAD,
            self.record.iter().map(recalled),
            clock.at(self.now_ns),
            &mut outputs,
        );
        self.coordinator = Some(Coordinator {
            machine,
            accepted: BTreeMap::new(),
            clock,
            dies_after: None,
            back_after_ns: 0,
            life: self.lives,
            outage: false,
            stalled: None,
            waiting: Vec::new(),
        });
        self.lives += 1;
        self.carry_out_all(outputs);
        for member in self.gone.clone() {
            self.step_coordinator(Input::PeerGone(member));
        }
        self.wake_coordinator();
    }

    fn wake_coordinator(&mut self) {
        self.step_coordinator(Input::Tick);
        if let Some(coordinator) = &self.coordinator {
            let at_ns = coordinator.clock.true_ns(coordinator.machine.wake_ns());
            self.at(at_ns.max(self.now_ns + MS_NS), Happening::WakeCoordinator);
        }
    }

    fn step_coordinator(&mut self, input: Input) {
        self.step_earlier(&input);
        let reachable = self.coordinator_reaches_ns() <= self.now_ns;
        let Some(coordinator) = &mut self.coordinator else {
            return;
        };
        if coordinator.stalled.is_some() {
            return coordinator.waiting.push(input);
        }
        let mut outputs = Vec::new();
        let own_ns = coordinator.clock.at(self.now_ns);
        if reachable && std::mem::take(&mut coordinator.outage) {
            coordinator
                .machine
                .step(own_ns, Input::Outage, &mut outputs);
        }
        coordinator.machine.step(own_ns, input, &mut outputs);
        self.carry_out_all(outputs);
    }

    /// Writes the fact that waited, and goes on from there.
    fn unstall(&mut self, life: u64) {
        let reachable_ns = self.coordinator_reaches_ns();
        let Some(coordinator) = self.coordinator.as_mut().filter(|it| it.life == life) else {
            return;
        };
        if reachable_ns > self.now_ns {
            return self.at(reachable_ns, Happening::Unstall(life));
        }
        let stalled = coordinator.stalled.take().unwrap_or_default();
        let waiting = std::mem::take(&mut coordinator.waiting);
        self.carry_out_all(stalled);
        for input in waiting {
            self.step_coordinator(input);
        }
        if self.coordinator.as_ref().is_some_and(|it| it.life == life) {
            self.wake_coordinator();
        }
    }

    /// It hears what the other hears, and speaks; but facts it can write no more, but for snapshots: those are durable
    /// for the other too.
    fn step_earlier(&mut self, input: &Input) {
        let Some(earlier) = &mut self.earlier else {
            return;
        };
        let mut outputs = Vec::new();
        let own_ns = earlier.clock.at(self.now_ns);
        earlier.machine.step(own_ns, input.clone(), &mut outputs);
        for output in outputs {
            match output {
                Output::Persist(Fact::Snapshot(snapshot)) => {
                    let (index, letter) = (usize::MAX, Letter::Snapshot(snapshot));
                    self.after(0, Happening::ToCoordinator(index, letter));
                }
                Output::Persist(_) | Output::Superseded => return self.earlier = None,
                Output::Lock { member, lock } => {
                    // Nobody takes the answer.
                    self.after(MS_NS, Happening::Lock(u64::MAX, member, lock));
                }
                Output::Send(directive) => self.post_directive(directive),
                _ => {}
            }
        }
    }

    fn carry_out_all(&mut self, outputs: Vec<Output>) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            let reachable_ns = self.coordinator_reaches_ns();
            let Some(coordinator) = &mut self.coordinator else {
                return;
            };
            let writes =
                matches!(&output, Output::Persist(fact) if !matches!(fact, Fact::Snapshot(_)));
            if writes && reachable_ns > self.now_ns {
                outputs.push_front(output);
                coordinator.stalled = Some(outputs.into());
                let life = coordinator.life;
                return self.at(reachable_ns, Happening::Unstall(life));
            }
            if let Some(left) = &mut coordinator.dies_after {
                if *left == 0 {
                    let delay_ns = coordinator.back_after_ns;
                    self.coordinator = None;
                    return self.after(delay_ns, Happening::StartCoordinator);
                }
                *left -= 1;
            }
            match output {
                Output::Persist(fact) => {
                    if let Fact::Started { start_ns, .. } = fact {
                        self.start_true_ns = Some(coordinator.clock.true_ns(start_ns));
                    }
                    self.record.push(fact);
                }
                Output::Send(directive) => self.post_directive(directive),
                Output::Event(event) => self.events.push((self.now_ns, event)),
                Output::Closed(phase, balance) => return self.closed = Some((phase, balance)),
                Output::Superseded => self.violate("a lone coordinator is superseded".to_owned()),
                Output::Reply { reply, .. } => self.replies.push(reply),
                Output::Accepted(report) => {
                    let accepted = coordinator.accepted.entry(report.member.clone());
                    accepted.or_default().append(&report.snapshot);
                }
                Output::Lock { member, lock } => {
                    let life = coordinator.life;
                    let delay_ns = self.broker_delay_ns();
                    self.after(delay_ns, Happening::Lock(life, member, lock));
                }
            }
        }
    }

    /// What a coordinator that is started after the end makes of the record.
    pub fn closed_again(&self) -> (Option<(Phase, Balance)>, Snapshot) {
        let mut outputs = Vec::new();
        let settings = self.story.settings.clone();
        let record = self.record.clone();
        CoordinatorMachine::new(settings, SEED_OF_LOAD, record, self.now_ns, &mut outputs);
        let (mut closed, mut accepted) = (None, Snapshot::default());
        for output in outputs {
            match output {
                Output::Closed(phase, balance) => closed = Some((phase, balance)),
                Output::Accepted(report) => accepted.merge(&report.snapshot),
                _ => {}
            }
        }
        (closed, accepted)
    }

    // The broker's memory of leases.

    /// When the coordinator's host reaches the broker, if nothing else happens.
    fn coordinator_reaches_ns(&self) -> u64 {
        self.coordinator_away_until_ns
            .max(self.broker_away_until_ns)
    }

    fn agent_reaches(&self, index: usize) -> bool {
        let agent = &self.agents[index];
        let reaches_ns = agent.away_until_ns.max(agent.mute_until_ns);
        self.now_ns >= reaches_ns.max(self.broker_away_until_ns)
    }

    fn broker_delay_ns(&mut self) -> u64 {
        let network = self.story.network;
        self.chance
            .within(network.least_delay_ns..network.most_delay_ns)
    }

    fn lock(&mut self, life: u64, member: Member, lock: LockId) {
        let reachable_ns = self.coordinator_reaches_ns();
        if reachable_ns > self.now_ns {
            return self.at(reachable_ns, Happening::Lock(life, member, lock));
        }
        let lease = self.leases.entry(member.clone()).or_default();
        let until_ns = lease.extended_until_ns;
        *lease = lease.locked(lock);
        let delay_ns = self.broker_delay_ns();
        self.after(delay_ns, Happening::Locked(life, member, lock, until_ns));
    }

    fn locked(&mut self, life: u64, member: Member, lock: LockId, extended_until_ns: u64) {
        if self.coordinator.as_ref().is_none_or(|it| it.life != life) {
            return;
        }
        if self.coordinator_reaches_ns() > self.now_ns {
            // The answer was lost with the connection; it is asked again.
            return self.lock(life, member, lock);
        }
        self.step_coordinator(Input::Locked {
            member,
            lock,
            extended_until_ns,
        });
    }

    /// What is asked may get lost; then the agent does not wait for ever, and it may arrive all the same.
    fn ask_to_extend(&mut self, index: usize, until_ns: u64, known: LockId) {
        let lost = self.chance.happens(self.story.network.lost_permille);
        let delay_ns = match lost {
            true => self.chance.within(MS_NS..3 * SECOND_NS),
            false => self.broker_delay_ns(),
        };
        if lost {
            self.after(300 * MS_NS, Happening::Extended(index, None));
        }
        if self.agent_reaches(index) {
            self.after(delay_ns, Happening::Extend(index, until_ns, known));
        } else if !lost {
            self.after(delay_ns, Happening::Extended(index, None));
        }
    }

    fn extend(&mut self, index: usize, until_ns: u64, known: LockId) {
        let mut extended = None;
        if self.agent_reaches(index) {
            let lease = self
                .leases
                .entry(self.agents[index].member.clone())
                .or_default();
            if let Some(longer) = lease.extended(until_ns, known) {
                *lease = longer;
                extended = Some(until_ns);
            }
        }
        let delay_ns = self.broker_delay_ns();
        self.after(delay_ns, Happening::Extended(index, extended));
    }

    /// An agent that tries to connect is refused, again and again, while the broker is out of order.
    fn refuse(&mut self, index: usize) {
        if self.now_ns >= self.broker_away_until_ns || !self.agents[index].alive {
            return;
        }
        if self.now_ns >= self.agents[index].away_until_ns {
            let began_ns = self.agents[index].clock.at(self.now_ns);
            let ended_ns = self.agents[index].clock.at(self.now_ns + MS_NS);
            let delay_ns = self.chance.within(MS_NS..50 * MS_NS);
            self.after(delay_ns, Happening::Refused(index, began_ns, ended_ns));
        }
        let delay_ns = self.chance.within(100 * MS_NS..300 * MS_NS);
        self.after(delay_ns, Happening::Refuse(index));
    }

    // The network.

    fn post(&mut self, index: usize, letter: Letter) {
        if self.is_away(index) || self.now_ns < self.agents[index].mute_until_ns {
            return;
        }
        let own_ns = self.agents[index].clock.at(self.now_ns);
        let letter = match (letter, &mut self.courier) {
            (Letter::Heartbeat(heartbeat), Some(courier)) => {
                let sealed = courier.seal_heartbeat(&heartbeat, own_ns);
                Letter::SealedHeartbeat(altered(sealed, &mut self.chance))
            }
            (Letter::Snapshot(snapshot), Some(courier)) => {
                let sealed = courier.seal_snapshot(&snapshot, own_ns);
                Letter::SealedSnapshot(altered(sealed, &mut self.chance))
            }
            (letter, _) => letter,
        };
        for delay_ns in self.delays() {
            self.after(delay_ns, Happening::ToCoordinator(index, letter.clone()));
        }
    }

    fn post_directive(&mut self, directive: Box<Directive>) {
        let own_ns = self.coordinator_ns();
        let to = directive.to.clone();
        let order = match &mut self.courier {
            Some(courier) => {
                let sealed = courier.seal_directive(&directive, own_ns);
                Order::Sealed(altered(sealed, &mut self.chance))
            }
            None => Order::Open(directive),
        };
        for delay_ns in self.delays() {
            self.after(delay_ns, Happening::ToAgent(to.clone(), order.clone()));
        }
    }

    fn coordinator_ns(&self) -> u64 {
        let coordinator = self.coordinator.as_ref();
        coordinator.map_or(self.now_ns, |it| it.clock.at(self.now_ns))
    }

    fn deliver(&mut self, index: usize, letter: Letter) {
        // What an earlier coordinator has made durable comes from no agent.
        if index < self.agents.len() && self.is_away(index) {
            return;
        }
        let own_ns = self.coordinator_ns();
        let courier = self.courier.as_mut();
        let input = match letter {
            Letter::Heartbeat(heartbeat) => Some(Input::Heartbeat(*heartbeat)),
            Letter::Snapshot(snapshot) => Some(Input::Snapshot(snapshot)),
            Letter::SealedHeartbeat(sealed) => courier
                .and_then(|courier| courier.open_heartbeat(&sealed, own_ns))
                .map(Input::Heartbeat),
            Letter::SealedSnapshot(sealed) => courier
                .and_then(|courier| courier.open_snapshot(&sealed, own_ns))
                .map(|snapshot| Input::Snapshot(Arc::new(snapshot))),
        };
        if let Some(input) = input {
            self.step_coordinator(input);
        }
    }

    fn direct(&mut self, to: &Member, order: Order) {
        let Some(index) = self.agents.iter().position(|agent| agent.member == *to) else {
            return;
        };
        if self.is_away(index) {
            return;
        }
        let own_ns = self.agents[index].clock.at(self.now_ns);
        let directive = match (order, &mut self.courier) {
            (Order::Open(directive), _) => Some(directive),
            (Order::Sealed(sealed), Some(courier)) => {
                courier.open_directive(to, &sealed, own_ns).map(Box::new)
            }
            (Order::Sealed(_), None) => None,
        };
        if let Some(directive) = directive {
            self.look(index);
            self.step_agent(index, AgentInput::Directive(directive));
        }
    }

    fn is_away(&self, index: usize) -> bool {
        self.is_cut_off(&self.agents[index])
    }

    /// What happened, for a person to read.
    pub fn tale(&self) -> String {
        let seconds = |ns: u64| ns as f64 / SECOND_NS as f64;
        let faults = self.story.faults.iter();
        let faults = faults.map(|(at_ns, fault)| (*at_ns, format!("{fault:?}")));
        let events = self.events.iter();
        let events = events.map(|(at_ns, event)| (at_ns - BEGIN_NS, format!("    {event:?}")));
        let mut lines: Vec<(u64, String)> = faults.chain(events).collect();
        lines.sort();
        let lines = lines
            .iter()
            .map(|(at_ns, line)| format!("{:9.3} s {line}\n", seconds(*at_ns)));
        format!(
            "{:?}, {:?}\n{}",
            self.story.settings.policy,
            self.story.network,
            lines.collect::<String>()
        )
    }

    /// Whether nothing goes to or from an agent now.
    pub fn is_cut_off(&self, agent: &Agent) -> bool {
        self.now_ns < agent.away_until_ns.max(self.coordinator_reaches_ns())
    }

    /// One delay for each copy that arrives.
    fn delays(&mut self) -> Vec<u64> {
        let network = self.story.network;
        let copies = match () {
            () if self.chance.happens(network.lost_permille) => 0,
            () if self.chance.happens(network.doubled_permille) => 2,
            () => 1,
        };
        let delay = |chance: &mut Chance| {
            let delay_ns = chance.within(network.least_delay_ns..network.most_delay_ns);
            match chance.happens(network.slow_permille) {
                true => delay_ns * chance.within(1..10),
                false => delay_ns,
            }
        };
        (0..copies).map(|_| delay(&mut self.chance)).collect()
    }
}

impl Agent {
    /// Everything it recorded.
    pub fn recorded(&self) -> Snapshot {
        let mut recorded = Snapshot::default();
        self.taken
            .iter()
            .for_each(|snapshot| recorded.append(snapshot));
        recorded
    }

    /// Whether what was accepted of it is what it recorded up to some snapshot.
    pub fn recorded_so_far(&self, accepted: &Histogram) -> bool {
        let mut so_far = Histogram::new();
        accepted.is_empty()
            || self.taken.iter().any(|snapshot| {
                so_far.merge(&snapshot.iterations.duration_us);
                so_far == *accepted
            })
    }
}

/// Whether the engine was told in time.
fn steer(engine: &mut Engine, output: &AgentOutput) -> bool {
    match output {
        AgentOutput::Epoch(epoch) => return engine.epoch(epoch),
        AgentOutput::Advance {
            until_ns,
            drop_before_ns,
        } => return engine.advance(*until_ns, *drop_before_ns),
        AgentOutput::Close { at_ns } => engine.close(*at_ns),
        AgentOutput::Stop => engine.stop(),
        _ => {}
    }
    true
}
