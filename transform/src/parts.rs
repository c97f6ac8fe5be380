//! The parts that a request or an answer is made of, each read and changed where it stands: what is not
//! changed stays as it was sent, byte by byte.

use std::fmt;

pub mod coding;
pub mod cookies;
pub mod headers;
pub mod json;
pub mod media;
pub mod multipart;
pub mod pairs;

/// Why a part cannot be read, and so not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The body is no JSON.
    NotJson,
    /// The body is no form.
    NotForm,
    /// Nobody can look into a body of this kind.
    Opaque,
    /// `Content-Encoding` says what nobody can undo, or not what the body is.
    Encoding,
    /// It is over its bound.
    TooLarge,
    /// Memory was not granted.
    NoBudget,
    /// What it should be cannot be written there, a line end in a header for one.
    Value,
}

impl Fault {
    /// The words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotJson => "the body is no JSON",
            Self::NotForm => "the body is no form",
            Self::Opaque => "nobody can look into the body",
            Self::Encoding => "the body cannot be decoded",
            Self::TooLarge => "the body is too large",
            Self::NoBudget => "there is no memory for the body",
            Self::Value => "what it should be cannot stand there",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
