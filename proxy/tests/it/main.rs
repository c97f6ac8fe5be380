//! The proxy as a whole, over real sockets, between scripted upstreams and real clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod control;
mod evidence;
mod forward;
mod guardrail;
mod isolation;
mod mirror;
mod observability;
mod process;
mod shutdown;
mod tidy;
mod upstream;
