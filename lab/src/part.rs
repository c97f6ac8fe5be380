//! A part of the stack as a process of its own, which can be stopped and has threads of its own. It
//! is this same program, told to be that part, so that nothing else needs to be built or found.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use proxy::app::{self, App};
use proxy::config::Config;
use rustix::process::Pid;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::scenario::Scenario;
use crate::service;

/// How long a part may take to start.
const START: Duration = Duration::from_secs(20);

/// Which part of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The shop that answers.
    Baseline,
    /// The shop that is tried.
    Candidate,
    /// What stands between.
    Proxy,
}

/// A part that runs in another process; it ends when this is dropped, or with this process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    url: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself. One that is stopped ends as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Process {
    /// Starts `program` as this part, with these settings and those of this process, and waits until
    /// it listens.
    ///
    /// # Errors
    /// When it does not start; what it says about that stands on the standard error.
    pub async fn start(program: &Path, part: Part, settings: &[(&str, &str)]) -> io::Result<Self> {
        let name = part.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
        let mut child = Command::new(program)
            .args(["--part", &name])
            .envs(settings.iter().copied())
            // It reads this to the end, which is the end of this process.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take();
        let mut process = Self { child, url: String::new() };
        let line = spawn_blocking(move || {
            let mut line = String::new();
            let Some(said) = said else { return Ok(line) };
            BufReader::new(said).read_line(&mut line).map(|_| line)
        });
        let line = timeout(START, line).await.map_err(io::Error::other)?;
        let line = line.map_err(io::Error::other)??;
        line.trim().clone_into(&mut process.url);
        if process.url.is_empty() {
            return Err(io::Error::other(format!("the {name} did not start")));
        }
        Ok(process)
    }

    /// `http://…` of it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it is known by while it runs.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

/// Is this part until nobody holds the other end of the standard input.
pub fn serve(part: Part) -> ExitCode {
    let served = Runtime::new().and_then(|runtime| {
        let compare = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let served = runtime.block_on(serve_until_alone(part, compare.handle()));
        compare.shutdown_background();
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            drop(writeln!(io::stderr(), "cannot be the {part:?}: {error}"));
            ExitCode::from(1)
        }
    }
}

async fn serve_until_alone(part: Part, compare: &Handle) -> io::Result<()> {
    // What runs must be held: it ends when it is forgotten.
    let (_running, _app, port);
    match part {
        Part::Baseline | Part::Candidate => {
            let name = if part == Part::Baseline { "service-v1" } else { "service-v2" };
            let running = service::service(name, 0).await?;
            (port, _running) = (running.addr.port(), running);
        }
        Part::Proxy => {
            let app = proxy(compare).await?;
            (port, _app) = (app.traffic.port(), app);
        }
    }
    let mut out = io::stdout();
    writeln!(out, "http://localhost:{port}")?;
    out.flush()?;
    let (alone, when_alone) = oneshot::channel();
    std::thread::spawn(move || {
        // Whether it ends or breaks: the other process is gone.
        drop(io::stdin().read_to_end(&mut Vec::new()));
        alone.send(()).ok();
    });
    drop(when_alone.await);
    Ok(())
}

/// The proxy with the settings that the lab plays twins with.
async fn proxy(compare: &Handle) -> io::Result<App> {
    let defaults = Scenario::settings(Some(Scenario::Twins));
    let mut config = Config::from_process_env_with(defaults).map_err(io::Error::other)?;
    config.admin = None;
    // The lab tells what happens in its own words; log lines are for those who ask.
    if config.log.filter == "info" {
        "error".clone_into(&mut config.log.filter);
    }
    proxy::logging::init(&config.log).map_err(io::Error::other)?;
    app::start(config, compare.clone()).await.map_err(io::Error::other)
}
