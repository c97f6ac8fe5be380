//! Packets and capture files, made by hand: with what no kernel would send, too.

use std::net::{IpAddr, SocketAddr};

/// A TCP segment to be.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: Option<u32>,
    /// Letters: S, F, R.
    pub(crate) flags: &'static str,
    pub(crate) payload: Vec<u8>,
}

impl Tcp {
    /// Header and payload.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let flag = |letter, bit| if self.flags.contains(letter) { bit } else { 0_u8 };
        let ack = if self.acknowledged.is_some() { 0x10 } else { 0 };
        let flags = flag('F', 1) | flag('S', 2) | flag('R', 4) | ack;
        let mut bytes = Vec::new();
        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.to.port().to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledged.unwrap_or(0).to_be_bytes());
        bytes.extend([5 << 4, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        bytes.extend(&self.payload);
        bytes
    }

    /// In IP.
    pub(crate) fn ip(&self) -> Vec<u8> {
        ip(self.from.ip(), self.to.ip(), 6, &self.bytes())
    }

    /// In Ethernet.
    pub(crate) fn frame(&self) -> Vec<u8> {
        ethernet(&[], &self.ip())
    }
}

/// An IP packet; its length field is 0 where the packet is longer than that can say.
pub(crate) fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(_), _) => ip4_fragment(from, to, protocol, 0, 0, false, payload),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend(u16::try_from(payload.len()).unwrap_or(0).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
            bytes.extend(payload);
            bytes
        }
        _ => panic!("both of one version"),
    }
}

/// One fragment of an IPv4 datagram.
pub(crate) fn ip4_fragment(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    id: u16,
    offset: usize,
    more: bool,
    payload: &[u8],
) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else { panic!("IPv4") };
    let mut bytes = vec![0x45, 0];
    bytes.extend(u16::try_from(payload.len() + 20).unwrap_or(0).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    let field = u16::try_from(offset / 8).unwrap() | if more { 0x2000 } else { 0 };
    bytes.extend(field.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    bytes.extend(payload);
    bytes
}

/// The fragment header of IPv6, and what is behind it.
pub(crate) fn ip6_fragment(
    protocol: u8,
    id: u32,
    offset: usize,
    more: bool,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![protocol, 0];
    bytes.extend((u16::try_from(offset).unwrap() | u16::from(more)).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An Ethernet frame with these VLAN tags, the outer one first.
pub(crate) fn ethernet(vlans: &[u16], ip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (place, vlan) in vlans.iter().enumerate() {
        let outer = place + 1 < vlans.len();
        bytes.extend(if outer { [0x88, 0xA8] } else { [0x81, 0x00] });
        bytes.extend(vlan.to_be_bytes());
    }
    bytes.extend(if ip[0] >> 4 == 6 { [0x86, 0xDD] } else { [0x08, 0x00] });
    bytes.extend(ip);
    bytes
}

/// A UDP packet.
pub(crate) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes.extend(u16::try_from(payload.len() + 8).unwrap_or(0).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// What VXLAN sends in UDP.
pub(crate) fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x08, 0, 0, 0];
    bytes.extend((vni << 8).to_be_bytes());
    bytes.extend(frame);
    bytes
}

/// What GENEVE sends in UDP, with options of so many times four bytes.
pub(crate) fn geneve(vni: u32, options: u8, protocol: u16, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![options, 0];
    bytes.extend(protocol.to_be_bytes());
    bytes.extend((vni << 8).to_be_bytes());
    bytes.extend(vec![0xAA; usize::from(options) * 4]);
    bytes.extend(inner);
    bytes
}

/// A frame in a tunnel's packet between two hosts that nothing else here comes from.
pub(crate) fn outer(port: u16, payload: &[u8]) -> Vec<u8> {
    let (from, to) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    ethernet(&[], &ip(from, to, 17, &udp(55_555, port, payload)))
}

/// A frame in a file: when it was seen in nanoseconds, what was captured of it, and how long it was.
pub(crate) type Record = (u64, Vec<u8>, usize);

/// How numbers are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    fn put<const N: usize>(self, little: [u8; N], to: &mut Vec<u8>) {
        match self {
            Self::Little => to.extend(little),
            Self::Big => to.extend(little.iter().rev()),
        }
    }

    fn two(self, value: u16, to: &mut Vec<u8>) {
        self.put(value.to_le_bytes(), to);
    }

    fn four(self, value: u32, to: &mut Vec<u8>) {
        self.put(value.to_le_bytes(), to);
    }
}

fn short(value: impl TryInto<u32>) -> u32 {
    value.try_into().ok().unwrap()
}

/// A pcap file.
pub(crate) fn pcap(order: Order, nanos: bool, link: u32, records: &[Record]) -> Vec<u8> {
    let mut file = Vec::new();
    order.four(if nanos { 0xA1B2_3C4D } else { 0xA1B2_C3D4 }, &mut file);
    order.two(2, &mut file);
    order.two(4, &mut file);
    for number in [0, 0, 262_144, link] {
        order.four(number, &mut file);
    }
    for (at, bytes, original) in records {
        let fraction = at % 1_000_000_000 / if nanos { 1 } else { 1000 };
        for number in
            [short(at / 1_000_000_000), short(fraction), short(bytes.len()), short(*original)]
        {
            order.four(number, &mut file);
        }
        file.extend(bytes);
    }
    file
}

/// A block of pcapng.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = short(body.len() + padding + 12);
    order.four(kind, &mut block);
    order.four(length, &mut block);
    block.extend(body);
    block.extend(vec![0; padding]);
    order.four(length, &mut block);
    block
}

/// The beginning of a section of pcapng.
pub(crate) fn section(order: Order) -> Vec<u8> {
    let mut body = Vec::new();
    order.four(0x1A2B_3C4D, &mut body);
    order.two(1, &mut body);
    order.two(0, &mut body);
    body.extend([0xFF; 8]);
    block(order, 0x0A0D_0D0A, &body)
}

/// An interface of pcapng: with its link, the resolution of its times, and their offset in seconds.
pub(crate) fn interface(order: Order, link: u16, resolution: Option<u8>, offset: i64) -> Vec<u8> {
    let mut body = Vec::new();
    order.two(link, &mut body);
    order.two(0, &mut body);
    order.four(0, &mut body);
    if let Some(resolution) = resolution {
        order.two(9, &mut body);
        order.two(1, &mut body);
        body.extend([resolution, 0, 0, 0]);
    }
    if offset != 0 {
        order.two(14, &mut body);
        order.two(8, &mut body);
        order.put(offset.to_le_bytes(), &mut body);
    }
    order.four(0, &mut body);
    block(order, 1, &body)
}

/// A packet of pcapng; its time is in the units of its interface.
pub(crate) fn packet(
    order: Order,
    interface: u32,
    units: u64,
    frame: &[u8],
    original: usize,
) -> Vec<u8> {
    let mut body = Vec::new();
    order.four(interface, &mut body);
    order.four(short(units >> 32), &mut body);
    order.four(short(units & 0xFFFF_FFFF), &mut body);
    order.four(short(frame.len()), &mut body);
    order.four(short(original), &mut body);
    body.extend(frame);
    block(order, 6, &body)
}

/// A pcapng file with one interface, in nanoseconds.
pub(crate) fn pcapng(order: Order, link: u16, records: &[Record]) -> Vec<u8> {
    let mut file = section(order);
    file.extend(interface(order, link, Some(9), 0));
    for (at, bytes, original) in records {
        file.extend(packet(order, 0, *at, bytes, *original));
    }
    file
}
