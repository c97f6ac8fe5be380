//! The crate as its users see it: frames and files in, streams out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
mod build;
mod cases;
mod files;
mod layers;
mod log;
mod property;
mod throughput;
mod tshark;
