//! Header lines, one to a line of the input, as one request's: what is taken out is what belongs to
//! one connection and what `Connection` names, all else stays as it is; what is told of who asked
//! is told once, by the hop's own word.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use libfuzzer_sys::fuzz_target;
use proxy::headers::{self, Chain, Forwarding, Peer};

const CONNECTION_LEVEL: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
/// As many as the proxy can be told to take.
const MOST_LINES: usize = 10_000;

fuzz_target!(|data: &[u8]| {
    let Some(([choices, address], lines)) = data.split_first_chunk() else { return };
    let came = read(lines);
    stripped(&came);
    upgraded(&came);
    joined(&came);
    told(&came, *choices, *address);
    taken_out(&came, *choices);
});

fn read(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(MOST_LINES) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line[..at].trim_ascii());
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// The members of all lines of a comma-separated header, in lower case.
fn members(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    let lines = headers.get_all(name).iter();
    let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.map(|member| member.trim_ascii().to_ascii_lowercase()).collect()
}

fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

fn stripped(came: &HeaderMap) {
    let mut left = came.clone();
    headers::strip_connection_level(&mut left);
    let named = members(came, "connection");
    let coded = came.contains_key("transfer-encoding");
    for name in came.keys() {
        let name = name.as_str();
        let goes = CONNECTION_LEVEL.contains(&name)
            || named.iter().any(|named| named == name.as_bytes())
            // The coding decides where the body ends, and the length is a lie.
            || (name == "content-length" && coded);
        let expected = if goes { Vec::new() } else { lines(came, name) };
        assert_eq!(lines(&left, name), expected, "{name}");
    }
    assert!(left.keys().all(|name| came.contains_key(name)), "a header was made up");
}

fn upgraded(came: &HeaderMap) {
    let asked = members(came, "connection").iter().any(|member| member == b"upgrade");
    match headers::upgrade(came) {
        Some(protocol) => {
            assert!(asked, "not asked for in Connection");
            let mut passed = HeaderMap::new();
            headers::ask_upgrade(&mut passed, protocol.clone());
            let offered = members(&passed, "upgrade");
            assert!(!offered.contains(&b"h2c".to_vec()), "requests would go on out of sight");
        }
        None => {
            let offered = members(came, "upgrade");
            let refused = offered.is_empty() || offered.contains(&b"h2c".to_vec());
            assert!(!asked || refused, "an upgrade was lost");
        }
    }
}

fn joined(came: &HeaderMap) {
    let mut left = came.clone();
    headers::join_cookies(&mut left);
    let expected = lines(came, "cookie").join(&b"; "[..]);
    assert_eq!(lines(&left, "cookie").concat(), expected);
    assert!(lines(&left, "cookie").len() <= 1);
}

fn chosen(choices: u8) -> Forwarding {
    let chain = |at: u8| match choices >> at & 3 {
        0 => Chain::Off,
        1 => Chain::Replace,
        _ => Chain::Extend,
    };
    Forwarding { x_forwarded: chain(0), forwarded: chain(2), via: chain(4) }
}

fn told(came: &HeaderMap, choices: u8, address: u8) {
    let forwarding = chosen(choices);
    let version = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_11]
        [usize::from(choices >> 6)];
    let ip: IpAddr = match address % 3 {
        0 => Ipv4Addr::new(192, 0, 2, address).into(),
        1 => Ipv4Addr::new(192, 0, 2, address).to_ipv6_mapped().into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, address.into()).into(),
    };
    let scheme = if address < 128 { "http" } else { "https" };
    let peer = Peer::new(ip, scheme);
    let mut left = came.clone();
    forwarding.tell(&mut left, &peer, version);

    let ip = ip.to_canonical();
    one_hop(came, &left, "x-forwarded-for", forwarding.x_forwarded, |hop| {
        hop == ip.to_string().as_bytes()
    });
    one_hop(came, &left, "forwarded", forwarding.forwarded, |hop| is_hop(hop, ip, scheme));
    one_hop(came, &left, "via", forwarding.via, |hop| {
        [&b"1.0 mirrorlab"[..], b"1.1 mirrorlab", b"2.0 mirrorlab"].contains(&hop)
    });
    let overwritten = forwarding.x_forwarded != Chain::Off;
    if overwritten {
        assert_eq!(lines(&left, "x-forwarded-proto"), [scheme.as_bytes()]);
        let host = came.get("host").map(HeaderValue::as_bytes);
        assert_eq!(lines(&left, "x-forwarded-host"), Vec::from_iter(host));
    }
    for name in came.keys().chain(left.keys()).map(HeaderName::as_str) {
        match name {
            "x-forwarded-for" | "forwarded" | "via" => {}
            "x-forwarded-proto" | "x-forwarded-host" if overwritten => {}
            _ if overwritten && is_read_as_told(name) => {
                assert!(!left.contains_key(name), "{name} passed beside what is told");
            }
            _ => assert_eq!(lines(came, name), lines(&left, name), "{name} was changed"),
        }
    }
}

/// Of trailers what is told in the head is gone, and all else is as it came.
fn taken_out(came: &HeaderMap, choices: u8) {
    let Forwarding { x_forwarded, forwarded, via } = chosen(choices);
    let mut left = came.clone();
    chosen(choices).take_out(&mut left);
    for name in came.keys().map(HeaderName::as_str) {
        let goes = match name {
            "forwarded" => forwarded != Chain::Off,
            "via" => via != Chain::Off,
            name => x_forwarded != Chain::Off && is_read_as_told(name),
        };
        let expected = if goes { Vec::new() } else { lines(came, name) };
        assert_eq!(lines(&left, name), expected, "{name}");
    }
    assert!(left.keys().all(|name| came.contains_key(name)), "a trailer was made up");
}

/// Whether a server that makes a variable of a header's name, as CGI does, takes it for what is told.
fn is_read_as_told(name: &str) -> bool {
    let variable = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    ["x_forwarded_for", "x_forwarded_host", "x_forwarded_proto"].contains(&&*variable)
}

/// The chain is what came, or the hop alone, or both, in one line.
fn one_hop(
    came: &HeaderMap,
    left: &HeaderMap,
    name: &str,
    chain: Chain,
    is_hop: impl Fn(&[u8]) -> bool,
) {
    let (came, left) = (lines(came, name), lines(left, name));
    if chain == Chain::Off {
        return assert_eq!(came, left, "{name}");
    }
    assert_eq!(left.len(), 1, "{name}");
    let mut before = came.join(&b", "[..]);
    if !came.is_empty() {
        before.extend_from_slice(b", ");
    }
    let before = if chain == Chain::Extend { before } else { Vec::new() };
    let hop = left[0].strip_prefix(&before[..]);
    assert!(hop.is_some_and(is_hop), "{name}: {:?}", left[0].escape_ascii().to_string());
}

/// `for=...;host="...";proto=...`, in which the host is quoted as a whole.
fn is_hop(hop: &[u8], ip: IpAddr, scheme: &str) -> bool {
    let node = match ip {
        IpAddr::V4(ip) => format!("for={ip};"),
        IpAddr::V6(ip) => format!("for=\"[{ip}]\";"),
    };
    let scheme = format!("proto={}", scheme);
    let rest = hop.strip_prefix(node.as_bytes()).and_then(|it| it.strip_suffix(scheme.as_bytes()));
    match rest {
        Some(b"") => true,
        Some(host) => {
            let host = host.strip_prefix(b"host=\"").and_then(|it| it.strip_suffix(b"\";"));
            host.is_some_and(|host| !host.iter().any(|byte| matches!(byte, b'"' | b'\\')))
        }
        None => false,
    }
}
