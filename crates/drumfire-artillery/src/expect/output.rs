//! What the expect plugin prints.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Check, CompiledExpects, Shown};
use crate::javascript;
use crate::response::ResponseView;
use crate::script::ExpectFormatter;

/// How much of a body is printed beside a failure, in characters.
const BODY_LENGTH_LIMIT: usize = 512;

/// Variables that are not printed beside a failure: they are long, and may hold secrets.
const HIDDEN_VARIABLES: [&str; 2] = ["$processEnvironment", "$env"];

/// The request an output is about.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'r> {
    /// The method, in capitals.
    pub method: &'r str,
    /// The whole URL as sent.
    pub url: &'r str,
    /// Its name, if it has one.
    pub name: Option<&'r str>,
    /// The JSON it was sent with.
    pub json: Option<&'r Value>,
}

impl CompiledExpects {
    /// What is to be printed of `checks`, whole lines; empty where the format says nothing.
    /// `variables` gives the user's variables and is asked for only where they are printed.
    /// `colour` is for terminals.
    pub fn output(
        &self,
        checks: &[Check<'_>],
        request: RequestFacts<'_>,
        response: &ResponseView<'_>,
        variables: &dyn Fn() -> Vec<(String, Value)>,
        colour: bool,
    ) -> String {
        let all_ok = checks.iter().all(|check| check.ok);
        match self.options().formatter {
            ExpectFormatter::Silent => String::new(),
            ExpectFormatter::Json => format!("{}\n", json_line(checks, request)),
            ExpectFormatter::PrettyError if all_ok => String::new(),
            ExpectFormatter::Pretty | ExpectFormatter::PrettyError => {
                let paint = Paint { colour };
                let mut out = pretty(checks, request, paint);
                if !all_ok {
                    out.push_str(&exchange(request, response, variables(), paint));
                }
                out
            }
        }
    }
}

/// The line for an error that ended a user but was no failed expectation; `formatter` is the
/// plugin's.
pub fn error_line(formatter: ExpectFormatter, message: &str, colour: bool) -> String {
    match formatter {
        ExpectFormatter::Json => json!({"ok": false, "error": message}).to_string(),
        _ => format!("{} {message}", Paint { colour }.red("Error:")),
    }
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn with(self, code: u8, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{code}m{text}\u{1b}[39m"),
            false => text.to_owned(),
        }
    }

    fn red(self, text: &str) -> String {
        self.with(31, text)
    }

    fn green(self, text: &str) -> String {
        self.with(32, text)
    }

    fn yellow(self, text: &str) -> String {
        self.with(33, text)
    }

    fn blue(self, text: &str) -> String {
        self.with(34, text)
    }
}

fn pretty(checks: &[Check<'_>], request: RequestFacts<'_>, paint: Paint) -> String {
    let mut out = String::new();
    if !checks.is_empty() {
        let head = paint.blue(&format!("* {} {}", request.method, path_of(request.url)));
        let name = match request.name {
            Some(name) if !name.is_empty() => format!("- {name}"),
            _ => String::new(),
        };
        out = format!("{head} {name}\n\n");
    }
    for check in checks {
        let verdict = match check.ok {
            true => paint.green("ok"),
            false => paint.red("not ok"),
        };
        let got = check.got.text();
        push(&mut out, &format!("  {verdict} {} {got} ", check.type_name));
        if !check.ok {
            push(&mut out, &format!("  expected: {}", check.expected.text()));
            push(&mut out, &format!("       got: {got}"));
        }
    }
    out
}

/// Request, response and variables, for whoever looks into a failure.
fn exchange(
    request: RequestFacts<'_>,
    response: &ResponseView<'_>,
    variables: Vec<(String, Value)>,
    paint: Paint,
) -> String {
    let mut out = String::new();
    push(&mut out, &paint.yellow("  Request params:"));
    push(&mut out, &format!("    {}", request.url));
    let json = request.json.map_or_else(
        || "\"\"".to_owned(),
        |json| serde_json::to_string_pretty(json).expect("a value is written to memory"),
    );
    json.lines()
        .for_each(|line| push(&mut out, &format!("    {line}")));
    push(&mut out, &paint.yellow("  Headers:"));
    for (name, value) in response.headers().iter() {
        let name = name.to_ascii_lowercase();
        push(
            &mut out,
            &format!("  {name}: {}", String::from_utf8_lossy(value)),
        );
    }
    push(&mut out, &paint.yellow("  Body:"));
    let body: String = response.text().chars().take(BODY_LENGTH_LIMIT).collect();
    push(&mut out, &body);
    push(&mut out, &paint.yellow("  User variables:"));
    for (name, value) in variables {
        if !HIDDEN_VARIABLES.contains(&name.as_str()) {
            push(
                &mut out,
                &format!("    {name}: {}", javascript::text(&value)),
            );
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("text grows in memory");
}

fn json_line(checks: &[Check<'_>], request: RequestFacts<'_>) -> Value {
    let results: Vec<Value> = checks
        .iter()
        .map(|check| {
            let mut result = Map::new();
            result.insert("ok".to_owned(), check.ok.into());
            if let Some(expected) = check.expected.value() {
                result.insert("expected".to_owned(), expected);
            }
            result.insert("type".to_owned(), check.type_name.as_ref().into());
            if let Some(got) = check.got.value() {
                result.insert("got".to_owned(), got);
            }
            Value::Object(result)
        })
        .collect();
    let mut line = Map::new();
    if let Some(name) = request.name {
        line.insert("name".to_owned(), name.into());
    }
    line.insert("url".to_owned(), path_of(request.url).as_ref().into());
    line.insert("results".to_owned(), results.into());
    Value::Object(line)
}

/// The path of a URL with its query.
fn path_of(url: &str) -> Cow<'_, str> {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let after_host = match after_scheme.find(['/', '?', '#']) {
        Some(start) => &after_scheme[start..],
        None => "",
    };
    let path = after_host.split('#').next().unwrap_or("");
    match path.starts_with('/') {
        true => Cow::Borrowed(path),
        false => Cow::Owned(format!("/{path}")),
    }
}

impl Shown<'_> {
    /// As JavaScript puts it into a text.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Shown::Undefined => Cow::Borrowed("undefined"),
            Shown::Status(status) => Cow::Owned(status.to_string()),
            Shown::Truth(true) => Cow::Borrowed("true"),
            Shown::Truth(false) => Cow::Borrowed("false"),
            Shown::Text(text) => Cow::Borrowed(text),
            Shown::Value(value) => match value.as_ref() {
                Value::String(text) => Cow::Borrowed(text),
                Value::Array(items) => Cow::Owned(
                    items
                        .iter()
                        .map(javascript::text)
                        .collect::<Vec<_>>()
                        .join(","),
                ),
                other => Cow::Owned(javascript::text(other)),
            },
        }
    }

    /// As JSON; undefined is left out.
    pub fn value(&self) -> Option<Value> {
        Some(match self {
            Shown::Undefined => return None,
            Shown::Status(status) => (*status).into(),
            Shown::Truth(truth) => (*truth).into(),
            Shown::Text(text) => text.as_ref().into(),
            Shown::Value(value) => value.as_ref().clone(),
        })
    }
}
