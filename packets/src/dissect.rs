//! From a frame to the TCP segment in it, through tunnels and fragments.

use std::net::{IpAddr, SocketAddr};

use etherparse::{TcpHeaderSlice, UdpHeaderSlice, ip_number};

use crate::fate::Fate;
use crate::fragment::{Fragments, Key};
use crate::frame::{Frame, Link, Part};
use crate::ip::{self, Content, Datagram};
use crate::limits::Limits;
use crate::link::{self, Network};
use crate::stream::Nanos;
use crate::tunnel::{self, Tunnel};

/// A TCP segment (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) at: Nanos,
    pub(crate) network: Network,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) payload: Part<'a>,
}

/// What takes segments, and says what became of each.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(&Segment<'_>) -> Fate;

/// Takes frames apart.
#[derive(Debug, Default)]
pub(crate) struct Dissector {
    pub(crate) fragments: Fragments,
}

/// Where a packet was found.
#[derive(Clone, Copy)]
struct Place<'l> {
    at: Nanos,
    /// By the clock that never goes back.
    now: Nanos,
    network: Network,
    tunnels: u8,
    limits: &'l Limits,
}

fn begin<'a, 'l>(frame: &Frame<'a>, now: Nanos, limits: &'l Limits) -> (Place<'l>, Part<'a>) {
    let cut = frame.original.saturating_sub(frame.bytes.len());
    let part = Part { bytes: frame.bytes, cut };
    (Place { at: frame.at, now, network: Network::default(), tunnels: 0, limits }, part)
}

impl Dissector {
    /// A frame as captured. Its time may be off; `now` never goes back.
    pub(crate) fn frame(
        &mut self,
        frame: &Frame<'_>,
        now: Nanos,
        limits: &Limits,
        sink: Sink<'_>,
    ) -> Fate {
        let (place, part) = begin(frame, now, limits);
        self.link(place, frame.link, part, sink)
    }

    /// What a socket of a tunnel's UDP port received.
    pub(crate) fn payload(
        &mut self,
        tunnel: Tunnel,
        frame: &Frame<'_>,
        now: Nanos,
        limits: &Limits,
        sink: Sink<'_>,
    ) -> Fate {
        let (place, part) = begin(frame, now, limits);
        self.tunnel(place, tunnel, part, sink)
    }

    fn link(&mut self, mut place: Place<'_>, link: Link, frame: Part<'_>, sink: Sink<'_>) -> Fate {
        let read = link::packet(link, frame, &mut place.network).and_then(ip::datagram);
        let datagram = match read {
            Ok(datagram) => datagram,
            Err(fate) => return fate,
        };
        let content = datagram.content;
        if content.fragment.is_none() {
            return self.content(place, &datagram, content, sink);
        }
        match self.defragment(place, &datagram) {
            Ok(whole) => {
                let payload = Part::whole(&whole.bytes);
                let content = match datagram.source {
                    IpAddr::V4(_) => Content { protocol: whole.protocol, payload, fragment: None },
                    IpAddr::V6(_) => match ip::extensions(whole.protocol, payload) {
                        Ok(content) => content,
                        Err(fate) => return fate,
                    },
                };
                // A fragment of a fragment is nothing that a host makes.
                match content.fragment {
                    Some(_) => Fate::FragmentMalformed,
                    None => self.content(place, &datagram, content, sink),
                }
            }
            Err(fate) => fate,
        }
    }

    fn defragment(
        &mut self,
        place: Place<'_>,
        datagram: &Datagram<'_>,
    ) -> Result<crate::fragment::Whole, Fate> {
        let Content { protocol, payload, fragment } = datagram.content;
        let fragment = fragment.ok_or(Fate::FragmentMalformed)?;
        if payload.cut > 0 {
            return Err(Fate::FragmentCut);
        }
        let key = Key {
            network: place.network,
            source: datagram.source,
            destination: datagram.destination,
            protocol: if datagram.source.is_ipv4() { protocol } else { 0 },
            id: fragment.id,
        };
        self.fragments.take(key, fragment, protocol, payload.bytes, place.now, place.limits)
    }

    fn content(
        &mut self,
        place: Place<'_>,
        datagram: &Datagram<'_>,
        content: Content<'_>,
        sink: Sink<'_>,
    ) -> Fate {
        let payload = content.payload;
        match etherparse::IpNumber(content.protocol) {
            ip_number::TCP => match segment(place, datagram, payload) {
                Ok(segment) => sink(&segment),
                Err(fate) => fate,
            },
            ip_number::UDP => match UdpHeaderSlice::from_slice(payload.bytes) {
                Ok(header) => {
                    let port = header.destination_port();
                    let tunnel = match () {
                        () if place.limits.vxlan.contains(&port) => Tunnel::Vxlan,
                        () if place.limits.geneve.contains(&port) => Tunnel::Geneve,
                        () => return Fate::NotTcp,
                    };
                    let length = match usize::from(header.length()) {
                        0 => payload.total(),
                        length if length < UDP_HEADER => return Fate::TunnelInvalid,
                        length => length,
                    };
                    self.tunnel(place, tunnel, payload.first(length).behind(UDP_HEADER), sink)
                }
                Err(_) => payload.short(),
            },
            _ => Fate::NotTcp,
        }
    }

    /// Calls itself by way of [`Self::link`], at most as often as tunnels are allowed.
    fn tunnel(
        &mut self,
        place: Place<'_>,
        tunnel: Tunnel,
        payload: Part<'_>,
        sink: Sink<'_>,
    ) -> Fate {
        if place.tunnels >= place.limits.tunnels {
            return Fate::TunnelTooDeep;
        }
        match tunnel::inner(tunnel, payload) {
            Ok(inner) => {
                let network = Network::tunnel(inner.vni);
                let place = Place { network, tunnels: place.tunnels + 1, ..place };
                self.link(place, inner.link, inner.frame, sink)
            }
            Err(fate) => fate,
        }
    }
}

const UDP_HEADER: usize = 8;

fn segment<'a>(
    place: Place<'_>,
    datagram: &Datagram<'_>,
    packet: Part<'a>,
) -> Result<Segment<'a>, Fate> {
    let header = TcpHeaderSlice::from_slice(packet.bytes).map_err(|_| packet.short())?;
    Ok(Segment {
        at: place.at,
        network: place.network,
        source: SocketAddr::new(datagram.source, header.source_port()),
        destination: SocketAddr::new(datagram.destination, header.destination_port()),
        sequence: header.sequence_number(),
        acknowledged: header.ack().then(|| header.acknowledgment_number()),
        syn: header.syn(),
        fin: header.fin(),
        rst: header.rst(),
        payload: packet.behind(header.slice().len()),
    })
}
