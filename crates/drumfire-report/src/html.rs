//! One self-contained HTML page: verdict, key figures and tables as static
//! HTML, charts drawn by the page's own script from a JSON island. It opens from disk
//! and asks for nothing: its policy forbids every request, and allows no
//! script and no style but its own two, by their hashes.

mod agents;
mod figures;
mod island;
mod tables;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use drumfire_metrics::Summary;
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("../assets/report.html");
const STYLE: &str = include_str!("../assets/report.css");
const SCRIPT: &str = include_str!("../assets/report.js");

/// Renders the page.
pub fn render(summary: &Summary) -> String {
    let title = format!("{} - Drumfire report", summary.facts.title);
    let body = [
        figures::header(summary),
        figures::verdict(summary),
        figures::figures(summary),
        figures::charts(),
        tables::endpoints(summary),
        agents::section(summary),
        "<div class=\"pair\">".to_owned(),
        tables::thresholds(&summary.verdict),
        tables::failures(summary),
        tables::phases(summary),
        tables::custom(summary),
        "</div>\n".to_owned(),
        figures::footer(summary),
    ];
    fill(PAGE, |name| match name {
        "title" => escape(&title),
        "style" => STYLE.to_owned(),
        "script" => SCRIPT.to_owned(),
        "style_hash" => hash(STYLE),
        "script_hash" => hash(SCRIPT),
        "island" => island::render(summary),
        "body" => body.concat(),
        other => unreachable!("report.html names no {other}"),
    })
}

/// Replaces `{name}` in one pass, so that nothing inserted is looked at again.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after
            .split_once('}')
            .expect("report.html closes its braces");
        out.push_str(before);
        out.push_str(&value(name));
        rest = tail;
    }
    out + rest
}

/// A source of a content security policy.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text.as_bytes())))
}

/// Text for an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{Demo, demo_summary, shared};
    use drumfire_metrics::{AgentId, Agents};

    const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'<!--{script}";

    fn hostile() -> Summary {
        let mut summary = shared(3, &Demo::default());
        let agents = summary.agents.take().expect("they share it");
        summary.agents = Some(renamed(agents));
        let facts = &mut summary.facts;
        for text in [
            &mut facts.title,
            &mut facts.target,
            &mut facts.host,
            &mut facts.run_id,
        ] {
            *text = HOSTILE.into();
        }
        facts.stages[0].name = Some(HOSTILE.into());
        summary.verdict.thresholds[0].text = HOSTILE.into();
        summary.verdict.notes.push(HOSTILE.into());
        let snapshots = summary
            .timeline
            .iter_mut()
            .map(|interval| &mut interval.snapshot);
        for snapshot in snapshots.chain([&mut summary.total]) {
            snapshot.errors.insert(HOSTILE.into(), 9);
            snapshot.counters.insert(HOSTILE.into(), 9);
            let stats = snapshot.endpoints.remove("/").expect("the demo has it");
            snapshot.endpoints.insert(HOSTILE.into(), stats);
        }
        summary
    }

    /// The same agents by the name of [`HOSTILE`], each in another life.
    fn renamed(agents: Agents) -> Agents {
        let id = |id: &AgentId| AgentId {
            name: HOSTILE.into(),
            life: id.name.len() as u64 * 31 + u64::from(id.name.as_bytes()[id.name.len() - 1]),
        };
        let mut agents = agents;
        let rows = std::mem::take(&mut agents.rows).into_iter();
        agents.rows = rows.map(|(old, row)| (id(&old), row)).collect();
        for row in agents.rows.values_mut() {
            row.version = HOSTILE.into();
        }
        let epochs = agents.epochs.iter_mut().flat_map(|epoch| &mut epoch.shares);
        epochs.for_each(|share| share.agent = id(&share.agent));
        for event in &mut agents.events {
            event.agent = event.agent.as_ref().map(id);
            event.reason = Some(HOSTILE.into());
        }
        agents
    }

    #[test]
    fn hostile_text_makes_no_element() {
        let (plain, hostile) = (render(&shared(3, &Demo::default())), render(&hostile()));
        for tag in [
            "<script", "</script", "<img", "<!--", "<style", "<svg", "<meta",
        ] {
            assert_eq!(
                hostile.matches(tag).count(),
                plain.matches(tag).count(),
                "{tag}"
            );
        }
        assert!(!hostile.contains("onerror=alert(1)>\"'"));
        assert!(hostile.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&lt;!--{script}"));
    }

    #[test]
    fn the_island_is_json_and_keeps_the_text() {
        let page = render(&hostile());
        let (_, rest) = page.split_once("id=\"run\">").expect("an island");
        let (island, _) = rest.split_once("</script>").expect("its end");
        let json: serde_json::Value = serde_json::from_str(island).expect("JSON");
        assert_eq!(json["stages"][0]["name"], HOSTILE);
    }

    #[test]
    fn the_policy_names_the_very_script_and_style() {
        let page = render(&demo_summary());
        for (tag, open) in [("script", "<script>"), ("style", "<style>")] {
            let (_, rest) = page.split_once(open).expect("the element");
            let (text, _) = rest.split_once(&format!("</{tag}>")).expect("its end");
            assert!(
                page.contains(&format!("{tag}-src '{}'", hash(text))),
                "{tag}"
            );
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn nothing_is_asked_of_a_network() {
        let page = render(&Summary::default());
        for word in [
            " src=",
            "href=",
            "url(",
            "@import",
            "fetch(",
            "XMLHttpRequest",
            "import(",
        ] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn an_ordinary_run_stays_small() {
        let ordinary = Demo {
            seconds: 600,
            arrivals_per_s: 20,
            ..Demo::default()
        };
        let page = render(&ordinary.run());
        assert!(page.len() < 150_000, "{} bytes", page.len());
    }

    #[test]
    fn only_a_shared_run_has_agents() {
        let alone = render(&demo_summary());
        assert!(!alone.contains("<h2>Agents</h2>"));
        let page = render(&shared(3, &Demo::default()));
        assert!(page.contains("<h2>Agents</h2>"));
        for name in ["agent-1", "agent-2", "agent-3"] {
            assert!(
                page.contains(&format!("<td class=\"agent\">{name}</td>")),
                "{name}"
            );
        }
    }

    #[test]
    fn a_page_of_a_thousand_agents_lists_the_worst() {
        let demo = Demo {
            seconds: 3,
            arrivals_per_s: 4,
            stall_s: 1..2,
            ..Demo::default()
        };
        let page = render(&shared(1_000, &demo));
        assert!(page.contains("500 agents that fared no worse are left out"));
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
    }

    #[test]
    fn no_style_attribute_and_no_handler_stand_in_the_page() {
        let page = render(&shared(3, &Demo::default()));
        let body = page.split("<script").next().expect("a body");
        assert!(!body.contains("style=\"") && !body.contains("onclick"));
    }

    #[test]
    fn names_in_braces_are_filled_once() {
        let filled = fill("a{x}b{y}c", |name| format!("[{name}{{x}}]"));
        assert_eq!(filled, "a[x{x}]b[y{x}]c");
    }
}
