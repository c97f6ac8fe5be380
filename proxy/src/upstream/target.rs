//! The address of an upstream, checked: scheme, host, port, path prefix.

use std::net::Ipv6Addr;

use http::uri::Authority;
use http::{HeaderValue, Uri};

use crate::compare::Origin;

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether to speak TLS.
    pub tls: bool,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Put before every path; empty, or with a leading and without a trailing slash.
    pub prefix: String,
    /// What `Host` says to it.
    pub host_header: HostHeader,
    /// Which HTTP it is spoken to in.
    pub protocol: Protocol,
}

/// What an upstream is told as `Host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// Its own name.
    #[default]
    Target,
    /// What the client said.
    Preserve,
    /// This, always.
    Literal(HeaderValue),
}

impl HostHeader {
    /// Reads `target`, `preserve`, or a host with or without a port.
    ///
    /// # Errors
    /// Why it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "target" => Ok(Self::Target),
            "preserve" => Ok(Self::Preserve),
            _ if text.contains('@') => Err("has user info".to_owned()),
            _ => {
                let authority: Authority =
                    text.parse().map_err(|error| format!("is no host ({error})"))?;
                host_and_port(&authority, false)?;
                HeaderValue::from_str(text)
                    .map(Self::Literal)
                    .map_err(|_| "is no header value".to_owned())
            }
        }
    }
}

/// Which HTTP an upstream is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2, the rest over HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN with TLS, with prior knowledge on plain text.
    Http2,
}

impl Protocol {
    /// Reads `auto`, `1` or `2`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "1" => Ok(Self::Http1),
            "2" => Ok(Self::Http2),
            _ => Err("unknown".to_owned()),
        }
    }
}

impl Target {
    /// A target without a prefix, with the defaults of how it is spoken to.
    pub fn new(tls: bool, host: String, port: u16) -> Self {
        let (host_header, protocol) = (HostHeader::default(), Protocol::default());
        Self { tls, host, port, prefix: String::new(), host_header, protocol }
    }

    /// Reads an http or https URL; a path is a prefix.
    ///
    /// # Errors
    /// What is wrong with it; the text never repeats user info.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.contains('#') {
            return Err("has a fragment".to_owned());
        }
        let uri: Uri = url.parse().map_err(|error| format!("is no URL ({error})"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("has no scheme http or https".to_owned()),
        };
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("has user info".to_owned());
        }
        if uri.query().is_some() {
            return Err("has a query".to_owned());
        }
        let (host, port) = host_and_port(authority, tls)?;
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { prefix, ..Self::new(tls, host.to_owned(), port) })
    }

    /// The value of `Host`: the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let own = if self.tls { 443 } else { 80 };
        if self.port == own { host } else { format!("{host}:{}", self.port) }
    }

    /// What leads to itself, as it may say in a `Location`.
    pub fn origin(&self) -> Origin {
        let mut authorities = vec![self.authority()];
        if let HostHeader::Literal(host) = &self.host_header {
            authorities.extend(host.to_str().ok().map(str::to_owned));
        }
        Origin { authorities, prefix: self.prefix.clone() }
    }
}

/// The name or address, without brackets, and the port. `http` itself lets pass what stands around
/// the brackets of an address.
fn host_and_port(authority: &Authority, tls: bool) -> Result<(&str, u16), String> {
    let text = authority.as_str();
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let (host, rest) = text.split_once(']').ok_or("has a bracket that is not closed")?;
            host.parse::<Ipv6Addr>().map_err(|error| format!("is no host ({error})"))?;
            (host, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if host.contains(['[', ']']) {
        return Err("has brackets that are not around its host".to_owned());
    }
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        None if rest.is_empty() => Some(if tls { 443 } else { 80 }),
        _ => None,
    };
    match port {
        Some(0) => Err("has port 0".to_owned()),
        Some(port) => Ok((host, port)),
        None => Err("has a port that is no number up to 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_scheme_host_port_and_prefix() {
        for (url, tls, host, port, prefix, authority) in [
            ("http://a", false, "a", 80, "", "a"),
            ("http://a/", false, "a", 80, "", "a"),
            ("https://a", true, "a", 443, "", "a"),
            ("https://a:8443/x/y/", true, "a", 8443, "/x/y", "a:8443"),
            ("http://service-v1:4001", false, "service-v1", 4001, "", "service-v1:4001"),
            ("http://[::1]:4001/x", false, "::1", 4001, "/x", "[::1]:4001"),
            ("http://[::1]", false, "::1", 80, "", "[::1]"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.tls, target.host.as_str()), (tls, host), "{url}");
            assert_eq!((target.port, target.prefix.as_str()), (port, prefix), "{url}");
            assert_eq!(target.authority(), authority, "{url}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_the_reason() {
        for (url, why) in [
            ("ftp://a", "scheme"),
            ("a:4001", "scheme"),
            ("/a", "scheme"),
            ("http://user:secret@a", "user info"),
            ("http://a?x=1", "query"),
            ("http://a#x", "fragment"),
            ("http://a:0", "port"),
            ("http://a:99999", "port"),
            ("http://a:", "port"),
            ("http://a:+80", "port"),
            ("http://[::1]80", "port"),
            ("http://a[::1]:80", "brackets"),
            ("http://[a]:80", "host"),
            ("http://:80", "host"),
            ("http://", "URL"),
            ("http://a b", "URL"),
            ("", "URL"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
