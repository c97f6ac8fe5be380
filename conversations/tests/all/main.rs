//! What conversations make of bytes, from outside.

mod dialogues;
mod http1;
mod http2;
mod recorded;
mod speed;
mod support;
mod tls;
