//! Words on standard error: errors with their chain printed once, hints on
//! lines of their own, warnings; and secrets kept out of all of them.

use crate::settings::Warning;
use anyhow::Error;
use drumfire_artillery::error::ScriptError;
use std::io::{self, Write};

/// What stands before a hint.
const HINT: &str = "hint: ";

/// An error and its causes as one line, then the hints of any of them.
pub fn error(error: &Error) -> String {
    if let Some(script) = error.downcast_ref::<ScriptError>() {
        return script.render();
    }
    let mut messages: Vec<String> = Vec::new();
    let mut hints = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (hinting, saying): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with(HINT));
        let message = saying.join("\n");
        // Some errors repeat their source; say it once.
        if !messages.last().is_some_and(|last| last.ends_with(&message)) {
            messages.push(message);
        }
        hints.extend(hinting.into_iter().map(str::to_owned));
    }
    let mut out = format!("error: {}\n", messages.join(": "));
    for hint in hints {
        out.push_str(&hint);
        out.push('\n');
    }
    out
}

/// Why a run has failed, with the code to end with, then its hints.
pub fn failed(reason: &str, code: impl std::fmt::Display) -> String {
    match reason.split_once('\n') {
        Some((reason, hints)) => format!("run failed: {reason} (exit code {code})\n{hints}\n"),
        None => format!("run failed: {reason} (exit code {code})\n"),
    }
}

/// What is worth a word about settings.
pub fn warn_setting(warning: &Warning) {
    warn(&warning.message, warning.hint.as_deref());
}

/// Prints a warning and its hint.
pub fn warn(message: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("{HINT}{hint}\n"));
    tell(&format!("warning: {message}\n{}", hint.unwrap_or_default()));
}

/// Prints to standard error. Where that is closed there is nobody to tell.
pub fn tell(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}

/// A URL without the password and user name it may carry.
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn the_chain_is_one_line_and_hints_follow() {
        let error = anyhow!("permission denied\nhint: look at the folder")
            .context("write report out.json\nhint: give another file");
        assert_eq!(
            super::error(&error),
            "error: write report out.json: permission denied\n\
             hint: give another file\nhint: look at the folder\n"
        );
    }

    #[test]
    fn the_reason_of_a_failed_run_is_one_line_and_its_hints_follow() {
        for (reason, said) in [
            ("no agents", "run failed: no agents (exit code 7)\n"),
            ("no\nhint: yes", "run failed: no (exit code 7)\nhint: yes\n"),
        ] {
            assert_eq!(failed(reason, 7), said);
        }
    }

    #[test]
    fn a_repeated_source_is_said_once() {
        let error = anyhow!("no such file").context("read x: no such file");
        assert_eq!(super::error(&error), "error: read x: no such file\n");
    }

    #[test]
    fn user_names_and_passwords_are_masked() {
        for (url, shown) in [
            ("http://127.0.0.1:80/a", "http://127.0.0.1:80/a"),
            ("https://me:secret@host/a@b", "https://***@host/a@b"),
            ("https://tok@host", "https://***@host"),
            ("http://host/?q=a@b", "http://host/?q=a@b"),
            ("http://a@b@host?x", "http://***@host?x"),
            ("/relative@x", "/relative@x"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
