//! The PROXY protocol, versions 1 and 2: a balancer that passes on bytes says in front of them who
//! the client is.
//!
//! Whoever may send it must send it: the specification forbids to guess, since a client could then
//! name itself through a balancer that does not. The stream is read up to the end of the header and no
//! further, so that what follows it, TLS for one, needs no buffer of ours.

use std::io;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const V1: &[u8] = b"PROXY ";
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What the specification allows for version 1.
const LONGEST_V1: usize = 107;
/// As NGINX has it: far more than the addresses and what balancers add to them.
const LONGEST_V2: usize = 4096;

/// A header that says: this is the balancer itself, for its own sake.
pub const LOCAL: &[u8; 16] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Networks, such as those of balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads a comma-separated list of networks and addresses.
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let item = |text: &str| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse().map(IpAddr::into));
            network
                .map(canonical)
                .map_err(|_| format!("{text:?} is neither a network nor an address"))
        };
        text.split(',').map(str::trim).map(item).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them has this address, however it is written.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// Whether each of the others is within one of them.
    pub fn covers(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|network| network.contains(other)))
    }
}

/// IPv4 where it is that in the form of IPv6 (RFC 4291, section 2.5.5.2), as addresses are made before
/// they are looked for.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let four = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(96));
    let four = four.and_then(|(ip, length)| Ipv4Net::new(ip, length).ok());
    four.map_or(network, IpNet::V4)
}

/// Reads the header in front of a connection: the client's address, or `None` where the balancer
/// speaks for itself or does not know.
///
/// # Errors
/// Where there is no header, none that is well-formed, or none of a sensible length.
pub async fn read(stream: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut header = vec![0; V2.len()];
    // The shortest header of either version is longer.
    stream.read_exact(&mut header).await?;
    if header == V2 {
        read_more(stream, &mut header, 4).await?;
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if header.len() + length > LONGEST_V2 {
            return Err(malformed());
        }
        read_more(stream, &mut header, length).await?;
    } else if header.starts_with(V1) {
        read_line(stream, &mut header).await?;
    } else {
        return Err(malformed());
    }
    let (parsed, _) =
        ProxyHeader::parse(&header, ParseConfig::default()).map_err(|_| malformed())?;
    let named = parsed.proxied_address().filter(|named| named.protocol == Protocol::Stream);
    Ok(named.map(|named| named.source.ip()))
}

async fn read_more(stream: &mut TcpStream, into: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let before = into.len();
    into.resize(before + count, 0);
    stream.read_exact(&mut into[before..]).await.map(drop)
}

/// Up to the end of the line.
async fn read_line(stream: &mut TcpStream, line: &mut Vec<u8>) -> io::Result<()> {
    while !line.ends_with(b"\n") {
        let mut ahead = [0; LONGEST_V1];
        let there = stream.peek(&mut ahead[..LONGEST_V1 - line.len()]).await?;
        if there == 0 {
            return Err(malformed());
        }
        let end = ahead[..there].iter().position(|byte| *byte == b'\n');
        read_more(stream, line, end.map_or(there, |end| end + 1)).await?;
    }
    if line.ends_with(b"\r\n") { Ok(()) } else { Err(malformed()) }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What is made of a connection that begins with these bytes and ends, and what is left of it.
    async fn received(bytes: &[u8]) -> (io::Result<Option<IpAddr>>, Vec<u8>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let read = read(&mut stream).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (read, rest)
    }

    fn v2(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
        [V2.as_slice(), &[command, family], &length.to_be_bytes(), rest].concat()
    }

    #[tokio::test]
    async fn a_header_names_the_client_and_what_follows_it_stays() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
        let more = [four.as_slice(), &[0x04, 0, 2, 0, 0]].concat();
        for (header, named) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n".to_vec(), Some("192.0.2.7")),
            (b"PROXY TCP6 2001:db8::7 ::1 1 80\r\n".to_vec(), Some("2001:db8::7")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, 12, &four), Some("192.0.2.7")),
            (v2(0x21, 0x11, 17, &more), Some("192.0.2.7")),
            (v2(0x20, 0x11, 12, &four), None),
            (LOCAL.to_vec(), None),
        ] {
            let (read, rest) = received(&[&header, b"GET /\n".as_slice()].concat()).await;
            assert_eq!(read.unwrap(), named.map(|ip| ip.parse().unwrap()), "{header:?}");
            assert_eq!(rest, b"GET /\n", "{header:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_or_a_longer_one_than_allowed_is_refused() {
        for bytes in [
            b"".to_vec(),
            b"PROXY".to_vec(),
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 ::1 1 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 99999 80\r\n".to_vec(),
            b"PROXY TCP9 192.0.2.7 10.0.0.1 1 80\r\n".to_vec(),
            [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat(),
            v2(0x21, 0x11, 4, &[1, 2, 3, 4]),
            v2(0x31, 0x11, 0, &[]),
            v2(0x21, 0x11, 5000, &[0; 5000]),
            v2(0x21, 0x11, 12, &[1]),
        ] {
            let (read, _) = received(&bytes).await;
            assert!(read.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn networks_are_lists_of_networks_and_addresses() {
        let networks = Networks::parse("10.0.0.0/8, 192.0.2.7,2001:db8::/32").unwrap();
        for (ip, within) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(networks.contains(ip.parse().unwrap()), within, "{ip}");
        }
        for text in ["10.0.0.0/33", "a", "10.0.0.0/8,", "10.0.0.1:80"] {
            assert!(Networks::parse(text).is_err(), "{text}");
        }
    }
}
