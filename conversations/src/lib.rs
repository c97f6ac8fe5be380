//! What the two byte streams of a connection say in HTTP: requests with their answers. Nothing here
//! knows of packets, does IO or reads a clock.
//!
//! A [`Conversation`] takes the bytes of one connection as [`packets::Streams`], and tells a [`Listener`] of
//! each [`traffic::Exchange`] and of whatever became none, as [`Lost`]. It is made for bytes that were
//! overheard: some may be missing, and both sides may lie. An exchange that comes out was said as it stands;
//! where it is not known which answer belonged to a request, neither comes out.

mod body;
mod budget;
mod conversation;
mod desk;
mod http1;
mod http2;
pub mod huffman;
mod limits;
mod lost;
mod overheard;
mod plain;
mod tls;

pub use budget::Budget;
pub use conversation::{Conversation, Setup};
pub use desk::Listener;
pub use limits::Limits;
pub use lost::{Lost, Of};
pub use overheard::{Captured, Overheard, Told};
pub use tls::keys::KeyLog;
