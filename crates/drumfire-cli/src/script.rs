//! A script from the command line: Artillery's options, those that make no
//! sense here refused or set aside by name, and the script loaded with them.

use crate::bundle::{Bundle, Copying, RunOptions};
use crate::exit::Refusal;
use crate::facts;
use crate::words::warn;
use drumfire_artillery::files::{DiskFiles, Files};
use drumfire_artillery::load::{LoadOptions, load};
use drumfire_artillery::script::Script;
use std::collections::BTreeMap;

/// What `artillery run` takes to load a script.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ScriptArguments {
    /// The script; further files are merged over it
    #[arg(required = true, value_name = "SCRIPT", help_heading = None::<&str>)]
    pub scripts: Vec<String>,
    #[command(flatten)]
    pub options: ScriptOptions,
}

/// How a script is loaded.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Script")]
pub struct ScriptOptions {
    /// Send requests to this base URL instead of the script's
    #[arg(short, long, value_name = "URL")]
    pub target: Option<String>,
    /// Take the configuration from this file, which wins over the script's
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<String>,
    /// Use this one of config.environments
    #[arg(short, long, value_name = "NAME")]
    pub environment: Option<String>,
    /// Merge this file over the script; may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub input: Vec<String>,
    /// Set variables for all users
    #[arg(short, long, value_name = "JSON")]
    pub variables: Option<String>,
    /// Take CSV rows from this file
    #[arg(short, long, value_name = "FILE")]
    pub payload: Option<String>,
    /// Change parts of the script
    #[arg(long, value_name = "JSON")]
    pub overrides: Option<String>,
    /// Run only the scenario of this name
    #[arg(long, value_name = "NAME")]
    pub scenario_name: Option<String>,
    /// Read environment variables from this file
    #[arg(long, visible_alias = "env-file", value_name = "FILE")]
    pub dotenv: Option<String>,
    /// Take any TLS certificate
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// Run one user only
    #[arg(short, long)]
    pub solo: bool,
    #[command(flatten)]
    pub elsewhere: ElsewhereArguments,
}

/// What belongs to services that Drumfire does not use; kept out of the help.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ElsewhereArguments {
    #[arg(long, hide = true)]
    record: bool,
    #[arg(long, hide = true)]
    key: Option<String>,
    #[arg(long, hide = true)]
    note: Option<String>,
    #[arg(long, hide = true)]
    tags: Option<String>,
    #[arg(long, hide = true)]
    platform: Option<String>,
    #[arg(long, hide = true)]
    platform_opt: Vec<String>,
    #[arg(long, hide = true)]
    count: Option<u32>,
}

impl ScriptArguments {
    /// Loads the script.
    ///
    /// # Errors
    /// An option cannot be served here, or the script is not valid.
    pub fn load(&self, test_id: &str, seed: u64) -> anyhow::Result<Script> {
        self.load_from(&self.load_options(test_id, seed), &DiskFiles)
    }

    /// Loads the script, and makes a bundle of everything that it was loaded from.
    ///
    /// # Errors
    /// As [`ScriptArguments::load`].
    pub fn bundle(&self, test_id: &str, seed: u64) -> anyhow::Result<(Script, Bundle)> {
        let (options, files) = (self.load_options(test_id, seed), Copying::new(DiskFiles));
        let script = self.load_from(&options, &files)?;
        let bundle = Bundle {
            options,
            run: RunOptions::default(),
            files: files.copies(),
        };
        Ok((script, bundle))
    }

    fn load_from(&self, options: &LoadOptions, files: &dyn Files) -> anyhow::Result<Script> {
        self.options.elsewhere.refuse_or_warn()?;
        let script = load(options, files, &environment_variables())?;
        for warning in &script.warnings {
            let place = warning
                .span
                .map(|span| format!("{}: ", script.sources.place(span)));
            let message = format!("{}{}", place.unwrap_or_default(), warning.message);
            warn(&message, warning.hint.as_deref());
        }
        Ok(script)
    }

    fn load_options(&self, test_id: &str, seed: u64) -> LoadOptions {
        let options = self.options.clone();
        LoadOptions {
            scripts: self.scripts.clone(),
            inputs: options.input,
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
            working_folder: String::new(),
            test_id: test_id.to_owned(),
            seed,
            now_ms: facts::now_ms(),
        }
    }

    /// The script as its report names it.
    pub fn title(&self) -> &str {
        self.scripts.first().map_or("", String::as_str)
    }
}

impl ElsewhereArguments {
    fn refuse_or_warn(&self) -> Result<(), Refusal> {
        if self.record {
            return Err(Refusal::usage(
                "--record is for Artillery Cloud, which drumfire does not use\n\
                 hint: --report-dir keeps every report of a run",
            ));
        }
        if let Some(platform) = self.platform.as_deref().filter(|name| *name != "local") {
            return Err(Refusal::usage(format!(
                "--platform {platform} is not there: this drumfire runs on one machine\n\
                 hint: leave --platform out"
            )));
        }
        let ignored = [
            ("--key", self.key.is_some()),
            ("--note", self.note.is_some()),
            ("--tags", self.tags.is_some()),
            ("--platform-opt", !self.platform_opt.is_empty()),
            ("--count", self.count.is_some_and(|count| count != 1)),
        ];
        for (option, _) in ignored.iter().filter(|(_, given)| *given) {
            warn(&format!("{option} has no effect on one machine"), None);
        }
        Ok(())
    }
}

/// The process environment, as far as it is text.
pub fn environment_variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
