//! What stands in the place of a value.

use std::sync::Arc;

use super::key::Key;

/// What masked values read.
pub const MASK: &str = "***";

/// How a value is hidden.
#[derive(Clone, Debug)]
pub enum Way {
    /// It is taken out, with its name.
    Remove,
    /// [`MASK`] stands there, whatever it was.
    Mask,
    /// A pseudonym: the same for the same value, wherever it stands.
    Hash(Arc<Key>),
    /// A pseudonym of the same length and classes of characters, so that it passes for a value.
    Shape(Arc<Key>),
}

impl Way {
    /// The word for it in settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Mask => "mask",
            Self::Hash(_) => "hash",
            Self::Shape(_) => "shape",
        }
    }

    /// What a text reads from now on; `None` for nothing at all. An empty one says nothing, and stays.
    pub fn text(&self, value: &str) -> Option<String> {
        match self {
            Self::Remove => None,
            _ if value.is_empty() => Some(String::new()),
            Self::Mask => Some(MASK.to_owned()),
            Self::Hash(key) => Some(key.hash(value)),
            Self::Shape(key) => Some(key.shape(value)),
        }
    }
}
