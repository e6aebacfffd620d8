//! The page of the reference about settings, made from the tables that the binary runs on.

use super::layers::OTHER_VARIABLES;
use super::loadstrike::{KEYS, Key, Means};
use super::table::{Fallback, Section, Setting, TABLE};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Settings

What coordinators, agents and the commands to them are set to. `drumfire run` takes flags only; the same in one process with
settings, `single-node` below, is what LoadStrike's keys may ask for. Limits that cannot be set stand
in [limits](limits.md), the other flags in [the command line](cli.md), what a script sets in
[the script language](artillery.md).

## Three ways to set, one name

| way | written | for example |
|---|---|---|
| flag | `--name value`; switches `--name` or `--name=false` | `--agents 3` |
| environment | `DRUMFIRE_` and the name in capitals, `_` for `-` | `DRUMFIRE_AGENTS=3` |
| file | `name: value` in the YAML or JSON file of `--settings` or `DRUMFIRE_SETTINGS` | `agents: 3` |

A flag wins over the environment, and that over the file. An error names the place of the value it is about. A name that nothing
has is an error in all three; what another role takes may stand in the environment or in a file and is left alone there, so
that all of a cluster can share them. A variable that is set to nothing is not set. Kubernetes' variables for a service
that is called drumfire, such as `DRUMFIRE_PORT_4222_TCP`, are left alone too.

Items of a list stand between commas, or in a list of the file. Durations are seconds (`90`, `0.5`) or carry a unit (`500ms`,
`2m`). Secrets are masked wherever settings are shown; on a command line other users of the machine can see them, so the
environment or the `-file` form is the place for them. A file that holds a secret holds nothing else; a line break at its end
is not part of it.

Without a subcommand, `drumfire` takes the role that `DRUMFIRE_ROLE`, `role` in the settings file or LoadStrike's `NodeType` or
`EnableLocalDevCluster` names.
";

const LOADSTRIKE: &str = "
## LoadStrike's keys

They work as they are, below ours where both are set in the same way:

| way | written |
|---|---|
| flag | `--Key=value`, in any case |
| environment | `LoadStrike__Key`, nested ones `LoadStrike__LicenseValidation__TimeoutMs`, in any case |
| file | `{\"LoadStrike\": {\"Key\": …}}`, `\"LoadStrike:Key\"` or `\"Key\"`, in any case, in the settings file or in the files of \
`--config=` and `--infraconfig=`, which win in this order |

`--config=` is LoadStrike's where no subcommand is typed; behind `drumfire coordinator` it is the script's, and `--LoadStrikeConfig=` does the
same. Of a flag that is typed twice the last one holds. A key that has no meaning here draws a warning, an unknown one is an
error, and so are two spellings of a key that disagree.

Where LoadStrike has scenarios in its image, ours has scripts in `/drumfire/scripts`. See
[coming from LoadStrike](../guides/from-loadstrike.md).

| key | sets | what differs |
|---|---|---|
";

/// The page.
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in Section::ALL {
        write!(page, "\n## {}\n\n", section.title()).expect("a string takes all");
        page.push_str(
            "| name | environment | taken by | value | default | meaning | LoadStrike |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for setting in TABLE.iter().filter(|setting| setting.section == section) {
            row(&mut page, setting);
        }
    }
    page.push_str(
        "\n## Other variables\n\nOf the tools of this project:\n\n| variable | does |\n|---|---|\n",
    );
    for (name, meaning) in OTHER_VARIABLES {
        writeln!(page, "| `{name}` | {meaning} |").expect("a string takes all");
    }
    page.push_str(LOADSTRIKE);
    for key in &KEYS {
        key_row(&mut page, key);
    }
    page
}

fn row(page: &mut String, setting: &Setting) {
    let flag = match setting.name {
        "script" => "`script`, as a flag without a name".to_owned(),
        "role" => "`role`, no flag".to_owned(),
        name => format!("`{name}`"),
    };
    let roles: Vec<&str> = setting.roles.iter().map(|role| role.title()).collect();
    let roles = match setting.name {
        "role" => "`drumfire` alone".to_owned(),
        _ => roles.join(", "),
    };
    let default = match setting.fallback {
        Fallback::Nothing => "–".to_owned(),
        Fallback::Text(text) => format!("`{text}`"),
        Fallback::Told(words) => words.to_owned(),
        Fallback::Required => "must be set".to_owned(),
    };
    let theirs: Vec<String> = KEYS
        .iter()
        .filter(|key| key.setting() == Some(setting.name))
        .map(|key| format!("`{}`", key.name))
        .collect();
    writeln!(
        page,
        "| {flag} | `{}` | {roles} | {} | {default} | {} | {} |",
        setting.variable(),
        setting.kind.words(),
        setting.meaning,
        theirs.join(", ")
    )
    .expect("a string takes all");
}

fn key_row(page: &mut String, key: &Key) {
    let names: Vec<String> = key.names().map(|name| format!("`{name}`")).collect();
    let (sets, differs) = match key.means {
        Means::Nothing(reason) => ("nothing".to_owned(), reason),
        Means::LocalCluster => ("agents in this process".to_owned(), ""),
        Means::Role => ("the role".to_owned(), ""),
        Means::File(_) => ("more keys".to_owned(), ""),
        _ => {
            let setting = key.setting().expect("it sets what it comes to");
            (format!("`{setting}`"), "")
        }
    };
    let differs: Vec<&str> = [differs, key.differs]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    writeln!(
        page,
        "| {} | {sets} | {} |",
        names.join(", "),
        differs.join("; ")
    )
    .expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_up_to_date() {
        let there = include_str!("../../../../docs/reference/settings.md");
        assert_eq!(there, page(), "write it anew: drumfire reference settings");
    }
}
