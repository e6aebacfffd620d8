//! What is set where, and what comes of it. Environment, arguments and files are data; nothing of this process is read.

use super::arguments::role_from_environment;
use super::broker::{BrokerUrl, TlsFiles};
use super::loadstrike::KEYS;
use super::secret::Secret;
use super::table::{Fallback, Setting, TABLE};
use super::*;
use clap::{Args, Command, FromArgMatches};
use drumfire_cluster::{Policy, Timing, WarmUp};
use drumfire_protocols::{AllowedHost, AllowedTarget, AllowedTargets};
use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

mod keys;
mod places;
mod roles;
mod secrets;

/// A machine made of data.
#[derive(Default)]
struct TestHost {
    files: BTreeMap<String, String>,
}

impl Host for TestHost {
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        let text = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let below = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
        let names: Vec<String> = below.map(str::to_owned).collect();
        match names.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(names),
        }
    }

    fn name(&self) -> String {
        "pod-7".into()
    }
}

/// A subcommand without arguments of its own.
#[derive(Debug, clap::Args)]
struct NoArguments {}

/// What is set, in every way there is.
#[derive(Default, Clone)]
struct Given {
    typed: Vec<String>,
    environment: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Given {
    fn typed(mut self, arguments: &[&str]) -> Self {
        self.typed
            .extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    fn variables(self, variables: &[(&str, &str)]) -> Self {
        variables
            .iter()
            .fold(self, |given, (name, value)| given.variable(name, value))
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// What a coordinator cannot do without.
    fn coordinator() -> Self {
        Given::default().variables(&[
            ("DRUMFIRE_NATS", "nats://broker"),
            ("DRUMFIRE_SCRIPT", "a.yml"),
        ])
    }

    /// What an agent cannot do without.
    fn agent() -> Self {
        Given::default().variable("DRUMFIRE_NATS", "nats://broker")
    }

    /// The settings with the warnings, as words, or the error.
    fn read<S: RoleSettings>(&self) -> Result<(S, Vec<String>), String> {
        self.read_beside::<NoArguments, S>()
    }

    fn read_beside<A: Args, S: RoleSettings>(&self) -> Result<(S, Vec<String>), String> {
        let host = TestHost {
            files: self.files.clone(),
        };
        let subcommand = S::ROLE.subcommand().unwrap_or("stop");
        let typed = ["drumfire", subcommand].into_iter().map(Into::into);
        let typed = typed.chain(self.typed.iter().map(Into::into)).collect();
        let typed = arguments(typed, &self.environment, &host).map_err(|e| e.to_string())?;
        let command = Flagged::<A, S>::augment_args(Command::new("drumfire"));
        let matches = command.try_get_matches_from(&typed[1..]);
        let matches = matches.map_err(|error| error.to_string())?;
        let flagged = Flagged::<A, S>::from_arg_matches(&matches).map_err(|e| e.to_string())?;
        let (settings, warnings) = flagged
            .settings(&self.environment, &host)
            .map_err(|error| error.to_string())?;
        let words = warnings.into_iter().map(|warning| match warning.hint {
            Some(hint) => format!("{}\nhint: {hint}", warning.message),
            None => warning.message,
        });
        Ok((settings, words.collect()))
    }

    fn settings<S: RoleSettings>(&self) -> S {
        self.read().unwrap_or_else(|error| panic!("{error}")).0
    }

    fn error<S: RoleSettings>(&self) -> String {
        match self.read::<S>() {
            Ok(_) => panic!("it is taken"),
            Err(error) => error,
        }
    }
}
