//! What is in a packet of VXLAN or GENEVE.

use crate::fate::Fate;
use crate::frame::{Link, Part};

/// A kind of tunnel over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// RFC 7348; traffic mirroring of AWS is such.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

/// A frame in a tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner<'a> {
    pub(crate) vni: u32,
    pub(crate) link: Link,
    pub(crate) frame: Part<'a>,
}

/// Reads the payload of a tunnel's UDP packet.
pub(crate) fn inner(tunnel: Tunnel, payload: Part<'_>) -> Result<Inner<'_>, Fate> {
    let header: &[u8; 8] = match payload.bytes.first_chunk() {
        Some(header) => header,
        None if payload.cut > 0 => return Err(Fate::HeaderCut),
        None => return Err(Fate::TunnelInvalid),
    };
    let vni = u32::from_be_bytes([0, header[4], header[5], header[6]]);
    match tunnel {
        Tunnel::Vxlan => vxlan(*header).map(|()| {
            let frame = payload.behind(8);
            Inner { vni, link: Link::Ethernet, frame }
        }),
        Tunnel::Geneve => {
            let (length, link) = geneve(*header)?;
            if payload.bytes.len() < length {
                return Err(payload.short());
            }
            Ok(Inner { vni, link, frame: payload.behind(length) })
        }
    }
}

/// RFC 7348 section 5. The flag that the generic protocol extension has for another protocol than
/// Ethernet is none of VXLAN's.
fn vxlan(header: [u8; 8]) -> Result<(), Fate> {
    const VNI_VALID: u8 = 0x08;
    const NEXT_PROTOCOL: u8 = 0x04;
    if header[0] & (VNI_VALID | NEXT_PROTOCOL) == VNI_VALID {
        Ok(())
    } else {
        Err(Fate::TunnelInvalid)
    }
}

/// RFC 8926 section 3.4: how long the header is with its options, and what is behind it.
fn geneve(header: [u8; 8]) -> Result<(usize, Link), Fate> {
    const CONTROL: u8 = 0x80;
    let version = header[0] >> 6;
    if version != 0 || header[1] & CONTROL != 0 {
        return Err(Fate::TunnelInvalid);
    }
    let options = usize::from(header[0] & 0x3F) * 4;
    let link = match u16::from_be_bytes([header[2], header[3]]) {
        0x6558 => Link::Ethernet,
        0x0800 | 0x86DD => Link::Raw,
        _ => return Err(Fate::TunnelInvalid),
    };
    Ok((8 + options, link))
}
