//! Pages of the reference and shell completions, made from the same tables
//! that the binary runs on.

use crate::args::Arguments;
use crate::execute::print;
use crate::exit::{self, Exit};
use crate::settings;
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::fmt::Write as _;

/// A page of docs/reference that the binary writes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Page {
    /// docs/reference/cli.md
    Cli,
    /// docs/reference/exit-codes.md
    ExitCodes,
    /// docs/reference/settings.md
    Settings,
}

/// Prints a page.
///
/// # Errors
/// None.
pub fn run(page: Page) -> anyhow::Result<Exit> {
    match page {
        Page::Cli => print(&command_line()),
        Page::ExitCodes => print(&exit::reference()),
        Page::Settings => print(&settings::page()),
    }
    Ok(Exit::Passed)
}

/// Prints completions.
///
/// # Errors
/// None.
pub fn completions(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "drumfire", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(Exit::Passed)
}

/// The help of every subcommand.
fn command_line() -> String {
    let mut page = String::from(
        "# The command line\n\n\
         Durations are seconds (`90`, `0.5`) or carry a unit (`500ms`, `2m`). Reports and other data go to\n\
         standard output, warnings and errors to standard error. How a command can end stands in\n\
         [exit codes](exit-codes.md).\n\n\
         | environment variable | what it does |\n|---|---|\n\
         | `ARTILLERY_TEST_RUN_ID` | names the run; otherwise each run gets a new id |\n\
         | `ARTILLERY_DISABLE_ENSURE` | set to anything: `ensure` checks are not made |\n\
         | `TZ` | the zone of the times that are printed |\n",
    );
    let mut command = Arguments::command().term_width(100);
    command.build();
    for subcommand in command.get_subcommands_mut() {
        if !subcommand.is_hide_set() && subcommand.get_name() != "help" {
            section(&mut page, subcommand);
        }
    }
    page
}

fn section(page: &mut String, command: &mut Command) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    writeln!(
        page,
        "\n## drumfire {}\n\n```text\n{text}\n```",
        command.get_name()
    )
    .expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_up_to_date() {
        let page = include_str!("../../../docs/reference/cli.md");
        assert_eq!(
            page,
            command_line(),
            "write it anew: drumfire reference cli"
        );
    }
}
