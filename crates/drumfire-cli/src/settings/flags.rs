//! The flags of a role: clap's arguments made from the table, and what was typed of them.

use super::error::{SettingsError, Warning};
use super::host::Host;
use super::loadstrike::{CONFIG_FLAG, KEYS, Key, Means};
use super::origin::Written;
use super::table::{Fallback, Role, Setting, TABLE};
use super::values::Kind;
use super::{RoleSettings, read};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// What was typed.
#[derive(Clone, Default)]
pub struct Flags(Vec<Flag>);

/// One flag that was typed.
#[derive(Clone)]
pub struct Flag {
    /// Which.
    pub name: FlagName,
    /// With which value.
    pub written: Written,
}

/// Whose flag it is.
#[derive(Debug, Clone, Copy)]
pub enum FlagName {
    /// One of the table.
    Ours(&'static Setting),
    /// One of LoadStrike's.
    Theirs(&'static Key),
}

impl Flags {
    /// Flags that were found otherwise than by clap.
    pub fn new(given: Vec<Flag>) -> Self {
        Flags(given)
    }

    /// What was typed, one entry for each flag and LoadStrike's in the order typed.
    pub fn given(&self) -> &[Flag] {
        &self.0
    }

    fn of(matches: &ArgMatches, role: Role) -> Self {
        let ours = TABLE
            .iter()
            .filter(|setting| setting.is_for(role))
            .filter_map(|setting| {
                let typed = typed(matches, setting.name)?;
                Some(Flag {
                    name: FlagName::Ours(setting),
                    written: written(setting, typed),
                })
            });
        let theirs = KEYS.iter().filter_map(|key| {
            // As with LoadStrike, the last one holds.
            let last = typed(matches, key_id(key))?.pop()?;
            Some(Flag {
                name: FlagName::Theirs(key),
                written: Written::Text(last),
            })
        });
        Flags(ours.chain(theirs).collect())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|flag| match flag.name {
            FlagName::Ours(setting) => setting.name,
            FlagName::Theirs(key) => key.name,
        });
        f.debug_list().entries(names).finish()
    }
}

/// Arguments of a subcommand, and beside them the flags of its role.
#[derive(Clone)]
pub struct Flagged<A, S> {
    /// The subcommand's own.
    pub arguments: A,
    /// What was typed of the role's.
    pub flags: Flags,
    role: PhantomData<S>,
}

impl<A, S: RoleSettings> Flagged<A, S> {
    /// What the role is set to.
    ///
    /// # Errors
    /// As of [`read`].
    pub fn settings(
        &self,
        environment: &BTreeMap<String, String>,
        host: &dyn Host,
    ) -> Result<(S, Vec<Warning>), SettingsError> {
        read(&self.flags, environment, host)
    }
}

impl<A: fmt::Debug, S> fmt::Debug for Flagged<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flagged")
            .field("arguments", &self.arguments)
            .field("flags", &self.flags)
            .finish()
    }
}

impl<A: FromArgMatches, S: RoleSettings> FromArgMatches for Flagged<A, S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        // Before the arguments take theirs out.
        let flags = Flags::of(matches, S::ROLE);
        Ok(Flagged {
            arguments: A::from_arg_matches_mut(matches)?,
            flags,
            role: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<A: Args, S: RoleSettings> Args for Flagged<A, S> {
    fn augment_args(command: Command) -> Command {
        with_flags(A::augment_args(command), S::ROLE)
    }

    fn augment_args_for_update(command: Command) -> Command {
        with_flags(A::augment_args_for_update(command), S::ROLE)
    }
}

/// Adds the flags of a role.
fn with_flags(command: Command, role: Role) -> Command {
    let ours = TABLE.iter().filter(|setting| setting.is_for(role));
    let command = ours.fold(command, |command, setting| command.arg(argument(setting)));
    KEYS.iter().fold(command, |command, key| {
        let taken = |argument: &Arg| argument.get_long() == Some(key.name);
        let taken = command.get_arguments().any(taken);
        command.arg(key_argument(key, taken))
    })
}

fn key_id(key: &Key) -> &'static str {
    match key.means {
        Means::File(_) if key.name == "config" => CONFIG_FLAG,
        _ => key.name,
    }
}

fn argument(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.name)
        .help(help(setting))
        .value_name(setting.value_name);
    let argument = match setting.name {
        "script" => return argument.num_args(0..).action(ArgAction::Append),
        name => argument.long(name).help_heading(setting.section.title()),
    };
    match setting.kind {
        Kind::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::List(_) => argument.action(ArgAction::Append),
        _ => argument,
    }
}

/// LoadStrike's flag, in its strict form `--Key=value`; [`super::arguments()`] has made its spelling ours.
fn key_argument(key: &'static Key, taken: bool) -> Arg {
    let argument = Arg::new(key_id(key))
        .long(key_id(key))
        .hide(true)
        .num_args(1)
        .require_equals(true)
        .action(ArgAction::Append);
    match key_id(key) == key.name || taken {
        true => argument,
        false => argument.alias(key.name),
    }
}

fn help(setting: &Setting) -> String {
    match setting.fallback {
        // A switch that is off is no news.
        Fallback::Nothing | Fallback::Text("false") => setting.meaning.to_owned(),
        Fallback::Text(text) => format!("{} [default: {text}]", setting.meaning),
        Fallback::Told(words) => format!("{} [default: {words}]", setting.meaning),
        Fallback::Required => format!("{} [required]", setting.meaning),
    }
}

/// The values typed for an argument; none where its default or nothing stands.
fn typed(matches: &ArgMatches, id: &str) -> Option<Vec<String>> {
    use clap::parser::ValueSource;
    // An argument that this command has not is none that was typed.
    let known = matches.try_contains_id(id).unwrap_or(false);
    if !known || matches.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let values = matches.get_raw(id)?;
    Some(
        values
            .map(|value| value.to_string_lossy().into_owned())
            .collect(),
    )
}

fn written(setting: &Setting, mut typed: Vec<String>) -> Written {
    match setting.kind {
        // Each argument is a path, commas and all.
        Kind::List(_) if setting.name == "script" => Written::Items(typed),
        Kind::List(_) => Written::Text(typed.join(",")),
        _ => Written::Text(typed.pop().unwrap_or_default()),
    }
}
