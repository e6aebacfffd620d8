//! The hits of a path in a document, depth first.

use std::borrow::Cow;

use serde_json::Value;

use super::filter::{self, Filter};
use super::{Hit, Key, Step, VISITS_LIMIT, is_structure};

/// All hits of `steps` in `document`.
pub(super) fn query<'v>(steps: &[Step], document: &'v Value) -> Vec<Hit<'v>> {
    let mut search = Search {
        root: document,
        hits: Vec::new(),
        visits_left: VISITS_LIMIT,
    };
    let root = Place {
        value: document,
        name: None,
        parent: None,
    };
    search.follow(steps, &root, false);
    search.hits
}

/// A value with the way that led to it.
#[derive(Clone, Copy)]
pub(super) struct Place<'v, 'p> {
    pub(super) value: &'v Value,
    /// Its name or index in the parent; the document itself has none.
    pub(super) name: Option<Name<'v>>,
    pub(super) parent: Option<&'p Place<'v, 'p>>,
}

/// The name of a member, or the index of an item.
#[derive(Clone, Copy)]
pub(super) enum Name<'v> {
    Member(&'v str),
    Item(usize),
}

impl Name<'_> {
    pub(super) fn value(self) -> Value {
        match self {
            Name::Member(name) => Value::String(name.to_owned()),
            Name::Item(index) => index.into(),
        }
    }
}

struct Search<'v> {
    root: &'v Value,
    hits: Vec<Hit<'v>>,
    visits_left: u32,
}

impl<'v> Search<'v> {
    fn follow(&mut self, steps: &[Step], place: &Place<'v, '_>, one_of_many: bool) {
        if self.visits_left == 0 {
            return;
        }
        self.visits_left -= 1;
        let Some((step, rest)) = steps.split_first() else {
            return self.hit(Cow::Borrowed(place.value), one_of_many);
        };
        match step {
            Step::Key(key) => self.member(key, rest, place, one_of_many),
            Step::Every => {
                self.each_child(place, |search, child| search.follow(rest, child, true));
            }
            Step::Descend => {
                self.follow(rest, place, one_of_many);
                self.each_child(place, |search, child| {
                    if is_structure(child.value) || child.value.is_null() {
                        search.follow(steps, child, true);
                    }
                });
            }
            Step::Parent => {
                if let Some(parent) = place.parent {
                    self.follow(rest, parent, one_of_many);
                }
            }
            Step::Name => {
                if let Some(name) = place.name {
                    self.hit(Cow::Owned(name.value()), one_of_many);
                }
            }
            Step::Slice { start, end, step } => self.slice((*start, *end, *step), rest, place),
            Step::Filter(filter) => self.filter(filter, rest, place),
            Step::Computed(filter) => {
                if let Some(name) = filter.evaluate(place, self.root).property_name() {
                    self.member(&Key::new(&name), rest, place, one_of_many);
                }
            }
            Step::Union(parts) => {
                for part in parts {
                    self.follow_one_then(part, rest, place);
                }
            }
            Step::OfType(wanted) => {
                if wanted.fits(place.value) {
                    self.hit(Cow::Borrowed(place.value), one_of_many);
                }
            }
        }
    }

    fn hit(&mut self, value: Cow<'v, Value>, one_of_many: bool) {
        self.hits.push(Hit { value, one_of_many });
    }

    fn member(&mut self, key: &Key, rest: &[Step], place: &Place<'v, '_>, one_of_many: bool) {
        match key.of(place.value) {
            Some(Cow::Borrowed(value)) => {
                let name = match (place.value, key.index) {
                    (Value::Object(members), _) => members
                        .get_key_value(&key.name)
                        .map(|(name, _)| Name::Member(name)),
                    (_, index) => index.map(Name::Item),
                };
                let child = Place {
                    value,
                    name,
                    parent: Some(place),
                };
                self.follow(rest, &child, one_of_many);
            }
            Some(Cow::Owned(value)) if rest.is_empty() => {
                self.hit(Cow::Owned(value), one_of_many);
            }
            _ => {}
        }
    }

    fn follow_one_then(&mut self, part: &Step, rest: &[Step], place: &Place<'v, '_>) {
        match part {
            Step::Key(key) => self.member(key, rest, place, true),
            Step::Slice { start, end, step } => self.slice((*start, *end, *step), rest, place),
            Step::Filter(filter) => self.filter(filter, rest, place),
            _ => self.each_child(place, |search, child| search.follow(rest, child, true)),
        }
    }

    fn slice(
        &mut self,
        (start, end, step): (i64, Option<i64>, usize),
        rest: &[Step],
        place: &Place<'v, '_>,
    ) {
        let Value::Array(items) = place.value else {
            return;
        };
        let within = |bound: i64| match usize::try_from(bound) {
            Ok(bound) => bound.min(items.len()),
            Err(_) => items.len().saturating_sub(bound.unsigned_abs() as usize),
        };
        let end = end.map_or(items.len(), within);
        for index in (within(start)..end).step_by(step) {
            let child = Place {
                value: &items[index],
                name: Some(Name::Item(index)),
                parent: Some(place),
            };
            self.follow(rest, &child, true);
        }
    }

    fn filter(&mut self, filter: &Filter, rest: &[Step], place: &Place<'v, '_>) {
        self.each_child(place, |search, child| {
            search.visits_left = search.visits_left.saturating_sub(1);
            if search.visits_left > 0 && filter::is_truthy(&filter.evaluate(child, search.root)) {
                search.follow(rest, child, true);
            }
        });
    }

    fn each_child(
        &mut self,
        place: &Place<'v, '_>,
        mut visit: impl FnMut(&mut Self, &Place<'v, '_>),
    ) {
        let mut visit_child = |name, value| {
            let child = Place {
                value,
                name: Some(name),
                parent: Some(place),
            };
            visit(self, &child);
        };
        match place.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(index, item)| visit_child(Name::Item(index), item)),
            Value::Object(members) => members
                .iter()
                .for_each(|(name, member)| visit_child(Name::Member(name), member)),
            _ => {}
        }
    }
}
