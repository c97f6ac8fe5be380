//! What conversations make of bytes, from outside.

mod dialogues;
mod http1;
mod speed;
mod support;
