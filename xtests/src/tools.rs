//! Programs of the system, and ours that are no services: what they say, and how they end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::run::Run;
use crate::{PATIENCE, Result, eventually};

/// Something that a test of packets needs and this machine does not have or allow.
#[derive(Debug)]
pub struct Lacking(pub String);

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing", self.0)
    }
}

impl std::error::Error for Lacking {}

/// Where a program of the system is.
///
/// # Errors
/// [`Lacking`].
pub fn find(name: &str) -> Result<PathBuf> {
    const PLACES: [&str; 5] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];
    let all = PLACES.into_iter().map(|place| Path::new(place).join(name));
    let found = all.into_iter().find(|path| path.exists());
    found.ok_or_else(|| Lacking(name.to_owned()).into())
}

/// Whether the tests may do what only root may.
///
/// # Errors
/// [`Lacking`].
pub fn root() -> Result<()> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(Lacking("root".into()).into()) }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// Itself where it ended well.
    ///
    /// # Errors
    /// What it said.
    pub fn well(self) -> Result<Self> {
        if self.code == 0 { Ok(self) } else { Err(format!("ended with {self:?}").into()) }
    }
}

/// A program that runs; killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: Text,
    err: Text,
    readers: [JoinHandle<()>; 2],
}

type Text = Arc<Mutex<Vec<u8>>>;

fn shown(text: &Text) -> String {
    String::from_utf8_lossy(&text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

impl Running {
    /// Starts it, with nothing on its standard input and the paths of programs alone in its environment, unless the
    /// command says otherwise.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(run: &Run, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let making = run.make().await;
        let mut child = command.spawn()?;
        // What ended at once needs no note.
        if let Some(id) = child.id() {
            run.note_process(id)?;
        }
        drop(making);
        let (out, err) = (Text::default(), Text::default());
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let readers = [collect(stdout, &out), collect(stderr, &err)];
        Ok(Self { child, out, err, readers })
    }

    /// Its process.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| format!("it has ended: {}", shown(&self.err)).into())
    }

    /// What it wrote to standard error so far.
    pub fn err(&self) -> String {
        shown(&self.err)
    }

    /// Waits until it has written this to standard error.
    ///
    /// # Errors
    /// When it does not in time, or ends before.
    pub async fn says(&mut self, text: &str) -> Result<()> {
        eventually!({
            // Looked at first: what it says last counts, too.
            let ended = self.child.try_wait()?;
            let said = self.err();
            if ended.is_some() && !said.contains(text) {
                return Err(format!("ended before it said {text:?}: {said}").into());
            }
            said.contains(text)
        });
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.id()?.to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("cannot send {name} to {id}").into()) }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(mut self) -> Result<Ended> {
        let status = tokio::time::timeout(2 * PATIENCE, self.child.wait()).await;
        let status = status.map_err(|_| format!("does not end: {}", self.err()))??;
        for reader in &mut self.readers {
            // What it started may hold the pipe for longer than it lives.
            drop(tokio::time::timeout(std::time::Duration::from_secs(2), reader).await);
        }
        let code = status.code().unwrap_or(-1);
        Ok(Ended { code, out: shown(&self.out), err: shown(&self.err) })
    }
}

fn collect(mut from: impl AsyncRead + Unpin + Send + 'static, into: &Text) -> JoinHandle<()> {
    let into = Arc::clone(into);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            into.extend_from_slice(&buffer[..read]);
        }
    })
}

/// A command with arguments, and the paths of programs alone in its environment.
pub fn command<S: AsRef<std::ffi::OsStr>>(program: impl AsRef<Path>, arguments: &[S]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin");
    command.args(arguments);
    command
}

/// Runs a program of the system to its end.
///
/// # Errors
/// [`Lacking`], or what it said where it did not end well.
pub async fn tool(run: &Run, name: &str, arguments: &[&str]) -> Result<Ended> {
    let running = Running::start(run, command(find(name)?, arguments)).await?;
    running.ended().await?.well().map_err(|error| format!("{name} {arguments:?}: {error}").into())
}
