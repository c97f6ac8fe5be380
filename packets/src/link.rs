//! From a frame to the IP packet in it: Ethernet with VLAN tags, Linux cooked, raw, BSD loopback.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use crate::fate::Fate;
use crate::frame::{Link, Part};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
const MOST_TAGS: usize = 8;

/// Which virtual network a packet was in.
///
/// Two are the same only where tunnel, VNI and both VLANs are; what is shown of it is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    /// Of the innermost tunnel.
    vni: Option<u32>,
    /// Of the frame in the innermost tunnel, and of the captured one where there is none: the inner
    /// tag in the low 12 bits, the outer in the next.
    vlans: u32,
}

impl Network {
    /// In a tunnel. What the tunnel itself went through is the transport's business: the way back
    /// may be another.
    pub(crate) fn tunnel(vni: u32) -> Self {
        Self { vni: Some(vni), vlans: 0 }
    }

    /// The VNI, else the VLANs.
    pub(crate) fn shown(self) -> u32 {
        self.vni.unwrap_or(self.vlans)
    }

    /// Of more than two tags the inner two count; 0 is a priority and no VLAN (IEEE 802.1Q 9.6).
    fn tag(&mut self, vlan: u16) {
        if vlan != 0 {
            self.vlans = (self.vlans << 12 | u32::from(vlan)) & 0xFF_FFFF;
        }
    }
}

/// The IP packet in a frame, tags noted in the network.
pub(crate) fn packet<'a>(
    link: Link,
    frame: Part<'a>,
    network: &mut Network,
) -> Result<Part<'a>, Fate> {
    match link {
        Link::Ethernet => {
            let header =
                Ethernet2HeaderSlice::from_slice(frame.bytes).map_err(|_| frame.short())?;
            tagged(header.ether_type().0, frame.behind(header.slice().len()), network)
        }
        // LINKTYPE_LINUX_SLL: the protocol is in the last two of 16 bytes.
        Link::Cooked => tagged(number(frame, 14)?, frame.behind(16), network),
        // LINKTYPE_LINUX_SLL2: the protocol is in the first two of 20 bytes.
        Link::Cooked2 => {
            number(frame, 18)?;
            tagged(number(frame, 0)?, frame.behind(20), network)
        }
        Link::Raw => Ok(frame),
        Link::Null => loopback(frame),
        Link::Unknown(_) => Err(Fate::UnknownLink),
    }
}

fn tagged<'a>(
    mut protocol: u16,
    mut rest: Part<'a>,
    network: &mut Network,
) -> Result<Part<'a>, Fate> {
    for _ in 0..=MOST_TAGS {
        match protocol {
            IPV4 | IPV6 => return Ok(rest),
            // 802.1Q, 802.1ad, and what was in use before the latter.
            0x8100 | 0x88A8 | 0x9100 => {
                let tag =
                    SingleVlanHeaderSlice::from_slice(rest.bytes).map_err(|_| rest.short())?;
                network.tag(tag.vlan_identifier().value());
                protocol = tag.ether_type().0;
                rest = rest.behind(tag.slice().len());
            }
            _ => return Err(Fate::NotIp),
        }
    }
    Err(Fate::NotIp)
}

/// The family is one of the machine that captured: 2 is IPv4 everywhere, IPv6 has a number on each.
fn loopback(frame: Part<'_>) -> Result<Part<'_>, Fate> {
    let family: [u8; 4] = *frame.bytes.first_chunk().ok_or_else(|| frame.short())?;
    let known = |family| matches!(family, 2 | 10 | 24 | 28 | 30);
    if known(u32::from_le_bytes(family)) || known(u32::from_be_bytes(family)) {
        Ok(frame.behind(4))
    } else {
        Err(Fate::NotIp)
    }
}

fn number(part: Part<'_>, at: usize) -> Result<u16, Fate> {
    match part.bytes.get(at..at + 2) {
        Some(bytes) => Ok(u16::from_be_bytes([bytes[0], bytes[1]])),
        None => Err(part.short()),
    }
}
