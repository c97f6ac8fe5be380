//! From packets to the byte streams of TCP connections: files, links, tunnels, fragments, reassembly. Nothing
//! here knows what the bytes mean, opens a file or reads a clock.
//!
//! What comes in is hostile: nothing panics, all that can grow has a bound in [`Limits`], and what is
//! not understood is counted ([`Fate`]).
//!
//! A frame goes from [`mod@file`] (or from a socket) through `link`, `ip`, `fragment` and `tunnel`, which
//! `dissect` calls, to the `table` of connections; there each `half` puts its segments in order
//! and tells them to what reads the connection.

mod assembler;
mod connection;
mod dissect;
mod fate;
pub mod file;
mod fragment;
mod frame;
mod half;
mod ip;
mod limits;
mod link;
mod queue;
mod store;
pub mod stream;
mod table;
mod teller;
mod tunnel;

pub use assembler::Assembler;
pub use fate::{Counts, Fate, Totals};
pub use file::{Capture, FileError};
pub use frame::{Frame, Link};
pub use limits::{Filter, Limits};
pub use stream::{Direction, End, Endpoints, Nanos, Streams};
pub use tunnel::Tunnel;
