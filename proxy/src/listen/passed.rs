//! Sockets that whoever started this process had bound already, and goes on to hold: systemd, or any other that
//! speaks its protocol (`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`).
//!
//! Two processes with `SO_REUSEPORT` would each have a queue of their own, and the kernel throws away
//! the one of the process that ends, with all connections that waited in it. A socket that is passed has one queue,
//! whoever takes from it, and outlives them all.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use socket2::SockRef;

/// The name of the socket for traffic.
pub const TRAFFIC: &str = "traffic";
/// The name of the socket for the admin endpoints.
pub const ADMIN: &str = "admin";
/// The name of a socket that was passed without one, as `sd_listen_fds_with_names` has it.
const UNNAMED: &str = "unknown";
/// The first descriptor that is passed.
const FIRST: usize = 3;

/// Those that nobody has taken yet, by name.
#[derive(Debug, Default)]
pub struct Passed(Vec<(String, TcpListener)>);

impl Passed {
    /// Those of this process; `names` is `LISTEN_FDNAMES`. To be called once, and before there are threads: it takes the
    /// variables out of the environment, which no process that is started from here may believe.
    ///
    /// # Errors
    /// One of them takes no connections of TCP, or two have one name.
    pub fn of_process(names: &str) -> Result<Self, String> {
        let mut sockets = ListenFd::from_env();
        let mut names = names.split(':').filter(|name| !name.is_empty());
        let mut passed = Self::default();
        for at in 0..sockets.len() {
            let name = names.next().unwrap_or(UNNAMED);
            let bad = |why: &str| format!("the socket {name:?} that was passed {why}");
            let listener = match sockets.take_tcp_listener(at) {
                Ok(Some(listener)) => listener,
                Ok(None) | Err(_) => {
                    return Err(bad(&format!("(descriptor {}) is none of TCP", FIRST + at)));
                }
            };
            if !SockRef::from(&listener).is_listener().unwrap_or(false) {
                return Err(bad("takes no connections; Accept= must be no"));
            }
            passed.add(name, listener).map_err(|why| bad(&why))?;
        }
        Ok(passed)
    }

    /// One more.
    ///
    /// # Errors
    /// There is one of this name, or it cannot be used.
    pub fn add(&mut self, name: &str, listener: TcpListener) -> Result<(), String> {
        if self.0.iter().any(|(known, _)| known == name) {
            return Err("is there twice; a name is for one socket".to_owned());
        }
        // Whoever bound it may have left it as it was made.
        listener.set_nonblocking(true).map_err(|error| format!("cannot be used: {error}"))?;
        self.0.push((name.to_owned(), listener));
        Ok(())
    }

    /// The one of this name, to take connections from.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn take(&mut self, name: &str) -> Option<io::Result<tokio::net::TcpListener>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(tokio::net::TcpListener::from_std(self.0.swap_remove(at).1))
    }

    /// The names of those that nobody has taken, each with its address.
    pub fn left(&self) -> Vec<String> {
        let address = |listener: &TcpListener| {
            listener.local_addr().map_or_else(|error| error.to_string(), |it| it.to_string())
        };
        self.0.iter().map(|(name, listener)| format!("{name:?} ({})", address(listener))).collect()
    }
}
