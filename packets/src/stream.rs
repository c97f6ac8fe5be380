//! What a connection's bytes are told to.

use std::net::SocketAddr;

/// Nanoseconds since the Unix epoch, by the clock of who saw the packet.
pub type Nanos = u64;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From [`Endpoints::one`] to [`Endpoints::other`].
    Forth,
    /// The other way.
    Back,
}

/// The two ends of a connection, and the network that it was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoints {
    /// Who opened it, where that was seen; else who is the client by the ports.
    pub one: SocketAddr,
    /// The one it was opened to.
    pub other: SocketAddr,
    /// The virtual network (a VNI of VXLAN or GENEVE, a VLAN): the same addresses in another are others.
    pub network: u32,
    /// Whether its opening was seen, so that who is who is known and no byte is missing before the first.
    pub opened: bool,
}

/// How one direction of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// By FIN, with all bytes told.
    Finished,
    /// By RST.
    Reset,
    /// It was given up: nothing came for too long, its place was needed, or the source is over.
    GivenUp,
}

/// What reads the two streams of one connection. Bytes of a direction come in order; those of both come
/// in the order of the packets that completed them.
pub trait Streams {
    /// Bytes that follow what was told of this direction before. `at` is when the packet with the
    /// last of them was seen.
    fn data(&mut self, direction: Direction, at: Nanos, bytes: &[u8]);

    /// Bytes are missing here, so many where that is known: what follows is no continuation.
    fn gap(&mut self, direction: Direction, at: Nanos, missing: Option<u64>);

    /// Nothing more comes in this direction.
    fn end(&mut self, direction: Direction, at: Nanos, how: End);
}
