//! The lab: the whole stack in one process, or in a few, without containers, to watch and to try.

pub mod beside;
pub mod options;
pub mod output;
pub mod part;
pub mod prometheus_text;
pub mod scenario;
mod service;
pub mod soak;
pub mod stack;
pub mod status;
pub mod traffic;
pub mod trial;
