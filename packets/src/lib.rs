//! From packets to the byte streams of TCP connections: files, links, tunnels, fragments, reassembly. Nothing
//! here knows what the bytes mean, opens a file or reads a clock.

pub mod stream;

pub use stream::{Direction, End, Endpoints, Streams};
