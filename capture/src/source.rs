//! Where packets come from while they are sent: an interface, or the end of a cloud's mirror.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, socket,
};
use packets::{Frame, Link, Nanos, Tunnel};
use socket2::SockRef;

use crate::filter::{self, Wanted};

/// Bytes of a frame: those of a card that puts segments together are larger than its MTU.
const FRAME_MAX: usize = 256 << 10;
/// How long nothing may come until the clock is looked at.
const PATIENCE: Duration = Duration::from_millis(100);
/// What the kernel holds for us while we are busy, where it allows so much.
const BUFFER: usize = 32 << 20;
/// `ARPHRD_LOOPBACK` and `ARPHRD_NONE` (`linux/if_arp.h`).
const LOOPBACK_TYPE: u16 = 772;
const NONE_TYPE: u16 = 65_534;

/// A source that is open.
#[derive(Debug)]
pub enum Live {
    /// Frames of an interface, of this name and index.
    Interface(OwnedFd, (String, u32), Box<[u8]>),
    /// Packets that a mirror sends us.
    Mirror(UdpSocket, Tunnel, Box<[u8]>),
}

impl Live {
    /// Listens on an interface.
    ///
    /// # Errors
    /// There is none of this name, or it may not be listened on.
    pub fn interface(name: &str, ports: &[u16], limits: &packets::Limits) -> Result<Self, String> {
        let index = if_nametoindex(name);
        let index = index.map_err(|error| format!("--interface {name}: {}", error.desc()))?;
        let opened = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        );
        let socket = opened.map_err(|error| missing(name, error))?;
        let failed = |error: io::Error| format!("--interface {name}: {error}");
        let handle = SockRef::from(&socket);
        // What came before the filter is of any interface.
        handle.attach_filter(&filter::nothing()).map_err(failed)?;
        let mut buffer = vec![0; FRAME_MAX].into_boxed_slice();
        drain(&socket, &mut buffer).map_err(failed)?;
        let tunnels = limits.vxlan.iter().chain(&limits.geneve).copied().collect();
        let kind = std::fs::read_to_string(format!("/sys/class/net/{name}/type"));
        let kind = kind.unwrap_or_default().trim().parse();
        let (is_loopback, is_ethernet) = (kind == Ok(LOOPBACK_TYPE), kind != Ok(NONE_TYPE));
        let (interface, ports) = (index, ports.to_vec());
        let wanted = Wanted { interface, is_loopback, is_ethernet, ports, tunnels };
        handle.attach_filter(&filter::program(&wanted)).map_err(failed)?;
        handle.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        // As much as the kernel allows.
        handle.set_recv_buffer_size(BUFFER).ok();
        Ok(Self::Interface(socket, (name.to_owned(), index), buffer))
    }

    /// Is the end of a mirror that sends to this address.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn mirror(tunnel: Tunnel, address: SocketAddr) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot listen on {address}: {error}");
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        SockRef::from(&socket).set_recv_buffer_size(BUFFER).ok();
        Ok(Self::Mirror(socket, tunnel, vec![0; FRAME_MAX].into_boxed_slice()))
    }

    /// The address of a mirror's end.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Interface(..) => None,
            Self::Mirror(socket, ..) => socket.local_addr().ok(),
        }
    }

    /// Waits a little for what comes next, and hands it on; whether something came.
    ///
    /// # Errors
    /// The source is gone.
    pub fn next(&mut self, mut take: impl FnMut(Came<'_>)) -> io::Result<bool> {
        match self {
            Self::Interface(socket, (name, index), buffer) => {
                let (length, from) = match recvfrom::<LinkAddr>(socket.as_raw_fd(), buffer) {
                    // A socket of all interfaces is not told that one is gone.
                    Err(Errno::EAGAIN) if if_nametoindex(name.as_str()) != Ok(*index) => {
                        return Err(io::Error::other(format!("the interface {name} is gone")));
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(false),
                    came => came?,
                };
                let link = match from.map(|from| from.hatype()) {
                    Some(NONE_TYPE) => Link::of(101),
                    _ => Link::Ethernet,
                };
                let bytes = &buffer[..length];
                take(Came::Frame(Frame { at: now(), link, bytes, original: length }));
            }
            Self::Mirror(socket, tunnel, buffer) => match socket.recv_from(buffer) {
                Ok((length, _)) => take(Came::Payload(*tunnel, now(), &buffer[..length])),
                Err(error) if is_nothing(&error) => return Ok(false),
                Err(error) => return Err(error),
            },
        }
        Ok(true)
    }
}

/// What came.
#[derive(Debug)]
pub enum Came<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// What a mirror has sent.
    Payload(Tunnel, Nanos, &'a [u8]),
}

fn drain(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match nix::sys::socket::recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => {}
            Err(Errno::EAGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn missing(name: &str, error: Errno) -> String {
    let program = std::env::current_exe();
    let program = program.map_or("mirrorlab-capture".to_owned(), |it| it.display().to_string());
    match error {
        Errno::EPERM | Errno::EACCES => format!(
            "--interface {name}: CAP_NET_RAW is missing. Give it to the program \
             (setcap cap_net_raw+ep {program}), to its container (--cap-add NET_RAW), or to its unit \
             (AmbientCapabilities=CAP_NET_RAW); it is given up once the interface is open"
        ),
        other => format!("--interface {name}: {}", other.desc()),
    }
}

/// By this machine's clock.
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
