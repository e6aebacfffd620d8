//! The transport of a cluster in one process: channels between the coordinator's thread and those of its agents. Nothing
//! outlives the process, so facts are kept nowhere.

use crate::lease::LockId;
use crate::link::{
    AgentLink, AgentMail, CoordinatorLink, MAX_BUNDLE_BYTES, Mail, Persisted, Standby,
};
use crate::member::{Digest, Member};
use crate::messages::{Directive, Heartbeat, Invitation, NumberedSnapshot, Reply};
use crate::record::Fact;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// Heartbeats and snapshots that wait for the coordinator; more are dropped, and said again.
pub const MAX_WAITING_MAIL: usize = 1_024;

/// Directives that wait for an agent; more are dropped, and said again.
pub const MAX_WAITING_DIRECTIVES: usize = 64;

/// A cluster in this process: one coordinator's end, and the door through which its agents come in.
pub fn cluster() -> (MemoryCoordinator, MemoryAgents) {
    let (post, mail) = mpsc::channel(MAX_WAITING_MAIL);
    let (invitation, invitations) = watch::channel(None);
    let (bundle, bundles) = watch::channel(HashMap::new());
    let coordinator = MemoryCoordinator {
        mail,
        agents: BTreeMap::new(),
        invitation,
        bundle,
        locked: VecDeque::new(),
    };
    let agents = MemoryAgents {
        post,
        invitations,
        bundles,
    };
    (coordinator, agents)
}

type Bundles = HashMap<Digest, Arc<[u8]>>;

/// The coordinator's end.
#[derive(Debug)]
pub struct MemoryCoordinator {
    mail: mpsc::Receiver<Post>,
    agents: BTreeMap<Member, mpsc::Sender<Directive>>,
    invitation: watch::Sender<Option<Invitation>>,
    bundle: watch::Sender<Bundles>,
    /// Answers that were not given yet.
    locked: VecDeque<Mail>,
}

#[derive(Debug)]
enum Post {
    Joined(Member, mpsc::Sender<Directive>),
    Mail(Mail),
}

impl CoordinatorLink for MemoryCoordinator {
    async fn next(&mut self) -> Mail {
        loop {
            if let Some(locked) = self.locked.pop_front() {
                return locked;
            }
            match self.mail.recv().await {
                Some(Post::Mail(mail)) => return mail,
                Some(Post::Joined(member, directives)) => {
                    self.agents.insert(member, directives);
                }
                // All agents have ended, and none can come.
                None => std::future::pending().await,
            }
        }
    }

    async fn invite(&mut self, invitation: &Invitation) {
        self.invitation.send_replace(Some(invitation.clone()));
    }

    async fn send(&mut self, directive: &Directive) {
        let Some(agent) = self.agents.get(&directive.to) else {
            return;
        };
        match agent.try_send(directive.clone()) {
            // An agent that is behind is told again.
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Closed(_)) => drop(self.agents.remove(&directive.to)),
        }
    }

    /// Nobody asks from outside of the process.
    async fn reply(&mut self, _id: u64, _reply: &Reply) {}

    async fn persist(&mut self, _fact: &Fact) -> Persisted {
        Persisted::Done
    }

    /// No agent extends its lease by itself: a coordinator in the same process is not away.
    async fn lock(&mut self, member: &Member, lock: LockId) {
        self.locked.push_back(Mail::Locked {
            member: member.clone(),
            lock,
            extended_until_ns: 0,
        });
    }

    fn outages(&self) -> u64 {
        0
    }

    async fn publish_bundle(&mut self, digest: Digest, bundle: &[u8]) -> Result<(), String> {
        if bundle.len() > MAX_BUNDLE_BYTES {
            return Err(too_large(bundle.len()));
        }
        self.bundle.send_if_modified(|bundles| {
            let new = !bundles.contains_key(&digest);
            bundles.entry(digest).or_insert_with(|| bundle.into());
            new
        });
        Ok(())
    }
}

pub(crate) fn too_large(bytes: usize) -> String {
    format!("{bytes} bytes are more than the {MAX_BUNDLE_BYTES} of the largest bundle")
}

/// The agents' door: each agent takes a clone to its thread.
#[derive(Debug, Clone)]
pub struct MemoryAgents {
    post: mpsc::Sender<Post>,
    invitations: watch::Receiver<Option<Invitation>>,
    bundles: watch::Receiver<Bundles>,
}

impl Standby for MemoryAgents {
    type Link = MemoryAgentLink;

    async fn invited(&mut self) -> Invitation {
        loop {
            if self.invitations.changed().await.is_err() {
                // The coordinator has ended, and no other can come.
                std::future::pending::<()>().await;
            }
            if let Some(invitation) = &*self.invitations.borrow_and_update() {
                return invitation.clone();
            }
        }
    }

    async fn join(&mut self, _run: &str, member: &Member) -> Result<MemoryAgentLink, String> {
        let (sender, directives) = mpsc::channel(MAX_WAITING_DIRECTIVES);
        let joined = Post::Joined(member.clone(), sender);
        let posted = self.post.send(joined).await;
        posted.map_err(|_| GONE.to_owned())?;
        Ok(MemoryAgentLink {
            post: self.post.clone(),
            directives,
            bundles: self.bundles.clone(),
        })
    }
}

const GONE: &str = "the coordinator has ended";

/// An agent's end of the run.
#[derive(Debug)]
pub struct MemoryAgentLink {
    post: mpsc::Sender<Post>,
    directives: mpsc::Receiver<Directive>,
    bundles: watch::Receiver<Bundles>,
}

impl MemoryAgentLink {
    fn post(&self, mail: Mail) {
        match self.post.try_send(Post::Mail(mail)) {
            // A coordinator that is behind is told again; one that has ended need not be.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {}
        }
    }
}

impl AgentLink for MemoryAgentLink {
    async fn next(&mut self) -> AgentMail {
        match self.directives.recv().await {
            Some(directive) => AgentMail::Directive(Box::new(directive)),
            // The coordinator has ended, or knows a later end of the same member.
            None => std::future::pending().await,
        }
    }

    async fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        self.post(Mail::Heartbeat(heartbeat.clone()));
    }

    async fn snapshot(&mut self, snapshot: &Arc<NumberedSnapshot>) {
        self.post(Mail::Snapshot(Arc::clone(snapshot)));
    }

    fn extend(
        &mut self,
        _until_ns: u64,
        _known: LockId,
    ) -> impl Future<Output = bool> + Send + 'static {
        std::future::ready(false)
    }

    fn fetch(
        &mut self,
        digest: Digest,
    ) -> impl Future<Output = Result<Vec<u8>, String>> + Send + 'static {
        let mut bundles = self.bundles.clone();
        async move {
            let bundles = bundles.wait_for(|bundles| bundles.contains_key(&digest));
            let bundles = bundles.await.map_err(|_| GONE.to_owned())?;
            Ok(bundles[&digest].to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{AgentPhase, Order};
    use drumfire_metrics::Snapshot;

    fn heartbeat(member: &Member, number: u64) -> Heartbeat {
        Heartbeat {
            member: member.clone(),
            number,
            term: 0,
            directive: 0,
            sent_ns: number,
            phase: AgentPhase::Announced,
            capacity: 1,
            version: "0.1.0".to_owned(),
            clock: None,
            begun_late_ns: None,
            epoch: None,
            promise: None,
            reached_ns: 0,
            leaving: false,
        }
    }

    fn directive(to: &Member, number: u64) -> Directive {
        Directive {
            run: "run".to_owned(),
            to: to.clone(),
            term: 1,
            number,
            order: Order::Wait,
            echo: None,
            epochs: Vec::new(),
            proposal: None,
            grant: None,
            interval_ns: 1,
            snapshots_before: 0,
        }
    }

    fn snapshot(member: &Member) -> Arc<NumberedSnapshot> {
        Arc::new(NumberedSnapshot {
            member: member.clone(),
            number: 0,
            from_ns: 0,
            to_ns: 1,
            last: false,
            snapshot: Snapshot::default(),
        })
    }

    fn mail(to: &Member, number: u64) -> AgentMail {
        AgentMail::Directive(Box::new(directive(to, number)))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(future)
    }

    /// One agent on its thread: joins, says one thing, and gives back what it was told and what it fetched.
    fn agent(mut agents: MemoryAgents, member: &Member) -> (String, AgentMail, Vec<u8>) {
        block_on(async {
            let invitation = agents.invited().await;
            let mut link = agents.join(&invitation.run, member).await.expect("a link");
            link.heartbeat(&heartbeat(member, 1)).await;
            let mail = link.next().await;
            link.snapshot(&snapshot(member)).await;
            let bundle = link.fetch(Digest([1; 32])).await.expect("a bundle");
            (invitation.run, mail, bundle)
        })
    }

    #[test]
    fn everything_reaches_whom_it_is_for() {
        let members = ["a", "b", "c"].map(|name| Member::new(name, 1));
        let (mut link, agents) = cluster();
        let told: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = members
                .iter()
                .map(|member| {
                    let agents = agents.clone();
                    scope.spawn(move || agent(agents, member))
                })
                .collect();
            block_on(async {
                link.invite(&Invitation {
                    run: "run".to_owned(),
                    name: "test".to_owned(),
                })
                .await;
                let mut snapshots = 0;
                while snapshots < members.len() {
                    match link.next().await {
                        Mail::Heartbeat(heartbeat) => {
                            link.send(&directive(&heartbeat.member, 1)).await;
                        }
                        Mail::Snapshot(_) => snapshots += 1,
                        other => panic!("{other:?}"),
                    }
                }
                link.publish_bundle(Digest([2; 32]), b"another").await?;
                link.publish_bundle(Digest([1; 32]), b"bundle").await
            })
            .expect("published");
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|told| told.expect("no panic")).collect()
        });
        for (member, told) in members.iter().zip(told) {
            let expected = ("run".to_owned(), mail(member, 1), b"bundle".to_vec());
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn nobody_waits_for_one_who_does_not_listen() {
        let (mut link, mut agents) = cluster();
        let member = Member::new("a", 1);
        block_on(async {
            let mut agent = agents.join("run", &member).await.expect("a link");
            for number in 0..2 * MAX_WAITING_MAIL as u64 {
                agent.heartbeat(&heartbeat(&member, number)).await;
            }
            assert!(matches!(link.next().await, Mail::Heartbeat(_)));
            for number in 0..2 * MAX_WAITING_DIRECTIVES as u64 {
                link.send(&directive(&member, number)).await;
            }
            assert_eq!(agent.next().await, mail(&member, 0));
            drop(agent);
            link.send(&directive(&member, 0)).await;
            assert!(link.agents.is_empty());
            link.reply(0, &Reply::Accepted).await;
            let fact = Fact::Resumed;
            assert_eq!(link.persist(&fact).await, Persisted::Done);
        });
        drop(link);
        let joined = block_on(agents.join("run", &member));
        assert_eq!(joined.map(drop), Err(GONE.to_owned()));
    }
}
