//! `drumfire report`: results of earlier runs, merged and rendered again.

use crate::execute;
use crate::exit::{Exit, Refusal};
use crate::files::{ReportArguments, ReportOptions, Reports};
use anyhow::Context;
use drumfire_metrics::Summary;
use drumfire_report::{findings, result};
use jiff::Zoned;
use std::fs;
use std::path::{Path, PathBuf};

/// The command line of `drumfire report`.
#[derive(Debug, clap::Args)]
pub struct ReportCommand {
    /// Results that earlier runs wrote with --json; several are merged
    #[arg(required = true, value_name = "RESULT")]
    results: Vec<PathBuf>,
    /// Write no summary to standard output
    #[arg(short, long)]
    quiet: bool,
    /// Count a saturated generator as a failure in the JUnit report
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reports: ReportArguments,
}

/// Reads, merges, renders.
///
/// # Errors
/// A result cannot be read or a report not be written.
pub fn run(arguments: &ReportCommand) -> anyhow::Result<Exit> {
    let reports = Reports::prepare(&arguments.reports, &Zoned::now())?;
    let summary = merged(&arguments.results)?;
    let options = ReportOptions {
        strict: arguments.strict,
        ..ReportOptions::default()
    };
    if !arguments.quiet {
        let console = execute::console(&summary.facts, &options.names, true);
        let report = console.report(&summary, reports.artillery().and_then(Path::to_str));
        execute::print(&report);
        execute::print(&findings::render(&summary));
    }
    match reports.write(&summary, &options).pop() {
        Some(lost) => Err(lost),
        None => Ok(Exit::Passed),
    }
}

/// One result of a file that `--json` wrote.
///
/// # Errors
/// The file cannot be read or is none.
pub fn read(path: &Path) -> anyhow::Result<Summary> {
    let naming = || format!("result {}", path.display());
    let bytes = fs::metadata(path).with_context(naming)?.len();
    if bytes > result::MAX_FILE_BYTES as u64 {
        let error = result::ResultError::TooLarge {
            bytes: bytes as usize,
        };
        return Err(error).with_context(naming);
    }
    let text = fs::read_to_string(path).with_context(naming)?;
    result::parse(&text).with_context(naming)
}

fn merged(paths: &[PathBuf]) -> anyhow::Result<Summary> {
    let mut summaries = paths.iter().map(|path| read(path));
    let mut summary = summaries
        .next()
        .unwrap_or_else(|| Err(Refusal::usage("no result to report").into()))?;
    for other in summaries {
        summary.merge(&other?);
    }
    Ok(summary)
}
