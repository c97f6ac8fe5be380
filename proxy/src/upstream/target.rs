//! The address of an upstream, checked: scheme, host and port or unix socket, path prefix.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use http::uri::Authority;
use http::{HeaderValue, Uri};
use tokio_rustls::rustls::pki_types::ServerName;

use super::ClientIdentity;
use crate::listen::proxy_protocol::Networks;
use compare::Origin;

/// The longest path that fits into a unix address on Linux, its end aside.
const SOCKET_PATH_MAX: usize = 107;

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether to speak TLS.
    pub tls: bool,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Connected to instead of host and port, which then only name it.
    pub socket: Option<PathBuf>,
    /// Asked for and expected in the certificate, unless it is the host.
    pub tls_name: Option<ServerName<'static>>,
    /// Told with the PROXY protocol that we speak for ourselves, from our addresses in these.
    pub announced_from: Networks,
    /// Shown where it asks for a client certificate.
    pub client: Option<ClientIdentity>,
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
        Self {
            tls,
            host,
            port,
            socket: None,
            tls_name: None,
            announced_from: Networks::default(),
            client: None,
            prefix: String::new(),
            host_header,
            protocol,
        }
    }

    /// Reads an http or https URL; a path is a prefix. `http://unix:/run/app.sock:/prefix` is that of
    /// a unix socket, as NGINX writes it: it needs no escapes, keeps the scheme, and could be no other
    /// URL, since the port would be empty.
    ///
    /// # Errors
    /// What is wrong with it; the text never repeats user info.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.contains('#') {
            return Err("has a fragment".to_owned());
        }
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if let Some(place) = rest.strip_prefix("unix:").filter(|place| place.starts_with('/')) {
            let (path, prefix) = place.split_once(':').unwrap_or((place, ""));
            if !prefix.is_empty() && !prefix.starts_with('/') {
                return Err("has a prefix without a leading slash".to_owned());
            }
            if path.len() > SOCKET_PATH_MAX {
                return Err(format!("has a socket's path of over {SOCKET_PATH_MAX} bytes"));
            }
            let named = Self::parse(&format!("{scheme}://localhost{prefix}"))?;
            return Ok(Self { socket: Some(PathBuf::from(path)), ..named });
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

    /// Whether it is the same service, spoken to in the same way; what is shown to it aside.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let bare = |target: &Self| Self { client: None, ..target.clone() };
        bare(self) == bare(other)
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
    fn a_unix_socket_stands_for_host_and_port_and_may_have_a_prefix() {
        for (url, tls, path, prefix) in [
            ("http://unix:/run/app.sock", false, "/run/app.sock", ""),
            ("http://unix:/run/app.sock:/", false, "/run/app.sock", ""),
            ("https://unix:/run/app.sock:/x/y/", true, "/run/app.sock", "/x/y"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.socket.as_deref(), Some(std::path::Path::new(path)), "{url}");
            assert_eq!((target.tls, target.prefix.as_str()), (tls, prefix), "{url}");
            assert_eq!(target.authority(), "localhost");
        }
        assert_eq!(Target::parse("http://unix:80/x").unwrap().socket, None);
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
            ("ftp://unix:/a", "scheme"),
            ("http://unix:/a:b", "slash"),
            ("http://unix:/a:/b?x=1", "query"),
            ("http://unix:a", "port"),
            ("http://a b", "URL"),
            ("", "URL"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
