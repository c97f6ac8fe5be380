//! One program of the stack: a container, or a plain process.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use testcontainers::core::IntoContainerPort;
use testcontainers::core::logs::LogFrame;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::engine::Engine;
use crate::run::Run;
use crate::{PATIENCE, Result};

/// Names and values.
pub type Settings = Vec<(&'static str, String)>;

/// What a program wrote; shown when a test fails.
pub type Log = Arc<Mutex<String>>;

/// A container of the run.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    network: String,
    /// Its name, which is its host name in the network as well.
    pub name: String,
    port: u16,
    container: ContainerAsync<GenericImage>,
}

/// A process of the run.
#[derive(Debug)]
pub struct Process {
    run: Arc<Run>,
    program: std::path::PathBuf,
    settings: Settings,
    port_setting: &'static str,
    port: u16,
    child: Child,
    log: Log,
}

/// Either.
#[derive(Debug)]
pub enum Part {
    /// On a network of its own, with a host port that changes when it is started again.
    Container(Box<Container>),
    /// On loopback, with a port that stays.
    Process(Box<Process>),
}

impl Container {
    /// Starts `program` of the run's image.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn start(
        engine: &Engine,
        network: &str,
        name: String,
        program: &str,
        (port, settings): (u16, Settings),
        log: Log,
    ) -> Result<Self> {
        let (image, tag) = engine.image();
        let (key, value) = engine.label();
        let image = GenericImage::new(image, tag)
            .with_entrypoint(&format!("/{program}"))
            .with_exposed_port(port.tcp())
            .with_network(network)
            .with_container_name(&name)
            .with_label(key, value)
            .with_startup_timeout(PATIENCE)
            .with_log_consumer(move |frame: &LogFrame| {
                let text = String::from_utf8_lossy(frame.bytes()).into_owned();
                log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            });
        let image = settings
            .into_iter()
            .fold(image, |image, (name, value)| image.with_env_var(name, value));
        let making = engine.run().make().await;
        let container = image.start().await?;
        drop(making);
        Ok(Self { engine: engine.clone(), network: network.to_owned(), name, port, container })
    }
}

impl Process {
    /// Starts a program on a free port.
    ///
    /// # Errors
    /// When it does not say in time that it is ready, and where.
    pub async fn start(
        run: &Arc<Run>,
        program: &Path,
        port_setting: &'static str,
        settings: Settings,
        log: Log,
    ) -> Result<Self> {
        let (run, program) = (Arc::clone(run), program.to_owned());
        let (child, port) = spawn(&run, &program, (port_setting, 0), &settings, &log).await?;
        Ok(Self { run, program, settings, port_setting, port, child, log })
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().ok_or("it has ended already")?.to_string();
        let sent =
            std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("cannot send {signal} to {id}").into()) }
    }

    async fn start_again(&mut self) -> Result<()> {
        // After a kill it may take a moment until it is gone.
        self.child.kill().await?;
        let place = (self.port_setting, self.port);
        (self.child, self.port) =
            spawn(&self.run, &self.program, place, &self.settings, &self.log).await?;
        Ok(())
    }
}

/// Starts a program and waits for the line with the address it took.
async fn spawn(
    run: &Run,
    program: &Path,
    (port_setting, port): (&'static str, u16),
    settings: &Settings,
    log: &Log,
) -> Result<(Child, u16)> {
    let address = if port_setting == "PORT" { String::new() } else { "127.0.0.1:".to_owned() };
    let mut command = Command::new(program);
    command.env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
    command.env(port_setting, format!("{address}{port}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let making = run.make().await;
    let mut child = command.spawn()?;
    run.note_process(child.id().ok_or("it ended at once")?)?;
    drop(making);
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let (ready, when_ready) = tokio::sync::oneshot::channel();
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let (mut lines, mut ready) = (BufReader::new(stderr).lines(), Some(ready));
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("ready")
                && let Some(port) = port_in(&line)
                && let Some(ready) = ready.take()
            {
                // Nobody waits any more when it came too late.
                let _late = ready.send(port);
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&format!("{line}\n"));
        }
    });
    let port = tokio::time::timeout(PATIENCE, when_ready).await?;
    Ok((child, port.map_err(|_| format!("{} did not start", program.display()))?))
}

/// The port of the first address in a line such as `ready traffic=127.0.0.1:41233 …`.
fn port_in(line: &str) -> Option<u16> {
    let words = line.split([' ', '=', '"']);
    words.filter_map(|word| word.rsplit_once(':')).find_map(|(host, port)| {
        let is_host = host.contains('.') || host.contains('[');
        is_host.then(|| port.parse().ok()).flatten()
    })
}

impl Part {
    /// Where tests reach it.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn url(&self) -> Result<String> {
        match self {
            Self::Process(process) => Ok(format!("http://127.0.0.1:{}", process.port)),
            Self::Container(part) => {
                let host = part.container.get_host().await?;
                let port = part.container.get_host_port_ipv4(part.port).await?;
                Ok(format!("http://{host}:{port}"))
            }
        }
    }

    /// Where other parts reach it.
    pub fn inner_url(&self) -> String {
        match self {
            Self::Process(process) => format!("http://127.0.0.1:{}", process.port),
            Self::Container(part) => format!("http://{}:{}", part.name, part.port),
        }
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal("KILL").await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn signal(&mut self, signal: &str) -> Result<()> {
        match self {
            Self::Process(process) => process.signal(signal),
            Self::Container(part) => part.engine.signal(part.container.id(), signal).await,
        }
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn pause(&mut self) -> Result<()> {
        match self {
            Self::Process(process) => process.signal("STOP"),
            Self::Container(part) => Ok(part.container.pause().await?),
        }
    }

    /// Goes on after a pause.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn resume(&mut self) -> Result<()> {
        match self {
            Self::Process(process) => process.signal("CONT"),
            Self::Container(part) => Ok(part.container.unpause().await?),
        }
    }

    /// Cuts it off the network. A process has none to be cut off.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn cut_off(&mut self) -> Result<()> {
        match self {
            Self::Process(_) => Err("a process cannot be cut off".into()),
            Self::Container(part) => {
                part.engine.disconnect(&part.network, part.container.id()).await
            }
        }
    }

    /// Puts it back on the network.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn rejoin(&mut self) -> Result<()> {
        match self {
            Self::Process(_) => Err("a process cannot be cut off".into()),
            Self::Container(part) => part.engine.connect(&part.network, part.container.id()).await,
        }
    }

    /// Starts it again, whether or not it still runs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        match self {
            Self::Process(process) => process.start_again().await,
            Self::Container(part) => part.engine.restart(part.container.id()).await,
        }
    }

    /// Waits for its end; the exit code.
    ///
    /// # Errors
    /// When it does not end in time, or was killed.
    pub async fn exit_code(&mut self) -> Result<i64> {
        match self {
            Self::Process(process) => {
                let status = tokio::time::timeout(PATIENCE, process.child.wait()).await??;
                status.code().map(i64::from).ok_or_else(|| "killed by a signal".into())
            }
            Self::Container(part) => {
                let deadline = tokio::time::Instant::now() + PATIENCE;
                while tokio::time::Instant::now() < deadline {
                    if let Some(code) = part.container.exit_code().await? {
                        return Ok(code);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err("it did not end in time".into())
            }
        }
    }
}
