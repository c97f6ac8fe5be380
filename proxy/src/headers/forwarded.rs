//! Who asked, for the upstream: `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via` (RFC 9110 section
//! 7.6.3).

use std::net::IpAddr;

use http::header::{FORWARDED, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::{reads_as, remove_read_as_any};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who asked, and how.
#[derive(Clone, Debug)]
pub struct Peer {
    ip: IpAddr,
    /// The same as a header says it.
    text: HeaderValue,
    scheme: &'static str,
}

impl Peer {
    /// The client's address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The client's address, and `http` or `https`.
    pub fn new(ip: IpAddr, scheme: &'static str) -> Self {
        let ip = ip.to_canonical();
        let text = HeaderValue::try_from(ip.to_string()).expect("an address is a header value");
        Self { ip, text, scheme }
    }
}

/// What becomes of a chain that proxies before this one may have begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// Nothing is said, and what came passes as it is.
    #[default]
    Off,
    /// This hop is added.
    Extend,
    /// This hop stands alone: nothing that a client could have made up passes.
    Replace,
}

impl Chain {
    /// Reads `off`, `extend` or `replace`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "extend" => Ok(Self::Extend),
            "replace" => Ok(Self::Replace),
            _ => Err("unknown".to_owned()),
        }
    }

    fn tell(self, headers: &mut HeaderMap, name: HeaderName, hop: HeaderValue) {
        let mut chain = Vec::new();
        if self == Self::Extend {
            for line in headers.get_all(&name) {
                chain.extend_from_slice(line.as_bytes());
                chain.extend_from_slice(b", ");
            }
        }
        if chain.is_empty() {
            headers.insert(name, hop);
            return;
        }
        chain.extend_from_slice(hop.as_bytes());
        let chain = HeaderValue::from_bytes(&chain);
        headers.insert(name, chain.expect("header values joined by a comma are a header value"));
    }
}

/// Which headers tell the upstream who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// `X-Forwarded-For`; `X-Forwarded-Proto` and `X-Forwarded-Host`, which are no chains, are
    /// overwritten unless it is off.
    pub x_forwarded: Chain,
    /// `Forwarded`.
    pub forwarded: Chain,
    /// `Via`.
    pub via: Chain,
}

impl Forwarding {
    /// Writes them. Call it before `Host` is replaced; `version` is the client's.
    pub fn tell(self, headers: &mut HeaderMap, peer: &Peer, version: Version) {
        if self.x_forwarded != Chain::Off {
            self.x_forwarded(headers, peer);
        }
        if self.forwarded != Chain::Off {
            let hop = forwarded_hop(headers, peer);
            self.forwarded.tell(headers, FORWARDED, hop);
        }
        if self.via != Chain::Off {
            let hop = match version {
                Version::HTTP_10 => "1.0 mirrorlab",
                Version::HTTP_2 => "2.0 mirrorlab",
                _ => "1.1 mirrorlab",
            };
            self.via.tell(headers, VIA, HeaderValue::from_static(hop));
        }
    }

    /// Takes out of trailers what is told in the head: servers that add them to it would believe the client.
    pub fn take_out(self, trailers: &mut HeaderMap) {
        let x_forwarded = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];
        if self.x_forwarded != Chain::Off {
            remove_read_as_any(trailers, &x_forwarded);
        }
        if self.forwarded != Chain::Off {
            trailers.remove(FORWARDED);
        }
        if self.via != Chain::Off {
            trailers.remove(VIA);
        }
    }

    fn x_forwarded(self, headers: &mut HeaderMap, peer: &Peer) {
        remove_other_spellings(headers);
        self.x_forwarded.tell(headers, X_FORWARDED_FOR, peer.text.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(peer.scheme));
        match headers.get(HOST).cloned() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }
}

/// A server that takes them for what is written here would believe the client.
fn remove_other_spellings(headers: &mut HeaderMap) {
    let known = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];
    let is_other = |name: &&HeaderName| known.iter().any(|it| reads_as(name, it) && *it != **name);
    while let Some(name) = headers.keys().find(is_other).cloned() {
        headers.remove(name);
    }
}

fn forwarded_hop(headers: &HeaderMap, peer: &Peer) -> HeaderValue {
    let node = match peer.ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    // A host that could end the quotes is none.
    let host = host.filter(|host| !host.contains(['"', '\\']));
    let host = host.map(|host| format!("host=\"{host}\";")).unwrap_or_default();
    let hop = format!("for={node};{host}proto={}", peer.scheme);
    HeaderValue::try_from(hop).expect("of an address and a header value")
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    const ALL: fn(Chain) -> Forwarding =
        |chain| Forwarding { x_forwarded: chain, forwarded: chain, via: chain };

    fn peer(ip: &str) -> Peer {
        Peer::new(ip.parse().unwrap(), "http")
    }

    const CAME: [(&str, &str); 8] = [
        ("host", "shop.example:81"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "forged"),
        ("forwarded", "for=10.0.0.1"),
        ("via", "1.0 first"),
        ("via", "2.0 second"),
    ];

    #[test]
    fn a_chain_is_extended_in_one_line() {
        let mut headers = map(&CAME);
        ALL(Chain::Extend).tell(&mut headers, &peer("::ffff:192.0.2.7"), Version::HTTP_11);
        for (name, value) in [
            ("x-forwarded-for", "10.0.0.1, 10.0.0.2, 192.0.2.7"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example:81"),
            ("forwarded", "for=10.0.0.1, for=192.0.2.7;host=\"shop.example:81\";proto=http"),
            ("via", "1.0 first, 2.0 second, 1.1 mirrorlab"),
        ] {
            let lines: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(lines, [value], "{name}");
        }
    }

    #[test]
    fn a_chain_is_replaced_by_this_hop_alone() {
        let mut headers = map(&CAME);
        ALL(Chain::Replace).tell(&mut headers, &peer("2001:db8::1"), Version::HTTP_2);
        for (name, value) in [
            ("x-forwarded-for", "2001:db8::1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example:81"),
            ("forwarded", "for=\"[2001:db8::1]\";host=\"shop.example:81\";proto=http"),
            ("via", "2.0 mirrorlab"),
        ] {
            let lines: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(lines, [value], "{name}");
        }
    }

    #[test]
    fn a_chain_that_is_off_passes_as_it_came() {
        let mut headers = map(&CAME);
        ALL(Chain::Off).tell(&mut headers, &peer("192.0.2.7"), Version::HTTP_11);
        assert_eq!(headers, map(&CAME));
    }

    #[test]
    fn without_a_host_a_forged_forwarded_host_does_not_pass() {
        let mut headers = map(&[("x-forwarded-host", "forged")]);
        ALL(Chain::Extend).tell(&mut headers, &peer("192.0.2.7"), Version::HTTP_10);
        assert!(!headers.contains_key(X_FORWARDED_HOST));
        assert_eq!(headers["forwarded"], "for=192.0.2.7;proto=http");
        assert_eq!(headers["via"], "1.0 mirrorlab");
    }

    #[test]
    fn what_servers_read_as_x_forwarded_does_not_pass_in_another_spelling() {
        let came = [("x_forwarded_for", "10.0.0.1"), ("x-forwarded_proto", "https")];
        let came = [came[0], came[1], ("x_forwarded_host", "forged"), ("x_forwarded", "1")];
        for chain in [Chain::Extend, Chain::Replace] {
            let mut headers = map(&came);
            ALL(chain).tell(&mut headers, &peer("192.0.2.7"), Version::HTTP_11);
            assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
            let left: Vec<_> = headers.keys().filter(|it| it.as_str().contains('_')).collect();
            assert_eq!(left, ["x_forwarded"], "{chain:?}");
        }
        let mut headers = map(&came);
        ALL(Chain::Off).tell(&mut headers, &peer("192.0.2.7"), Version::HTTP_11);
        assert_eq!(headers, map(&came));
    }

    #[test]
    fn a_host_cannot_add_to_forwarded() {
        let mut headers = map(&[("host", "x\";for=\"10.0.0.1")]);
        ALL(Chain::Extend).tell(&mut headers, &peer("192.0.2.7"), Version::HTTP_11);
        assert_eq!(headers["forwarded"], "for=192.0.2.7;proto=http");
    }
}
