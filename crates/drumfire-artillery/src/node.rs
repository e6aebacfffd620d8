//! A YAML or JSON document as a tree in which every value and key knows its place.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::javascript;
use crate::source::Span;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub value: NodeValue,
    /// Where it was written.
    pub span: Span,
}

/// A YAML value.
#[derive(Debug, Clone)]
pub enum NodeValue {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; JavaScript has one kind.
    Number(f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Members),
}

/// The members of a map in the order written.
pub type Members = IndexMap<Arc<str>, Member, ahash::RandomState>;

/// A member of a map.
#[derive(Debug, Clone)]
pub struct Member {
    /// Where its key was written.
    pub key_span: Span,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// A node that stands for nothing.
    pub fn null(span: Span) -> Node {
        Node {
            value: NodeValue::Null,
            span,
        }
    }

    /// An empty map.
    pub fn map(span: Span) -> Node {
        Node {
            value: NodeValue::Map(Members::default()),
            span,
        }
    }

    /// A node tree from a value that stands at `span` as a whole.
    pub fn from_value(value: &Value, span: Span) -> Node {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(truth) => NodeValue::Bool(*truth),
            Value::Number(number) => NodeValue::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => NodeValue::Text(text.as_str().into()),
            Value::Array(items) => NodeValue::List(
                items
                    .iter()
                    .map(|item| Node::from_value(item, span))
                    .collect(),
            ),
            Value::Object(members) => NodeValue::Map(
                members
                    .iter()
                    .map(|(key, member)| {
                        let node = Node::from_value(member, span);
                        (
                            key.as_str().into(),
                            Member {
                                key_span: span,
                                node,
                            },
                        )
                    })
                    .collect(),
            ),
        };
        Node { value, span }
    }

    /// The plain value; what JSON cannot hold becomes null.
    pub fn to_value(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(truth) => Value::Bool(*truth),
            NodeValue::Number(number) => {
                javascript::number(*number).map_or(Value::Null, Value::Number)
            }
            NodeValue::Text(text) => Value::String(text.to_string()),
            NodeValue::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            NodeValue::Map(members) => Value::Object(Map::from_iter(
                members
                    .iter()
                    .map(|(key, member)| (key.to_string(), member.node.to_value())),
            )),
        }
    }

    /// The member `key` of a map; nothing for null members as well, unless asked by
    /// [`Node::member`].
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.member(key)
            .map(|member| &member.node)
            .filter(|node| !matches!(node.value, NodeValue::Null))
    }

    /// The member `key` of a map, null or not.
    pub fn member(&self, key: &str) -> Option<&Member> {
        self.as_map()?.get(key)
    }

    /// The members, of a map.
    pub fn as_map(&self) -> Option<&Members> {
        match &self.value {
            NodeValue::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The members, of a map, to change.
    pub fn as_map_mut(&mut self) -> Option<&mut Members> {
        match &mut self.value {
            NodeValue::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The items, of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            NodeValue::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, of a text.
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list, or the node itself as the only one; nothing for null.
    pub fn as_items(&self) -> &[Node] {
        match &self.value {
            NodeValue::List(items) => items,
            NodeValue::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// What JavaScript takes for true.
    pub fn is_truthy(&self) -> bool {
        match &self.value {
            NodeValue::Null => false,
            NodeValue::Bool(truth) => *truth,
            NodeValue::Number(number) => *number != 0.0 && !number.is_nan(),
            NodeValue::Text(text) => !text.is_empty(),
            NodeValue::List(_) | NodeValue::Map(_) => true,
        }
    }

    /// What kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "true or false",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "a text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }
}
