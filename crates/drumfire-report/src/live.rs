//! The live terminal view: what is shown while a run goes on, and how it is
//! drawn. Whoever owns the terminal feeds it intervals and calls [`draw`].

use crate::findings::{Exchanges, Latencies};
use crate::wording;
use drumfire_metrics::{
    DropReason, GeneratorHealth, Histogram, Interval, RunFacts, Saturation, StageFacts,
};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, LineGauge, Paragraph, Row, Sparkline, Table};
use std::collections::{BTreeMap, VecDeque};

/// Intervals that the recent numbers are taken from.
const RECENT: usize = 10;
/// Intervals in the sparkline.
const HISTORY: usize = 300;
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveState {
    /// Load is on.
    Running,
    /// No new iterations start; those on the way may end.
    Draining,
    /// All is done.
    Finished,
}

/// Everything the view shows, fed with one interval after another.
#[derive(Debug, Clone)]
pub struct LiveView {
    facts: RunFacts,
    /// What the run is doing.
    pub state: LiveState,
    /// Time since the run's start, microseconds.
    pub elapsed_us: u64,
    /// Stretches in which the generator was the limit, as far as known.
    pub saturations: Vec<Saturation>,
    /// A line for the reader ("press Ctrl-C again to stop at once").
    pub notice: Option<String>,
    recent: VecDeque<Interval>,
    history: VecDeque<u64>,
    whole: Whole,
}

/// What is added up over the whole run.
#[derive(Debug, Clone, Default)]
struct Whole {
    service_us: Histogram,
    intended_us: Histogram,
    started: u64,
    requests: u64,
    failures: u64,
    dropped: BTreeMap<DropReason, u64>,
    errors: BTreeMap<String, u64>,
}

impl LiveView {
    /// A view of a run that is about to start.
    pub fn new(facts: RunFacts) -> Self {
        Self {
            facts,
            state: LiveState::Running,
            elapsed_us: 0,
            saturations: Vec::new(),
            notice: None,
            recent: VecDeque::with_capacity(RECENT),
            history: VecDeque::with_capacity(HISTORY),
            whole: Whole::default(),
        }
    }

    /// Adds the next interval of the whole run.
    pub fn push(&mut self, interval: Interval) {
        let snapshot = &interval.snapshot;
        let sums = Exchanges::of(snapshot);
        self.elapsed_us = self.elapsed_us.max(snapshot.end_us);
        self.whole.add(&interval);
        let span_us = snapshot.end_us.saturating_sub(snapshot.start_us);
        push_bounded(
            &mut self.history,
            wording::rate(sums.requests, span_us) as u64,
            HISTORY,
        );
        push_bounded(&mut self.recent, interval, RECENT);
    }

    /// Length of the plan; zero where the plan has a number of iterations instead.
    fn planned_us(&self) -> u64 {
        self.facts
            .stages
            .iter()
            .map(|stage| stage.end_us)
            .max()
            .unwrap_or(0)
    }

    /// How much of the plan is done, 0 to 1.
    fn progress(&self) -> f64 {
        if self.state != LiveState::Running {
            return 1.0;
        }
        let (done, all) = match (self.planned_us(), self.facts.planned) {
            (0, Some(planned)) => (self.whole.started, planned),
            (planned_us, _) => (self.elapsed_us, planned_us),
        };
        if all == 0 {
            0.0
        } else {
            (done as f64 / all as f64).min(1.0)
        }
    }

    /// The stage of this moment and its number, from one.
    fn stage(&self) -> Option<(usize, &StageFacts)> {
        let stages = self.facts.stages.iter().enumerate();
        let now = stages
            .rev()
            .find(|(_, stage)| stage.start_us <= self.elapsed_us);
        now.map(|(index, stage)| (index + 1, stage))
    }

    fn is_open(&self) -> bool {
        self.facts
            .stages
            .iter()
            .any(|stage| stage.planned.is_some())
    }

    /// Of the recent intervals, but for the levels, which are the latest.
    fn health(&self) -> GeneratorHealth {
        let mut health = GeneratorHealth::default();
        for interval in &self.recent {
            health.append(&interval.snapshot.health);
        }
        if let Some(last) = self.recent.back() {
            health.memory_bytes = last.snapshot.health.memory_bytes;
            health.sockets = last.snapshot.health.sockets;
        }
        health
    }
}

impl Whole {
    fn add(&mut self, interval: &Interval) {
        let snapshot = &interval.snapshot;
        self.started += snapshot.iterations.started;
        for (reason, n) in &snapshot.iterations.dropped {
            *self.dropped.entry(*reason).or_default() += n;
        }
        for (code, n) in &snapshot.errors {
            *self.errors.entry(code.clone()).or_default() += n;
        }
        for endpoint in snapshot.endpoints.values() {
            self.requests += endpoint.requests;
            self.failures += endpoint.failures();
            self.service_us.merge(&endpoint.service_us);
            self.intended_us.merge(&endpoint.intended_us);
            self.add_codes(endpoint);
        }
    }

    fn add_codes(&mut self, endpoint: &drumfire_metrics::EndpointStats) {
        for (code, n) in &endpoint.errors {
            *self.errors.entry(code.clone()).or_default() += n;
        }
        for (code, n) in endpoint.codes.iter().filter(|(code, _)| **code >= 400) {
            *self.errors.entry(format!("HTTP {code}")).or_default() += n;
        }
    }
}

/// Draws the view over the whole frame; what does not fit is left out from
/// below.
pub fn draw(frame: &mut Frame<'_>, view: &LiveView) {
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [title, progress, stage, load, latency, bottom, notice] =
        Layout::vertical(rows).areas(frame.area());
    draw_title(frame, title, view);
    draw_progress(frame, progress, view);
    frame.render_widget(stage_line(view), stage);
    draw_load(frame, load, view);
    draw_latency(frame, latency, view);
    let [generator, errors] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(bottom);
    draw_generator(frame, generator, view);
    draw_errors(frame, errors, view);
    let text = view
        .notice
        .as_deref()
        .unwrap_or("Ctrl-C ends the run and reports");
    frame.render_widget(Line::from(text).dim(), notice);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, view: &LiveView) {
    let state = match view.state {
        LiveState::Running => "running",
        LiveState::Draining => "draining",
        LiveState::Finished => "finished",
    };
    let clock = format!("{state} {}", clock(view.elapsed_us));
    let title = Line::from(vec![
        Span::from(view.facts.title.as_str()).bold(),
        Span::from(format!("  {}", view.facts.target)).dim(),
    ]);
    let right = Constraint::Length(clock.len() as u16 + 1);
    let [left, right] = Layout::horizontal([Constraint::Min(0), right]).areas(area);
    frame.render_widget(title, left);
    frame.render_widget(Line::from(clock).right_aligned(), right);
}

fn draw_progress(frame: &mut Frame<'_>, area: Rect, view: &LiveView) {
    let progress = view.progress();
    let gauge = LineGauge::default()
        .filled_symbol("━")
        .unfilled_symbol("─")
        .filled_style(Style::new().fg(Color::Blue))
        .label(format!("{:3.0}%", progress * 100.0))
        .ratio(progress);
    frame.render_widget(gauge, area);
}

fn stage_line(view: &LiveView) -> Line<'_> {
    let Some((number, stage)) = view.stage() else {
        return Line::from("");
    };
    let name = stage.name.as_deref().unwrap_or("unnamed");
    let of = view.facts.stages.len();
    let left_us = stage.end_us.saturating_sub(view.elapsed_us);
    let left = match left_us {
        0 => String::new(),
        _ => format!(", {} left", wording::span(left_us)),
    };
    Line::from(vec![
        Span::from(format!("stage {number} of {of}: ")).dim(),
        Span::from(name),
        Span::from(left).dim(),
    ])
}

fn draw_load(frame: &mut Frame<'_>, area: Rect, view: &LiveView) {
    let block = Block::bordered().title(" load ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = [Constraint::Length(3), Constraint::Length(1)];
    let [facts, graph] = Layout::vertical(rows).areas(inner);
    frame.render_widget(Paragraph::new(load_lines(view)), facts);
    let width = graph.width as usize;
    let latest = view
        .history
        .iter()
        .skip(view.history.len().saturating_sub(width));
    let graph_of = Sparkline::default()
        .data(latest.copied())
        .style(Style::new().fg(Color::Blue));
    frame.render_widget(graph_of, graph);
}

fn load_lines(view: &LiveView) -> Vec<Line<'_>> {
    let Some(last) = view.recent.back() else {
        return vec![Line::from("no numbers yet").dim()];
    };
    let snapshot = &last.snapshot;
    let span_us = snapshot.end_us.saturating_sub(snapshot.start_us);
    let sums = Exchanges::of(snapshot);
    let rate = |n: u64| wording::per_second(n, span_us);
    let planned = if view.is_open() {
        format!("planned {}, started ", rate(last.planned.round() as u64))
    } else {
        "started ".to_owned()
    };
    let users = match view.is_open() {
        true => wording::count(snapshot.health.users),
        false => format!(
            "{} of {} planned",
            wording::count(snapshot.health.users),
            last.planned
        ),
    };
    vec![
        labelled(
            "iterations",
            format!("{planned}{}", rate(snapshot.iterations.started)),
        ),
        labelled(
            "requests",
            format!(
                "sent {}, answered {}, failed {}; {} in all",
                rate(sums.requests),
                rate(sums.responses),
                rate(sums.errors),
                wording::count(view.whole.requests),
            ),
        ),
        labelled("users", format!("{users}{}", dropped(&view.whole.dropped))),
    ]
}

fn dropped(reasons: &BTreeMap<DropReason, u64>) -> String {
    let reasons = reasons.iter().filter(|(_, n)| **n > 0);
    let texts: Vec<String> = reasons
        .map(|(reason, n)| format!("{} ({})", wording::count(*n), wording::drop_reason(*reason)))
        .collect();
    match texts.is_empty() {
        true => "; no iteration dropped".to_owned(),
        false => format!("; iterations dropped: {}", texts.join(", ")),
    }
}

fn labelled(label: &str, text: String) -> Line<'static> {
    Line::from(vec![
        Span::from(format!("{label:12}")).dim(),
        Span::from(text),
    ])
}

fn draw_latency(frame: &mut Frame<'_>, area: Rect, view: &LiveView) {
    let mut recent = (Histogram::new(), Histogram::new());
    for interval in &view.recent {
        let latencies = Latencies::of(&interval.snapshot);
        recent.0.merge(&latencies.service_us);
        recent.1.merge(&latencies.intended_us);
    }
    let head = |name: &str| {
        PERCENTILES
            .iter()
            .map(move |(p, _)| format!("{p} {name}"))
            .collect::<Vec<_>>()
    };
    let header = [vec![String::new()], head("now"), head("all")].concat();
    let rows = [
        latency_row("service time", &recent.0, &view.whole.service_us),
        latency_row("from intended start", &recent.1, &view.whole.intended_us),
    ];
    let widths = [Constraint::Length(20)]
        .into_iter()
        .chain([Constraint::Length(9); 6]);
    let table = Table::new(rows, widths)
        .header(Row::new(right(header)).dim())
        .column_spacing(0)
        .block(Block::bordered().title(format!(
            " latency, ms (now: last {RECENT} s, all: the whole run) "
        )));
    frame.render_widget(table, area);
}

fn latency_row(label: &str, recent: &Histogram, whole: &Histogram) -> Row<'static> {
    let cells = [recent, whole].into_iter().flat_map(|histogram| {
        PERCENTILES.map(|(_, q)| match histogram.is_empty() {
            true => "–".to_owned(),
            false => wording::ms(histogram.quantile(q) as f64),
        })
    });
    let cells: Vec<String> = [label.to_owned()].into_iter().chain(cells).collect();
    Row::new(right(cells))
}

/// Cells set to the right, but for the first.
fn right(cells: Vec<String>) -> Vec<Line<'static>> {
    let lines = cells.into_iter().enumerate();
    let set = |(place, text): (usize, String)| match place {
        0 => Line::from(text),
        _ => Line::from(text).right_aligned(),
    };
    lines.map(set).collect()
}

fn draw_generator(frame: &mut Frame<'_>, area: Rect, view: &LiveView) {
    let health = view.health();
    let mut lateness_us = Histogram::new();
    for interval in &view.recent {
        lateness_us.merge(&interval.snapshot.iterations.lateness_us);
    }
    let p99_ms = |histogram: &Histogram| wording::ms(histogram.quantile(0.99) as f64);
    let verdict = match view.saturations.last() {
        None if view.recent.is_empty() => Line::from("no numbers yet").dim(),
        None => Line::from("keeps up").fg(Color::Green),
        Some(last) => {
            Line::from(format!("saturated {}", wording::saturation(last))).fg(Color::Yellow)
        }
    };
    let lines = vec![
        verdict,
        labelled(
            "cpu",
            format!(
                "{:.0}%, busiest shard {:.0}%",
                wording::percent(health.cpu_us, health.cpu_available_us),
                health.busiest_shard * 100.0
            ),
        ),
        labelled("late starts", format!("p99 {} ms", p99_ms(&lateness_us))),
        labelled(
            "loop lag",
            format!("p99 {} ms", p99_ms(&health.loop_lag_us)),
        ),
        labelled(
            "holds",
            format!(
                "{}, {} sockets",
                wording::bytes(health.memory_bytes),
                wording::count(health.sockets)
            ),
        ),
    ];
    let block = Block::bordered().title(" generator ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_errors(frame: &mut Frame<'_>, area: Rect, view: &LiveView) {
    let whole = &view.whole;
    let share = wording::percent(whole.failures, whole.requests);
    let block = Block::bordered().title(format!(" errors, {share:.2}% of requests "));
    let mut codes: Vec<(&String, &u64)> = whole.errors.iter().collect();
    codes.sort_by_key(|(code, n)| (std::cmp::Reverse(**n), *code));
    let room = block.inner(area).height as usize;
    let hidden = codes.len().saturating_sub(room);
    let shown = if hidden > 0 {
        room.saturating_sub(1)
    } else {
        codes.len()
    };
    let mut lines: Vec<Line<'_>> = codes[..shown]
        .iter()
        .map(|(code, n)| {
            let count = Span::from(format!("{:>9}  ", wording::count(**n))).fg(Color::Red);
            Line::from(vec![count, Span::from(code.as_str())])
        })
        .collect();
    if codes.is_empty() {
        lines.push(Line::from("none").dim());
    } else if hidden > 0 {
        lines.push(Line::from(format!("and {} other codes", codes.len() - shown)).dim());
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn clock(us: u64) -> String {
    let seconds = us / 1_000_000;
    match seconds / 3_600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, value: T, limit: usize) {
    if queue.len() == limit {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::demo_summary;
    use ratatui::{Terminal, backend::TestBackend};

    /// The view of the demo run after so many seconds.
    fn view(seconds: usize) -> LiveView {
        let summary = demo_summary();
        let mut view = LiveView::new(summary.facts);
        summary
            .timeline
            .into_iter()
            .take(seconds)
            .for_each(|interval| view.push(interval));
        view
    }

    fn screen(view: &LiveView, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
        terminal
            .draw(|frame| draw(frame, view))
            .expect("a test terminal draws");
        terminal.backend().to_string()
    }

    #[test]
    fn a_run_under_way() {
        let mut view = view(16);
        view.saturations = demo_summary().verdict.saturations;
        insta::assert_snapshot!(screen(&view, 100, 26));
    }

    #[test]
    fn a_run_that_starts() {
        insta::assert_snapshot!(screen(&view(0), 80, 24));
    }

    #[test]
    fn any_terminal_will_do() {
        for (width, height) in [(1, 1), (10, 3), (30, 6), (300, 100)] {
            let text = screen(&view(20), width, height);
            assert_eq!(text.lines().count(), height as usize, "{width}x{height}");
        }
    }

    #[test]
    fn progress_follows_the_plan() {
        assert_eq!(view(0).progress(), 0.0);
        assert_eq!(view(12).progress(), 0.5);
        let mut by_count = view(12);
        by_count.facts.stages.clear();
        let planned = by_count.facts.planned.expect("the demo plans") as f64;
        assert_eq!(by_count.progress(), by_count.whole.started as f64 / planned);
        by_count.state = LiveState::Draining;
        assert_eq!(by_count.progress(), 1.0);
    }

    #[test]
    fn the_stage_is_that_of_the_moment() {
        assert_eq!(view(6).stage().map(|(number, _)| number), Some(1));
        assert_eq!(view(12).stage().map(|(number, _)| number), Some(2));
        assert_eq!(view(24).stage().map(|(number, _)| number), Some(2));
        assert_eq!(LiveView::new(RunFacts::default()).stage(), None);
    }

    #[test]
    fn memory_does_not_grow_with_the_run() {
        let mut view = view(24);
        for interval in std::iter::repeat_n(Interval::default(), 2 * HISTORY) {
            view.push(interval);
        }
        assert_eq!((view.recent.len(), view.history.len()), (RECENT, HISTORY));
    }
}
