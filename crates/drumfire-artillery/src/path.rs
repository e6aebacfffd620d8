//! Paths into values as lodash writes them (`a.b[0]["c"]`), compiled once and followed by
//! reference.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The longest list a path may grow by setting an index beyond its end.
const LIST_LENGTH_LIMIT: usize = 65_536;

/// Where a path starts: variables by name.
pub trait Scope {
    /// The variable `name`, or `None` when it is undefined.
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>>;
}

impl Scope for Map<String, Value> {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.get(name).map(Cow::Borrowed)
    }
}

/// One step of a path: a member's name, kept as an index too where it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    name: Arc<str>,
    index: Option<usize>,
}

/// A compiled path. `Path::parse` never fails: every text is a path in lodash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// What was written; a variable of exactly this name wins over the parsed steps.
    text: Arc<str>,
    root: Arc<str>,
    rest: Box<[Key]>,
}

impl Path {
    /// Compiles `text`.
    pub fn parse(text: &str) -> Path {
        let mut keys = split(text).into_iter();
        let root: Arc<str> = keys.next().map_or_else(|| text.into(), Arc::from);
        let rest = keys
            .map(|name| Key {
                index: list_index(&name),
                name: name.into(),
            })
            .collect();
        Path {
            text: text.into(),
            root,
            rest,
        }
    }

    /// The path as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variable the path starts at.
    pub fn root(&self) -> &Arc<str> {
        &self.root
    }

    /// Whether the path names a variable and nothing inside it.
    pub fn is_plain(&self) -> bool {
        self.rest.is_empty()
    }

    /// The value the path leads to in `scope`, or `None` when it is undefined.
    pub fn get<'a, S: Scope + ?Sized>(&self, scope: &'a S) -> Option<Cow<'a, Value>> {
        if self.rest.is_empty() {
            return scope.lookup(&self.root);
        }
        if let Some(value) = scope.lookup(&self.text) {
            return Some(value);
        }
        match scope.lookup(&self.root)? {
            Cow::Borrowed(value) => follow(value, &self.rest),
            Cow::Owned(value) => {
                follow(&value, &self.rest).map(|found| Cow::Owned(found.into_owned()))
            }
        }
    }

    /// The value the path leads to inside `document` (all steps are members of it).
    pub fn get_in<'a>(&self, document: &'a Value) -> Option<Cow<'a, Value>> {
        match step(
            document,
            &Key {
                index: list_index(&self.root),
                name: self.root.clone(),
            },
        )? {
            Cow::Borrowed(value) => follow(value, &self.rest),
            Cow::Owned(value) => {
                follow(&value, &self.rest).map(|found| Cow::Owned(found.into_owned()))
            }
        }
    }

    /// Sets what lies below the root variable, growing objects and lists on the way as lodash's
    /// `set` does. `root` is the root variable's value; for a plain path it is replaced.
    pub fn set_below(&self, root: &mut Value, value: Value) {
        let mut place = root;
        for key in &self.rest {
            place = enter(place, key);
        }
        *place = value;
    }
}

fn follow<'a>(mut value: &'a Value, keys: &[Key]) -> Option<Cow<'a, Value>> {
    for (position, key) in keys.iter().enumerate() {
        match step(value, key)? {
            Cow::Borrowed(next) => value = next,
            Cow::Owned(next) if position + 1 == keys.len() => return Some(Cow::Owned(next)),
            Cow::Owned(_) => return None,
        }
    }
    Some(Cow::Borrowed(value))
}

fn step<'a>(value: &'a Value, key: &Key) -> Option<Cow<'a, Value>> {
    match value {
        Value::Object(members) => members.get(&*key.name).map(Cow::Borrowed),
        Value::Array(items) => match key.index {
            Some(index) => items.get(index).map(Cow::Borrowed),
            None if &*key.name == "length" => Some(Cow::Owned(items.len().into())),
            None => None,
        },
        Value::String(text) => match key.index {
            Some(index) => text
                .chars()
                .nth(index)
                .map(|letter| Cow::Owned(letter.to_string().into())),
            None if &*key.name == "length" => Some(Cow::Owned(text.encode_utf16().count().into())),
            None => None,
        },
        _ => None,
    }
}

/// The place of `key` inside `value`, made when it is not there. A value that cannot hold members
/// is replaced: by a list when the key is an index, else by an object.
fn enter<'a>(value: &'a mut Value, key: &Key) -> &'a mut Value {
    if !(value.is_object() || value.is_array() && key.index.is_some()) {
        *value = match key.index {
            Some(index) if index < LIST_LENGTH_LIMIT => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        };
    }
    match (value, key.index) {
        (Value::Array(items), Some(index)) => {
            let index = index.min(LIST_LENGTH_LIMIT - 1);
            if items.len() <= index {
                items.resize(index + 1, Value::Null);
            }
            &mut items[index]
        }
        (Value::Object(members), _) => members.entry(&*key.name).or_insert(Value::Null),
        _ => unreachable!("the value was made a list or an object just above"),
    }
}

fn list_index(name: &str) -> Option<usize> {
    let plain =
        name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    if plain { name.parse().ok() } else { None }
}

/// Splits at dots and brackets; `["quoted"]` keeps what stands between the quotes.
fn split(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut name = String::new();
    let mut after_bracket = false;
    let mut rest = text.chars();
    if text.starts_with('.') {
        keys.push(String::new());
    }
    while let Some(letter) = rest.next() {
        match letter {
            '.' | '[' => {
                if !name.is_empty() {
                    keys.push(std::mem::take(&mut name));
                } else if letter == '.' && !after_bracket && !keys.is_empty() {
                    keys.push(String::new());
                }
                after_bracket = false;
                if letter == '[' {
                    keys.push(bracket(&mut rest));
                    after_bracket = true;
                }
            }
            ']' => {}
            letter => {
                after_bracket = false;
                name.push(letter);
            }
        }
    }
    if !name.is_empty() || text.ends_with('.') {
        keys.push(name);
    }
    keys
}

/// Reads what stands between `[` and `]`.
fn bracket(rest: &mut std::str::Chars<'_>) -> String {
    let text = rest.as_str();
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote)
            && let Some(end) = quoted.find(quote)
        {
            *rest = quoted[end + 1..].chars();
            return quoted[..end].to_owned();
        }
    }
    let end = text.find(']').unwrap_or(text.len());
    *rest = text[end..].chars();
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_paths_as_lodash_does() {
        let Value::Object(variables) = json!({
            "a": {"b": [{"c": 1}, "two"], "x-y": true},
            "a.dotted": "whole",
            "list": [10, 20, 30],
            "word": "höhe",
        }) else {
            unreachable!()
        };
        for (path, expected) in [
            ("a.b[0].c", Some(json!(1))),
            ("a.b[0][\"c\"]", Some(json!(1))),
            ("a['b'][1]", Some(json!("two"))),
            ("a.b.0.c", Some(json!(1))),
            ("a.x-y", Some(json!(true))),
            ("a.dotted", Some(json!("whole"))),
            ("list.length", Some(json!(3))),
            ("word.length", Some(json!(4))),
            ("word[1]", Some(json!("ö"))),
            ("list[3]", None),
            ("list.01", None),
            ("missing", None),
            ("a.b.c.d", None),
            ("a b", None),
            ("[a].x-y", Some(json!(true))),
            ("a[b][0].c", Some(json!(1))),
            ("a.[b].1", Some(json!("two"))),
            ("a.", None),
            (".a", None),
            ("list[-1]", None),
            ("list[\"0\"]", Some(json!(10))),
            ("", None),
        ] {
            let found = Path::parse(path).get(&variables).map(Cow::into_owned);
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn sets_below_the_root_as_lodash_does() {
        for (path, before, expected) in [
            ("pet", json!(1), json!("new")),
            ("pet.id", json!(1), json!({"id": "new"})),
            ("pet[id]", Value::Null, json!({"id": "new"})),
            ("pet[1]", Value::Null, json!([null, "new"])),
            (
                "pet.list[0].id",
                json!({"a": 1}),
                json!({"a": 1, "list": [{"id": "new"}]}),
            ),
        ] {
            let mut root = before;
            Path::parse(path).set_below(&mut root, json!("new"));
            assert_eq!(root, expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_path(text in "[a-c0-9.\\[\\]\"' ]{0,24}", value in "[a-c]{0,3}") {
            let path = Path::parse(&text);
            let mut root = Value::Null;
            path.set_below(&mut root, Value::String(value));
            path.get(&Map::new());
        }
    }
}
