//! Users of the shop. Reading order: [`mix`] is what they ask for, `options` the command line,
//! `stats` what they saw, `attack` the load test.

#[cfg(feature = "attack")]
pub mod attack;
pub mod mix;
#[cfg(feature = "attack")]
pub mod options;
#[cfg(feature = "attack")]
pub mod stats;
