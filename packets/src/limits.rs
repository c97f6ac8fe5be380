//! What may grow, how far and how long; and which connections are looked at.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::fate::Fate;
use crate::stream::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// The bounds of an [`Assembler`](crate::Assembler). Times are by the packets' own clock.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Established connections: those with bytes, and of which more than one packet was seen. Beyond
    /// that the one that was silent for longest is given up.
    pub connections: usize,
    /// Connections that have shown less, half-open ones for example. They have a bound of their own,
    /// so that a flood of them costs no established one its place.
    pub opening: usize,
    /// Connections that are over or not wanted; remembered so that late packets begin no new one.
    pub closed: usize,
    /// Bytes held out of order for one direction of a connection; each run of bytes weighs
    /// [`Limits::PIECE`] more than it has. Beyond that the first hole is given up.
    pub held: usize,
    /// The same for all connections together; the oldest hole is given up first.
    pub held_in_all: usize,
    /// How far ahead of what was told a segment, an acknowledgement or a reset may be, in bytes. For
    /// a segment beyond that holes are given up; the others are not believed. As RFC 7323 section 2.3 has
    /// it, no window is larger than 1 GiB.
    pub window: u32,
    /// How long a hole may stay open. What was lost on the way is sent again, at times after many
    /// seconds (RFC 6298 section 5.5); what was not captured is known by its acknowledgement, long before.
    pub hole: Nanos,
    /// How long one that the other side has acknowledged stays open: more than 0 only where what
    /// brings packets here may change their order. It ends with the next packet behind that time.
    pub grace: Nanos,
    /// How long an established connection may be silent.
    pub idle: Nanos,
    /// How long one may be silent that is not established.
    pub idle_opening: Nanos,
    /// How long one is remembered that is over.
    pub linger: Nanos,
    /// Datagrams of which fragments are held.
    pub datagrams: usize,
    /// Bytes of fragments held, each with [`Limits::PIECE`] more than it has.
    pub fragments: usize,
    /// How long fragments are held; RFC 8200 section 4.5 says 60 seconds, Linux does 30.
    pub fragment: Nanos,
    /// How many tunnels a packet may be in.
    pub tunnels: u8,
    /// UDP ports to which VXLAN goes.
    pub vxlan: Vec<u16>,
    /// UDP ports to which GENEVE goes.
    pub geneve: Vec<u16>,
}

impl Limits {
    /// What a run of bytes weighs beside its bytes: an estimate of what the allocator and the tree
    /// that it is in take.
    pub const PIECE: usize = 96;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            opening: 16_384,
            closed: 65_536,
            held: 4 << 20,
            held_in_all: 256 << 20,
            window: 64 << 20,
            hole: 30 * SECOND,
            grace: 0,
            idle: 600 * SECOND,
            idle_opening: 30 * SECOND,
            linger: 30 * SECOND,
            datagrams: 1024,
            fragments: 16 << 20,
            fragment: 30 * SECOND,
            tunnels: 3,
            vxlan: vec![4789],
            geneve: vec![6081],
        }
    }
}

/// Which TCP packets are looked at. An empty list is all of them.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The servers' ports: one of both ports is to be among them. They also say who is the server
    /// where the opening of a connection was not seen.
    pub ports: Vec<u16>,
    /// One of both addresses is to be in one of these.
    pub hosts: Vec<IpNet>,
    /// The networks, as in [`Endpoints::network`](crate::Endpoints::network).
    pub networks: Vec<u32>,
}

impl Filter {
    /// Why these are not looked at, if so.
    pub(crate) fn refuses(
        &self,
        hosts: [IpAddr; 2],
        ports: [u16; 2],
        network: u32,
    ) -> Option<Fate> {
        if !self.ports.is_empty() && !ports.iter().any(|port| self.ports.contains(port)) {
            return Some(Fate::OtherPort);
        }
        let listed = |host: &IpAddr| self.hosts.iter().any(|net| net.contains(host));
        if !self.hosts.is_empty() && !hosts.iter().any(listed) {
            return Some(Fate::OtherHost);
        }
        if !self.networks.is_empty() && !self.networks.contains(&network) {
            return Some(Fate::OtherNetwork);
        }
        None
    }

    /// Whether the first of two ports is the server's, as far as ports tell: the one that is listed,
    /// else the lower one, since those that clients are given are high (RFC 6335 section 6).
    pub(crate) fn serves(&self, first: u16, second: u16) -> bool {
        match (self.ports.contains(&first), self.ports.contains(&second)) {
            (true, false) => true,
            (false, true) => false,
            _ => first < second,
        }
    }
}
