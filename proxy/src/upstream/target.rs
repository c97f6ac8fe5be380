//! The address of an upstream, checked: scheme, host, port, path prefix.

use http::Uri;

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
}

impl Target {
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
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        let port = Self::port(authority.as_str(), authority.port_u16(), tls)?;
        Ok(Self { tls, host, port, prefix: uri.path().trim_end_matches('/').to_owned() })
    }

    fn port(authority: &str, port: Option<u16>, tls: bool) -> Result<u16, String> {
        let given = authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        match port {
            Some(0) => Err("has port 0".to_owned()),
            Some(port) => Ok(port),
            None if given => Err("has a port that is no number up to 65535".to_owned()),
            None => Ok(if tls { 443 } else { 80 }),
        }
    }

    /// The value of `Host`: the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let own = if self.tls { 443 } else { 80 };
        if self.port == own { host } else { format!("{host}:{}", self.port) }
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
