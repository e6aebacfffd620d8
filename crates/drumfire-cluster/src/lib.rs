//! Many agents, one run: the coordinator and its agents as pure state machines, the messages between them, what
//! carries those, and who runs the machines.
//!
//! - the two machines: [`CoordinatorMachine`], [`AgentMachine`]; what they are asked to be: [`Settings`], [`AgentSettings`];
//! - who owns which arrival: [`Epoch`], [`Epochs`];
//! - what was reported, once, and what became of the rest: [`Ledger`], [`Balance`];
//! - what outlives a coordinator: [`Fact`];
//! - what travels: [`Heartbeat`], [`Directive`], [`NumberedSnapshot`]; as bytes: the `write_` and `read_` functions;
//!   signed: [`Signer`], [`Verifier`];
//! - what carries it: [`CoordinatorLink`], [`Standby`] and [`AgentLink`], in one process by [`memory`], between hosts by
//!   [`nats`];
//! - who runs the machines: [`CoordinatorHost`], [`run_agent`].
//!
//! Nothing but those last two knows a network, a clock, a disk or a source of chance: whoever runs a machine brings time
//! and messages, and carries out what it asks for, in the order in which it asks.
//!
//! # Why no arrival is sent twice
//!
//! Everything that decides who may start an arrival is said in the time of the schedule, not of a clock. An arrival at
//! schedule time *t* belongs to the share that the epoch in force at *t* gives it to. An agent starts it only when *t* is
//! before the end of what it was *granted* and before what it has *promised* to hold for. The coordinator decides an epoch
//! from *e* on only when each agent whose share changes has promised to hold from *e* at the latest, or was granted nothing
//! beyond *e*, or has no process any more. A wrong clock makes an agent early or late; it never makes it own another's.
//!
//! A grant is the agent's lease: every heartbeat that the coordinator answers renews it. So an agent that is cut off
//! goes on until its lease ends, and its share is given away only from there on. An agent that hears no coordinator
//! but reaches the broker extends its [`Lease`] there by itself; a coordinator that wants to take a silent agent's share
//! first locks that lease, and learns how far it was extended. While the broker is out of order nobody can
//! decide anything, and an agent that knows so in time ([`AgentInput::Refused`]) goes on for longer; a coordinator that
//! has seen an outage ([`Input::Outage`]) reckons with it until the agent has heard it again.
//!
//! # What whoever runs the machines owes them
//!
//! - A [`Fact`] is durable before the outputs behind it are carried out, and facts are kept in order.
//! - [`Input::PeerGone`] is said only of a process that has certainly ended.
//! - Of several coordinators of a run only the one with the highest term may write facts.
//! - [`Input::Outage`] is said of every interruption of the connection to the broker, before anything that came over the
//!   next one, the answer to an [`Output::Lock`] included.
//! - [`AgentInput::Refused`] is said only of a broker that refuses everyone.
//! - [`AgentOutput::Advance`] holds for the engine before the outputs behind it are carried out, also when it takes
//!   time back; and an agent's clock does not run backwards.
//!
//! Messages may be lost, doubled, late and in any order.

mod coordinator;

mod agent;

// What they tell each other.
mod messages;

mod clock_offset;
mod member;
mod settings;

// Who takes part, and with what.
mod epochs;
mod lease;
mod proposal;
mod roster;
mod scale;
mod succession;

// What was done.
mod ledger;
mod outbox;
mod record;

// What all of it looks like together.
mod merged;

// Who runs the machines.
mod host;
mod link;
pub mod memory;
pub mod nats;

// What it looks like on the way.
mod signing;
mod snapshot_wire;
mod wire;

pub use agent::{AgentInput, AgentMachine, AgentOutput, CATCH_UP_NS, EngineEpoch, NOTICE_NS};
pub use clock_offset::{ClockOffset, Echo, MIN_ECHOES};
pub use coordinator::{CoordinatorMachine, Event, Input, MAX_REPORTS_PER_SECOND, Output};
pub use epochs::{Epoch, Epochs, MAX_EPOCHS, Slot};
pub use host::{AgentNews, CoordinatorHost, Loaded, Loader, Update, run_agent};
pub use lease::{Lease, LockId};
pub use ledger::{Account, Balance, Ledger};
pub use link::{AgentLink, AgentMail, CoordinatorLink, MAX_BUNDLE_BYTES, Mail, Persisted, Standby};
pub use member::{Digest, Member};
pub use merged::{Merged, PATIENCE_US, UNIT_US};
pub use messages::{
    AgentEpoch, AgentPhase, AgentStatus, Command, Directive, Grant, Heartbeat, Invitation,
    NumberedSnapshot, Order, Phase, Promise, ProposalId, Proposed, Reply, ShareOf, Status,
};
pub use outbox::{MAX_IN_FLIGHT, MAX_WAITING, RESEND_NS};
pub use record::{Fact, LatestRun};
pub use roster::MAX_MEMBERS;
pub use scale::{AS_PLANNED_PERMILLE, MAX_PERMILLE, scaled};
pub use settings::{AgentSettings, Policy, Settings, Timing, WarmUp};
pub use signing::{MAX_NONCES, MIN_KEY_BYTES, Refusal, RunKey, Signer, VALIDITY_MS, Verifier};
pub use snapshot_wire::{
    MAX_SNAPSHOT_BYTES, SNAPSHOT_VERSION, SnapshotError, read_snapshot, write_snapshot,
};
pub use wire::{
    MAX_MESSAGE_BYTES, WIRE_VERSION, WireError, read_command, read_directive, read_fact,
    read_heartbeat, read_invitation, read_latest_run, read_reply, write_command, write_directive,
    write_fact, write_heartbeat, write_invitation, write_latest_run, write_reply,
};
