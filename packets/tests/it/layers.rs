//! What TCP is carried in: links, tags, fragments, tunnels.

use packets::{Direction, Fate, Filter, Limits, Link, Tunnel};

use crate::build::{Tcp, ethernet, geneve, ip, ip4_fragment, ip6_fragment, outer, vxlan};
use crate::log::Bench;

fn tcp(text: &str) -> Tcp {
    Tcp {
        from: ([10, 0, 0, 1], 40_000).into(),
        to: ([10, 0, 0, 2], 80).into(),
        sequence: 1,
        acknowledged: None,
        flags: "",
        payload: text.into(),
    }
}

fn tcp6(text: &str) -> Tcp {
    let (from, to) = ("[fd00::1]:40000".parse().unwrap(), "[fd00::2]:80".parse().unwrap());
    Tcp { from, to, ..tcp(text) }
}

fn bench() -> Bench {
    Bench::new(Limits::default(), Filter::default())
}

#[test]
fn each_link_leads_to_the_packet() {
    let ip = tcp("x").ip();
    let cooked = [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &ip[..]].concat();
    let cooked2 = [&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &ip[..]].concat();
    let little = [&[2, 0, 0, 0], &ip[..]].concat();
    let big = [&[0, 0, 0, 2], &ip[..]].concat();
    let six = [&[30, 0, 0, 0], &tcp6("x").ip()[..]].concat();
    let frames = [
        (1, ethernet(&[], &ip)),
        (113, cooked),
        (276, cooked2),
        (101, ip.clone()),
        (228, ip),
        (0, little),
        (108, big),
        (0, six),
    ];
    for (link, frame) in frames {
        let mut bench = bench();
        let fate = bench.frame(0, Link::of(link), &frame, frame.len());
        assert_eq!(fate, Fate::Delivered, "{link}");
        for cut in 0..frame.len() - 1 {
            let fate = bench.frame(0, Link::of(link), &frame[..cut], frame.len());
            assert_eq!(fate, Fate::HeaderCut, "{link}: {cut} bytes");
            let fate = bench.frame(0, Link::of(link), &frame[..cut], cut);
            // Where there is an IP header, it promises more.
            assert!(matches!(fate, Fate::Malformed | Fate::HeaderCut), "{link}: {cut} bytes");
        }
    }
    let mut bench = bench();
    assert_eq!(bench.frame(0, Link::of(105), &[0; 60], 60), Fate::UnknownLink);
}

#[test]
fn vlans_are_networks_and_a_priority_is_none() {
    for (tags, network) in
        [(&[][..], 0), (&[5][..], 5), (&[0][..], 0), (&[3, 5][..], 3 << 12 | 5), (&[0, 5][..], 5)]
    {
        let mut bench = bench();
        let frame = ethernet(tags, &tcp("x").ip());
        assert_eq!(bench.ethernet(0, &frame), Fate::Delivered);
        assert_eq!(bench.only().ends.network, network);
    }
    let mut bench = bench();
    bench.ethernet(0, &ethernet(&[5], &tcp("x").ip()));
    bench.ethernet(0, &ethernet(&[6], &tcp("x").ip()));
    bench.ethernet(0, &outer(4789, &vxlan(5, &tcp("x").frame())));
    assert_eq!(bench.heard().len(), 3, "the same addresses, and not the same networks");
}

#[test]
fn what_is_not_tcp_over_ip_says_so() {
    let mut bench = bench();
    let mut arp = ethernet(&[], &tcp("x").ip());
    arp[13] = 6;
    assert_eq!(bench.ethernet(0, &arp), Fate::NotIp);
    let (from, to) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let icmp = ethernet(&[], &ip(from, to, 1, &[8, 0, 0, 0]));
    assert_eq!(bench.ethernet(0, &icmp), Fate::NotTcp);
    assert_eq!(bench.ethernet(0, &outer(53, b"dns")), Fate::NotTcp);
}

#[test]
fn tunnels_lead_to_the_frame_in_them() {
    let inner = tcp("x").frame();
    let cases = [
        (4789, vxlan(0xABCDEF, &inner)),
        (6081, geneve(0xABCDEF, 0, 0x6558, &inner)),
        (6081, geneve(0xABCDEF, 3, 0x6558, &inner)),
        (6081, geneve(0xABCDEF, 63, 0x0800, &tcp("x").ip())),
        (6081, geneve(0xABCDEF, 1, 0x86DD, &tcp6("x").ip())),
        // As a gateway load balancer hands on what a mirror sent.
        (6081, geneve(1, 8, 0x6558, &outer(4789, &vxlan(0xABCDEF, &inner)))),
    ];
    for (port, payload) in cases {
        let mut captured = bench();
        assert_eq!(captured.ethernet(0, &outer(port, &payload)), Fate::Delivered);
        let tunnel = if port == 4789 { Tunnel::Vxlan } else { Tunnel::Geneve };
        let mut received = bench();
        let mut make = received.make();
        let fate = received.assembler.payload(tunnel, 0, &payload, payload.len(), &mut make);
        assert_eq!(fate, Fate::Delivered);
        for bench in [captured, received] {
            let heard = bench.only();
            assert_eq!(heard.ends.network, 0xABCDEF);
            assert_eq!(heard.text(Direction::Forth), "x");
        }
    }
}

#[test]
fn what_is_no_tunnel_or_one_too_many_says_so() {
    let inner = tcp("x").frame();
    let mut bench = bench();
    for (change, value) in [(0, 0), (0, 0x0C)] {
        let mut payload = vxlan(7, &inner);
        payload[change] = value;
        assert_eq!(bench.ethernet(0, &outer(4789, &payload)), Fate::TunnelInvalid);
    }
    for (change, value) in [(0, 0x40), (1, 0x80), (2, 0x99)] {
        let mut payload = geneve(7, 0, 0x6558, &inner);
        payload[change] = value;
        assert_eq!(bench.ethernet(0, &outer(6081, &payload)), Fate::TunnelInvalid);
    }
    let mut frame = inner;
    for _ in 0..3 {
        frame = outer(4789, &vxlan(7, &frame));
    }
    assert_eq!(bench.ethernet(0, &frame), Fate::Delivered);
    assert_eq!(bench.ethernet(0, &outer(4789, &vxlan(7, &frame))), Fate::TunnelTooDeep);
}

#[test]
fn a_frame_that_a_tunnel_cut_is_told_from_one_that_was_lost() {
    let payload = vxlan(7, &tcp("0123456789").frame());
    let mut bench = bench();
    let fate = bench.ethernet(0, &outer(4789, &payload[..payload.len() - 3]));
    assert_eq!(fate, Fate::Truncated);
    assert_eq!(bench.assembler.totals().cut, 3);
    assert_eq!(bench.only().text(Direction::Forth), "0123456");
}

fn fragments4(text: &str, id: u16) -> Vec<Vec<u8>> {
    let tcp = tcp(text);
    let bytes = tcp.bytes();
    let (from, to) = (tcp.from.ip(), tcp.to.ip());
    let count = bytes.len().div_ceil(16);
    let chunks = bytes.chunks(16).enumerate();
    chunks
        .map(|(at, chunk)| ip4_fragment(from, to, 6, id, at * 16, at + 1 < count, chunk))
        .map(|packet| ethernet(&[], &packet))
        .collect()
}

#[test]
fn fragments_in_any_order_are_one_datagram() {
    let text = "the quick brown fox jumps over the lazy dog";
    let mut bench = bench();
    let fragments = fragments4(text, 9);
    assert_eq!(fragments.len(), 4);
    assert_eq!(bench.ethernet(0, &fragments[3]), Fate::FragmentHeld);
    assert_eq!(bench.ethernet(0, &fragments[0]), Fate::FragmentHeld);
    assert_eq!(bench.ethernet(0, &fragments[0]), Fate::FragmentDuplicate);
    assert_eq!(bench.ethernet(0, &fragments[2]), Fate::FragmentHeld);
    assert_eq!(bench.ethernet(0, &fragments[1]), Fate::Delivered);
    assert_eq!(bench.only().text(Direction::Forth), text);
    assert_eq!(bench.assembler.totals().reassembled, 1);
}

#[test]
fn a_datagram_whose_fragments_overlap_is_dropped_with_what_follows_of_it() {
    let mut bench = bench();
    // Into what is before it, and into what is behind it.
    for (id, first, change) in [(9, 0, -1), (10, 2, 1)] {
        let fragments = fragments4("the quick brown fox jumps over the lazy dog", id);
        let mut overlap = fragments[1].clone();
        // Its offset, in units of eight bytes.
        overlap[14 + 7] = overlap[14 + 7].wrapping_add_signed(change);
        bench.ethernet(0, &fragments[first]);
        assert_eq!(bench.ethernet(0, &overlap), Fate::FragmentOverlap);
        for fragment in &fragments {
            assert_eq!(bench.ethernet(0, fragment), Fate::FragmentOverlap);
        }
    }
    assert!(bench.heard().is_empty());
    let fragments = fragments4("another", 11);
    assert_eq!(bench.ethernet(0, &fragments[0]), Fate::FragmentHeld);
    assert_eq!(bench.ethernet(0, &fragments[1]), Fate::Delivered);
}

#[test]
fn fragments_of_version_6_and_other_extension_headers_are_gone_behind() {
    let tcp = tcp6("0123456789");
    let (from, to) = (tcp.from.ip(), tcp.to.ip());
    let bytes = tcp.bytes();
    // Destination options that fill eight bytes, before what is fragmented.
    let options = [&[6, 0, 1, 4, 0, 0, 0, 0], &bytes[..]].concat();
    let first = ip(from, to, 44, &ip6_fragment(60, 77, 0, true, &options[..16]));
    let last = ip(from, to, 44, &ip6_fragment(60, 77, 16, false, &options[16..]));
    let mut bench = bench();
    assert_eq!(bench.ethernet(0, &ethernet(&[], &last)), Fate::FragmentHeld);
    assert_eq!(bench.ethernet(0, &ethernet(&[], &first)), Fate::Delivered);
    let atomic = ip(from, to, 44, &ip6_fragment(6, 78, 0, false, &bytes));
    assert_eq!(bench.ethernet(0, &ethernet(&[], &atomic)), Fate::Duplicate);
    let hop = [&[43, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0], &bytes[..]].concat();
    assert_eq!(bench.ethernet(0, &ethernet(&[], &ip(from, to, 0, &hop))), Fate::Duplicate);
    let nested = ip6_fragment(6, 79, 0, true, &bytes);
    let outer = ip(from, to, 44, &ip6_fragment(44, 80, 0, false, &nested));
    assert_eq!(bench.ethernet(0, &ethernet(&[], &outer)), Fate::FragmentMalformed);
}
