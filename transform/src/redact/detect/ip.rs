//! Addresses on the internet.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{begins, ends, is_fraction};

/// The longest text of an IPv6 address, with an IPv4 address at its end.
const V6_MAX: usize = 45;

/// The IPv4 address that begins with the digit at this place.
pub(super) fn v4(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !begins(text, at) || is_fraction(text, at) {
        return None;
    }
    let (mut end, mut octets) = (at, [0; 4]);
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            end += usize::from(*text.get(end)? == b'.');
        }
        let digits = text[end..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        *octet = std::str::from_utf8(&text[end..end + digits]).ok()?.parse().ok()?;
        end += digits;
        // Without a point the digits of one would be the next one's.
        if index < 3 && text.get(end) != Some(&b'.') {
            return None;
        }
    }
    let address = Ipv4Addr::from(octets);
    // `Chrome/120.0.0.0` is a version.
    let is_version = octets[1..] == [0; 3] && at > 0 && text[at - 1] == b'/';
    let is_nobodys = address.is_unspecified() || address.is_loopback();
    (ends(text, end) && !is_version && !is_nobodys).then_some(at..end)
}

/// The IPv6 address around the colon at this place, no part of which is before `free`; and the end of what
/// was looked at.
pub(super) fn v6(text: &[u8], at: usize, free: usize) -> (Option<Range<usize>>, usize) {
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let before = text[free..at].iter().rev().take(V6_MAX).take_while(is_part).count();
    let behind = text[at..].iter().take_while(is_part).count();
    let (start, end) = (at - before, at + behind);
    let token = &text[start..end];
    // The end of a sentence.
    let closes = token.iter().rev().take_while(|byte| matches!(byte, b'.' | b':')).count();
    let closed = if closes == 1 { &token[..token.len() - 1] } else { token };
    let range = start..start + closed.len();
    let is_found = begins(text, start) && ends(text, range.end) && is_address(closed);
    (is_found.then_some(range), end)
}

fn is_address(token: &[u8]) -> bool {
    // `a::b` is more often a name in a program.
    let may_be = token.len() <= V6_MAX && token.iter().any(u8::is_ascii_digit);
    let address = std::str::from_utf8(token).ok().filter(|_| may_be);
    let address = address.and_then(|text| text.parse::<Ipv6Addr>().ok());
    address.is_some_and(|address| !address.is_unspecified() && !address.is_loopback())
}
