//! Pure: what a copy of a request becomes before it goes to a candidate, and what of traffic is never
//! shown. Values in, values out: no clock, no dice, nothing sent.

mod copy;
pub mod hook;
pub mod identity;
pub mod parts;
pub mod redact;
pub mod steps;
pub mod value;

pub use copy::{Answer, CopyRequest};
