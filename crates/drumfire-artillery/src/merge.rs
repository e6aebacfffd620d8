//! Putting documents on top of each other, as lodash `merge` does: maps by key, lists by index.

use crate::node::{Member, Node, NodeValue};

/// What becomes of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// Merged item by item; surplus items of the base stay.
    ByIndex,
    /// The upper list takes the lower one's place.
    Replaced,
}

/// Lays `upper` over `base`; values keep the places they were written at.
pub fn merge(base: &mut Node, upper: &Node, lists: Lists) {
    match (&mut base.value, &upper.value) {
        (NodeValue::Map(members), NodeValue::Map(upper_members)) => {
            for (key, member) in upper_members {
                match members.get_mut(key) {
                    Some(known) => {
                        merge(&mut known.node, &member.node, lists);
                        if !matches!(known.node.value, NodeValue::Map(_)) {
                            known.key_span = member.key_span;
                        }
                    }
                    None => {
                        let Member { key_span, node } = member.clone();
                        members.insert(key.clone(), Member { key_span, node });
                    }
                }
            }
        }
        (NodeValue::List(items), NodeValue::List(upper_items)) if lists == Lists::ByIndex => {
            for (index, upper) in upper_items.iter().enumerate() {
                match items.get_mut(index) {
                    Some(item) => merge(item, upper, lists),
                    None => items.push(upper.clone()),
                }
            }
        }
        _ => *base = upper.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::source::{Sources, Span};

    fn merged(base: Value, upper: Value, lists: Lists) -> Value {
        let mut sources = Sources::default();
        let span = Span::start_of(sources.add("a.yml", ""));
        let mut base = Node::from_value(&base, span);
        merge(&mut base, &Node::from_value(&upper, span), lists);
        drop(Arc::new(sources));
        base.to_value()
    }

    #[test]
    fn documents_merge_as_with_lodash() {
        for (base, upper, by_index, replaced) in [
            (
                json!({"a": 1}),
                json!({"b": 2}),
                json!({"a": 1, "b": 2}),
                json!({"a": 1, "b": 2}),
            ),
            (
                json!({"a": {"x": 1}}),
                json!({"a": {"y": 2}}),
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": 1, "y": 2}}),
            ),
            (json!([1, 2]), json!([3]), json!([3, 2]), json!([3])),
            (
                json!([{"d": 5, "r": 1}, {"d": 6}]),
                json!([{"d": 1}]),
                json!([{"d": 1, "r": 1}, {"d": 6}]),
                json!([{"d": 1}]),
            ),
            (
                json!({"a": [1]}),
                json!({"a": "x"}),
                json!({"a": "x"}),
                json!({"a": "x"}),
            ),
            (
                json!({"a": 1}),
                json!({"a": null}),
                json!({"a": null}),
                json!({"a": null}),
            ),
            (
                json!({"a": 1}),
                json!({"a": {"b": 2}}),
                json!({"a": {"b": 2}}),
                json!({"a": {"b": 2}}),
            ),
        ] {
            assert_eq!(
                merged(base.clone(), upper.clone(), Lists::ByIndex),
                by_index
            );
            assert_eq!(merged(base, upper, Lists::Replaced), replaced);
        }
    }
}
