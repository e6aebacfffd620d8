//! The agents of a shared run in words, the same in every report: what they are called, who fared worst, what happened to
//! them, and their table on a terminal.

use crate::wording;
use drumfire_metrics::{
    Agent, AgentEnding, AgentEvent, AgentEventKind, AgentId, Agents, EpochFacts, Histogram,
    StartSkew,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// With more agents than this a terminal gets the worst [`WORST`].
const FEW: usize = 8;
const WORST: usize = 5;
/// Names in a list before the rest is counted.
const MAX_NAMES: usize = 4;
/// Most mishaps and epochs that a terminal lists, each.
const MAX_LINES: usize = 5;

/// How far apart agents started, as a sentence.
pub fn start_skew(skew: StartSkew) -> String {
    format!(
        "agents started within {:.3} ms of each other, give or take {:.3} ms",
        skew.skew_ns as f64 / 1e6,
        skew.error_ns as f64 / 1e6
    )
}

/// What agents are called: their names, and which life it was where several had one name.
pub(crate) struct Labels<'a> {
    repeated: BTreeSet<&'a str>,
}

impl<'a> Labels<'a> {
    pub(crate) fn of(agents: &'a Agents) -> Self {
        let names: Vec<&str> = agents.rows.keys().map(|id| &*id.name).collect();
        // They are in the order of names.
        let pairs = names.windows(2).filter(|pair| pair[0] == pair[1]);
        Self {
            repeated: pairs.map(|pair| pair[0]).collect(),
        }
    }

    pub(crate) fn of_agent(&self, id: &AgentId) -> String {
        match self.repeated.contains(&*id.name) {
            true => id.to_string(),
            false => id.name.to_string(),
        }
    }
}

/// Agents in the order that a person counts in: `agent-2` before `agent-10`.
pub(crate) fn in_order(agents: &Agents) -> Vec<(&AgentId, &Agent)> {
    let mut rows: Vec<_> = agents.rows.iter().collect();
    rows.sort_by(|(a, _), (b, _)| counted(&a.name).cmp(&counted(&b.name)).then(a.cmp(b)));
    rows
}

/// Agents from the worst on: lost ones, the limit for a time, slow ones.
pub(crate) fn by_woe(agents: &Agents) -> Vec<(&AgentId, &Agent)> {
    let mut rows = in_order(agents);
    rows.sort_by_key(|(_, agent)| {
        let mishap = agent.ending >= AgentEnding::Failed;
        let stretches = agent.saturations.len() as u64 + agent.saturations_left_out;
        let intended_us = agent.exchanges.intended_us.quantile(0.99);
        Reverse((mishap, stretches, agent.exchanges.failures(), intended_us))
    });
    rows
}

/// A name without the number that it ends in, and that number.
fn counted(name: &str) -> (&str, u128) {
    let text = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[text.len()..].parse();
    number.map_or((name, 0), |number| (text, number))
}

/// Iterations that all agents started.
pub(crate) fn started(agents: &Agents) -> u64 {
    let rows = agents.rows.values();
    rows.map(|agent| agent.iterations.started).sum()
}

/// What became of an agent; nothing where it simply was there.
pub(crate) fn ending(ending: AgentEnding) -> &'static str {
    match ending {
        AgentEnding::Stayed => "",
        AgentEnding::Left => "left",
        AgentEnding::Failed => "failed",
        AgentEnding::Lost => "lost",
    }
}

/// An event without its agent's name: `was silent for too long`.
pub(crate) fn happening(kind: AgentEventKind) -> &'static str {
    match kind {
        AgentEventKind::Announced => "announced itself",
        AgentEventKind::Joined => "joined",
        AgentEventKind::Left => "left, its share handed back",
        AgentEventKind::Silent => "lost: it was silent for too long",
        AgentEventKind::Gone => "lost: its process ended",
        AgentEventKind::Failed => "failed",
        AgentEventKind::PushedBack => "was waited for, to agree to new shares",
        AgentEventKind::Contradicted => "reported what was not its share",
        AgentEventKind::EpochLimit => "the shares changed too often to change again",
    }
}

/// Whether an event is one that a reader must not miss.
fn is_mishap(kind: AgentEventKind) -> bool {
    match kind {
        AgentEventKind::Announced
        | AgentEventKind::Joined
        | AgentEventKind::Left
        | AgentEventKind::PushedBack => false,
        AgentEventKind::Silent
        | AgentEventKind::Gone
        | AgentEventKind::Failed
        | AgentEventKind::Contradicted
        | AgentEventKind::EpochLimit => true,
    }
}

/// An instant of the run: `4.2 s`, or `3.0 s before` its start.
pub(crate) fn instant(at_us: i64) -> String {
    let span = wording::span(at_us.unsigned_abs());
    match at_us < 0 {
        true => format!("{span} before"),
        false => span,
    }
}

/// Who has which share in an epoch, or how that differs from the one before, whichever a person can take in.
pub(crate) fn shares(
    epoch: &EpochFacts,
    before: Option<&EpochFacts>,
    labels: &Labels<'_>,
) -> String {
    if epoch.shares.is_empty() && epoch.agents > 0 {
        return "not listed".to_owned();
    }
    let weights = |epoch: &EpochFacts| -> BTreeMap<AgentId, u32> {
        let shares = epoch.shares.iter();
        shares
            .map(|share| (share.agent.clone(), share.weight))
            .collect()
    };
    let now = weights(epoch);
    if now.len() <= MAX_NAMES {
        let each = now.iter().map(|(id, weight)| match weight {
            1 => labels.of_agent(id),
            _ => format!("{} ×{weight}", labels.of_agent(id)),
        });
        return each.collect::<Vec<_>>().join(", ");
    }
    let Some(before) = before
        .filter(|before| !before.shares.is_empty())
        .map(weights)
    else {
        return each_weight(&now);
    };
    let names = |ours: &BTreeMap<AgentId, u32>, theirs: &BTreeMap<AgentId, u32>, sign: &str| {
        let mut ids = ours
            .keys()
            .filter(|id| !theirs.contains_key(*id))
            .peekable();
        ids.peek()?;
        Some(format!(
            "{sign}{}",
            listed(&ids.collect::<Vec<_>>(), labels)
        ))
    };
    let changed = now.iter().filter(|(id, weight)| {
        let old = before.get(*id);
        old.is_some_and(|old| old != *weight)
    });
    let changed: Vec<&AgentId> = changed.map(|(id, _)| id).collect();
    let changed =
        (!changed.is_empty()).then(|| format!("other weight: {}", listed(&changed, labels)));
    let parts = [
        names(&now, &before, "+ "),
        names(&before, &now, "− "),
        changed,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => each_weight(&now),
        false => parts.join("; "),
    }
}

fn each_weight(weights: &BTreeMap<AgentId, u32>) -> String {
    let least = weights.values().min().copied().unwrap_or(0);
    let most = weights.values().max().copied().unwrap_or(0);
    match least == most {
        true => format!("{least} each"),
        false => format!("{least} to {most} each"),
    }
}

fn listed(ids: &[&AgentId], labels: &Labels<'_>) -> String {
    let shown = ids.iter().take(MAX_NAMES).map(|id| labels.of_agent(id));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if ids.len() > MAX_NAMES {
        write!(text, " and {} more", ids.len() - MAX_NAMES).expect("a string takes all");
    }
    text
}

/// The table of agents on a terminal: all where there are few, else the worst.
pub(crate) fn table(agents: &Agents, label_width: usize) -> String {
    let labels = Labels::of(agents);
    let few = agents.rows.len() <= FEW;
    let shown = match few {
        true => in_order(agents),
        false => by_woe(agents).into_iter().take(WORST).collect(),
    };
    let heads = [
        "started", "share", "dropped", "errors", "service", "intended", "late", "cpu",
    ];
    let mut out = format!("{:label_width$}", "agents, p99 in ms");
    let heads = heads.iter().map(|head| format!("{head:>9}"));
    out.extend(heads.chain(["\n".to_owned()]));
    let all = started(agents);
    for (id, agent) in shown {
        let label = format!("  {}", labels.of_agent(id));
        writeln!(out, "{label:label_width$}{}", row(agent, all)).expect("a string takes all");
    }
    if !few {
        let rest = agents.rows.len() - WORST;
        writeln!(out, "  {rest} more fared no worse").expect("a string takes all");
    }
    out
}

fn row(agent: &Agent, all: u64) -> String {
    let p99 = |histogram: &Histogram| match histogram.is_empty() {
        true => "–".to_owned(),
        false => wording::ms(histogram.quantile(0.99) as f64),
    };
    let (iterations, exchanges) = (&agent.iterations, &agent.exchanges);
    let health = &agent.health;
    let cells = [
        wording::count(iterations.started),
        format!("{:.1}%", wording::percent(iterations.started, all)),
        wording::count(iterations.dropped_total()),
        wording::count(exchanges.failures()),
        p99(&exchanges.service_us),
        p99(&exchanges.intended_us),
        p99(&iterations.lateness_us),
        format!(
            "{:.0}%",
            wording::percent(health.cpu_us, health.cpu_available_us)
        ),
    ];
    let cells: String = cells.iter().map(|cell| format!("{cell:>9}")).collect();
    let saturated = if agent.kept_up() { "" } else { "saturated" };
    let remarks = [ending(agent.ending), saturated];
    let remarks: Vec<&str> = remarks
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    format!("{cells}  {}", remarks.join(", "))
        .trim_end()
        .to_owned()
}

/// What a terminal says beside the table: labels and texts.
pub(crate) fn facts(agents: &Agents) -> Vec<(&'static str, String)> {
    let labels = Labels::of(agents);
    let mut lines = Vec::new();
    lines.extend(agents.start_skew.map(|skew| ("start", start_skew(skew))));
    let pairs = agents.epochs.windows(2).map(|pair| (&pair[0], &pair[1]));
    let mut changes = pairs.map(|(before, epoch)| {
        let who = shares(epoch, Some(before), &labels);
        format!(
            "from {}: {} agents: {who}",
            wording::span(epoch.from_us),
            epoch.agents
        )
    });
    lines.extend(
        changes
            .by_ref()
            .take(MAX_LINES)
            .map(|text| ("shares", text)),
    );
    lines.extend(rest(changes.count()).map(|text| ("shares", text)));
    let mut mishaps = agents.events.iter().filter(|event| is_mishap(event.kind));
    let told = mishaps.by_ref().take(MAX_LINES);
    lines.extend(told.map(|event| ("mishap", sentence(event, &labels))));
    lines.extend(rest(mishaps.count()).map(|text| ("mishap", text)));
    let unowned = agents.unowned.iter();
    lines.extend(unowned.map(|(reason, n)| ("no agent's", unowned_of(*reason, *n))));
    lines
}

/// What was dropped that was no agent's.
pub(crate) fn unowned_of(reason: drumfire_metrics::DropReason, n: u64) -> String {
    format!(
        "{} dropped: {}",
        wording::count(n),
        wording::drop_reason(reason)
    )
}

fn rest(n: usize) -> Option<String> {
    (n > 0).then(|| format!("{n} more"))
}

/// An event as a line.
fn sentence(event: &AgentEvent, labels: &Labels<'_>) -> String {
    let at = instant(event.at_us);
    let who = who(event, labels).map_or_else(String::new, |who| format!("{who} "));
    let why = event.reason.as_ref();
    let why = why.map_or_else(String::new, |reason| format!(": cannot {reason}"));
    format!("at {at}: {who}{}{why}", happening(event.kind))
}

/// To whom an event happened.
pub(crate) fn who(event: &AgentEvent, labels: &Labels<'_>) -> Option<String> {
    let name = labels.of_agent(event.agent.as_ref()?);
    Some(match event.others {
        0 => name,
        n => format!("{name} and {n} more"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, shared};

    #[test]
    fn a_few_agents_are_all_listed() {
        let summary = shared(3, &Demo::default());
        let agents = summary.agents.as_ref().expect("they share it");
        let lines: Vec<String> = facts(agents)
            .iter()
            .map(|(label, text)| format!("{label}: {text}"))
            .collect();
        insta::assert_snapshot!(format!("{}\n{}", table(agents, 22), lines.join("\n")));
    }

    #[test]
    fn of_many_the_worst_are_listed() {
        let demo = Demo {
            seconds: 6,
            stall_s: 2..4,
            ..Demo::default()
        };
        let summary = shared(200, &demo);
        let agents = summary.agents.as_ref().expect("they share it");
        insta::assert_snapshot!(table(agents, 22));
    }

    #[test]
    fn agents_stand_in_the_order_of_their_numbers() {
        let row = |name: &str, life| {
            (
                AgentId {
                    name: name.into(),
                    life,
                },
                Agent::default(),
            )
        };
        let agents = Agents {
            rows: [
                row("b-1", 1),
                row("a-10", 1),
                row("a-9", 1),
                row("a-9", 26),
                row("host", 7),
            ]
            .into(),
            ..Agents::default()
        };
        let labels = Labels::of(&agents);
        let names: Vec<String> = in_order(&agents)
            .iter()
            .map(|(id, _)| labels.of_agent(id))
            .collect();
        assert_eq!(names, ["a-9/1", "a-9/1a", "a-10", "b-1", "host"]);
    }

    #[test]
    fn shares_are_told_so_that_a_person_can_take_them_in() {
        let epoch = |number, weights: &[(&str, u32)]| {
            let mut agents = Agents::default();
            let weights = weights.iter().map(|(name, weight)| {
                (
                    Some(AgentId {
                        name: (*name).into(),
                        life: 1,
                    }),
                    *weight,
                )
            });
            agents.begin_epoch(number, 0, 1_000, weights);
            agents.epochs.remove(0)
        };
        let five = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)];
        let agents = Agents::default();
        let labels = Labels::of(&agents);
        let told = |now: &[(&str, u32)], before: Option<&[(&str, u32)]>| {
            shares(
                &epoch(1, now),
                before.map(|before| epoch(0, before)).as_ref(),
                &labels,
            )
        };
        assert_eq!(told(&[("a", 2), ("b", 1)], None), "a ×2, b");
        assert_eq!(told(&five, None), "1 each");
        assert_eq!(told(&five, Some(&five)), "1 each");
        let mut other = five;
        (other[0], other[4]) = (("f", 1), ("e", 3));
        assert_eq!(told(&other, None), "1 to 3 each");
        assert_eq!(told(&other, Some(&five)), "+ f; − a; other weight: e");
        assert_eq!(
            told(&five, Some(&[("z", 1)])),
            "+ a, b, c, d and 1 more; − z"
        );
    }

    #[test]
    fn instants_before_the_start_say_so() {
        assert_eq!(instant(4_200_000), "4.2 s");
        assert_eq!(instant(-3_000_000), "3 s before");
    }
}
