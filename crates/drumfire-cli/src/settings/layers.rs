//! Everything that is set, from the command line, the environment and files: unknown names are refused here, and of a name
//! that is set in several places the closest to the command stays.

use super::document::{self, FileKey, Line};
use super::error::{SettingsError, Warning};
use super::flags::{FlagName, Flags};
use super::host::Host;
use super::loadstrike::{self, Key, Means};
use super::mapping::{self, Mapping, Ours, Theirs};
use super::origin::{Entry, Level, Origin, Rank, Written};
use super::table::{self, Role, Setting, TABLE, VARIABLE_PREFIX};
use super::values::Values;
use std::collections::BTreeMap;

/// Variables that start like ours and belong to the tools of this project, with what they do.
pub const OTHER_VARIABLES: [(&str, &str); 8] = [
    (
        "DRUMFIRE_TOOLS",
        "`make test`: where tools are installed; `~/.cache/drumfire/tools` unless set",
    ),
    (
        "DRUMFIRE_FORBID_SKIPS",
        "`make test`: with `1` a skipped check is a failed one",
    ),
    (
        "DRUMFIRE_FUZZ_SECONDS",
        "`make test`: seconds for each fuzz target; 20 unless set",
    ),
    (
        "DRUMFIRE_SIMULATE",
        "`make test`: how many histories the simulation of clusters lives",
    ),
    (
        "DRUMFIRE_SEED",
        "`make test`: the seed of the first of them; without a number, of the only one",
    ),
    (
        "DRUMFIRE_NATS_SERVER",
        "`make test`: the nats-server that clusters are tested with",
    ),
    (
        "DRUMFIRE_BENCH_TOOLS",
        "`make bench`: where what it compares with is installed",
    ),
    (
        "DRUMFIRE_BENCH_ARTILLERY",
        "`make bench`: the Artillery to compare with",
    ),
];

/// Secrets that a file may hold, with the setting that names it.
const SECRETS_IN_FILES: [(&str, &str); 3] = [
    ("run-key", "run-key-file"),
    ("nats-password", "nats-password-file"),
    ("nats-token", "nats-token-file"),
];

/// What is set, ours and LoadStrike's apart.
pub struct Layers<'a> {
    host: &'a dyn Host,
    ours: Ours,
    theirs: Theirs,
    warnings: Vec<Warning>,
}

/// Collects what is set.
///
/// # Errors
/// A name is unknown, a file cannot be read, or LoadStrike's keys contradict each other.
pub fn collect<'a>(
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    host: &'a dyn Host,
) -> Result<Layers<'a>, SettingsError> {
    let mut layers = Layers {
        host,
        ours: Ours::new(),
        theirs: Theirs::new(),
        warnings: Vec::new(),
    };
    layers.flags(flags)?;
    layers.environment(environment)?;
    layers.files()?;
    Ok(layers)
}

impl Layers<'_> {
    /// The role that environment or files choose.
    ///
    /// # Errors
    /// It is none.
    pub fn role(&self) -> Result<Option<Role>, SettingsError> {
        let theirs = mapping::role(&self.theirs)?;
        match (self.ours.get("role"), theirs) {
            (Some(ours), Some((_, theirs))) if ours.rank > theirs.rank => role_of(ours).map(Some),
            (_, Some((role, _))) => Ok(Some(role)),
            (Some(ours), None) => role_of(ours).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The values of a role.
    ///
    /// # Errors
    /// A value is none of its kind, or contradicts another.
    pub fn values(mut self, role: Role) -> Result<(Values, Vec<Warning>), SettingsError> {
        self.ours
            .retain(|name, _| table::find(name).is_some_and(|setting| setting.is_for(role)));
        Mapping::new(role, &self.theirs, &mut self.ours, &mut self.warnings).keys()?;
        self.secrets_in_files(role)?;
        Mapping::new(role, &self.theirs, &mut self.ours, &mut self.warnings).defaults()?;
        let values = Values::parse(role, &self.ours)?;
        Ok((values, self.warnings))
    }

    fn flags(&mut self, flags: &Flags) -> Result<(), SettingsError> {
        for flag in flags.given() {
            let entry = |name: &str, ours| Entry {
                written: flag.written.clone(),
                origin: Origin::Flag(name.to_owned()),
                rank: Rank {
                    level: Level::Flag,
                    ours,
                },
            };
            match flag.name {
                FlagName::Ours(setting) => self.set(setting, entry(setting.name, true)),
                FlagName::Theirs(key) => self.set_key(key, entry(key.name, false))?,
            }
        }
        Ok(())
    }

    fn environment(&mut self, environment: &BTreeMap<String, String>) -> Result<(), SettingsError> {
        for (name, value) in environment {
            let entry = |ours| Entry {
                written: Written::Text(value.clone()),
                origin: Origin::Variable(name.clone()),
                rank: Rank {
                    level: Level::Environment,
                    ours,
                },
            };
            if let Some(path) = loadstrike_variable(name) {
                let key = loadstrike::find(&path)
                    .ok_or_else(|| unknown_key(&path, format!("environment variable {name}")))?;
                self.set_key(key, entry(false))?;
            } else if let Some(word) = name.strip_prefix(VARIABLE_PREFIX)
                && !is_elsewhere(name, word)
            {
                let setting = TABLE
                    .iter()
                    .find(|setting| setting.variable() == *name)
                    .ok_or_else(|| unknown_variable(name))?;
                if !value.trim().is_empty() {
                    self.set(setting, entry(true));
                }
            }
        }
        Ok(())
    }

    fn files(&mut self) -> Result<(), SettingsError> {
        let files = [
            (self.ours.get("settings").cloned(), Level::File),
            (self.theirs.get("config").cloned(), Level::Config),
            (self.theirs.get("infraconfig").cloned(), Level::InfraConfig),
        ];
        for (named, level) in files {
            let Some(named) = named else {
                continue;
            };
            for line in document::read(named.written.text(), &named.origin, self.host)? {
                self.line(line, level)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Line, level: Level) -> Result<(), SettingsError> {
        let (name, in_section) = match &line.key {
            FileKey::Top(name) => (name.as_str(), false),
            FileKey::LoadStrike(name) => (name.as_str(), true),
        };
        let setting = match (in_section, level) {
            (false, Level::File) => table::find(name),
            _ => None,
        };
        let names_file = |key: &&Key| matches!(key.means, Means::File(_));
        let key = loadstrike::find(name).filter(|key| !names_file(key));
        match (setting, key) {
            (Some(setting), _) if setting.name == "settings" => {
                let reason = "a settings file names no other";
                Err(SettingsError::value(name, &line.origin, reason))
            }
            (Some(setting), _) => {
                let entry = entry_of(name, &line, Rank { level, ours: true })?;
                self.set(setting, entry);
                Ok(())
            }
            (None, Some(key)) => {
                let entry = entry_of(name, &line, Rank { level, ours: false })?;
                self.set_key(key, entry)
            }
            (None, None) if in_section => {
                let what = format!("key `{name}` of LoadStrike ({})", line.origin);
                Err(unknown_key(name, what))
            }
            (None, None) if level == Level::File => Err(unknown_setting(name, &line.origin)),
            // Files beside ours hold whatever else their programs read.
            (None, None) => {
                self.unread(name, &line.origin, level);
                Ok(())
            }
        }
    }

    /// Free data of LoadStrike's programs, which `infraconfig` is made for.
    fn unread(&mut self, name: &str, origin: &Origin, level: Level) {
        if level == Level::Config {
            let message = format!("{name} ({origin}) is no key of LoadStrike's and has no effect");
            self.warnings.push(Warning::new(message));
        }
    }

    fn set(&mut self, setting: &'static Setting, entry: Entry) {
        let there = self.ours.get(setting.name);
        if there.is_none_or(|there| there.rank < entry.rank) {
            self.ours.insert(setting.name, entry);
        }
    }

    /// Sets a key that has a value; spelled twice at one level it must say the same, unless nothing comes of it.
    fn set_key(&mut self, key: &'static Key, entry: Entry) -> Result<(), SettingsError> {
        let matters = !matches!(key.means, Means::Nothing(_));
        match self.theirs.get(key.name) {
            _ if entry.written.is_empty() => Ok(()),
            Some(there) if there.rank > entry.rank => Ok(()),
            Some(there) if there.rank == entry.rank && there.written == entry.written => Ok(()),
            Some(there) if there.rank == entry.rank => match matters {
                true => Err(SettingsError::Contradiction {
                    name: key.name.to_owned(),
                    first: there.origin.clone(),
                    second: entry.origin,
                }),
                false => Ok(()),
            },
            _ => {
                self.theirs.insert(key.name, entry);
                Ok(())
            }
        }
    }

    /// Puts in what files hold of secrets.
    fn secrets_in_files(&mut self, role: Role) -> Result<(), SettingsError> {
        for (secret, file) in SECRETS_IN_FILES {
            let reads = table::find(secret).is_some_and(|setting| setting.is_for(role));
            let Some(named) = self.ours.get(file).cloned().filter(|_| reads) else {
                continue;
            };
            if let Some(there) = self.ours.get(secret) {
                if there.rank > named.rank {
                    continue;
                }
                if there.rank == named.rank {
                    return Err(SettingsError::Contradiction {
                        name: secret.to_owned(),
                        first: there.origin.clone(),
                        second: named.origin,
                    });
                }
            }
            let entry = self.secret_in(&named)?;
            self.ours.insert(secret, entry);
        }
        Ok(())
    }

    /// The first line of the file that an entry names.
    fn secret_in(&self, named: &Entry) -> Result<Entry, SettingsError> {
        let path = named.written.text();
        let unreadable = |source| SettingsError::Unreadable {
            path: path.to_owned(),
            origin: named.origin.clone(),
            source,
        };
        let bytes = self.host.read(path).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(Entry {
            written: Written::Text(text.trim_end_matches(['\r', '\n']).to_owned()),
            origin: Origin::File {
                path: path.to_owned(),
                line: 1,
            },
            rank: named.rank,
        })
    }
}

/// The value of a file's line.
fn entry_of(name: &str, line: &Line, rank: Rank) -> Result<Entry, SettingsError> {
    match &line.written {
        Some(written) => Ok(Entry {
            written: written.clone(),
            origin: line.origin.clone(),
            rank,
        }),
        None => {
            let reason = "a map where a value is expected";
            Err(SettingsError::value(name, &line.origin, reason))
        }
    }
}

fn role_of(entry: &Entry) -> Result<Role, SettingsError> {
    let setting = table::find("role").expect("the table has a role");
    let value = setting.kind.parse(&entry.written);
    let value = value.map_err(|reason| SettingsError::value("role", &entry.origin, reason))?;
    let roles = [Role::Coordinator, Role::Agent];
    let named = |role: &Role| match &value {
        super::values::Value::Text(text) => role.subcommand() == Some(text),
        _ => false,
    };
    Ok(roles
        .into_iter()
        .find(named)
        .expect("the choices of role are roles"))
}

/// The path of LoadStrike's key that a variable sets.
fn loadstrike_variable(name: &str) -> Option<String> {
    let (section, rest) = name.split_at_checked(loadstrike::SECTION.len())?;
    let rest = rest.strip_prefix("__").or_else(|| rest.strip_prefix(':'))?;
    let ours = section.eq_ignore_ascii_case(loadstrike::SECTION);
    ours.then(|| rest.replace("__", ":"))
}

/// Whether a variable that starts like ours belongs to somebody else: this project's tools, or Kubernetes, which puts the
/// address of every service into the environment, also of one that is called drumfire.
fn is_elsewhere(name: &str, word: &str) -> bool {
    let word = format!("_{word}");
    let of_service = word.ends_with("_SERVICE_HOST") || word.contains("_SERVICE_PORT");
    let of_port = word.ends_with("_PORT") || word.split_once("_PORT_").is_some_and(is_port);
    OTHER_VARIABLES.iter().any(|(other, _)| *other == name) || of_service || of_port
}

/// Whether a variable's end is that of a service's port, such as `4222_TCP_ADDR`.
fn is_port((_, end): (&str, &str)) -> bool {
    let mut parts = end.split('_');
    let number = parts.next().unwrap_or_default();
    let protocol = parts.next().unwrap_or_default();
    number.parse::<u16>().is_ok() && matches!(protocol, "TCP" | "UDP" | "SCTP")
}

fn unknown_setting(name: &str, origin: &Origin) -> SettingsError {
    let known = TABLE.iter().map(|setting| setting.name);
    SettingsError::unknown(format!("key `{name}` ({origin})"), name, known)
}

fn unknown_variable(name: &str) -> SettingsError {
    let known: Vec<String> = TABLE.iter().map(Setting::variable).collect();
    let known = known.iter().map(String::as_str);
    SettingsError::unknown(format!("environment variable {name}"), name, known)
}

/// LoadStrike ignores what it does not know; here a slip of the hand is told.
fn unknown_key(path: &str, what: String) -> SettingsError {
    let known = loadstrike::KEYS.iter().flat_map(Key::names);
    SettingsError::unknown(what, path, known)
}
