//! LoadStrike's keys onto settings: units and switches turned, names of reports and runs put together, and what its
//! programs do unless told otherwise. Values are read as strictly as ours.

use super::error::{Reason, SettingsError, Warning};
use super::loadstrike::{KEYS, Key, Means};
use super::names::ReportFormat;
use super::origin::{Entry, Level, Origin, Rank, Written};
use super::table::{self, Role};
use super::values::switch;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where LoadStrike writes reports unless told otherwise.
const REPORT_FOLDER: &str = "./reports";
/// What it calls them.
const REPORT_NAME: &str = "{suite}_{test}_{yyyyMMdd_HHmmss}";
/// How it writes the time in that.
const REPORT_TIME: &str = "{yyyyMMdd_HHmmss}";
/// What it calls a test's suite unless told otherwise.
const SUITE: &str = "loadstrike";
/// What it calls a test.
const TEST: &str = "loadstrike-test";
/// The shortest interval; theirs may be shorter.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Keys by name, as they were written.
pub type Theirs = BTreeMap<&'static str, Entry>;
/// Settings by name.
pub type Ours = BTreeMap<&'static str, Entry>;

/// The role that the keys choose, with the place that does.
///
/// # Errors
/// It is none, or an agent that has agents of its own.
pub fn role(theirs: &Theirs) -> Result<Option<(Role, &Entry)>, SettingsError> {
    let local = local_cluster(theirs)?;
    let Some(entry) = theirs.get("NodeType") else {
        return Ok(local.map(|local| (Role::SingleNode, local)));
    };
    let role = match text(entry).to_ascii_lowercase().as_str() {
        "single" | "singlenode" | "0" => Role::SingleNode,
        "coordinator" | "1" => Role::Coordinator,
        "agent" | "2" => Role::Agent,
        _ => {
            let reason = Reason::from(format!(
                "'{}' is none of SingleNode, Coordinator, Agent",
                text(entry)
            ));
            return Err(SettingsError::value("NodeType", &entry.origin, reason));
        }
    };
    match (role, local) {
        (Role::Agent, Some(local)) => Err(no_local_cluster(local, Role::Agent)),
        (_, Some(local)) => Ok(Some((Role::SingleNode, local))),
        (role, None) => Ok(Some((role, entry))),
    }
}

/// Maps keys onto the settings of a role.
pub struct Mapping<'a> {
    role: Role,
    theirs: &'a Theirs,
    ours: &'a mut Ours,
    warnings: &'a mut Vec<Warning>,
}

impl<'a> Mapping<'a> {
    /// A mapping of `theirs` onto `ours`.
    pub fn new(
        role: Role,
        theirs: &'a Theirs,
        ours: &'a mut Ours,
        warnings: &'a mut Vec<Warning>,
    ) -> Self {
        Mapping {
            role,
            theirs,
            ours,
            warnings,
        }
    }

    /// Sets what the keys say.
    ///
    /// # Errors
    /// A value is wrong, or two contradict each other.
    pub fn keys(&mut self) -> Result<(), SettingsError> {
        let local = local_cluster(self.theirs)?;
        if let Some(local) = local.filter(|_| self.role != Role::SingleNode) {
            return Err(no_local_cluster(local, self.role));
        }
        for key in &KEYS {
            if let Some(entry) = self.theirs.get(key.name) {
                self.key(key, entry)?;
            }
        }
        self.title();
        if self.role == Role::SingleNode {
            self.agents_of_one_process(local.is_some());
        }
        Ok(())
    }

    /// Sets what LoadStrike does unless told otherwise, and what its agents need.
    ///
    /// # Errors
    /// A switch is neither true nor false.
    pub fn defaults(&mut self) -> Result<(), SettingsError> {
        self.reports()?;
        if self.is_loadstrikes() {
            self.trust();
        }
        Ok(())
    }

    /// Whether LoadStrike's keys made this node what it is.
    fn is_loadstrikes(&self) -> bool {
        let broker = self.ours.get("nats");
        self.theirs.contains_key("NodeType") || broker.is_some_and(|entry| !entry.rank.ours)
    }

    fn key(&mut self, key: &Key, entry: &Entry) -> Result<(), SettingsError> {
        match key.means {
            Means::Setting(name) => {
                if name == "target-scenarios" && self.role == Role::Agent {
                    let reason = "the coordinator says which scenarios an agent runs";
                    self.no_effect(key, entry, reason);
                }
                self.offer(name, entry.clone())
            }
            Means::Milliseconds(name) => {
                let duration = milliseconds(name, entry)?;
                self.offer_duration(name, duration, entry)
            }
            Means::Seconds(name) => {
                let duration = seconds(name, entry)?;
                self.offer_duration(name, duration, entry)
            }
            Means::Opposite(name) => {
                let on = on(name, entry)?;
                self.offer(name, with_text(entry, (!on).to_string()))
            }
            Means::Formats => self.formats(entry),
            Means::FileName => {
                let name = self.report_name(text(entry));
                self.offer("report-name", with_text(entry, name))
            }
            Means::Nothing(reason) => {
                self.no_effect(key, entry, reason);
                Ok(())
            }
            // What they come to needs other keys beside them, or was needed before the role was known.
            Means::Role
            | Means::LocalCluster
            | Means::Suite
            | Means::Test
            | Means::NoReports
            | Means::File(_) => Ok(()),
        }
    }

    /// A single node runs alone, whatever the others of its cluster count; a local cluster has one agent at least.
    fn agents_of_one_process(&mut self, local: bool) {
        match local {
            true => {
                let one = || by_default("1".to_owned());
                self.ours.entry("agents").or_insert_with(one);
            }
            false => {
                for name in [
                    "agents",
                    "agent-target-scenarios",
                    "coordinator-target-scenarios",
                ] {
                    self.ours.remove(name);
                }
            }
        }
    }

    fn no_effect(&mut self, key: &Key, entry: &Entry, reason: &str) {
        let name = key.name;
        let origin = &entry.origin;
        let message = format!("LoadStrike's {name} ({origin}) has no effect: {reason}");
        self.warnings.push(Warning::new(message));
    }

    /// Sets a setting unless something wins over the entry; what stands beside it must agree.
    fn offer(&mut self, name: &'static str, entry: Entry) -> Result<(), SettingsError> {
        let for_role = table::find(name).is_some_and(|setting| setting.is_for(self.role));
        if !for_role {
            return Ok(());
        }
        match self.ours.get(name) {
            Some(there) if there.rank > entry.rank => {}
            Some(there) if there.rank == entry.rank && there.written != entry.written => {
                return Err(SettingsError::Contradiction {
                    name: name.to_owned(),
                    first: there.origin.clone(),
                    second: entry.origin,
                });
            }
            _ => {
                self.ours.insert(name, entry);
            }
        }
        Ok(())
    }

    fn offer_duration(
        &mut self,
        name: &'static str,
        duration: Duration,
        entry: &Entry,
    ) -> Result<(), SettingsError> {
        let mut duration = duration;
        let reads = table::find(name).is_some_and(|setting| setting.is_for(self.role));
        if name == "interval" && duration < SHORTEST_INTERVAL {
            if reads {
                let origin = &entry.origin;
                let message = format!("{name} from {origin} is raised to {SHORTEST_INTERVAL:?}");
                self.warnings.push(Warning::new(message));
            }
            duration = SHORTEST_INTERVAL;
        }
        let text = format!("{}ms", duration.as_millis());
        self.offer(name, with_text(entry, text))
    }

    /// The run's name: suite and test, as far as they are set.
    fn title(&mut self) {
        let parts: Vec<&Entry> = ["TestSuite", "TestName"]
            .iter()
            .filter_map(|name| self.theirs.get(name))
            .collect();
        let Some(closest) = parts.iter().max_by_key(|entry| entry.rank) else {
            return;
        };
        let texts: Vec<&str> = parts.iter().map(|entry| text(entry)).collect();
        let entry = with_text(closest, texts.join(" / "));
        // Nothing else of LoadStrike's sets the name, so nothing of its rank can contradict.
        let there = self.ours.get("name").map(|there| there.rank);
        if there.is_none_or(|there| there < entry.rank) {
            self.ours.insert("name", entry);
        }
    }

    fn formats(&mut self, entry: &Entry) -> Result<(), SettingsError> {
        let mut kept = Vec::new();
        for format in entry.written.items() {
            let lower = format.to_ascii_lowercase();
            match lower.as_str() {
                "txt" | "md" | "markdown" => {
                    let message = format!(
                        "report format {format} from {} is not written",
                        entry.origin
                    );
                    let hint = "html has charts and tables, csv the numbers";
                    self.warnings.push(Warning::hint(message, hint));
                }
                _ if ReportFormat::named(&lower).is_some() => kept.push(lower),
                _ => {
                    let reason = format!("'{format}' is none of html, txt, csv, md");
                    return Err(SettingsError::value("ReportFormats", &entry.origin, reason));
                }
            }
        }
        match kept.is_empty() {
            true => Ok(()),
            false => self.offer(
                "report-formats",
                Entry {
                    written: Written::Items(kept),
                    ..entry.clone()
                },
            ),
        }
    }

    /// A name of reports with LoadStrike's parts put in.
    fn report_name(&self, pattern: &str) -> String {
        let part = |name: &str, otherwise: &str| {
            let text = self.theirs.get(name).map_or(otherwise, text);
            text.replace(['/', '\\'], "_")
        };
        pattern
            .replace("{suite}", &part("TestSuite", SUITE))
            .replace("{test}", &part("TestName", TEST))
            .replace(REPORT_TIME, "{time}")
    }

    fn reports(&mut self) -> Result<(), SettingsError> {
        if !matches!(self.role, Role::Coordinator | Role::SingleNode) {
            return Ok(());
        }
        let without = self.theirs.get("WithoutReports");
        if let Some(entry) = without
            && on("WithoutReports", entry)?
        {
            if self
                .ours
                .get("report-dir")
                .is_some_and(|there| !there.rank.ours)
            {
                self.ours.remove("report-dir");
            }
            return Ok(());
        }
        let asked = ["report-dir", "output", "json", "html", "csv", "junit"];
        let chosen = role(self.theirs)?.is_some_and(|(role, _)| role == self.role);
        if chosen && !asked.iter().any(|name| self.ours.contains_key(name)) {
            self.ours
                .insert("report-dir", by_default(REPORT_FOLDER.to_owned()));
        }
        let theirs = self
            .ours
            .get("report-dir")
            .is_some_and(|there| !there.rank.ours);
        if theirs && !self.ours.contains_key("report-name") {
            let name = self.report_name(REPORT_NAME);
            self.ours.insert("report-name", by_default(name));
        }
        Ok(())
    }

    /// LoadStrike's agents have no key, so without one of ours a cluster must do without.
    fn trust(&mut self) {
        let key = self.ours.get("run-key");
        let needless = match self.role {
            Role::Command | Role::SingleNode => true,
            Role::Agent => key.is_some(),
            Role::Coordinator => key.is_some_and(|key| key.rank.ours),
        };
        if needless || self.ours.contains_key("trust-broker") {
            return;
        }
        self.ours.insert("trust-broker", by_default("true".into()));
        let message = match self.role {
            Role::Agent => {
                "this agent has no run key, as LoadStrike's have none: whoever reaches the broker can aim it"
            }
            _ => {
                "agents without a run key are taken, as LoadStrike's have none: whoever reaches the broker can pose as one"
            }
        };
        let hint = "set DRUMFIRE_RUN_KEY for the coordinator and every agent, or DRUMFIRE_TRUST_BROKER=true to say that this \
                    is meant";
        self.warnings.push(Warning::hint(message, hint));
    }
}

/// The entry that asks for coordinator and agents in one process.
fn local_cluster(theirs: &Theirs) -> Result<Option<&Entry>, SettingsError> {
    let Some(entry) = theirs.get("EnableLocalDevCluster") else {
        return Ok(None);
    };
    Ok(on("EnableLocalDevCluster", entry)?.then_some(entry))
}

fn no_local_cluster(local: &Entry, role: Role) -> SettingsError {
    let reason = Reason::hint(
        format!("the role {} has no agents in its own process", role.title()),
        "drumfire run --agents N does",
    );
    SettingsError::value("EnableLocalDevCluster", &local.origin, reason)
}

fn on(name: &str, entry: &Entry) -> Result<bool, SettingsError> {
    switch(text(entry)).map_err(|reason| SettingsError::value(name, &entry.origin, reason))
}

fn milliseconds(name: &str, entry: &Entry) -> Result<Duration, SettingsError> {
    let text = text(entry);
    match text.parse() {
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        Err(_) => {
            let reason = format!("'{text}' is no whole number of milliseconds");
            Err(SettingsError::value(name, &entry.origin, reason))
        }
    }
}

fn seconds(name: &str, entry: &Entry) -> Result<Duration, SettingsError> {
    let text = text(entry);
    let seconds = text.parse().ok();
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(duration) => Ok(duration),
        None => {
            let reason = format!("'{text}' is no number of seconds");
            Err(SettingsError::value(name, &entry.origin, reason))
        }
    }
}

fn text(entry: &Entry) -> &str {
    entry.written.text()
}

fn with_text(entry: &Entry, text: String) -> Entry {
    Entry {
        written: Written::Text(text),
        ..entry.clone()
    }
}

fn by_default(text: String) -> Entry {
    Entry {
        written: Written::Text(text),
        origin: Origin::Default,
        rank: Rank {
            level: Level::InfraConfig,
            ours: false,
        },
    }
}
