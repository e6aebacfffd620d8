//! The coordinator of one run: the machine between its link to the agents and whoever watches.

use crate::coordinator::{CoordinatorMachine, Event, Input, Output};
use crate::link::{CoordinatorLink, Mail, Persisted};
use crate::messages::{Command, Invitation, NumberedSnapshot, Status};
use crate::record::Fact;
use crate::settings::Settings;
use drumfire_reactor::now;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

/// Between two invitations.
const INVITATION: Duration = Duration::from_secs(1);

/// So long a coordinator stays at the end for agents that have not heard it.
const FAREWELL: Duration = Duration::from_secs(5);

/// Commands of the coordinator's own process are asked under this number, and not answered.
const OWN: u64 = u64::MAX;

/// What whoever watches a run is told, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Something happened.
    Event(Event),
    /// A report is in.
    Accepted(Arc<NumberedSnapshot>),
    /// The run starts, or has started, at this instant of the coordinator's clock.
    Started(u64),
    /// The run is over; nothing more will be accepted.
    Closed(Box<Status>),
    /// A line for the log.
    Trouble(String),
    /// Another coordinator has taken the run over; it will report.
    Superseded,
}

/// Runs a coordinator.
pub struct CoordinatorHost<L> {
    link: L,
    machine: CoordinatorMachine,
    invitation: Invitation,
    /// The coordinator's clock, nanoseconds since 1970, when this process's clock was 0.
    zero_ns: u64,
    updates: Sender<Update>,
    /// Those that the machine knows of.
    outages: u64,
    /// What came out and is not carried out yet.
    outputs: Vec<Output>,
    closed: bool,
    superseded: bool,
    started: bool,
}

impl<L: CoordinatorLink> CoordinatorHost<L> {
    /// A coordinator that goes on from a record, which may be empty. `unix_ns` is the wall clock now, nanoseconds since 1970:
    /// the run's clock, which also a coordinator elsewhere can go on from.
    pub fn new(
        link: L,
        settings: Settings,
        invitation: Invitation,
        seed: u64,
        record: impl IntoIterator<Item = Fact>,
        unix_ns: u64,
        updates: Sender<Update>,
    ) -> Self {
        let mut outputs = Vec::new();
        let zero_ns = unix_ns.saturating_sub(now());
        let machine =
            CoordinatorMachine::new(settings, seed, record, zero_ns + now(), &mut outputs);
        Self {
            outages: link.outages(),
            link,
            machine,
            invitation,
            zero_ns,
            updates,
            outputs,
            closed: false,
            superseded: false,
            started: false,
        }
    }

    /// Runs until the run is over and its agents know it, or another coordinator has taken over. `orders` are the commands
    /// of this process.
    pub async fn run(mut self, mut orders: UnboundedReceiver<Command>) {
        let mut invitations = interval(INVITATION);
        invitations.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut farewell = None;
        for epoch in self.machine.epochs().iter() {
            self.update(Update::Event(Event::Epoch(epoch.clone())));
        }
        self.carry_out().await;
        while !self.superseded {
            if self.closed {
                let until = *farewell.get_or_insert_with(|| Instant::now() + FAREWELL);
                if self.machine.is_alone(self.clock_ns()) || Instant::now() >= until {
                    return;
                }
            }
            let wake_ns = self.machine.wake_ns().saturating_sub(self.clock_ns());
            let input = tokio::select! {
                biased;
                mail = self.link.next() => self.opened(mail),
                Some(command) = orders.recv() => Some(Input::Command { id: OWN, command }),
                _ = invitations.tick(), if !self.closed => {
                    self.link.invite(&self.invitation).await;
                    None
                }
                () = sleep(Duration::from_nanos(wake_ns)) => Some(Input::Tick),
                () = sleep_until(farewell.unwrap_or_else(Instant::now)), if farewell.is_some() => None,
            };
            if let Some(input) = input {
                self.step(input).await;
            }
        }
    }

    async fn step(&mut self, input: Input) {
        let outages = self.link.outages();
        if outages != std::mem::replace(&mut self.outages, outages) {
            let now_ns = self.clock_ns();
            self.machine.step(now_ns, Input::Outage, &mut self.outputs);
        }
        let now_ns = self.clock_ns();
        self.machine.step(now_ns, input, &mut self.outputs);
        self.carry_out().await;
    }

    fn clock_ns(&self) -> u64 {
        self.zero_ns + now()
    }

    fn opened(&self, mail: Mail) -> Option<Input> {
        match mail {
            Mail::Heartbeat(heartbeat) => Some(Input::Heartbeat(heartbeat)),
            Mail::Snapshot(snapshot) => Some(Input::Snapshot(snapshot)),
            Mail::Command { id, command } => Some(Input::Command { id, command }),
            Mail::Locked {
                member,
                lock,
                extended_until_ns,
            } => Some(Input::Locked {
                member,
                lock,
                extended_until_ns,
            }),
            Mail::Trouble(line) => {
                self.update(Update::Trouble(line));
                None
            }
        }
    }

    async fn carry_out(&mut self) {
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Persist(fact) => {
                    if self.link.persist(&fact).await == Persisted::Superseded {
                        return self.give_way();
                    }
                }
                Output::Send(directive) => self.link.send(&directive).await,
                Output::Lock { member, lock } => self.link.lock(&member, lock).await,
                Output::Reply { id: OWN, .. } => {}
                Output::Reply { id, reply } => self.link.reply(id, &reply).await,
                Output::Event(event) => self.update(Update::Event(event)),
                Output::Accepted(snapshot) => self.update(Update::Accepted(snapshot)),
                Output::Closed(..) => {
                    self.closed = true;
                    let status = self.machine.status(self.zero_ns + now());
                    self.update(Update::Closed(Box::new(status)));
                }
                Output::Superseded => return self.give_way(),
            }
        }
        if let Some(start_ns) = self.machine.start_ns().filter(|_| !self.started) {
            self.started = true;
            self.update(Update::Started(start_ns));
        }
    }

    fn give_way(&mut self) {
        self.superseded = true;
        self.update(Update::Superseded);
    }

    /// Whoever watches may have gone; the run goes on without.
    fn update(&self, update: Update) {
        self.updates.send(update).ok();
    }
}
