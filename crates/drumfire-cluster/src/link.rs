//! What carries the machines' messages: the ends of a transport that hosts of machines are written against. There are two
//! transports, [`crate::memory`] and [`crate::nats`].
//!
//! Whatever is sent may be lost, doubled, late and in any order; the machines say everything again. Only a fact is
//! certain once it is persisted.

use crate::lease::LockId;
use crate::member::{Digest, Member};
use crate::messages::{Command, Directive, Heartbeat, Invitation, NumberedSnapshot, Reply};
use crate::record::Fact;
use std::sync::Arc;

/// The largest bundle, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 256 << 20;

/// What reaches a coordinator's host.
#[derive(Debug, Clone)]
pub enum Mail {
    /// An agent says how it is.
    Heartbeat(Heartbeat),
    /// An agent reports.
    Snapshot(Arc<NumberedSnapshot>),
    /// A person asks something.
    Command {
        /// Names the question in [`CoordinatorLink::reply`].
        id: u64,
        /// What is asked.
        command: Command,
    },
    /// A lease is locked.
    Locked {
        /// Whose.
        member: Member,
        /// By which lock.
        lock: LockId,
        /// The end of everything that the member gave itself before, nanoseconds since the run's start.
        extended_until_ns: u64,
    },
    /// Something was refused or is not as it should be: a line for the log.
    Trouble(String),
}

/// What reaches an agent's host.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentMail {
    /// The coordinator wants something.
    Directive(Box<Directive>),
    /// The broker refused a connection, and would have refused everyone's, at some time between two instants of
    /// [`drumfire_reactor::now`].
    Refused {
        /// Nanoseconds.
        began_ns: u64,
        /// Nanoseconds.
        ended_ns: u64,
    },
}

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persisted {
    /// It is durable.
    Done,
    /// Another coordinator of the run has written in its place. One that has written other facts before must stop; one
    /// whose first fact this was may read the record again.
    Superseded,
}

/// The coordinator's end of one run.
#[expect(
    async_fn_in_trait,
    reason = "hosts are generic over their link and keep it on one thread"
)]
pub trait CoordinatorLink {
    /// What comes next. May be dropped before it is ready without losing anything.
    async fn next(&mut self) -> Mail;

    /// Tells the agents that listen that there is a run to join: to be repeated, as some may not listen yet.
    async fn invite(&mut self, invitation: &Invitation);

    /// Sends a directive to the agent it names.
    async fn send(&mut self, directive: &Directive);

    /// Answers a command; an id that was answered before, or never was, does nothing.
    async fn reply(&mut self, id: u64, reply: &Reply);

    /// Makes a fact durable, however long it takes.
    async fn persist(&mut self, fact: &Fact) -> Persisted;

    /// Locks a member's lease, however long it takes; [`Mail::Locked`] comes when it is done.
    async fn lock(&mut self, member: &Member, lock: LockId);

    /// How often the connection to whatever keeps the record was interrupted and made again. Rises before anything that
    /// came over the newer connection is seen.
    fn outages(&self) -> u64;

    /// Lays the bundle where agents fetch it, however long it takes. Doing it again does nothing.
    ///
    /// # Errors
    /// When it is larger than [`MAX_BUNDLE_BYTES`].
    async fn publish_bundle(&mut self, digest: Digest, bundle: &[u8]) -> Result<(), String>;
}

/// An agent that waits for a run.
#[expect(
    async_fn_in_trait,
    reason = "hosts are generic over their link and keep it on one thread"
)]
pub trait Standby {
    /// The agent's end of a run that it joins.
    type Link: AgentLink;

    /// A run that may be joined: the same again and again while its coordinator invites. May be dropped before it is ready.
    async fn invited(&mut self) -> Invitation;

    /// Joins a run as `member`. Nothing is said to the coordinator before the first heartbeat.
    ///
    /// # Errors
    /// When the transport cannot carry the names, or has ended.
    async fn join(&mut self, run: &str, member: &Member) -> Result<Self::Link, String>;
}

/// An agent's end of one run. What it sends never waits for the transport.
#[expect(
    async_fn_in_trait,
    reason = "hosts are generic over their link and keep it on one thread"
)]
pub trait AgentLink {
    /// What comes next for this member. May be dropped before it is ready without losing anything.
    async fn next(&mut self) -> AgentMail;

    /// Sends a heartbeat, or drops it where it cannot be sent now.
    async fn heartbeat(&mut self, heartbeat: &Heartbeat);

    /// Sends a snapshot, or drops it where it cannot be sent now: the machine sends it again until it is acknowledged.
    async fn snapshot(&mut self, snapshot: &Arc<NumberedSnapshot>);

    /// Extends this member's lease, to whom the newest of the locks that were undone is `known`. The link may be used while
    /// this is waited for.
    ///
    /// Resolves to whether it is extended: not where it is locked, or the broker does not answer.
    fn extend(
        &mut self,
        until_ns: u64,
        known: LockId,
    ) -> impl Future<Output = bool> + Send + 'static;

    /// Fetches a bundle. The link may be used while this is waited for.
    ///
    /// Resolves to an error when it is not there, is larger than [`MAX_BUNDLE_BYTES`], or cannot be read. Whether the bytes
    /// have that digest is for the caller to check.
    fn fetch(
        &mut self,
        digest: Digest,
    ) -> impl Future<Output = Result<Vec<u8>, String>> + Send + 'static;
}
