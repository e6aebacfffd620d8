//! Reports as files: where each goes, checked before the run, and written
//! whole or not at all.

use crate::settings::{ReportFormat, ReportName};
use crate::upload::Upload;
use crate::words;
use anyhow::{Context, bail};
use drumfire_metrics::{NameOptions, Summary};
use drumfire_report::{artillery_json, csv, html, junit, result};
use jiff::Zoned;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Names of the files that `--report-dir` gets; that of the agents only of a run that agents shared.
const FOLDER: [(&str, Format); 7] = [
    ("result.json", Format::Result),
    ("report.html", Format::Html),
    ("timeline.csv", Format::Timeline),
    ("endpoints.csv", Format::Endpoints),
    ("agents.csv", Format::Agents),
    ("junit.xml", Format::Junit),
    ("artillery.json", Format::Artillery),
];

/// Where the reports of a run go.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Reports")]
pub struct ReportArguments {
    /// Write Artillery's JSON report to this file, or into this folder
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the whole result to this file, for drumfire report and compare
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts to this file; it needs no network to open
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write PREFIX-timeline.csv, PREFIX-endpoints.csv and, of a shared run, PREFIX-agents.csv
    #[arg(long, value_name = "PREFIX")]
    pub csv: Option<PathBuf>,
    /// Write checks and errors as JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write all of these into this folder, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub report_dir: Option<PathBuf>,
    /// Write all of these into a folder for the run below this one, in an object store that speaks S3
    #[arg(long, value_name = "s3://BUCKET/FOLDER")]
    pub report_upload: Option<String>,
    /// What the folder gets; no command line asks for less than all.
    #[arg(skip)]
    pub folder: FolderReports,
}

/// What a report folder gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderReports {
    /// Only these forms; all where it is none.
    pub formats: Option<Vec<ReportFormat>>,
    /// What the names of its files begin with.
    pub name: Option<ReportName>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Artillery,
    Result,
    Html,
    Timeline,
    Endpoints,
    Agents,
    Junit,
}

/// How reports name and judge.
#[derive(Debug, Clone, Default)]
pub struct ReportOptions {
    /// How metrics are named.
    pub names: NameOptions,
    /// Whether a saturated generator is a failure.
    pub strict: bool,
}

/// The reports to write.
#[derive(Debug, Default)]
pub struct Reports {
    files: Vec<(PathBuf, Format)>,
    upload: Option<Upload>,
    /// Names and forms of what is uploaded.
    uploaded: Vec<(PathBuf, Format)>,
}

impl Reports {
    /// What `arguments` ask for, each checked to be writable.
    ///
    /// # Errors
    /// A folder does not exist or takes no files.
    pub fn prepare(arguments: &ReportArguments, now: &Zoned) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        if let Some(folder) = &arguments.report_dir {
            fs::create_dir_all(folder)
                .with_context(|| format!("make report folder {}", folder.display()))?;
            files.extend(arguments.folder.files(folder, now));
        }
        if let Some(prefix) = &arguments.csv {
            files.push((suffixed(prefix, "-timeline.csv"), Format::Timeline));
            files.push((suffixed(prefix, "-endpoints.csv"), Format::Endpoints));
            files.push((suffixed(prefix, "-agents.csv"), Format::Agents));
        }
        let single = [
            (arguments.json.clone(), Format::Result),
            (arguments.html.clone(), Format::Html),
            (arguments.junit.clone(), Format::Junit),
            (
                arguments
                    .output
                    .as_deref()
                    .map(|path| artillery_path(path, now)),
                Format::Artillery,
            ),
        ];
        let asked = single
            .into_iter()
            .filter_map(|(path, format)| Some((path?, format)));
        files.extend(asked);
        files
            .iter()
            .try_for_each(|(path, _)| check_writable(path))?;
        let upload = arguments.report_upload.as_deref().map(Upload::to);
        Ok(Reports {
            files,
            upload: upload.transpose()?,
            uploaded: arguments.folder.files(Path::new(""), now).collect(),
        })
    }

    /// Makes sure that the reports of a run which is about to begin can be uploaded.
    ///
    /// # Errors
    /// The object store takes nothing.
    pub fn begin(&self, run_id: &str) -> anyhow::Result<()> {
        self.upload
            .as_ref()
            .map_or(Ok(()), |upload| upload.begin(run_id))
    }

    /// Where Artillery's report goes, for the console to name.
    pub fn artillery(&self) -> Option<&Path> {
        let mut files = self.files.iter();
        files
            .find(|(_, format)| *format == Format::Artillery)
            .map(|(path, _)| path.as_path())
    }

    /// Where the page goes, for the console to name.
    pub fn html(&self) -> Option<&Path> {
        let mut files = self.files.iter();
        files
            .find(|(_, format)| *format == Format::Html)
            .map(|(path, _)| path.as_path())
    }

    /// Writes and uploads all of them; one that fails does not keep the others
    /// from being written.
    pub fn write(&self, summary: &Summary, options: &ReportOptions) -> Vec<anyhow::Error> {
        let failed = |(path, format): &(PathBuf, Format)| {
            let text = format.render(summary, options);
            let written = write_whole(path, &text);
            written
                .with_context(|| format!("write report {}", path.display()))
                .err()
        };
        let shared = summary.agents.is_some();
        let owed = |(_, format): &&(PathBuf, Format)| shared || *format != Format::Agents;
        let mut lost: Vec<_> = self.files.iter().filter(owed).filter_map(failed).collect();
        if let Some(upload) = &self.upload {
            let texts = self.uploaded.iter().filter(owed).map(|(name, format)| {
                let name = name.display().to_string();
                (name, format.render(summary, options))
            });
            let (folder, failed) = upload.put(&summary.facts.run_id, texts);
            if failed.is_empty() {
                words::tell(&format!("reports uploaded to {folder}\n"));
            }
            lost.extend(failed);
        }
        lost
    }
}

impl FolderReports {
    fn files(&self, folder: &Path, now: &Zoned) -> impl Iterator<Item = (PathBuf, Format)> {
        let begins = self.name.as_ref().map(|name| format!("{}-", name.at(now)));
        let begins = begins.unwrap_or_default();
        let is_asked = |format: Format| match &self.formats {
            Some(formats) => formats.contains(&format.of_folder()),
            None => true,
        };
        let asked = FOLDER
            .into_iter()
            .filter(move |(_, format)| is_asked(*format));
        asked.map(move |(name, format)| (folder.join(format!("{begins}{name}")), format))
    }
}

impl Format {
    /// The form of a folder's reports that it is, or is a part of.
    fn of_folder(self) -> ReportFormat {
        match self {
            Format::Artillery => ReportFormat::Artillery,
            Format::Result => ReportFormat::Json,
            Format::Html => ReportFormat::Html,
            Format::Timeline | Format::Endpoints | Format::Agents => ReportFormat::Csv,
            Format::Junit => ReportFormat::Junit,
        }
    }

    fn render(self, summary: &Summary, options: &ReportOptions) -> String {
        match self {
            Format::Artillery => artillery_json::render(summary, &options.names),
            Format::Result => result::render(summary),
            Format::Html => html::render(summary),
            Format::Timeline => csv::timeline(summary),
            Format::Endpoints => csv::endpoints(summary),
            Format::Agents => csv::agents(summary),
            Format::Junit => junit::render(summary, options.strict),
        }
    }
}

/// An existing folder gets a file named by the time, as Artillery does it.
fn artillery_path(path: &Path, now: &Zoned) -> PathBuf {
    match path.is_dir() {
        true => path.join(
            now.strftime("artillery_report_%Y%m%d_%H%M%S.json")
                .to_string(),
        ),
        false => path.to_owned(),
    }
}

/// The prefix, without the `.csv` it may carry, and a suffix.
fn suffixed(prefix: &Path, suffix: &str) -> PathBuf {
    let stem = match prefix.extension() {
        Some(extension) if extension == "csv" => prefix.with_extension(""),
        _ => prefix.to_owned(),
    };
    let mut path = stem.into_os_string();
    path.push(suffix);
    path.into()
}

fn check_writable(path: &Path) -> anyhow::Result<()> {
    let folder = folder_of(path);
    if !folder.exists() {
        bail!(
            "cannot write {}: the folder {} does not exist",
            path.display(),
            folder.display()
        );
    }
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    if is_special(path) {
        return Ok(());
    }
    let probe = beside(path);
    let made = fs::File::create(&probe).and_then(|_| fs::remove_file(&probe));
    made.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes beside the path and renames, so that a reader sees the old file or
/// the new one; a device or pipe is written as it is.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if is_special(path) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let unfinished = beside(path);
    let write = || {
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().inspect_err(|_| {
        // It may not even have been made.
        fs::remove_file(&unfinished).ok();
    })
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Something that can be written to but not replaced, such as /dev/stdout.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// A name in the same folder that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.{}.unfinished", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use drumfire_metrics::Agents;

    #[test]
    fn csv_prefixes_lose_their_extension() {
        for (prefix, path) in [
            ("out", "out-endpoints.csv"),
            ("a/out.csv", "a/out-endpoints.csv"),
            ("out.v1", "out.v1-endpoints.csv"),
        ] {
            assert_eq!(
                suffixed(Path::new(prefix), "-endpoints.csv"),
                Path::new(path)
            );
        }
    }

    #[test]
    fn a_folder_gets_artillerys_name() {
        let folder = tempfile::tempdir().unwrap();
        let now: Zoned = "2026-11-22T09:08:07[UTC]".parse().unwrap();
        assert_eq!(
            artillery_path(folder.path(), &now),
            folder.path().join("artillery_report_20261122_090807.json")
        );
        assert_eq!(
            artillery_path(Path::new("x.json"), &now),
            Path::new("x.json")
        );
    }

    #[test]
    fn writing_replaces_the_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        write_whole(&path, "old and longer").unwrap();
        write_whole(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_found_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ReportArguments {
            json: Some(folder.path().join("missing/out.json")),
            ..ReportArguments::default()
        };
        let error = Reports::prepare(&arguments, &Zoned::default()).unwrap_err();
        assert!(
            error.to_string().ends_with("missing does not exist"),
            "{error}"
        );
    }

    #[test]
    fn a_report_folder_is_made_and_filled() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ReportArguments {
            report_dir: Some(folder.path().join("a/b")),
            ..ReportArguments::default()
        };
        let shared = Summary {
            agents: Some(Agents::default()),
            ..Summary::default()
        };
        // A run that nobody shared has no agents to list.
        for (summary, expected) in [
            (Summary::default(), FOLDER.len() - 1),
            (shared, FOLDER.len()),
        ] {
            let reports = Reports::prepare(&arguments, &Zoned::default()).unwrap();
            let lost = reports.write(&summary, &ReportOptions::default());
            assert!(lost.is_empty(), "{lost:?}");
            let files = fs::read_dir(folder.path().join("a/b")).unwrap().count();
            assert_eq!(files, expected);
        }
    }

    #[test]
    fn a_report_folder_gets_the_forms_and_the_names_that_are_asked_for() {
        let now: Zoned = "2026-11-22T09:08:07[UTC]".parse().unwrap();
        let files = |formats: &[ReportFormat], name: Option<&str>| -> Vec<String> {
            let reports = FolderReports {
                formats: Some(formats.to_vec()),
                name: name.map(|name| ReportName::new(name.to_owned())),
            };
            let files = reports.files(Path::new("out"), &now);
            files.map(|(path, _)| path.display().to_string()).collect()
        };
        assert_eq!(
            files(&[ReportFormat::Csv, ReportFormat::Json], None),
            [
                "out/result.json",
                "out/timeline.csv",
                "out/endpoints.csv",
                "out/agents.csv"
            ]
        );
        assert_eq!(
            files(&[ReportFormat::Html], Some("nightly-{time}")),
            ["out/nightly-20261122_090807-report.html"]
        );
        assert_eq!(
            files(&[ReportFormat::Junit, ReportFormat::Artillery], Some("a")),
            ["out/a-junit.xml", "out/a-artillery.json"]
        );
    }
}
