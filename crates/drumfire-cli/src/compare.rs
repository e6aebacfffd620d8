//! `drumfire compare`: two runs side by side, endpoint by endpoint.

use crate::execute::print;
use crate::exit::Exit;
use crate::report::read;
use drumfire_report::compare::compare;
use std::path::PathBuf;

/// The command line of `drumfire compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArguments {
    /// The result of the earlier run, as --json wrote it
    before: PathBuf,
    /// The result of the later run
    after: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Compares.
///
/// # Errors
/// A result cannot be read.
pub fn run(arguments: &CompareArguments) -> anyhow::Result<Exit> {
    let comparison = compare(&read(&arguments.before)?, &read(&arguments.after)?);
    match arguments.json {
        true => print(&format!("{}\n", comparison.json())),
        false => print(&comparison.text()),
    }
    Ok(Exit::Passed)
}
