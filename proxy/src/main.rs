//! Orders things: arguments, configuration, logging, runtimes, serve until a signal, drain.
//!
//! Exit codes: 0 after a drain (and for `--healthcheck`: healthy), 1 when it cannot start or is
//! told to stop at once (unhealthy), 2 for bad settings or arguments. `report` has those of
//! [`release`].

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use proxy::access::Access;
use proxy::arguments::{self, Arguments, Command};
use proxy::check::{self, Explained};
use proxy::config::{self, Config};
use proxy::control;
use proxy::listen::passed::Passed;
use proxy::preview::{self, Tried};
use proxy::relay::Left;
use proxy::steer::Steer;
use proxy::steer::watch::Watched;
use proxy::{app, app::Drained, app::Source, healthcheck, release, supervisor};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

/// What is left to be done after a drain takes no longer.
const AFTER_DRAIN: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => return fail(2, &arguments::refused(&why)),
    };
    let file = arguments.file.as_deref();
    match arguments.command {
        Command::Say(text) => return say(&text),
        Command::Schema => return say(&config::schema()),
        Command::Report(request) => return report(file, &request),
        Command::Check(request) => return check(file, request.as_deref()),
        Command::Try(tried) => return attempt(file, &tried),
        Command::Serve | Command::Healthcheck => {}
    }
    let config = match Config::from_process(file) {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let serves = matches!(arguments.command, Command::Serve);
    let passed = match serves.then(|| Passed::of_process(&Config::names_of_sockets())) {
        None => Passed::default(),
        Some(Ok(passed)) => passed,
        Some(Err(why)) => return fail(1, &format!("cannot start: {why}")),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("cannot start threads: {error}")),
    };
    if !serves {
        return match runtime.block_on(healthcheck::check(&config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(1, &why),
        };
    }
    // Dropped last, to write what is said until then.
    let _flush = match proxy::logging::init(&config.log) {
        Ok(flush) => flush,
        Err(why) => return fail(2, &why),
    };
    // Comparing has a runtime of its own: what it computes takes no turn from a client.
    let compare =
        Builder::new_multi_thread().worker_threads(1).thread_name("compare").enable_all().build();
    let compare = match compare {
        Ok(compare) => compare,
        Err(error) => return fail(1, &format!("cannot start threads: {error}")),
    };
    let code = runtime.block_on(run(passed, config, arguments.file.clone(), &compare));
    compare.shutdown_background();
    runtime.shutdown_background();
    code
}

/// Tells whether the settings are good, and what a request would get.
fn check(file: Option<&Path>, request: Option<&Explained>) -> ExitCode {
    let config = match Config::from_process(file) {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let warnings = config.warnings.iter().cloned();
    let unknown = Config::unknown_in_process_env().into_iter();
    for warning in warnings.chain(unknown.map(|name| format!("{name}: is no setting"))) {
        fail(0, &format!("warning: {warning}"));
    }
    match request {
        Some(request) => say(&check::explain(&config, request)),
        None => say(&check::summary(&config)),
    }
}

/// Tells what becomes of the copies of the request on standard input.
fn attempt(file: Option<&Path>, tried: &Tried) -> ExitCode {
    let config = match Config::from_process(file) {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let mut request = Vec::new();
    let most = preview::BYTES_MAX as u64 + 1;
    match io::stdin().lock().take(most).read_to_end(&mut request) {
        Ok(length) if length > preview::BYTES_MAX => return fail(2, "the request is too large"),
        Ok(_) => {}
        Err(error) => return fail(2, &format!("cannot read the request: {error}")),
    }
    match preview::shown(&config, tried, &request) {
        Ok(text) => say(&text),
        Err(why) => fail(2, &why),
    }
}

/// Shows the report of another proxy.
fn report(file: Option<&Path>, request: &release::Request) -> ExitCode {
    let config = match Config::from_process(file) {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(2, &format!("cannot start: {error}")),
    };
    let asked = match request.watched() {
        Some(every) => runtime.block_on(release::watch::follow(request, &config, every)),
        None => runtime.block_on(release::ask(request, &config)),
    };
    match asked {
        Ok(answer) => {
            say(&answer.text);
            match answer.reason {
                Some(reason) => fail(answer.code, &reason),
                None => ExitCode::from(answer.code),
            }
        }
        Err(why) => fail(2, &why),
    }
}

/// The signals that mean something. Others that would end a process are taken and left at that: they
/// are sent by habit, or by mistake.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    _others: [Signal; 4],
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            _others: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
                signal(SignalKind::alarm())?,
                signal(SignalKind::io())?,
            ],
        })
    }

    /// Waits until the proxy is to end; whether it is to drain before.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
            _ = self.quit.recv() => false,
        }
    }

    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
        }
    }
}

/// Reads the settings anew at each SIGHUP, for ever. Beside the other signals, since reading takes as
/// long as the disk does.
async fn reload_at(mut hangup: Signal, steer: Arc<Steer>) {
    while hangup.recv().await.is_some() {
        let steer = Arc::clone(&steer);
        supervisor::reloading();
        // What came of it is told where it is done.
        drop(tokio::task::spawn_blocking(move || steer.reload()).await);
        supervisor::ready();
    }
}

async fn run(passed: Passed, config: Config, file: Option<PathBuf>, compare: &Runtime) -> ExitCode {
    let (Ok(mut signals), Ok(hangup)) = (Signals::listen(), signal(SignalKind::hangup())) else {
        return fail(1, "cannot listen for signals");
    };
    raise_descriptors(&config);
    for name in Config::unknown_in_process_env() {
        warn!(name, "a setting of this name is not known; a typing error?");
    }
    for warning in &config.warnings {
        warn!(warning, "probably not what is meant");
    }
    let access = config.access();
    let modes: Vec<_> = config.listeners.iter().map(|it| it.mode.name()).collect();
    let (prefix, shared) = (config.admin_prefix.clone(), config.admin.is_none());
    let source = source(&config, file);
    let longest = config.drain_delay + config.drain_timeout + AFTER_DRAIN;
    let means = (compare.handle().clone(), None);
    let app = match app::start_on(passed, config, means, Some(source)).await {
        Ok(app) => app,
        Err(why) => {
            error!(%why, "cannot start");
            return ExitCode::from(1);
        }
    };
    let audit = app.steer().audit().clone();
    tokio::spawn(reload_at(hangup, Arc::clone(app.steer())));
    let admin = app.admin.unwrap_or(app.traffic);
    info!(traffic = %app.traffic, %admin, admin_prefix = prefix, "ready");
    supervisor::ready();
    let steer = Arc::clone(app.steer());
    tokio::spawn(async move { supervisor::keep_telling(&steer).await });
    for (address, mode) in app.others().iter().zip(modes) {
        info!(%address, mode, "listens, too");
    }
    if shared {
        let hides = control::paths(&prefix).collect::<Vec<_>>().join(", ");
        info!(hides, "these paths are the proxy's own; ADMIN_ADDR or ADMIN_PREFIX moves them");
    }
    tell_access(&access);
    if !signals.wait().await {
        warn!("SIGQUIT: stopped at once");
        audit.close("SIGQUIT: stopped at once").await;
        return ExitCode::from(1);
    }
    info!("draining: no new connections, requests in flight may finish");
    supervisor::stopping(longest);
    tokio::select! {
        drained = app.shutdown() => {
            tell_drained(drained);
            info!("stopped");
            ExitCode::SUCCESS
        }
        () = signals.again() => {
            warn!("a second signal: stopped at once");
            audit.close("a second signal: stopped at once").await;
            ExitCode::from(1)
        }
    }
}

/// Says what the drain has left.
fn tell_drained(drained: Drained) {
    if drained.cut > 0 {
        warn!(cut = drained.cut, "the drain took too long; requests were cut off");
    }
    let Left { cut, kept } = drained.relays;
    if cut > 0 {
        warn!(cut, "the drain took too long; relayed requests were cut off");
    }
    if kept > 0 {
        info!(kept, "requests stay in the spool and are relayed after the next start");
    }
}

/// Where settings are read anew, and what tells that they have changed.
fn source(config: &Config, file: Option<PathBuf>) -> Source {
    let watched = config
        .file
        .as_ref()
        .map(|file| Watched { path: PathBuf::from(file), read: config.file_hash });
    Source { read: Arc::new(move || Config::from_process(file.as_deref())), watched }
}

/// Says who may do what, as a warning where that is everyone.
fn tell_access(access: &Access) {
    let (who, hosts) = (access.who(), access.by_host());
    if access.is_open() {
        warn!(who, hosts, "ADMIN_OPEN: who may switch mirroring, and by which Host see values");
    } else {
        info!(who, hosts, "who may switch mirroring, and by which Host see values of traffic");
    }
}

/// Takes all file descriptors that the system allows, and says so where they are too few.
fn raise_descriptors(config: &Config) {
    // Logs, the runtimes, listeners, and names that are asked for.
    const OTHERS: usize = 64;
    let limits = &config.forward.limits;
    let listeners = 1 + usize::from(config.admin.is_some()) + config.listeners.len();
    let clients = limits.connections.saturating_mul(listeners);
    let upstreams = limits.requests_in_flight.saturating_add(config.mirror.concurrency);
    let needed = clients.saturating_add(upstreams).saturating_add(OTHERS);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(there) if there < needed as u64 => {
            warn!(
                there,
                needed,
                "fewer file descriptors than MAX_CONNECTIONS and \
                MAX_REQUESTS_IN_FLIGHT may need: connections over that number wait or fail"
            );
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "cannot raise the limit of file descriptors"),
    }
}

fn say(text: &str) -> ExitCode {
    // A closed pipe is no reason to complain.
    drop(std::io::stdout().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}

fn fail(code: u8, text: &str) -> ExitCode {
    // Nobody is left to tell when this fails.
    drop(writeln!(std::io::stderr(), "{}", text.trim_end()));
    ExitCode::from(code)
}
