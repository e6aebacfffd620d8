//! A plain path followed while the JSON is read: the whole body is checked, but only what the path
//! leads to is built.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Found, Key, Step};

/// What `steps`, all of them keys, lead to in `body`; `None` when `body` is no JSON.
pub(super) fn find(steps: &[Step], body: &[u8]) -> Option<Found> {
    if !matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return serde_json::from_slice::<IgnoredAny>(body)
            .ok()
            .map(|_| Found::NoDocument);
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = At(steps).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(match found {
        Some(value) => Found::Value(value),
        None => Found::Nothing,
    })
}

/// The value at the end of these steps.
struct At<'s>(&'s [Step]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<Value>, D::Error> {
        match self.0.split_first() {
            None => Value::deserialize(reader).map(Some),
            Some((Step::Key(key), rest)) => reader.deserialize_any(Inside { key, rest }),
            Some(_) => Err(D::Error::custom("only plain paths are streamed")),
        }
    }
}

/// Inside the value that holds `key`.
struct Inside<'s> {
    key: &'s Key,
    rest: &'s [Step],
}

impl<'de> Visitor<'de> for Inside<'_> {
    type Value = Option<Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(wanted) = members.next_key_seed(IsName(&self.key.name))? {
            if wanted {
                found = members.next_value_seed(At(self.rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<Value>, A::Error> {
        let before = self.key.index.unwrap_or(usize::MAX);
        let mut position = 0;
        while position < before && items.next_element::<IgnoredAny>()?.is_some() {
            position += 1;
        }
        let mut found = None;
        if position == before
            && let Some(item) = items.next_element_seed(At(self.rest))?
        {
            found = item;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Value>, E> {
        let whole = Value::String(text.to_owned());
        let letter = self.key.of(&whole).map(|letter| letter.into_owned());
        Ok(letter.filter(|_| self.rest.is_empty()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }
}

/// Whether an object's key is this name; the key is not copied for it.
struct IsName<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
