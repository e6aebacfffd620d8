//! The agents of a shared run: what each did, how each was, the epochs of shares, and what happened.

use super::escape;
use crate::agents::{self, Labels};
use crate::wording;
use drumfire_metrics::{
    Agent, AgentEnding, AgentEvent, AgentEventKind, AgentId, Agents, EpochFacts, Histogram, Summary,
};

/// Most agents listed; those that fared worst stay.
const MAX_AGENTS: usize = 500;
/// Most epochs and most events listed, each; the first stay.
const MAX_ROWS: usize = 200;
/// With more volunteers than this they are one row.
const MAX_ANNOUNCED: usize = 10;
const COLUMNS: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// The section; empty where one machine ran it all.
pub(super) fn section(summary: &Summary) -> String {
    let Some(agents) = &summary.agents else {
        return String::new();
    };
    let labels = Labels::of(agents);
    let rows = listed(agents);
    let left_out = match agents.rows.len() - rows.len() {
        0 => String::new(),
        n => format!("<p class=\"facts\">{n} agents that fared no worse are left out.</p>"),
    };
    format!(
        "<section><h2>Agents</h2>{}{}{}{left_out}<div class=\"pair\">{}{}</div></section>\n",
        facts(agents),
        work_table(&rows, agents, &labels),
        state_table(&rows, &labels),
        epochs(agents, &labels),
        events(agents, &labels),
    )
}

/// In the order of their names, as many as are listed.
fn listed(agents: &Agents) -> Vec<(&AgentId, &Agent)> {
    let mut worst = agents::by_woe(agents);
    worst.truncate(MAX_AGENTS);
    let mut all = agents::in_order(agents);
    if worst.len() < all.len() {
        let kept: std::collections::BTreeSet<_> = worst.iter().map(|(id, _)| *id).collect();
        all.retain(|(id, _)| kept.contains(id));
    }
    all
}

fn facts(agents: &Agents) -> String {
    let mut texts = vec![format!(
        "{} agents",
        wording::count(agents.rows.len() as u64)
    )];
    let limited = agents
        .rows
        .values()
        .filter(|agent| !agent.kept_up())
        .count();
    if limited > 0 {
        texts.push(format!("{limited} of them saturated for a time"));
    }
    texts.extend(agents.start_skew.map(agents::start_skew));
    let unowned = agents.unowned.iter();
    texts.extend(
        unowned.map(|(reason, n)| format!("no agent's: {}", agents::unowned_of(*reason, *n))),
    );
    let spans: String = texts
        .iter()
        .map(|text| format!("<span>{}</span>", escape(text)))
        .collect();
    format!("<p class=\"facts\">{spans}</p>")
}

/// What each did.
fn work_table(rows: &[(&AgentId, &Agent)], agents: &Agents, labels: &Labels<'_>) -> String {
    let all = agents::started(agents);
    let body: String = rows
        .iter()
        .map(|(id, agent)| work_row(&labels.of_agent(id), agent, all))
        .collect();
    let latencies: String = [(); 2]
        .iter()
        .flat_map(|()| COLUMNS.map(|(name, _)| head(name)))
        .collect();
    format!(
        "<div class=\"panel scroll tall\"><table class=\"sortable\"><thead>\
         <tr class=\"group\"><th colspan=\"3\"></th><th colspan=\"3\">iterations</th><th colspan=\"3\">exchanges</th>\
         <th colspan=\"4\">service time, ms</th><th colspan=\"4\">from intended start, ms</th></tr>\
         <tr>{}{}{}{}{}{}{}{}{}{latencies}</tr></thead><tbody>{body}</tbody></table></div>",
        head("agent"),
        text_head("ending"),
        head("weight"),
        head("started"),
        head("share, %"),
        head("dropped"),
        head("requests"),
        head("errors"),
        head("received"),
    )
}

fn work_row(label: &str, agent: &Agent, all: u64) -> String {
    let (exchanges, iterations) = (&agent.exchanges, &agent.iterations);
    let share = wording::percent(iterations.started, all);
    let latencies: String = [&exchanges.service_us, &exchanges.intended_us]
        .iter()
        .flat_map(|histogram| COLUMNS.map(|(_, q)| latency_cell(histogram, q)))
        .collect();
    let class = match agent.ending {
        AgentEnding::Stayed | AgentEnding::Left => "text",
        AgentEnding::Failed | AgentEnding::Lost => "text fail",
    };
    format!(
        "<tr><td class=\"agent\">{}</td><td class=\"{class}\">{}</td>{}{}<td data-v=\"{share:.4}\">{share:.1}</td>{}{}{}\
         <td data-v=\"{received}\">{}</td>{latencies}</tr>",
        escape(label),
        agents::ending(agent.ending),
        count_cell(u64::from(agent.weight), false),
        count_cell(iterations.started, false),
        count_cell(iterations.dropped_total(), true),
        count_cell(exchanges.requests, false),
        count_cell(exchanges.failures(), true),
        wording::bytes(exchanges.body_bytes),
        received = exchanges.body_bytes,
    )
}

/// How each was as a generator, and its clock.
fn state_table(rows: &[(&AgentId, &Agent)], labels: &Labels<'_>) -> String {
    let body: String = rows
        .iter()
        .map(|(id, agent)| state_row(&labels.of_agent(id), agent))
        .collect();
    format!(
        "<div class=\"panel scroll tall\"><table class=\"sortable\"><thead>\
         <tr class=\"group\"><th></th><th></th><th colspan=\"2\">p99, ms</th><th colspan=\"2\">processor, %</th>\
         <th colspan=\"3\">at most</th><th colspan=\"3\">clock and start, ms</th><th></th></tr>\
         <tr>{}{}{}{}{}{}{}{}{}{}{}{}{}</tr></thead><tbody>{body}</tbody></table></div>",
        head("agent"),
        text_head("generator"),
        head("late"),
        head("loop lag"),
        head("all"),
        head("busiest"),
        head("memory"),
        head("sockets"),
        head("users"),
        head("offset"),
        head("known to"),
        head("began late"),
        text_head("drumfire"),
    )
}

fn state_row(label: &str, agent: &Agent) -> String {
    let health = &agent.health;
    let cpu = wording::percent(health.cpu_us, health.cpu_available_us);
    let busiest = health.busiest_shard * 100.0;
    let clock_ms = agent.clock.map(|clock| clock.offset_ns as f64 / 1e6);
    let error_ms = agent.clock.map(|clock| clock.error_ns as f64 / 1e6);
    let late_ms = agent.start_late_ns.map(|ns| ns as f64 / 1e6);
    format!(
        "<tr><td class=\"agent\">{}</td>{}{}{}<td data-v=\"{cpu:.2}\">{cpu:.0}</td><td data-v=\"{busiest:.2}\">{busiest:.0}</td>\
         <td data-v=\"{}\">{}</td>{}{}{}{}{}<td class=\"text\">{}</td></tr>",
        escape(label),
        verdict_cell(agent),
        latency_cell(&agent.iterations.lateness_us, 0.99),
        latency_cell(&health.loop_lag_us, 0.99),
        health.memory_bytes,
        wording::bytes(health.memory_bytes),
        count_cell(health.sockets, false),
        count_cell(health.users, false),
        ms_cell(clock_ms),
        ms_cell(error_ms),
        ms_cell(late_ms),
        escape(&agent.version),
    )
}

/// Whether it kept up; if not, the first stretch, the others in its title.
fn verdict_cell(agent: &Agent) -> String {
    let stretches: Vec<String> = agent.saturations.iter().map(wording::saturation).collect();
    let Some(first) = stretches.first() else {
        let text = if agent.intervals == 0 {
            "–"
        } else {
            "kept up"
        };
        return format!("<td class=\"text\">{text}</td>");
    };
    let more = stretches.len() as u64 - 1 + agent.saturations_left_out;
    let more = if more == 0 {
        String::new()
    } else {
        format!(", {more} more")
    };
    format!(
        "<td class=\"text stretch fail\" title=\"{}\">{}{more}</td>",
        escape(&stretches.join("; ")),
        escape(first)
    )
}

fn epochs(agents: &Agents, labels: &Labels<'_>) -> String {
    let mut before = None;
    let mut rows = String::new();
    for epoch in agents.epochs.iter().take(MAX_ROWS) {
        rows.push_str(&epoch_row(epoch, before, labels));
        before = Some(epoch);
    }
    let heads = [
        head("epoch"),
        head("from"),
        head("load, %"),
        head("agents"),
        head("weight"),
        head("nobody's"),
    ];
    let heads = heads.concat() + &text_head("shares");
    let left_out = agents.epochs.len().saturating_sub(MAX_ROWS) as u64;
    table("Epochs of shares", &heads, &rows, left_out)
}

fn epoch_row(epoch: &EpochFacts, before: Option<&EpochFacts>, labels: &Labels<'_>) -> String {
    let unowned = epoch.unowned_weight;
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td{}>{unowned}</td><td class=\"text shares\">{}</td></tr>",
        epoch.number,
        wording::span(epoch.from_us),
        f64::from(epoch.permille) / 10.0,
        epoch.agents,
        epoch.weight,
        if unowned > 0 {
            " class=\"bad-text\""
        } else {
            ""
        },
        escape(&agents::shares(epoch, before, labels)),
    )
}

fn events(agents: &Agents, labels: &Labels<'_>) -> String {
    let announced = |event: &&AgentEvent| event.kind == AgentEventKind::Announced;
    let crowd: Vec<&AgentEvent> = agents.events.iter().filter(announced).collect();
    let crowd = match crowd.len() > MAX_ANNOUNCED {
        true => crowd,
        false => Vec::new(),
    };
    let others = agents.events.iter();
    let others = others.filter(|event| crowd.is_empty() || !announced(event));
    let others: Vec<&AgentEvent> = others.collect();
    let reasoned = others.iter().any(|event| event.reason.is_some());
    let mut rows = String::new();
    if let [first, .., last] = crowd[..] {
        let (first, last) = (agents::instant(first.at_us), agents::instant(last.at_us));
        let at = match first == last {
            true => first,
            false => format!("{first} to {last}"),
        };
        let who = format!("{} agents", wording::count(crowd.len() as u64));
        let why = reasoned.then_some("");
        rows.push_str(&event_row(&at, "announced themselves", &who, why));
    }
    for event in others.iter().take(MAX_ROWS) {
        let at = agents::instant(event.at_us);
        let who = agents::who(event, labels).unwrap_or_default();
        let why = reasoned.then(|| event.reason.as_deref().unwrap_or_default());
        rows.push_str(&event_row(&at, agents::happening(event.kind), &who, why));
    }
    let mut heads = [head("at"), text_head("agent"), text_head("what happened")].concat();
    if reasoned {
        heads.push_str(&text_head("why"));
    }
    let left_out = others.len().saturating_sub(MAX_ROWS) as u64 + agents.events_left_out;
    table("Membership", &heads, &rows, left_out)
}

fn event_row(at: &str, what: &str, who: &str, why: Option<&str>) -> String {
    let why = why.map_or_else(String::new, |why| {
        format!("<td class=\"text shares\">{}</td>", escape(why))
    });
    format!(
        "<tr><td>{at}</td><td class=\"text agent\">{}</td><td class=\"text\">{what}</td>{why}</tr>",
        escape(who),
    )
}

fn table(title: &str, heads: &str, rows: &str, left_out: u64) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let left_out = match left_out {
        0 => String::new(),
        n => format!(
            "<p class=\"facts\">{} more are left out.</p>",
            wording::count(n)
        ),
    };
    format!(
        "<div class=\"part\"><h3>{title}</h3><div class=\"panel scroll tall\"><table class=\"fit\"><thead><tr>{heads}</tr></thead>\
         <tbody>{rows}</tbody></table></div>{left_out}</div>"
    )
}

fn head(name: &str) -> String {
    format!("<th scope=\"col\">{name}</th>")
}

fn text_head(name: &str) -> String {
    format!("<th scope=\"col\" class=\"text\">{name}</th>")
}

fn count_cell(n: u64, alarming: bool) -> String {
    let class = if alarming && n > 0 {
        " class=\"bad-text\""
    } else {
        ""
    };
    format!("<td data-v=\"{n}\"{class}>{}</td>", wording::count(n))
}

fn latency_cell(histogram: &Histogram, quantile: f64) -> String {
    ms_or_dash((!histogram.is_empty()).then(|| {
        let us = histogram.quantile(quantile) as f64;
        (us, wording::ms(us))
    }))
}

fn ms_cell(ms: Option<f64>) -> String {
    ms_or_dash(ms.map(|ms| (ms, format!("{ms:.3}"))))
}

/// A number to sort by and its text; what was not measured is below all.
fn ms_or_dash(cell: Option<(f64, String)>) -> String {
    match cell {
        Some((value, text)) => format!("<td data-v=\"{value}\">{text}</td>"),
        None => "<td data-v=\"-1e9\">–</td>".to_owned(),
    }
}
