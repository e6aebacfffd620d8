//! Thousands of simulated agents in one process: each a real [`drumfire_cluster::AgentMachine`] on a real broker, with an
//! engine that reckons which arrivals are its own instead of starting them. What they saw goes to standard output, as one
//! line of JSON. `bench/cluster.py` runs this against a real coordinator.

mod arguments;

mod fleet;

mod agent;

// What an agent has instead of load.
mod engine;
mod samples;

mod figures;

use arguments::Arguments;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match fleet::run(&Arguments::parse()) {
        Ok(figures) => {
            println!("{}", figures.json());
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
