//! The bundle: a script with every file that it reads and every option that it is read with, as bytes that travel to
//! agents. What an agent makes of it is what the coordinator made of it, but for variables of the environment, which are
//! each process's own: secrets do not travel.

use crate::script::environment_variables;
use drumfire_artillery::error::ScriptError;
use drumfire_artillery::files::Files;
use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::script::Script;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// The version of the format; another one is refused.
const VERSION: u32 = 1;

/// A script that is ready to travel.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// How it is read.
    pub options: LoadOptions,
    /// How it is run.
    pub run: RunOptions,
    /// What it reads, by path.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

/// What an agent must know to run a script, beside the script.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunOptions {
    /// Whether requests speak HTTP/2, whatever the script says.
    pub http2: bool,
    /// How many connections all agents together open before the start.
    #[serde(default)]
    pub preconnect: u32,
    /// How long running iterations may go on once the load has ended or was stopped, in milliseconds.
    pub graceful_stop_ms: Option<u64>,
    /// The places of the only scenarios that are picked; all where it is none.
    pub scenarios: Option<Vec<usize>>,
    /// The places of those that the coordinator runs itself; what agents do not need and another coordinator does.
    pub coordinator_scenarios: Option<Vec<usize>>,
    /// Variables that `before` has set.
    pub before: Map<String, Value>,
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The head is not there or not JSON.
    #[error("read the bundle: its head is broken")]
    Head(#[source] serde_json::Error),
    /// Another version.
    #[error(
        "read the bundle: version {0} is unknown, this is version {VERSION}\nhint: run the same version of drumfire everywhere"
    )]
    Version(u32),
    /// The files are shorter than the head says.
    #[error("read the bundle: it is cut off in {0}")]
    CutOff(String),
}

/// The head line of a bundle; the files' bytes follow it, one after the other.
#[derive(Serialize, Deserialize)]
struct Head {
    bundle: u32,
    options: Options,
    run: RunOptions,
    files: Vec<FileHead>,
}

#[derive(Serialize, Deserialize)]
struct FileHead {
    path: String,
    bytes: u64,
}

/// [`LoadOptions`] as they are written.
#[derive(Serialize, Deserialize)]
struct Options {
    scripts: Vec<String>,
    inputs: Vec<String>,
    config: Option<String>,
    environment: Option<String>,
    target: Option<String>,
    variables: Option<String>,
    payload: Option<String>,
    insecure: bool,
    solo: bool,
    overrides: Option<String>,
    scenario_name: Option<String>,
    dotenv: Option<String>,
    working_folder: String,
    test_id: String,
    now_ms: i64,
    seed: u64,
}

impl Bundle {
    /// The bundle as bytes, the same for the same bundle.
    pub fn write(&self) -> Vec<u8> {
        let files = self.files.iter().map(|(path, bytes)| FileHead {
            path: path.clone(),
            bytes: bytes.len() as u64,
        });
        let head = Head {
            bundle: VERSION,
            options: Options::from(&self.options),
            run: self.run.clone(),
            files: files.collect(),
        };
        let mut written = serde_json::to_vec(&head).expect("maps have text for keys");
        written.push(b'\n');
        for bytes in self.files.values() {
            written.extend_from_slice(bytes);
        }
        written
    }

    /// Reads [`Bundle::write`].
    ///
    /// # Errors
    /// When it is none of this version, or cut off.
    pub fn read(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (head, mut rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let head: Value = serde_json::from_slice(head).map_err(BundleError::Head)?;
        let version = head.get("bundle").and_then(Value::as_u64).unwrap_or(0);
        if version != u64::from(VERSION) {
            return Err(BundleError::Version(
                u32::try_from(version).unwrap_or(u32::MAX),
            ));
        }
        let head: Head = serde_json::from_value(head).map_err(BundleError::Head)?;
        rest = rest.get(1..).unwrap_or_default();
        let mut files = BTreeMap::new();
        for file in head.files {
            let length = usize::try_from(file.bytes).unwrap_or(usize::MAX);
            let Some((bytes, behind)) = rest.split_at_checked(length) else {
                return Err(BundleError::CutOff(file.path));
            };
            files.insert(file.path, bytes.into());
            rest = behind;
        }
        Ok(Bundle {
            options: head.options.into(),
            run: head.run,
            files,
        })
    }

    /// The script in it, with the scenarios that are picked.
    ///
    /// # Errors
    /// As with any script; a variable of the environment may be missing here.
    pub fn script(&self) -> Result<Script, ScriptError> {
        let script = load(&self.options, &self.files, &environment_variables())?;
        Ok(self.run.picked(script))
    }

    /// The script with the scenarios that the coordinator runs itself, where it does.
    ///
    /// # Errors
    /// As of [`Bundle::script`].
    pub fn own_script(&self) -> Result<Option<Script>, ScriptError> {
        let Some(own) = &self.run.coordinator_scenarios else {
            return Ok(None);
        };
        let script = load(&self.options, &self.files, &environment_variables())?;
        Ok(Some(only(script, own)))
    }
}

impl RunOptions {
    /// A script with the scenarios that are picked.
    pub fn picked(&self, script: Script) -> Script {
        match &self.scenarios {
            Some(picked) => only(script, picked),
            None => script,
        }
    }
}

/// Leaves the other scenarios of a script unpicked, in their places: what counts by place stays as it is.
fn only(mut script: Script, picked: &[usize]) -> Script {
    for (index, scenario) in script.scenarios.iter_mut().enumerate() {
        if !picked.contains(&index) {
            scenario.weight = 0;
        }
    }
    script
}

/// Files, and a copy of everything that was read.
pub struct Copying<F> {
    files: F,
    read: RefCell<BTreeMap<String, Arc<[u8]>>>,
}

impl<F: Files> Copying<F> {
    /// Copies what is read from `files`.
    pub fn new(files: F) -> Self {
        Copying {
            files,
            read: RefCell::default(),
        }
    }

    /// What was read, by path.
    pub fn copies(self) -> BTreeMap<String, Arc<[u8]>> {
        self.read.into_inner()
    }
}

impl<F: Files> Files for Copying<F> {
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        let bytes = self.files.read(path)?;
        self.read
            .borrow_mut()
            .insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

impl From<&LoadOptions> for Options {
    fn from(options: &LoadOptions) -> Self {
        let options = options.clone();
        Options {
            scripts: options.scripts,
            inputs: options.inputs,
            config: options.config,
            environment: options.environment,
            target: options.target,
            variables: options.variables,
            payload: options.payload,
            insecure: options.insecure,
            solo: options.solo,
            overrides: options.overrides,
            scenario_name: options.scenario_name,
            dotenv: options.dotenv,
            working_folder: options.working_folder,
            test_id: options.test_id,
            now_ms: options.now_ms,
            seed: options.seed,
        }
    }
}

impl From<Options> for LoadOptions {
    fn from(options: Options) -> Self {
        LoadOptions {
            scripts: options.scripts,
            inputs: options.inputs,
            config: options.config,
            environment: options.environment,
            target: options.target,
            variables: options.variables,
            payload: options.payload,
            insecure: options.insecure,
            solo: options.solo,
            overrides: options.overrides,
            scenario_name: options.scenario_name,
            dotenv: options.dotenv,
            working_folder: options.working_folder,
            test_id: options.test_id,
            now_ms: options.now_ms,
            seed: options.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let script = "config: {target: 'http://127.0.0.1'}\n";
        let files = [
            ("a.yml", script.as_bytes()),
            ("u.csv", b"1\n\n2"),
            ("empty", b""),
        ];
        let mut before = Map::new();
        before.insert("token".to_owned(), Value::from("x\ny"));
        Bundle {
            options: LoadOptions {
                scripts: vec!["a.yml".to_owned()],
                seed: u64::MAX,
                now_ms: -1,
                ..LoadOptions::default()
            },
            run: RunOptions {
                http2: true,
                preconnect: 20,
                graceful_stop_ms: Some(5),
                scenarios: Some(vec![1]),
                coordinator_scenarios: Some(vec![0]),
                before,
            },
            files: files
                .map(|(path, bytes)| (path.to_owned(), bytes.into()))
                .into(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = bundle().write();
        assert_eq!(Bundle::read(&bytes).ok(), Some(bundle()));
        assert_eq!(bundle().write(), bytes);
    }

    #[test]
    fn only_picked_scenarios_have_a_weight() {
        let script = "
config: {target: 'http://127.0.0.1', phases: [{duration: 1, arrivalRate: 1}]}
scenarios:
  - {name: browse, weight: 7, flow: [{get: {url: /}}]}
  - {name: buy, weight: 3, flow: [{get: {url: /}}]}
  - {name: watch, weight: 2, flow: [{get: {url: /}}]}
";
        let weights = |scenarios: Option<Vec<usize>>| -> Vec<u32> {
            let bundle = Bundle {
                run: RunOptions {
                    scenarios,
                    ..RunOptions::default()
                },
                files: [("a.yml".to_owned(), script.as_bytes().into())].into(),
                ..bundle()
            };
            let read = Bundle::read(&bundle.write()).expect("it was written");
            let script = read.script().unwrap_or_else(|error| panic!("{error}"));
            let plan = drumfire_artillery::plan(&script, 1).expect("it can be run");
            let scenarios = plan.expect("it has load").scenarios;
            scenarios.iter().map(|scenario| scenario.weight).collect()
        };
        assert_eq!(weights(None), [7, 3, 2]);
        assert_eq!(weights(Some(vec![0, 2])), [7, 0, 2]);
    }

    #[test]
    fn what_is_not_a_bundle_says_why() {
        let bytes = bundle().write();
        let cut = &bytes[..bytes.len() - 1];
        for (bytes, message) in [
            (&b"PK\x03\x04"[..], "read the bundle: its head is broken"),
            (
                b"{\"bundle\":2}\n",
                "read the bundle: version 2 is unknown, this is version 1\nhint: run the same version of drumfire everywhere",
            ),
            (cut, "read the bundle: it is cut off in u.csv"),
        ] {
            let error = Bundle::read(bytes).expect_err("no bundle");
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn what_is_read_is_copied() {
        let disk: BTreeMap<String, Arc<[u8]>> = bundle().files;
        let copying = Copying::new(disk);
        copying.read("a.yml").expect("it is there");
        assert!(copying.read("b.yml").is_err());
        let paths: Vec<String> = copying.copies().into_keys().collect();
        assert_eq!(paths, ["a.yml"]);
    }
}
