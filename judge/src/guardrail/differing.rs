//! Which of a route's last pairs had different answers, and where: a trip by mismatches is explained
//! with these, since latencies and failures say nothing of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use crate::pair::Request;

/// Pairs remembered.
const SIZE: usize = 256;
/// Examples kept.
const EXAMPLES: usize = 5;
/// Fields kept of a pair.
const FIELDS: usize = 8;
/// Longest name kept of a field, in bytes.
const NAME_MAX: usize = 128;

/// A pair whose answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Different {
    /// Where; empty where nobody could say.
    pub fields: Vec<String>,
    /// Method, path and query, bounded, without secrets.
    pub request: String,
    /// When.
    pub at: SystemTime,
}

/// Different answers among the last pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// The newest last, whether they differ.
    last: VecDeque<bool>,
    /// The newest last.
    examples: VecDeque<Different>,
}

impl Differing {
    pub(super) fn record(&mut self, fields: Option<&[&str]>, request: Request<'_>, at: SystemTime) {
        if self.last.len() == SIZE {
            self.last.pop_front();
        }
        self.last.push_back(fields.is_some());
        let Some(fields) = fields else { return };
        if self.examples.len() == EXAMPLES {
            self.examples.pop_front();
        }
        let cut = |field: &&str| field[..field.floor_char_boundary(NAME_MAX)].to_owned();
        let fields = fields.iter().take(FIELDS).map(cut).collect();
        self.examples.push_back(Different { fields, request: request.shown().to_owned(), at });
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many of the last pairs were compared.
    pub fn compared(&self) -> usize {
        self.last.len()
    }

    /// How many of them differ.
    pub fn different(&self) -> usize {
        self.last.iter().filter(|differs| **differs).count()
    }

    /// The latest that differ, the newest first.
    pub fn examples(&self) -> impl Iterator<Item = &Different> {
        self.examples.iter().rev()
    }

    /// The share and the fields of the examples, the most frequent first.
    pub(super) fn text(&self) -> String {
        let mut fields = BTreeMap::<&str, usize>::new();
        for field in self.examples.iter().flat_map(|example| &example.fields) {
            *fields.entry(field).or_default() += 1;
        }
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let names: Vec<_> = fields.into_iter().take(FIELDS).map(|(name, _)| name).collect();
        let (different, compared) = (self.different(), self.compared());
        let place =
            if names.is_empty() { String::new() } else { format!(" in {}", names.join(", ")) };
        let share = 100.0 * different as f64 / compared.max(1) as f64;
        format!("{different} of its last {compared} answers ({share:.1} %) differ{place}")
    }
}
