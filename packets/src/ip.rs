//! IPv4 and IPv6 headers. Checksums are not looked at: where a network card computes them, a capture
//! on the sender shows what was there before.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, ip_number,
};

use crate::fate::Fate;
use crate::frame::Part;

/// Longer than any packet that a kernel hands to its network card to be cut up (512 KiB).
const LONGEST: usize = 1 << 20;

/// What an IP packet says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) content: Content<'a>,
}

/// What is in an IP packet: behind all headers that are IP's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) protocol: u8,
    pub(crate) payload: Part<'a>,
    pub(crate) fragment: Option<Fragment>,
}

/// Where a fragment is in its datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment {
    pub(crate) id: u32,
    pub(crate) offset: usize,
    pub(crate) more: bool,
}

/// Reads an IP packet; the version is told by its first four bits.
pub(crate) fn datagram(packet: Part<'_>) -> Result<Datagram<'_>, Fate> {
    match packet.bytes.first().map(|byte| byte >> 4) {
        Some(4) => version_4(packet),
        Some(6) => version_6(packet),
        Some(_) => Err(Fate::Malformed),
        None => Err(packet.short()),
    }
}

/// RFC 791 section 3.1.
fn version_4(packet: Part<'_>) -> Result<Datagram<'_>, Fate> {
    let header = Ipv4HeaderSlice::from_slice(packet.bytes).map_err(|_| packet.short())?;
    let length = header.slice().len();
    let total = match usize::from(header.total_len()) {
        // The network card was to cut it up and to fill this in.
        0 => packet.total().min(LONGEST),
        total if total < length => return Err(Fate::Malformed),
        total => total,
    };
    let fragment = header.is_fragmenting_payload().then(|| Fragment {
        id: u32::from(header.identification()),
        offset: usize::from(header.fragments_offset().byte_offset()),
        more: header.more_fragments(),
    });
    let payload = packet.first(total).behind(length);
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        content: Content { protocol: header.protocol().0, payload, fragment },
    })
}

/// RFC 8200 section 3.
fn version_6(packet: Part<'_>) -> Result<Datagram<'_>, Fate> {
    let header = Ipv6HeaderSlice::from_slice(packet.bytes).map_err(|_| packet.short())?;
    let rest = packet.behind(header.slice().len());
    let payload = match usize::from(header.payload_length()) {
        // As for IPv4, or a jumbogram (RFC 2675 section 3).
        0 => rest.first(rest.total().min(LONGEST)),
        length => rest.first(length),
    };
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        content: extensions(header.next_header().0, payload)?,
    })
}

/// Goes behind the extension headers of IPv6 (RFC 8200 section 4), to the first that is a fragment.
pub(crate) fn extensions(mut protocol: u8, mut rest: Part<'_>) -> Result<Content<'_>, Fate> {
    let number = etherparse::IpNumber;
    loop {
        let (next, length) = if number(protocol) == ip_number::AUTH {
            let header = IpAuthHeaderSlice::from_slice(rest.bytes).map_err(|_| rest.short())?;
            (header.next_header(), header.slice().len())
        } else if number(protocol) == ip_number::IPV6_FRAG {
            let header =
                Ipv6FragmentHeaderSlice::from_slice(rest.bytes).map_err(|_| rest.short())?;
            if header.is_fragmenting_payload() {
                let fragment = Fragment {
                    id: header.identification(),
                    offset: usize::from(header.fragment_offset().byte_offset()),
                    more: header.more_fragments(),
                };
                let protocol = header.next_header().0;
                let payload = rest.behind(header.slice().len());
                return Ok(Content { protocol, payload, fragment: Some(fragment) });
            }
            // An atomic fragment is a datagram of its own (RFC 6946 section 4).
            (header.next_header(), header.slice().len())
        } else if Ipv6RawExtHeaderSlice::header_type_supported(number(protocol)) {
            let header = Ipv6RawExtHeaderSlice::from_slice(rest.bytes).map_err(|_| rest.short())?;
            (header.next_header(), header.slice().len())
        } else {
            return Ok(Content { protocol, payload: rest, fragment: None });
        };
        protocol = next.0;
        rest = rest.behind(length);
    }
}
