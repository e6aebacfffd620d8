//! The `{{ }}` language, compiled once to segments. A text that is exactly one variable keeps the
//! value's type; a function's result is always text; what is undefined stays so when it stands
//! alone and prints `undefined` inside other text.

use std::borrow::Cow;
use std::sync::Arc;

use rand::Rng;
use serde_json::{Map, Value};

use crate::functions::{Function, Functions};
use crate::javascript;
use crate::path::{Path, Scope};

/// A compiled text. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Template {
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Constant(Arc<str>),
    /// Exactly one variable: its value's type is kept.
    Whole(Path),
    Mixed(Arc<[Segment]>),
    /// Calls a function nobody knows: the whole value is undefined.
    Undefined(Arc<str>),
}

/// A piece of a template that is more than one variable.
#[derive(Debug, Clone)]
pub enum Segment {
    /// Text to copy.
    Literal(Box<str>),
    /// A variable, printed.
    Path(Path),
    /// A function's result.
    Function(Function),
}

impl Segment {
    /// The deprecated name that a function was called by, and the one it has now.
    pub(crate) fn alias(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Segment::Function(Function::Fake(function)) => {
                Some((function.alias()?, function.name()))
            }
            _ => None,
        }
    }
}

impl Template {
    /// Compiles `text` with the built-in functions. Every text is a template.
    pub fn parse(text: &str) -> Template {
        Template::parse_with(text, &Functions::default())
    }

    /// Compiles `text` with `functions`.
    pub fn parse_with(text: &str, functions: &Functions) -> Template {
        Template {
            form: compile(text, functions),
        }
    }

    /// A template that is just `text`, braces and all.
    pub fn constant(text: &str) -> Template {
        Template {
            form: Form::Constant(text.into()),
        }
    }

    /// Whether every rendering gives the same text.
    pub fn is_constant(&self) -> bool {
        matches!(self.form, Form::Constant(_))
    }

    /// The text, when it is constant.
    pub fn as_constant(&self) -> Option<&str> {
        match &self.form {
            Form::Constant(text) => Some(text),
            _ => None,
        }
    }

    /// The unknown function that makes this template undefined, if there is one.
    pub fn unknown_function(&self) -> Option<&str> {
        match &self.form {
            Form::Undefined(name) => Some(name),
            _ => None,
        }
    }

    /// The pieces, for whoever prepares bytes at load time: one for a constant or a lone variable.
    pub fn segments(&self) -> Cow<'_, [Segment]> {
        match &self.form {
            Form::Constant(text) => Cow::Owned(vec![Segment::Literal(text.as_ref().into())]),
            Form::Whole(path) => Cow::Owned(vec![Segment::Path(path.clone())]),
            Form::Mixed(segments) => Cow::Borrowed(segments),
            Form::Undefined(_) => Cow::Owned(Vec::new()),
        }
    }

    /// The paths of all variables the template reads.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let (whole, mixed): (Option<&Path>, &[Segment]) = match &self.form {
            Form::Whole(path) => (Some(path), &[]),
            Form::Mixed(segments) => (None, segments),
            _ => (None, &[]),
        };
        whole
            .into_iter()
            .chain(mixed.iter().filter_map(|segment| match segment {
                Segment::Path(path) => Some(path),
                _ => None,
            }))
    }

    /// The value in `scope`; `None` is JavaScript's undefined.
    pub fn render<S: Scope + ?Sized>(&self, scope: &S, rng: &mut dyn Rng) -> Option<Value> {
        match &self.form {
            Form::Constant(text) => Some(Value::String(text.as_ref().to_owned())),
            Form::Whole(path) => path.get(scope).map(Cow::into_owned),
            Form::Mixed(segments) => {
                let mut out = Vec::new();
                write_segments(segments, scope, rng, &mut out);
                Some(Value::String(utf8(out)))
            }
            Form::Undefined(_) => None,
        }
    }

    /// Appends the value as text to `out`; `false` says that it is undefined and that nothing was
    /// written.
    pub fn render_to<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
        out: &mut Vec<u8>,
    ) -> bool {
        match &self.form {
            Form::Constant(text) => out.extend_from_slice(text.as_bytes()),
            Form::Whole(path) => match path.get(scope) {
                Some(value) => javascript::write_text(&value, out),
                None => return false,
            },
            Form::Mixed(segments) => write_segments(segments, scope, rng, out),
            Form::Undefined(_) => return false,
        }
        true
    }

    /// The value as text, or `None` when it is undefined.
    pub fn render_text<S: Scope + ?Sized>(&self, scope: &S, rng: &mut dyn Rng) -> Option<String> {
        let mut out = Vec::new();
        self.render_to(scope, rng, &mut out).then(|| utf8(out))
    }
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text built from strings is UTF-8")
}

/// What a variable holds is printed as it is. (Artillery renders templates inside it once more, by
/// which a server's answer could read the environment.)
fn write_segments<S: Scope + ?Sized>(
    segments: &[Segment],
    scope: &S,
    rng: &mut dyn Rng,
    out: &mut Vec<u8>,
) {
    for segment in segments {
        match segment {
            Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Segment::Function(function) => function.write(rng, out),
            Segment::Path(path) => match path.get(scope) {
                Some(value) => javascript::write_text(&value, out),
                None => out.extend_from_slice(b"undefined"),
            },
        }
    }
}

/// A value with templates anywhere inside, object keys too, compiled once. Constant parts are
/// serialised at load time.
#[derive(Debug, Clone)]
pub enum ValueTemplate {
    /// No template inside: the value, and its JSON text.
    Constant(Arc<Value>, Arc<[u8]>),
    /// A text.
    Text(Template),
    /// A list.
    List(Arc<[ValueTemplate]>),
    /// An object, in the order written.
    Object(Arc<[(Template, ValueTemplate)]>),
}

impl ValueTemplate {
    /// Compiles `value` with `functions`.
    pub fn compile(value: &Value, functions: &Functions) -> ValueTemplate {
        match value {
            Value::String(text) => {
                let template = Template::parse_with(text, functions);
                match template.as_constant() {
                    Some(constant) if constant == text => ValueTemplate::constant(value.clone()),
                    _ => ValueTemplate::Text(template),
                }
            }
            Value::Array(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| ValueTemplate::compile(item, functions))
                    .collect();
                if items.iter().all(ValueTemplate::is_constant) {
                    return ValueTemplate::constant(value.clone());
                }
                ValueTemplate::List(items.into())
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(key, member)| {
                        (
                            Template::parse_with(key, functions),
                            ValueTemplate::compile(member, functions),
                        )
                    })
                    .collect();
                // Artillery takes a templated key out and puts what it became at the end.
                members.sort_by_key(|(key, _)| !key.is_constant());
                if members
                    .iter()
                    .all(|(key, member)| key.is_constant() && member.is_constant())
                {
                    return ValueTemplate::constant(value.clone());
                }
                ValueTemplate::Object(members.into())
            }
            plain => ValueTemplate::constant(plain.clone()),
        }
    }

    /// A value without templates.
    pub fn constant(value: Value) -> ValueTemplate {
        let mut json = Vec::new();
        javascript::write_json(&value, &mut json);
        ValueTemplate::Constant(Arc::new(value), json.into())
    }

    /// Whether every rendering gives the same value.
    pub fn is_constant(&self) -> bool {
        matches!(self, ValueTemplate::Constant(..))
    }

    /// The value, when it is constant.
    pub fn as_constant(&self) -> Option<&Value> {
        match self {
            ValueTemplate::Constant(value, _) => Some(value),
            _ => None,
        }
    }

    /// The value in `scope`; undefined members disappear, undefined list items become null.
    pub fn render<S: Scope + ?Sized>(&self, scope: &S, rng: &mut dyn Rng) -> Option<Value> {
        match self {
            ValueTemplate::Constant(value, _) => Some(value.as_ref().clone()),
            ValueTemplate::Text(template) => template.render(scope, rng),
            ValueTemplate::List(items) => Some(Value::Array(
                items
                    .iter()
                    .map(|item| item.render(scope, rng).unwrap_or(Value::Null))
                    .collect(),
            )),
            ValueTemplate::Object(members) => {
                let mut rendered = Map::new();
                for (key, member) in members.iter() {
                    let key = key
                        .render_text(scope, rng)
                        .unwrap_or_else(|| "undefined".to_owned());
                    if let Some(member) = member.render(scope, rng) {
                        rendered.insert(key, member);
                    }
                }
                Some(Value::Object(rendered))
            }
        }
    }

    /// Appends the value as text (strings raw, all else as JSON); `false` says that it is
    /// undefined and that nothing was written.
    pub fn render_to<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            ValueTemplate::Constant(value, _) => javascript::write_text(value, out),
            ValueTemplate::Text(template) => return template.render_to(scope, rng, out),
            nested => return nested.render_json(scope, rng, out),
        }
        true
    }

    /// Appends the value as `JSON.stringify` prints it; `false` says that it is undefined and that
    /// nothing was written.
    pub fn render_json<S: Scope + ?Sized>(
        &self,
        scope: &S,
        rng: &mut dyn Rng,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            ValueTemplate::Constant(_, json) => out.extend_from_slice(json),
            ValueTemplate::Text(template) => return write_text_as_json(template, scope, rng, out),
            ValueTemplate::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    if !item.render_json(scope, rng, out) {
                        out.extend_from_slice(b"null");
                    }
                }
                out.push(b']');
            }
            ValueTemplate::Object(members) => write_members(members, scope, rng, out),
        }
        true
    }
}

fn write_text_as_json<S: Scope + ?Sized>(
    template: &Template,
    scope: &S,
    rng: &mut dyn Rng,
    out: &mut Vec<u8>,
) -> bool {
    match &template.form {
        Form::Whole(path) => match path.get(scope) {
            Some(value) => javascript::write_json(&value, out),
            None => return false,
        },
        _ => match template.render_text(scope, rng) {
            Some(text) => javascript::write_json_string(&text, out),
            None => return false,
        },
    }
    true
}

fn write_members<S: Scope + ?Sized>(
    members: &[(Template, ValueTemplate)],
    scope: &S,
    rng: &mut dyn Rng,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let mut first = true;
    for (key, member) in members {
        let start = out.len();
        if !first {
            out.push(b',');
        }
        match key.as_constant() {
            Some(key) => javascript::write_json_string(key, out),
            None => {
                let key = key.render_text(scope, rng);
                javascript::write_json_string(key.as_deref().unwrap_or("undefined"), out);
            }
        }
        out.push(b':');
        if member.render_json(scope, rng, out) {
            first = false;
        } else {
            out.truncate(start);
        }
    }
    out.push(b'}');
}

fn compile(text: &str, functions: &Functions) -> Form {
    if !text.contains("{{") {
        return Form::Constant(text.into());
    }
    let mut segments = Vec::new();
    let mut rest = text;
    while let Some((start, end, call)) = find_call(rest) {
        match functions.resolve(call.name, &call.arguments) {
            Some(function) => {
                segments.extend(parse_variables(&rest[..start]));
                segments.push(Segment::Function(function));
                rest = &rest[end..];
            }
            None => return Form::Undefined(call.name.into()),
        }
    }
    let no_call = segments.is_empty();
    let mut tail = parse_variables(rest);
    match (no_call, tail.as_mut_slice()) {
        (true, [Segment::Path(path)]) => Form::Whole(path.clone()),
        (true, [Segment::Literal(literal)]) => Form::Constant(literal.as_ref().into()),
        _ => {
            segments.append(&mut tail);
            Form::Mixed(segments.into())
        }
    }
}

struct Call<'a> {
    name: &'a str,
    arguments: Vec<Option<f64>>,
}

/// The first function call in `text`: where its braces start and end, and what it calls.
fn find_call(text: &str) -> Option<(usize, usize, Call<'_>)> {
    let mut from = 0;
    while let Some(found) = text[from..].find("{{") {
        let start = from + found;
        if let Some((length, call)) = read_call(&text[start..]) {
            return Some((start, start + length, call));
        }
        from = start + 1;
    }
    None
}

/// Reads `{{ $name(arguments) }}` at the start of `text`: its length and the call.
fn read_call(text: &str) -> Option<(usize, Call<'_>)> {
    let inner = text.strip_prefix("{{")?.trim_start();
    let after_dollar = inner.strip_prefix('$')?;
    let name_end = after_dollar.find(|letter: char| !is_word(letter))?;
    if name_end == 0 {
        return None;
    }
    let name = &inner[..name_end + 1];
    let arguments = after_dollar[name_end..].trim_start().strip_prefix('(')?;
    let close = arguments
        .find(|letter: char| !(is_word(letter) || letter == ',' || letter.is_whitespace()))?;
    let rest = arguments[close..]
        .strip_prefix(')')?
        .trim_start()
        .strip_prefix("}}")?;
    let call = Call {
        name,
        arguments: read_arguments(&arguments[..close]),
    };
    Some((text.len() - rest.len(), call))
}

/// Arguments are whole numbers; anything else is passed as undefined.
fn read_arguments(text: &str) -> Vec<Option<f64>> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.trim_end()
        .trim_end_matches(',')
        .split(',')
        .map(|argument| Some(javascript::to_number(argument)).filter(|number| number.is_finite()))
        .collect()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Splits `text` at its `{{ variables }}`; two or three braces are the same.
fn parse_variables(text: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (length, name) = match read_variable(&rest[start..]) {
            Some(found) => found,
            None => {
                literal.push_str(&rest[..start + 1]);
                rest = &rest[start + 1..];
                continue;
            }
        };
        literal.push_str(&rest[..start]);
        if !literal.is_empty() {
            segments.push(Segment::Literal(std::mem::take(&mut literal).into()));
        }
        segments.push(Segment::Path(Path::parse(name)));
        rest = &rest[start + length..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        segments.push(Segment::Literal(literal.into()));
    }
    segments
}

/// Reads `{{ name }}` or `{{{ name }}}` at the start of `text`: its length and the name.
fn read_variable(text: &str) -> Option<(usize, &str)> {
    let inner = text.strip_prefix("{{")?;
    let inner = inner.strip_prefix('{').unwrap_or(inner);
    let end = inner.find(|letter: char| !is_name(letter))?;
    if end == 0 {
        return None;
    }
    let rest = inner[end..].strip_prefix("}}")?;
    let rest = rest.strip_prefix('}').unwrap_or(rest);
    Some((text.len() - rest.len(), inner[..end].trim()))
}

fn is_name(letter: char) -> bool {
    is_word(letter)
        || letter.is_whitespace()
        || matches!(letter, '$' | '.' | '[' | ']' | '\'' | '"' | '-')
}
