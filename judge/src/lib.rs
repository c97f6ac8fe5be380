//! Pure: what the pairs of answers say of a candidate.
//!
//! Two judges take in the same pairs ([`Pair`]). The [`guardrail`] asks whether the candidate *became* bad, at any
//! moment, and stops mirroring when it did; the [`report`] asks what the candidate *is like*, and gives a
//! [`verdict`] that a release can be gated on. Neither reads a clock, rolls dice or does IO: times are
//! arguments, and what was decided is returned.

pub mod guardrail;
pub mod history;
pub mod pair;
pub mod report;
pub mod verdict;

pub use pair::{Call, Comparison, Epoch, Pair};
