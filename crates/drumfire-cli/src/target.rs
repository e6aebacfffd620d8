//! `drumfire target`: the sample service, until a signal ends it.

use crate::execute::print;
use crate::exit::Exit;
use crate::signals;
use anyhow::Context;
use drumfire_target::TargetOptions;

/// The command line of `drumfire target`.
#[derive(Debug, clap::Args)]
pub struct TargetArguments {
    /// What the service does.
    #[command(flatten)]
    pub options: TargetOptions,
}

/// Serves until the first signal.
///
/// # Errors
/// The address cannot be had.
pub fn run(options: TargetOptions) -> anyhow::Result<Exit> {
    let signals = signals::listen().context("wait for signals")?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("target-stop".to_owned())
        .spawn(move || {
            // Either end may be gone already, which is what a stop is for.
            signals.recv().ok();
            stop.send(()).ok();
        })
        .context("wait for signals")?;
    let ready = |ready: &drumfire_target::Ready| print(&format!("{ready}\n"));
    drumfire_target::run(options, ready, async {
        stopped.await.ok();
    })?;
    Ok(Exit::Passed)
}
