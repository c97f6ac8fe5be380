//! What of traffic is personal or secret, and what stands in its place.

mod body;
mod chars;
mod compared;
mod copy;
pub mod detect;
mod head;
mod key;
mod policy;
mod run;
mod shape;
mod way;

pub use compared::looks_personal;
pub use key::{Key, KeyError};
pub use policy::{By, Policy, RULES_MAX, Rule, Tally};
pub(crate) use run::json_edit;
pub use way::{MASK, Way};
