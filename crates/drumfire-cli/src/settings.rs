//! Settings of coordinators, agents and the commands to them: one table, three ways to set what is in it (flag, environment,
//! file) and LoadStrike's keys mapped onto it. What comes out is one typed struct per role, wrong values named by where they
//! came from.

mod table;

// Where values are written.
mod arguments;
mod document;
mod flags;
mod layers;
mod origin;

// What another generator calls them.
mod loadstrike;
mod mapping;

// What values are.
mod broker;
mod names;
mod secret;
mod targets;
mod values;

mod error;
mod host;
mod page;
mod roles;

pub use arguments::arguments;
pub use broker::{Broker, Credentials};
pub use error::{SettingsError, Warning};
pub use flags::{Flagged, Flags};
pub use host::{Host, ThisHost};
pub use names::{ReportFormat, ReportName};
pub use page::page;
pub use roles::{
    AgentSettings, CommandSettings, CoordinatorSettings, SingleNodeSettings, TestSettings,
};
pub use table::{Role, SINGLE_NODE};
pub use targets::{NoTarget, TargetNames};

use std::collections::BTreeMap;
use values::Values;

/// What one role is set to.
pub trait RoleSettings: Sized {
    /// The role.
    const ROLE: Role;

    /// Takes the values of the role, each of which is valid by itself.
    ///
    /// # Errors
    /// One is missing, or two of them cannot be had together.
    fn from_values(values: &Values, host: &dyn Host) -> Result<Self, SettingsError>;
}

/// Reads what a role is set to: flags before `environment` before files, and ours before LoadStrike's in each of them.
///
/// # Errors
/// A value is wrong, missing or contradicts another, or a key or variable is unknown.
pub fn read<S: RoleSettings>(
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    host: &dyn Host,
) -> Result<(S, Vec<Warning>), SettingsError> {
    let (values, warnings) = layers::collect(flags, environment, host)?.values(S::ROLE)?;
    Ok((S::from_values(&values, host)?, warnings))
}

#[cfg(test)]
mod tests;
