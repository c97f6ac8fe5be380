//! What conversations make of bytes, from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod dialogues;
mod http1;
mod http2;
mod recorded;
mod speed;
mod support;
mod tls;
