//! What became of each packet, counted, so that nothing goes missing unsaid; and what became of
//! connections.

/// What became of one frame. Each that is handed in has exactly one fate, settled while it is handed
/// in, so that at any time the counts add up to the frames.
///
/// A segment that waits for what is missing before it counts as [`Fate::OutOfOrder`] and keeps that
/// fate when it is told later. Of the fragments of a datagram all but the one that completes it are
/// [`Fate::FragmentHeld`]; the last one has the fate of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// Its bytes were told at once.
    Delivered,
    /// Its bytes are held until those before them come or are given up.
    OutOfOrder,
    /// It carried bytes, all of which were there before: a retransmission, a keep-alive probe.
    Duplicate,
    /// It carried bytes of a connection joined in the middle, from before where it was joined.
    BeforeStart,
    /// Its payload was cut by the snap length or on its way here; what is there was told or is held.
    Truncated,
    /// A segment without bytes: SYN, FIN, RST, or an acknowledgement alone.
    NoPayload,
    /// It carried bytes behind the end of its direction or connection.
    AfterEnd,
    /// Bytes of a connection that nobody wanted to read.
    NotWanted,
    /// A reset too far from where its direction is to be believed (RFC 5961 section 3).
    OutOfWindow,
    /// TCP, and neither port is in [`Filter::ports`](crate::Filter::ports).
    OtherPort,
    /// TCP, and neither address is in [`Filter::hosts`](crate::Filter::hosts).
    OtherHost,
    /// TCP, in a network that is not in [`Filter::networks`](crate::Filter::networks).
    OtherNetwork,
    /// The capture's link type is not understood.
    UnknownLink,
    /// Neither IPv4 nor IPv6 behind what is understood: ARP, MPLS, PPPoE and others.
    NotIp,
    /// IP, and neither TCP nor a tunnel.
    NotTcp,
    /// A header contradicts itself or is not whole, in a frame that is.
    Malformed,
    /// The snap length left no whole headers.
    HeaderCut,
    /// A fragment that waits for the rest of its datagram.
    FragmentHeld,
    /// A fragment that was there before, the same byte for byte.
    FragmentDuplicate,
    /// A fragment that overlaps another, or of a datagram that had such (RFC 5722, RFC 8200 section 4.5).
    FragmentOverlap,
    /// A fragment that does not fit its datagram, or is longer than one may be.
    FragmentMalformed,
    /// A fragment cut by the snap length.
    FragmentCut,
    /// To the port of a tunnel, and not what such a tunnel carries.
    TunnelInvalid,
    /// In more tunnels than [`Limits::tunnels`](crate::Limits::tunnels).
    TunnelTooDeep,
}

impl Fate {
    /// Every fate, in the order of their discriminants.
    pub const ALL: [Self; 24] = [
        Self::Delivered,
        Self::OutOfOrder,
        Self::Duplicate,
        Self::BeforeStart,
        Self::Truncated,
        Self::NoPayload,
        Self::AfterEnd,
        Self::NotWanted,
        Self::OutOfWindow,
        Self::OtherPort,
        Self::OtherHost,
        Self::OtherNetwork,
        Self::UnknownLink,
        Self::NotIp,
        Self::NotTcp,
        Self::Malformed,
        Self::HeaderCut,
        Self::FragmentHeld,
        Self::FragmentDuplicate,
        Self::FragmentOverlap,
        Self::FragmentMalformed,
        Self::FragmentCut,
        Self::TunnelInvalid,
        Self::TunnelTooDeep,
    ];

    /// The word for it in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::BeforeStart => "before_start",
            Self::Truncated => "truncated",
            Self::NoPayload => "no_payload",
            Self::AfterEnd => "after_end",
            Self::NotWanted => "not_wanted",
            Self::OutOfWindow => "out_of_window",
            Self::OtherPort => "other_port",
            Self::OtherHost => "other_host",
            Self::OtherNetwork => "other_network",
            Self::UnknownLink => "unknown_link",
            Self::NotIp => "not_ip",
            Self::NotTcp => "not_tcp",
            Self::Malformed => "malformed",
            Self::HeaderCut => "header_cut",
            Self::FragmentHeld => "fragment_held",
            Self::FragmentDuplicate => "fragment_duplicate",
            Self::FragmentOverlap => "fragment_overlap",
            Self::FragmentMalformed => "fragment_malformed",
            Self::FragmentCut => "fragment_cut",
            Self::TunnelInvalid => "tunnel_invalid",
            Self::TunnelTooDeep => "tunnel_too_deep",
        }
    }
}

/// How many packets had which fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Fate::ALL.len()]);

impl Counts {
    /// So many had this one.
    pub fn of(&self, fate: Fate) -> u64 {
        self.0[fate as usize]
    }

    /// Each fate, and how many had it.
    pub fn iter(&self) -> impl Iterator<Item = (Fate, u64)> {
        Fate::ALL.into_iter().zip(self.0)
    }

    /// All that were handed in.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, fate: Fate) {
        self.0[fate as usize] += 1;
    }
}

/// What became of connections, of the bytes that are missing in them, and of fragmented datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections whose opening was seen.
    pub opened: u64,
    /// Connections that were joined in the middle.
    pub joined: u64,
    /// Those that ended by a FIN in each direction.
    pub finished: u64,
    /// By RST.
    pub reset: u64,
    /// Given up because the same ports were opened anew.
    pub replaced: u64,
    /// Given up for their silence.
    pub idle: u64,
    /// Given up to make room, having shown too little to count as established.
    pub evicted_opening: u64,
    /// Given up to make room, established.
    pub evicted: u64,
    /// Not over when the source was.
    pub unfinished: u64,
    /// Nobody wanted to read them.
    pub not_wanted: u64,
    /// Holes: bytes that were sent and never captured.
    pub gaps: u64,
    /// So many bytes were in them.
    pub missing: u64,
    /// Segments with a payload that was cut, as far as that was told as a gap.
    pub cuts: u64,
    /// So many bytes were cut off.
    pub cut: u64,
    /// Datagrams put together from fragments.
    pub reassembled: u64,
    /// Datagrams whose fragments were given up, for their age or to make room.
    pub fragments_given_up: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_has_each_fate_in_the_place_that_its_count_has() {
        for (place, fate) in Fate::ALL.into_iter().enumerate() {
            assert_eq!(fate as usize, place);
        }
    }

    #[test]
    fn names_are_the_fates_in_snake_case() {
        for fate in Fate::ALL {
            let mut name = String::new();
            for letter in format!("{fate:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.extend(letter.to_lowercase());
            }
            assert_eq!(fate.name(), name);
        }
    }
}
