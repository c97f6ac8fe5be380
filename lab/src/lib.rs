//! The lab: the whole stack in one process, without containers, to watch and to try.

pub mod options;
pub mod output;
pub mod prometheus_text;
pub mod scenario;
pub mod soak;
pub mod stack;
pub mod status;
pub mod traffic;
