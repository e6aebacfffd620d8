//! CSV payloads: rows shared by all users, and which user gets which row.

use std::sync::Arc;

use serde_json::{Map, Value};

/// One CSV file, ready to use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Payload {
    fields: Arc<[Arc<str>]>,
    rows: Arc<[Box<[Value]>]>,
    order: Order,
    whole: Option<(Arc<str>, Arc<Value>)>,
}

/// Which row a user gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any.
    Random,
    /// The next in the global order of arrivals, from the top again after the last.
    Sequence,
}

impl Payload {
    /// A payload of `rows` whose columns become the variables `fields`.
    pub fn new(fields: Vec<Arc<str>>, rows: Vec<Box<[Value]>>, order: Order) -> Payload {
        Payload {
            fields: fields.into(),
            rows: rows.into(),
            order,
            whole: None,
        }
    }

    /// The same payload as one variable `name` that holds the whole file (`loadAll`): a list of
    /// objects, or of lists when there are no fields.
    pub fn load_all(mut self, name: &str) -> Payload {
        let rows = self.rows.iter().map(|row| self.row_value(row)).collect();
        self.whole = Some((name.into(), Arc::new(Value::Array(rows))));
        self.rows = Arc::default();
        self
    }

    fn row_value(&self, row: &[Value]) -> Value {
        if self.fields.is_empty() {
            return Value::Array(row.to_vec());
        }
        let members = self
            .fields
            .iter()
            .zip(row)
            .map(|(field, value)| (field.to_string(), value.clone()));
        Value::Object(Map::from_iter(members))
    }

    /// The names of the columns that become variables.
    pub fn fields(&self) -> &[Arc<str>] {
        &self.fields
    }

    /// Variable and value when the whole file is one variable.
    pub fn whole(&self) -> Option<(&Arc<str>, &Arc<Value>)> {
        self.whole.as_ref().map(|(name, rows)| (name, rows))
    }

    /// The row of the user that arrives as number `arrival` of the whole test and drew `chance`;
    /// `None` when there are no rows.
    pub fn row(&self, arrival: u64, chance: u64) -> Option<&[Value]> {
        let number = match self.order {
            Order::Random => chance,
            Order::Sequence => arrival,
        };
        let index = number.checked_rem(self.rows.len() as u64)?;
        self.rows.get(index as usize).map(|row| &**row)
    }

    /// How many rows there are to pick from.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}
