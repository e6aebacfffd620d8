//! A user's variables: what all users share by reference, and the little a user has of its own.
//! A million users wait at a time, so a user that captured nothing costs three words.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use drumfire_reactor::{Part, will_touch};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::path::{Path, Scope};
use crate::payload::Payload;
use crate::script::Script;

/// What all users of a shard share: built once from the script and what `before` captured.
#[derive(Debug, Clone)]
pub struct SharedVariables {
    slots: HashMap<Arc<str>, Slot, ahash::RandomState>,
    payloads: Vec<Payload>,
    run_seed: u64,
}

/// Where a shared variable's value comes from.
#[derive(Debug, Clone)]
enum Slot {
    Value(Arc<Value>),
    /// A list in `config.variables`: one element per user.
    Pick(Arc<[Value]>),
    /// A column of a CSV file: the value in the user's row.
    Column {
        payload: usize,
        column: usize,
    },
    Uuid,
}

impl SharedVariables {
    /// Variables for users of `script`, later ones hiding earlier ones: the built-in ones, what
    /// `before` captured, the script's place, CSV columns, `config.variables`, `$uuid`.
    /// `run_seed` decides random rows, random elements and uuids; every run and all of its agents
    /// need one in common, and another run another one.
    pub fn new(
        script: &Script,
        test_id: &str,
        before: &Map<String, Value>,
        run_seed: u64,
    ) -> SharedVariables {
        let mut shared = SharedVariables {
            slots: HashMap::default(),
            payloads: script.config.payloads.clone(),
            run_seed,
        };
        let origin = &script.origin;
        shared.set_optional("target", script.config.target.as_deref());
        shared.set_optional("$environment", origin.environment.as_deref());
        for name in ["$env", "$processEnvironment"] {
            shared
                .slots
                .insert(name.into(), Slot::Value(origin.process_environment.clone()));
        }
        shared.set_optional("$testId", Some(test_id));
        for (name, value) in before {
            shared.set(name, value.clone());
        }
        shared.set_optional("$dirname", Some(&origin.config_folder));
        shared.set_optional("$scenarioFile", Some(&origin.script_path));
        shared.add_payloads();
        for (name, value) in &script.config.variables {
            shared.set_inline(name, value);
        }
        shared.slots.insert("$uuid".into(), Slot::Uuid);
        shared
    }

    fn set(&mut self, name: &str, value: Value) {
        self.slots.insert(name.into(), Slot::Value(Arc::new(value)));
    }

    fn set_optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.set(name, Value::String(text.to_owned()));
        }
    }

    fn add_payloads(&mut self) {
        for index in 0..self.payloads.len() {
            if let Some((name, rows)) = self.payloads[index].whole() {
                self.slots.insert(name.clone(), Slot::Value(rows.clone()));
                continue;
            }
            for (column, name) in self.payloads[index].fields().iter().enumerate() {
                let slot = Slot::Column {
                    payload: index,
                    column,
                };
                self.slots.insert(name.clone(), slot);
            }
        }
    }

    fn set_inline(&mut self, name: &str, value: &Value) {
        match value {
            Value::Array(items) => {
                self.slots
                    .insert(name.into(), Slot::Pick(items.clone().into()));
            }
            value => self.set(name, value.clone()),
        }
    }
}

/// One user's variables.
#[derive(Debug, Clone)]
pub struct Vars {
    shared: Rc<SharedVariables>,
    /// The user's number in the global order of arrivals: decides its CSV rows, its random
    /// elements and its uuid.
    arrival: u64,
    /// What the user captured and counted itself; not allocated before the first.
    own: Option<Box<Own>>,
}

/// Variables of one user alone, in the order they came up: few enough to be searched one by one.
type Own = SmallVec<[OwnVariable; 2]>;

/// A name and its value; `None` is undefined.
type OwnVariable = (Arc<str>, Option<Value>);

impl Vars {
    /// Variables of the user that arrives as number `arrival` of the whole test.
    pub fn new(shared: Rc<SharedVariables>, arrival: u64) -> Vars {
        Vars {
            shared,
            arrival,
            own: None,
        }
    }

    /// The value `path` leads to, or `None` when it is undefined.
    pub fn get(&self, path: &Path) -> Option<Cow<'_, Value>> {
        path.get(self)
    }

    /// Sets a variable; `None` makes it undefined.
    pub fn set(&mut self, name: &Arc<str>, value: Option<Value>) {
        *self.own_slot(name) = value;
    }

    /// Sets what `path` leads to, copying the shared variable it starts at if need be.
    pub fn set_path(&mut self, path: &Path, value: Option<Value>) {
        if path.is_plain() {
            return self.set(path.root(), value);
        }
        let mut root = self
            .lookup(path.root())
            .map_or(Value::Null, Cow::into_owned);
        path.set_below(&mut root, value.unwrap_or(Value::Null));
        self.set(path.root(), Some(root));
    }

    /// All variables the user set itself: what `before` hands to every user.
    pub fn own(&self) -> Map<String, Value> {
        self.own_entries()
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.clone()?)))
            .collect()
    }

    fn own_entries(&self) -> &[OwnVariable] {
        self.own.as_ref().map_or(&[], |own| own)
    }

    fn own_slot(&mut self, name: &Arc<str>) -> &mut Option<Value> {
        let own = self.own.get_or_insert_default();
        will_touch(Part::Variables, &**own);
        let position = own
            .iter()
            .position(|(known, _)| known == name)
            .unwrap_or_else(|| {
                own.push((name.clone(), None));
                own.len() - 1
            });
        &mut own[position].1
    }

    /// Whether a payload has no row left for this user.
    pub fn are_used_up(&self) -> bool {
        let mut payloads = self.shared.payloads.iter();
        payloads.any(|payload| payload.is_used_up(self.arrival))
    }

    /// A number that is this user's alone, one per `purpose`.
    fn chance(&self, purpose: u64) -> u64 {
        mix(self.shared.run_seed ^ mix(self.arrival ^ mix(purpose)))
    }

    fn uuid(&self) -> Value {
        let high = self.chance(u64::MAX);
        let low = self.chance(u64::MAX - 1);
        let bits = u128::from(high) << 64 | u128::from(low);
        let uuid = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        Value::String(uuid.hyphenated().to_string())
    }
}

impl Scope for Vars {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        if let Some((_, value)) = self
            .own_entries()
            .iter()
            .find(|(known, _)| **known == *name)
        {
            return value.as_ref().map(Cow::Borrowed);
        }
        match self.shared.slots.get(name)? {
            Slot::Value(value) => Some(Cow::Borrowed(value)),
            Slot::Pick(items) => {
                let seed = name
                    .bytes()
                    .fold(items.len() as u64, |seed, byte| mix(seed ^ u64::from(byte)));
                let index = self.chance(seed).checked_rem(items.len() as u64)?;
                items.get(index as usize).map(Cow::Borrowed)
            }
            Slot::Column { payload, column } => {
                let row = self.shared.payloads[*payload]
                    .row(self.arrival, self.chance(*payload as u64))?;
                row.get(*column).map(Cow::Borrowed)
            }
            Slot::Uuid => Some(Cow::Owned(self.uuid())),
        }
    }
}

/// The finaliser of splitmix64: neighbouring numbers come out unrelated.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
