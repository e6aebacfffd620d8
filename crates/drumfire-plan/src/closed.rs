//! Closed load: stages of users, the user count U(t) over all of them, and when each user starts and stops.
//!
//! In a stage the number of users goes along a straight line. User j runs while the line is above j:
//! on the way up user `from` starts at once and the last of n new ones one n-th before the end, on
//! the way down the last user stops one n-th after the start and the n-th at the end.

use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{PlanError, StageFault};
use crate::open::{check_count, stage_end};
use crate::share::Share;

/// The most users of one load.
pub const MAX_USERS: u32 = 100_000_000;

/// One stage of closed load: a straight line from one number of users to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedStage {
    /// The stage's name in the script.
    pub name: Option<String>,
    /// How long it lasts.
    pub duration: Duration,
    /// Users at the start; where they differ from the last stage's end, the difference starts or stops at once.
    pub from_users: u32,
    /// Users at the end.
    pub to_users: u32,
}

/// How often the users of a closed load iterate before it ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Iterations {
    /// Until the time is up.
    #[default]
    Unlimited,
    /// So often in total, dealt out over all users.
    Shared(u64),
    /// So often each.
    PerUser(u64),
}

/// Validated closed load: the pure function from time to users. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedLoad {
    stages: Arc<[ClosedStage]>,
    iterations: Iterations,
    moves: Arc<[Move]>,
    ends_ns: Arc<[u64]>,
}

/// A user starts or stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserChange {
    /// When, from the start of the load.
    pub at: Duration,
    /// The user's number in the whole load, from 0: the same whichever share runs it.
    pub user: u32,
    /// The index of the stage that says so; the last one's for the stops at the end.
    pub stage: u32,
    /// Whether it starts or stops.
    pub kind: UserChangeKind,
}

/// Whether a user starts or stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserChangeKind {
    /// From now on the user iterates.
    Start,
    /// From now on the user begins no further iteration.
    Stop,
}

/// One stretch of time in which a user iterates, from the start of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When it starts.
    pub start: Duration,
    /// When it stops.
    pub stop: Duration,
}

impl ClosedLoad {
    /// Validates the stages.
    ///
    /// # Errors
    /// When a stage has no duration or too many users, none has any users, the load is too long, or the
    /// iterations are limited to none; the error names the stage.
    pub fn new(stages: Vec<ClosedStage>, iterations: Iterations) -> Result<Self, PlanError> {
        check_count(stages.len())?;
        if matches!(iterations, Iterations::Shared(0) | Iterations::PerUser(0)) {
            return Err(PlanError::NoIterations);
        }
        let ends_ns = ends(&stages)?;
        let load = Self {
            moves: moves(&stages, &ends_ns).into(),
            ends_ns: ends_ns.into(),
            stages: stages.into(),
            iterations,
        };
        match load.max_users() {
            0 => Err(PlanError::NoUsers),
            _ => Ok(load),
        }
    }

    /// The stages as they were given.
    pub fn stages(&self) -> &[ClosedStage] {
        &self.stages
    }

    /// How often the users of the whole load iterate.
    pub fn iterations(&self) -> Iterations {
        self.iterations
    }

    /// How often the users of a share iterate. Shared iterations go around the users of the widest
    /// point, so a share without users gets none and all shares together get all.
    pub fn iterations_of(&self, share: &Share) -> Iterations {
        match self.iterations {
            Iterations::Shared(total) => {
                let users = u64::from(self.max_users());
                let (rounds, rest) = (total / users, total % users);
                let owned = rounds * share.count_below(users) + share.count_below(rest);
                Iterations::Shared(owned)
            }
            other => other,
        }
    }

    /// U(t): how many users iterate at `t` from the start (in the nanosecond after it); none from the end on.
    pub fn users_at(&self, t: Duration) -> u32 {
        let Ok(at_ns) = u64::try_from(t.as_nanos()) else {
            return 0;
        };
        let index = self.ends_ns.partition_point(|&end_ns| end_ns <= at_ns);
        let Some(stage) = self.stages.get(index) else {
            return 0;
        };
        let start_ns = self.start_ns(index);
        let length = u128::from(self.ends_ns[index] - start_ns);
        let elapsed = u128::from(at_ns - start_ns);
        let moving = u128::from(stage.from_users.abs_diff(stage.to_users));
        if stage.from_users <= stage.to_users {
            let started = ((elapsed + 1) * moving).div_ceil(length).min(moving);
            stage.from_users + started as u32
        } else {
            stage.from_users - (elapsed * moving / length) as u32
        }
    }

    /// All starts and stops of a share's users, in the order of time. The iterator owns what it
    /// needs and can move to another thread.
    pub fn changes(&self, share: &Share) -> UserChanges {
        UserChanges {
            moves: Arc::clone(&self.moves),
            share: share.clone(),
            begun: 0,
            ranks: 0..0,
        }
    }

    /// When one user iterates: seldom more than one stretch.
    pub fn lifetimes(&self, user: u32) -> Vec<Lifetime> {
        let own = self.moves.iter().filter(|part| part.users.contains(&user));
        let times: Vec<Duration> = own.map(|part| part.time_of(user)).collect();
        times
            .chunks_exact(2)
            .map(|pair| Lifetime {
                start: pair[0],
                stop: pair[1],
            })
            .collect()
    }

    /// The most users at any time.
    pub fn max_users(&self) -> u32 {
        let ends = self.stages.iter().map(|s| s.from_users.max(s.to_users));
        ends.max().unwrap_or(0)
    }

    /// How long all stages last together: the longest that the load runs.
    pub fn duration(&self) -> Duration {
        self.ends_ns
            .last()
            .map_or(Duration::ZERO, |&end_ns| Duration::from_nanos(end_ns))
    }

    /// The index of the stage that `t` lies in; the last one's from the end on.
    pub fn stage_at(&self, t: Duration) -> usize {
        let ended = self
            .ends_ns
            .partition_point(|&end_ns| Duration::from_nanos(end_ns) <= t);
        ended.min(self.stages.len() - 1)
    }

    /// When stage `index` starts and ends, from the start of the load.
    ///
    /// # Panics
    /// When there is no such stage.
    pub fn stage_bounds(&self, index: usize) -> Range<Duration> {
        Duration::from_nanos(self.start_ns(index))..Duration::from_nanos(self.ends_ns[index])
    }

    fn start_ns(&self, index: usize) -> u64 {
        index
            .checked_sub(1)
            .map_or(0, |previous| self.ends_ns[previous])
    }
}

/// An iterator over the starts and stops of a share's users, made by [`ClosedLoad::changes`].
#[derive(Debug, Clone)]
pub struct UserChanges {
    moves: Arc<[Move]>,
    share: Share,
    /// Moves begun; of the last of them the users with these ranks in the share are left.
    begun: usize,
    ranks: Range<u64>,
}

impl Iterator for UserChanges {
    type Item = UserChange;

    fn next(&mut self) -> Option<UserChange> {
        while self.ranks.is_empty() {
            let users = &self.moves.get(self.begun)?.users;
            let rank = |user: u32| self.share.count_below(u64::from(user));
            self.ranks = rank(users.start)..rank(users.end);
            self.begun += 1;
        }
        let part = &self.moves[self.begun - 1];
        let rank = match part.kind {
            UserChangeKind::Start => self.ranks.next(),
            UserChangeKind::Stop => self.ranks.next_back(),
        }?;
        let user = self.share.nth_owned(rank)? as u32;
        Some(UserChange {
            at: part.time_of(user),
            user,
            stage: part.stage,
            kind: part.kind,
        })
    }
}

impl FusedIterator for UserChanges {}

/// Neighbouring users that start, or stop, one after the other at even distances (or at once).
#[derive(Debug, PartialEq)]
struct Move {
    start_ns: u64,
    length_ns: u64,
    users: Range<u32>,
    kind: UserChangeKind,
    stage: u32,
}

impl Move {
    /// From one number of users to another; none when they are the same.
    fn between(from: u32, to: u32, start_ns: u64, length_ns: u64, stage: usize) -> Option<Self> {
        let kind = match from < to {
            true => UserChangeKind::Start,
            false => UserChangeKind::Stop,
        };
        (from != to).then(|| Self {
            start_ns,
            length_ns,
            users: from.min(to)..from.max(to),
            kind,
            stage: stage as u32,
        })
    }

    fn time_of(&self, user: u32) -> Duration {
        let length = u128::from(self.length_ns);
        let users = u128::from(self.users.end - self.users.start);
        let offset = match self.kind {
            UserChangeKind::Start => length * u128::from(user - self.users.start) / users,
            UserChangeKind::Stop => (length * u128::from(self.users.end - user)).div_ceil(users),
        };
        Duration::from_nanos(self.start_ns + offset as u64)
    }
}

fn ends(stages: &[ClosedStage]) -> Result<Vec<u64>, PlanError> {
    let mut end_ns = 0;
    let end_of = |(index, stage): (usize, &ClosedStage)| {
        let users = stage.from_users.max(stage.to_users);
        let end = match users {
            0..=MAX_USERS => stage_end(end_ns, stage.duration),
            _ => Err(StageFault::TooManyUsers { users }),
        };
        end_ns = end.map_err(|fault| PlanError::stage(index, stage.name.as_deref(), fault))?;
        Ok(end_ns)
    };
    stages.iter().enumerate().map(end_of).collect()
}

/// The steps between stages and the lines inside them, in order; at the end all users stop.
fn moves(stages: &[ClosedStage], ends_ns: &[u64]) -> Vec<Move> {
    let mut moves = Vec::new();
    let (mut users, mut start_ns) = (0, 0);
    for (index, (stage, &end_ns)) in stages.iter().zip(ends_ns).enumerate() {
        let (from, to) = (stage.from_users, stage.to_users);
        moves.extend(Move::between(users, from, start_ns, 0, index));
        moves.extend(Move::between(from, to, start_ns, end_ns - start_ns, index));
        (users, start_ns) = (to, end_ns);
    }
    moves.extend(Move::between(users, 0, start_ns, 0, stages.len() - 1));
    moves
}
