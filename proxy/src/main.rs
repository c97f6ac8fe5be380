//! Orders things: arguments, configuration, logging, runtimes, serve until a signal, drain.
//!
//! Exit codes: 0 after a drain (and for `--healthcheck`: healthy), 1 when it cannot start or is
//! told to stop at once (unhealthy), 2 for bad settings or arguments. `report` has those of
//! [`release`].

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use proxy::access::Access;
use proxy::arguments::{self, Arguments, Command};
use proxy::check::{self, Explained};
use proxy::config::{self, Config};
use proxy::control;
use proxy::preview::{self, Tried};
use proxy::relay::Left;
use proxy::steer::Steer;
use proxy::steer::watch::Watched;
use proxy::{app, app::Drained, app::Source, healthcheck, release};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

const USAGE: &str = "\
mirrorlab-proxy: answers from the baseline, mirrors a share to the candidate, compares the two.

Usage: mirrorlab-proxy [--config FILE]
                       [--healthcheck | --print-schema | --help | --version]
       mirrorlab-proxy check [FILE] [--explain 'METHOD /path?query']
                             [-H 'name: value']... [--client IP]
       mirrorlab-proxy try [--route ROUTE] [--candidate NAME] [--client IP] < request.http
       mirrorlab-proxy report --url URL [--require pass] [--min-pairs N]
                              [--candidate NAME] [--route ROUTE]
                              [--cover p99|p99.9] [--token-file FILE]
                              [--format text|json|markdown|junit|html] [--verbose]
                              [--watch [--interval TIME]]

  --config       the settings file (TOML); without it that of MIRROR_CONFIG, if any
  --healthcheck  ask the proxy with these settings whether it is alive; exit code 0 or 1
  --print-schema the JSON Schema of the settings file, for editors
  --help         this text
  --version      the version

  check          tell all that is wrong with the settings; exit code 0 if nothing is, else 2
    --explain    tell which route and policy this request would get, and which lines decide
    -H           a header of that request, as often as there are some
    --client     the address that it comes from

  try            tell what would go out for an HTTP/1.1 request, as a difference to it, and by which
                 rule; exit code 0, or 2 where it cannot be told
    --route      as if this route fitted it
    --candidate  for this one; without it for all
    --client     the address that it comes from

  report         show the report of a running proxy, to gate a release on it; UPSTREAM_CA is heeded
    --url        where its admin endpoints are, such as http://localhost:8080
    --require    pass: exit code 0 for a pass only; without it a fail is 0, too
    --min-pairs  with fewer pairs the exit code is 3, unless it is 1
    --candidate  the report of this one; without it those of all, which must all be as required
    --route      the verdict of this route, such as 'GET /api/search', not that over all
    --format     text (default), json, markdown for a comment, junit for a pipeline, or html;
                 --json is --format json
    --verbose    every place that differs, every example and interval
    --watch      follow it until Ctrl-C; the exit code is that of the last report
    --interval   how often it is asked for then, such as 10s; 2s by default
    --token-file what the token is read from that is sent; without it CONTROL_TOKEN is, if set
  exit codes of report: 0 as required, 1 fail, 2 bad arguments, no such
  route or no report to be had, 3 not enough data

Settings come from the environment, and from the file, which the environment goes over.
BASELINE_URL and CANDIDATE_URL are the first to set; docs/settings.md has them all.
";

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => return fail(2, &arguments::refused(&why)),
    };
    let file = arguments.file.as_deref();
    match arguments.command {
        Command::Help => return say(USAGE),
        Command::Version => {
            return say(concat!("mirrorlab-proxy ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Command::Schema => return say(&config::schema()),
        Command::Report(rest) => return report(file, rest),
        Command::Check(request) => return check(file, request.as_deref()),
        Command::Try(tried) => return attempt(file, &tried),
        Command::Serve | Command::Healthcheck => {}
    }
    let config = match Config::from_process(file) {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("cannot start threads: {error}")),
    };
    if matches!(arguments.command, Command::Healthcheck) {
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
    let code = runtime.block_on(run(config, arguments.file.clone(), &compare));
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
fn report(file: Option<&Path>, arguments: Vec<String>) -> ExitCode {
    let request = match release::Request::parse(arguments.into_iter()) {
        Ok(request) => request,
        Err(why) => return fail(2, &arguments::refused(&why)),
    };
    let config = match Config::from_process(file) {
        Ok(config) => config,
        Err(errors) => return fail(2, &errors.to_string()),
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(2, &format!("cannot start: {error}")),
    };
    let asked = match request.watched() {
        Some(every) => runtime.block_on(release::watch::follow(&request, &config, every)),
        None => runtime.block_on(release::ask(&request, &config)),
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
        // What came of it is told where it is done.
        drop(tokio::task::spawn_blocking(move || steer.reload()).await);
    }
}

async fn run(config: Config, file: Option<PathBuf>, compare: &Runtime) -> ExitCode {
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
    let app = match app::start_from(config, compare.handle().clone(), None, Some(source)).await {
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
