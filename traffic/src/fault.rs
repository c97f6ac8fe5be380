//! What is wrong with a part of a recording, and where that part is.

use std::fmt;
use std::io;

/// Bytes of a value that are shown of it.
const SHOWN: usize = 200;

/// One part of a recording could not be read. Unless the iterator ends behind it, reading goes on
/// with the next part.
#[derive(Debug)]
pub struct ReadError {
    /// The file, where there are several.
    pub file: Option<String>,
    /// Where in it.
    pub place: Place,
    /// What is wrong there.
    pub fault: Fault,
}

/// Where in a recording something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line, from 1.
    Line(u64),
    /// The entry of a HAR file, from 1.
    Entry(u64),
    /// The record of a `.gor` file, from 1.
    Record(u64),
    /// The byte of the file as it is stored, from 0.
    Byte(u64),
}

/// What is wrong.
#[derive(Debug)]
pub enum Fault {
    /// No JSON.
    Syntax(String),
    /// A field has a wrong value or none.
    Field {
        /// Its path, such as `request.headers[0].name`.
        field: String,
        /// Its value, and what is allowed.
        problem: String,
    },
    /// Longer than [`Limits`](crate::Limits) allow.
    TooLong {
        /// The bound in bytes.
        limit: usize,
    },
    /// A record of a `.gor` file, or the message in it, is malformed.
    Record(String),
    /// The recording ends within a part, or goes on with what can't be read.
    Torn(String),
    /// The source of the bytes failed.
    Io(io::Error),
}

impl Fault {
    /// A field's value is none of the allowed ones.
    pub(crate) fn value(field: &str, value: &str, allowed: &str) -> Self {
        let problem = format!("`{}`, allowed is {allowed}", shown(value));
        Self::Field { field: field.to_owned(), problem }
    }

    /// A field that has to be there is not.
    pub(crate) fn missing(field: &str, allowed: &str) -> Self {
        Self::Field { field: field.to_owned(), problem: format!("missing, allowed is {allowed}") }
    }

    /// The error says itself what was found and what was expected.
    pub(crate) fn json(field: &str, error: &serde_json::Error) -> Self {
        let problem = shown(&error.to_string());
        if error.is_data() && field != "." {
            Self::Field { field: field.to_owned(), problem }
        } else {
            Self::Syntax(problem)
        }
    }

    pub(crate) fn at(self, place: Place) -> ReadError {
        ReadError { file: None, place, fault: self }
    }
}

/// The beginning and, for what was expected and where, the end of a long text.
fn shown(text: &str) -> String {
    if text.len() <= 2 * SHOWN {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(SHOWN)];
    format!("{head}…{}", &text[text.ceil_char_boundary(text.len() - SHOWN)..])
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(problem) => write!(f, "no JSON: {problem}"),
            Self::Field { field, problem } => write!(f, "`{field}`: {problem}"),
            Self::TooLong { limit } => write!(f, "longer than {limit} bytes"),
            Self::Record(problem) => write!(f, "malformed record: {problem}"),
            Self::Torn(problem) => write!(f, "torn: {problem}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(at) => write!(f, "line {at}"),
            Self::Entry(at) => write!(f, "entry {at}"),
            Self::Record(at) => write!(f, "record {at}"),
            Self::Byte(at) => write!(f, "byte {at}"),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        write!(f, "{}: {}", self.place, self.fault)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io(error) => Some(error),
            _ => None,
        }
    }
}
