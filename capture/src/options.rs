//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use ipnet::IpNet;
use replay::options::{Packets, Report};

/// Turns packets into requests with their answers, records them, and sends copies to a candidate, whose answers are held
/// against those that were seen on the wire. The service itself is not touched, not even by a port.
///
/// Reads captures (pcap, pcapng, also gzipped; - is standard input), listens on an interface, or is the end of a cloud's
/// mirror (VXLAN, as AWS VPC Traffic Mirroring sends it, or GENEVE). What a settings file says of routes, rules, transforms and
/// recordings holds here, too.
///
/// An interface needs CAP_NET_RAW, which is given up once it is open. Exit codes: 0 as required, 1 fail, 2 bad
/// arguments or nothing to be had, 3 not enough data. Ctrl-C ends it with the report so far.
#[derive(Clone, Debug, Parser)]
#[command(name = "mirrorlab-capture", version = version::VERSION)]
#[command(group = ArgGroup::new("source").required(true).args(["files", "interface", "vxlan", "geneve"]))]
#[command(group = ArgGroup::new("purpose").required(true).multiple(true).args(["candidate", "record", "config"]))]
pub struct Options {
    /// Captures.
    pub files: Vec<String>,
    /// An interface to listen on, such as eth0.
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Where a mirror sends VXLAN to, such as 0.0.0.0:4789.
    #[arg(long, value_name = "ADDRESS")]
    pub vxlan: Option<SocketAddr>,
    /// Where a gateway load balancer sends GENEVE to, such as 0.0.0.0:6081.
    #[arg(long, value_name = "ADDRESS")]
    pub geneve: Option<SocketAddr>,
    /// Virtual networks (VNI) that are taken; without any all.
    #[arg(long = "vni", value_name = "VNI")]
    pub networks: Vec<u32>,
    /// Hosts and networks of which one of both ends must be, such as 10.0.1.0/24; without any all.
    #[arg(long = "host", value_name = "NETWORK", value_parser = network)]
    pub hosts: Vec<IpNet>,
    /// How packets are read.
    #[command(flatten)]
    pub packets: Packets,
    /// Where copies go; over CANDIDATE_URL and the settings file.
    #[arg(long, value_name = "URL")]
    pub candidate: Option<String>,
    /// A folder in which exchanges are recorded; over RECORD_DIR and the settings file.
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
    /// The settings file (TOML); without it that of MIRROR_CONFIG, if any.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Send copies of methods that write, too: all but GET, HEAD, OPTIONS and TRACE. Recorded they are anyway.
    #[arg(long)]
    pub writes: bool,
    /// The share of requests of which copies are sent, 0.0 to 1.0.
    #[arg(long, value_name = "SHARE")]
    pub share: Option<String>,
    /// Where metrics, report and page are, such as 127.0.0.1:9090.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// What is told at the end.
    #[command(flatten)]
    pub report: Report,
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| "allowed is an address or a network".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let all = ["mirrorlab-capture"].iter().chain(arguments);
        Options::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn there_is_one_source_and_something_to_be_done() {
        assert!(parse(&["a.pcap", "--candidate", "http://b"]).is_ok());
        assert!(parse(&["--interface", "lo", "--record", "x", "--candidate", "http://b"]).is_ok());
        assert!(parse(&["--vxlan", "0.0.0.0:4789", "--record", "x", "--vni", "7"]).is_ok());
        for bad in [
            &["a.pcap"][..],
            &["--candidate", "http://b"],
            &["a.pcap", "--interface", "lo", "--record", "x"],
            &["--vxlan", "4789", "--record", "x"],
            &["a.pcap", "--record", "x", "--host", "example.com"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        let hosts = parse(&["a", "--record", "x", "--host", "10.0.0.1", "--host", "10.1.0.0/16"]);
        assert_eq!(hosts.unwrap().hosts.len(), 2);
    }
}
