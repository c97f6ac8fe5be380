//! Networks of clients.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::listen::proxy_protocol::Networks;

/// Networks of clients, of which can be told whether they are within others.
#[derive(Clone, Debug)]
pub struct Clients {
    networks: Networks,
    each: Vec<IpNet>,
}

impl Clients {
    /// Reads a comma-separated list of networks and addresses.
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let networks = Networks::parse(text)?;
        let one = |text: &str| text.parse().or_else(|_| text.parse().map(IpAddr::into)).ok();
        let each = text.split(',').map(str::trim).filter_map(one).collect();
        Ok(Self { networks, each })
    }

    /// Whether one of them has this address, however it is written.
    pub fn contains(&self, client: IpAddr) -> bool {
        self.networks.contains(client)
    }

    /// Whether each of the others is within one of them.
    pub(super) fn have(&self, others: &Self) -> bool {
        let have = |other: &IpNet| {
            // What is IPv4 in the form of IPv6 is within no network of IPv6.
            let is_within = |one: &IpNet| one.contains(other) && is_mapped(one) == is_mapped(other);
            self.each.iter().any(is_within)
        };
        others.each.iter().all(have)
    }
}

/// Whether it is a network of IPv4 in the form of IPv6 (RFC 4291, section 2.5.5.2).
fn is_mapped(network: &IpNet) -> bool {
    let IpNet::V6(network) = network else { return false };
    network.prefix_len() >= 96 && network.addr().to_ipv4_mapped().is_some()
}
