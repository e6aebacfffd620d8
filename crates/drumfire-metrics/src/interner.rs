//! Names to small dense numbers, bounded in count and length.

use crate::Recorder;
use ahash::AHashMap;

/// The names of one kind of series.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    ids: AHashMap<String, u32>,
    names: Vec<String>,
}

impl Interner {
    /// The number of a name, cut at [`Recorder::NAME_LIMIT_CHARS`]. The last of `limit`
    /// numbers is kept for [`Recorder::OTHER`], which all names past the limit share.
    pub(crate) fn intern(&mut self, name: &str, limit: usize) -> u32 {
        let name = cut(name);
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        if self.names.len() + 1 < limit {
            return self.insert(name);
        }
        match self.ids.get(Recorder::OTHER) {
            Some(id) => *id,
            None => self.insert(Recorder::OTHER),
        }
    }

    /// The name of a number that [`Interner::intern`] gave.
    pub(crate) fn name(&self, id: usize) -> &str {
        &self.names[id]
    }

    fn insert(&mut self, name: &str) -> u32 {
        let id = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }
}

fn cut(name: &str) -> &str {
    if name.len() <= Recorder::NAME_LIMIT_CHARS {
        return name;
    }
    let end = name.char_indices().nth(Recorder::NAME_LIMIT_CHARS);
    end.map_or(name, |(end, _)| &name[..end])
}
