//! Exchanges of HTTP as plain data: what was asked, when and by whom, what was answered, and what came of
//! comparing that with another answer; and the formats that they are written in and read from.
//!
//! A source of traffic, be it a recording, a file of another tool or packets, is whatever yields
//! [`Exchange`]s. What is done with them is not known here.

pub mod disk;
mod entry;
pub mod exchange;
mod fault;
mod frames;
pub mod gor;
pub mod har;
pub mod kind;
mod limits;
pub mod line;
#[cfg(test)]
mod made;
pub mod open;
mod packed;
pub mod read;
pub mod segment;

pub use exchange::{Answer, Body, Clock, Difference, Exchange, Headers, Moment, Pair, Request};
pub use fault::{Fault, Place, ReadError};
pub use limits::Limits;
