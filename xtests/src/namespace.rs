//! A network of one's own: a namespace that lives as long as the process that holds it, so that nothing is left behind.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::process::Command;

use crate::run::Run;
use crate::tools::{self, Ended, Running};
use crate::{Result, eventually};

/// A namespace, with a loopback that is up.
#[derive(Debug)]
pub struct Namespace {
    holder: Running,
    id: u32,
}

impl Namespace {
    /// A new one.
    ///
    /// # Errors
    /// [`tools::Lacking`] where this may not be had.
    pub async fn new(run: &Run) -> Result<Self> {
        tools::root()?;
        let hold = tools::command(tools::find("unshare")?, &["--net", "sleep", "infinity"]);
        let holder = Running::start(run, hold).await?;
        let id = holder.id()?;
        let own = std::fs::read_link("/proc/self/ns/net")?;
        eventually!({
            if holder.err().contains("unshare") {
                return Err(tools::Lacking(format!("a namespace ({})", holder.err())).into());
            }
            std::fs::read_link(format!("/proc/{id}/ns/net")).is_ok_and(|its| its != own)
        });
        let namespace = Self { holder, id };
        namespace.tool(run, "ip", &["link", "set", "lo", "up"]).await?;
        Ok(namespace)
    }

    /// The process that holds it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// A command that is run in it.
    ///
    /// # Errors
    /// [`tools::Lacking`].
    pub fn command(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        self.holder.id()?;
        let (target, name) = (format!("--target={}", self.id), program.to_owned());
        let enter = [target.as_str(), "--net", "--", name.as_str()];
        Ok(tools::command(tools::find("nsenter")?, &[&enter[..], arguments].concat()))
    }

    /// Runs a program of the system in it.
    ///
    /// # Errors
    /// [`tools::Lacking`], or what it said where it did not end well.
    pub async fn tool(&self, run: &Run, name: &str, arguments: &[&str]) -> Result<Ended> {
        tools::find(name)?;
        let ended = Running::start(run, self.command(name, arguments)?).await?.ended().await?;
        ended.well().map_err(|error| format!("{name} {arguments:?}: {error}").into())
    }

    /// Does something on a thread that is in it: sockets stay in the namespace in which they were made.
    ///
    /// # Errors
    /// What the kernel says, or what came of it.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.id))?;
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind)?;
                work()
            });
            worker.join().map_err(|_| "a thread in the namespace panicked")?
        })
    }
}
