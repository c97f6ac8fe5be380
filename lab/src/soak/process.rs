//! The proxy as a process of its own, so that its memory and descriptors are its own.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// A running proxy; ended when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    addr: Option<SocketAddr>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Process {
    /// Starts it with these settings and those of this process, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start; what it says about that stands on the standard error.
    pub async fn start(
        program: &Path,
        settings: impl Iterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> io::Result<Self> {
        let mut child = Command::new(program).envs(settings).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take();
        let mut process = Self { child, addr: None };
        let (ready, when_ready) = oneshot::channel();
        std::thread::spawn(move || {
            let mut ready = Some(ready);
            for line in log.into_iter().flat_map(|log| BufReader::new(log).lines()) {
                let Ok(line) = line else { return };
                match address(&line) {
                    Some(addr) => {
                        if let Some(ready) = ready.take() {
                            // Nobody waits any more when it took too long.
                            ready.send(addr).ok();
                        }
                    }
                    None => eprintln!("{line}"),
                }
            }
        });
        let ready = timeout(START, when_ready).await.map_err(io::Error::other)?;
        process.addr = Some(ready.map_err(|_| io::Error::other("the proxy did not start"))?);
        Ok(process)
    }

    /// `http://…` of the proxy, the admin endpoints included.
    pub fn url(&self) -> String {
        self.addr.map_or_else(String::new, |addr| format!("http://{addr}"))
    }
}

/// The address in the line that says that it is ready.
fn address(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    (fields["message"] == "ready").then(|| fields["traffic"].as_str()?.parse().ok()).flatten()
}
