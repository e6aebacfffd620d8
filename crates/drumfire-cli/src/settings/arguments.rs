//! The command line before clap sees it: a role that the environment or a file chooses is put in where no subcommand was
//! typed, and LoadStrike's flags get the spelling that clap knows.

use super::error::SettingsError;
use super::flags::{Flag, FlagName, Flags};
use super::host::Host;
use super::layers::collect;
use super::loadstrike::{self, CONFIG_FLAG, Key};
use super::origin::Written;
use super::table::{self, ROLES, Role, SINGLE_NODE};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Subcommands that give commands to a running test.
const COMMANDS: [&str; 4] = ["stop", "status", "scale", "resume"];
/// What asks for no role.
const ASKING: [&str; 4] = ["--help", "-h", "--version", "-V"];

/// The whole command line, the program's name first, as clap takes it.
///
/// # Errors
/// No subcommand was typed, and what chooses the role instead is wrong.
pub fn arguments(
    typed: Vec<OsString>,
    environment: &BTreeMap<String, String>,
    host: &dyn Host,
) -> Result<Vec<OsString>, SettingsError> {
    let texts: Vec<String> = typed
        .iter()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let role = role_from_environment(&texts, environment, host)?;
    let takes_settings = texts.first().map(String::as_str).is_some_and(|first| {
        ROLES.contains(&first) || COMMANDS.contains(&first) || first == SINGLE_NODE
    });
    if role.is_none() && !takes_settings {
        return Ok(typed);
    }
    let subcommand = role.and_then(Role::subcommand);
    let mut typed = typed.into_iter();
    let mut out: Vec<OsString> = typed.next().into_iter().collect();
    out.extend(subcommand.map(OsString::from));
    let mut ended = false;
    for argument in typed {
        ended |= argument == "--";
        out.push(match argument.to_str() {
            Some(text) if !ended => respelled(text, subcommand.is_some()).into(),
            _ => argument,
        });
    }
    Ok(out)
}

/// The role that environment, file or flags of LoadStrike's choose where no subcommand was typed; `typed` is without the
/// program's name.
///
/// # Errors
/// What chooses is wrong, or a file cannot be read.
pub fn role_from_environment(
    typed: &[String],
    environment: &BTreeMap<String, String>,
    host: &dyn Host,
) -> Result<Option<Role>, SettingsError> {
    let first = typed.first().map(String::as_str);
    if first.is_some_and(|first| !first.starts_with("--") || first == "--")
        || typed
            .iter()
            .any(|argument| ASKING.contains(&argument.as_str()))
    {
        return Ok(None);
    }
    collect(&chosing(typed), environment, host)?.role()
}

/// The flags that say something about the role, read before clap knows the subcommand.
fn chosing(typed: &[String]) -> Flags {
    let mut given = Vec::new();
    let mut rest = typed.iter();
    while let Some(argument) = rest.next() {
        if let Some((key, value)) = loadstrikes(argument) {
            given.push(Flag {
                name: FlagName::Theirs(key),
                written: Written::Text(value.to_owned()),
            });
        } else if let Some(setting) = table::find("settings") {
            let file = match argument.strip_prefix("--settings") {
                Some("") => rest.next().map(String::as_str),
                Some(value) => value.strip_prefix('='),
                None => None,
            };
            given.extend(file.map(|file| Flag {
                name: FlagName::Ours(setting),
                written: Written::Text(file.to_owned()),
            }));
        }
    }
    Flags::new(given)
}

/// One of LoadStrike's flags with its value.
fn loadstrikes(argument: &str) -> Option<(&'static Key, &str)> {
    let (name, value) = argument.strip_prefix("--")?.split_once('=')?;
    Some((loadstrike::find(name)?, value))
}

/// A flag of LoadStrike's as the table spells it. `config` is LoadStrike's only where no subcommand was typed, since
/// scripts have a flag of that name.
fn respelled(argument: &str, role_put_in: bool) -> String {
    match loadstrikes(argument) {
        Some((key, value)) if key.name != "config" => format!("--{}={value}", key.name),
        Some((_, value)) if role_put_in => format!("--{CONFIG_FLAG}={value}"),
        _ => argument.to_owned(),
    }
}
