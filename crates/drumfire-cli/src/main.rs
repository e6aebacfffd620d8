//! The binary `drumfire`: parses the command line, hands over to one file per
//! subcommand, and turns what comes back into words and an exit code.

mod args;

mod check;
mod compare;
mod quick;
mod reference;
mod report;
mod run;
mod script;
mod target;

mod agent;
mod commands;
mod coordinator;
mod single_node;

mod agents;
mod broker;
mod bundle;
mod fleet;
mod lag;
mod own_load;
mod settings;
mod targeting;

mod checks;
mod client;
mod execute;
mod facts;

mod upload;
mod view;

mod lines;
mod screen;

mod descriptors;
mod files;
mod signals;

mod exit;
mod words;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A second installation cannot happen: this is the first line that runs.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("no TLS provider is installed before main");
    let exit = match run() {
        Ok(exit) => exit,
        Err(error) => {
            words::tell(&words::error(&error));
            exit::Exit::of(&error)
        }
    };
    exit.into()
}

fn run() -> anyhow::Result<exit::Exit> {
    let environment = script::environment_variables();
    let typed = std::env::args_os().collect();
    // A role may be chosen by the environment, where no subcommand is typed.
    let arguments = settings::arguments(typed, &environment, &settings::ThisHost)?;
    args::Arguments::parse_from(arguments).command.run()
}
