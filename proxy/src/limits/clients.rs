//! Requests in flight by client, so that one of them cannot take all the places.
//!
//! A client is an address, or a network of 64 bits with IPv6, where one machine has as many addresses
//! as it likes. An address is looked up once for a connection, not for each request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

type Known = Mutex<HashMap<IpAddr, (usize, Arc<AtomicUsize>)>>;

/// All clients with a connection.
#[derive(Debug, Default)]
pub struct Clients(Arc<Known>);

/// A connection's hold on its client.
#[derive(Debug)]
pub struct Client {
    known: Arc<Known>,
    key: IpAddr,
    /// Connections of this client, with this one, when it was made.
    pub connections: usize,
    /// Requests of this client that are in flight.
    pub requests: Arc<AtomicUsize>,
}

impl Clients {
    /// The client of this address, for one more connection.
    pub fn of(&self, ip: IpAddr) -> Client {
        let key = match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            ip @ IpAddr::V4(_) => ip,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (connections, requests) = known.entry(key).or_default();
        *connections += 1;
        let connections = *connections;
        Client { known: Arc::clone(&self.0), key, connections, requests: Arc::clone(requests) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((connections, _)) = known.get_mut(&self.key) {
            *connections -= 1;
            if *connections == 0 {
                known.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_and_forgotten_with_its_last_connection() {
        let clients = Clients::default();
        let of = |text: &str| clients.of(text.parse().unwrap());
        let same = |a: &Client, b: &Client| Arc::ptr_eq(&a.requests, &b.requests);
        let (one, mapped, other) = (of("10.0.0.1"), of("::ffff:10.0.0.1"), of("10.0.0.2"));
        assert!(same(&one, &mapped) && !same(&one, &other));
        let (near, far) = (of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert!(same(&near, &of("2001:db8::2")) && !same(&near, &far));
        drop((one, mapped, other, near, far));
        assert!(clients.0.lock().unwrap().is_empty());
    }
}
