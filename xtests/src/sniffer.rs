//! Packets written to a file by tcpdump or dumpcap, all of them: a datagram of our own comes last, and once that is in
//! the file so is what was sent before.

use std::io::{Read, Seek, SeekFrom};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use crate::namespace::Namespace;
use crate::run::Run;
use crate::tools::{self, Running};
use crate::{Result, eventually};

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// Writes pcap.
    Tcpdump,
    /// Writes pcapng.
    Dumpcap,
}

/// One that listens on a loopback.
#[derive(Debug)]
pub struct Sniffer {
    running: Running,
    marks: UdpSocket,
    /// What it writes.
    pub file: PathBuf,
}

/// What the last datagram says.
const MARK: &[u8] = b"and that was all of it";

impl Sniffer {
    /// Listens to TCP of a port on the loopback of a namespace, or of this one.
    ///
    /// # Errors
    /// [`tools::Lacking`], or what it said.
    pub async fn start(
        run: &Run,
        within: Option<&Namespace>,
        with: With,
        port: u16,
        file: &Path,
    ) -> Result<Self> {
        tools::root()?;
        let bind = || Ok(UdpSocket::bind(("127.0.0.1", 0))?);
        let marks = within.map_or_else(bind, |it| it.within(bind))?;
        let filter = format!("tcp port {port} or udp port {}", marks.local_addr()?.port());
        let path = file.to_string_lossy();
        // Enough room for all that comes while it is not scheduled.
        let (name, arguments, ready) = match with {
            With::Tcpdump => (
                "tcpdump",
                vec!["-i", "lo", "-Z", "root", "-U", "-B", "65536", "-w", &path, &filter],
                "listening on",
            ),
            With::Dumpcap => {
                ("dumpcap", vec!["-q", "-i", "lo", "-B", "64", "-f", &filter, "-w", &path], "File:")
            }
        };
        let command = match within {
            Some(namespace) => namespace.command(name, &arguments)?,
            None => tools::command(tools::find(name)?, &arguments),
        };
        let mut running = Running::start(run, command).await?;
        running.says(ready).await?;
        Ok(Self { running, marks, file: file.to_owned() })
    }

    /// Ends it once all that was sent is in the file.
    ///
    /// # Errors
    /// When that does not come, or the kernel dropped some of it.
    pub async fn end(self) -> Result<PathBuf> {
        let own = self.marks.local_addr()?;
        eventually!({
            self.marks.send_to(MARK, own)?;
            is_marked(&self.file)?
        });
        self.running.signal("INT")?;
        let ended = self.running.ended().await?.well()?;
        let is_whole = ended.err.contains("0 packets dropped by kernel")
            || ended.err.contains("/0 (") && ended.err.contains("(100.0%)");
        if is_whole { Ok(self.file) } else { Err(format!("lost some: {}", ended.err).into()) }
    }
}

fn is_marked(file: &Path) -> Result<bool> {
    const END: u64 = 64 << 10;
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(end.windows(MARK.len()).any(|window| window == MARK))
}
