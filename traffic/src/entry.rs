//! One exchange as an entry of HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>) in JSON.
//! What HAR has no field for stands in fields with a leading underscore, which its readers ignore.
//! An entry with `_ns` was written here and says all exactly as it was; any other is a foreign one, and
//! what its writer is known to have changed is put right.

mod date;
mod fields;
mod foreign;
mod parsed;
mod parts;
mod text;
mod written;

use serde::Deserialize;

use crate::exchange::Exchange;
use crate::fault::Fault;

pub(crate) use date::shown;
pub(crate) use written::write;

/// What was done to a foreign entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// It was answered by the browser's own cache: nothing was asked.
    pub cached: bool,
    /// Its content was decoded before it was written: `content-encoding` and the length that it gave are
    /// left out.
    pub decoded: bool,
}

/// Reads one entry, all of `json`.
pub(crate) fn parse(json: &[u8]) -> Result<(Exchange, Notes), Fault> {
    match serde_json::from_slice::<fields::Entry<'_>>(json) {
        Ok(entry) => parsed::exchange(entry),
        Err(_) => Err(explained(json)),
    }
}

/// Reads once more what can't be read, for the path of the field.
fn explained(json: &[u8]) -> Fault {
    let mut input = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut input, &mut track);
    let error = match fields::Entry::deserialize(tracked) {
        Err(error) => error,
        Ok(_) => match input.end() {
            Err(error) => error,
            Ok(()) => return Fault::Syntax("unreadable".to_owned()),
        },
    };
    Fault::json(&track.path().to_string(), &error)
}
