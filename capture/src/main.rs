//! Orders things: arguments, settings, the source, privileges given up, a run until its end or a signal, the report.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capture::keys;
use capture::options::Options;
use capture::run::{self, Feed};
use capture::{privileges, source::Live};
use clap::Parser;
use packets::Tunnel;
use proxy::app::Engine;
use proxy::config::Config;
use proxy::release;
use replay::run::{self as report, Ended, REFUSED};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What is under way may take so long once no packet comes any more, beside the deadline of a copy.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match begin(&Options::parse()) {
        Ok(code) => code,
        Err(why) => {
            complain(&why);
            ExitCode::from(REFUSED)
        }
    }
}

fn begin(options: &Options) -> Result<ExitCode, String> {
    let config = run::settings(options)?;
    let asked = report::asked(&options.report)?;
    let live = open(options)?;
    // Before there is a second thread, which would keep them.
    privileges::give_up().map_err(|error| format!("cannot give up privileges: {error}"))?;
    // Dropped last, to write what is said until then.
    let _flush = proxy::logging::init(&config.log)?;
    let compare = Builder::new_multi_thread().worker_threads(1).thread_name("compare").build();
    let (Ok(runtime), Ok(compare)) = (Runtime::new(), compare) else {
        return Err("cannot start threads".to_owned());
    };
    let ended = work(options, &config, live, (&runtime, &compare), &asked);
    compare.shutdown_background();
    runtime.shutdown_background();
    ended
}

fn open(options: &Options) -> Result<Option<Live>, String> {
    let limits = packets::Limits::default();
    if let Some(name) = &options.interface {
        return Live::interface(name, &options.packets.ports, &limits).map(Some);
    }
    let mirrors = [(Tunnel::Vxlan, options.vxlan), (Tunnel::Geneve, options.geneve)];
    let mirror = mirrors.into_iter().find_map(|(tunnel, address)| Some((tunnel, address?)));
    mirror.map(|(tunnel, address)| Live::mirror(tunnel, address)).transpose()
}

fn work(
    options: &Options,
    config: &Config,
    live: Option<Live>,
    (runtime, compare): (&Runtime, &Runtime),
    asked: &release::Request,
) -> Result<ExitCode, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let (engine, admin) = runtime.block_on(async {
        stop_at_signals(&stop)?;
        let engine = Engine::start(config, compare.handle().clone()).await;
        let engine = Arc::new(engine.map_err(|error| error.to_string())?);
        let admin = engine.serve_admin(config).map_err(|error| error.to_string())?;
        Ok::<_, String>((engine, admin))
    })?;
    if let Some(admin) = &admin {
        complain(&format!("metrics, report and page are at http://{}", admin.addr));
    }
    let is_live = live.is_some();
    let feed = Feed::new(&engine, runtime.handle().clone(), !is_live);
    let source = match live {
        None => run::files(options, config, &feed, &stop),
        Some(live) => {
            let keys = options.packets.keylog.as_deref().map(keys::follow).transpose()?;
            let at = live.address().map(|address| format!(" on {address}")).unwrap_or_default();
            complain(&format!("listening{at}; Ctrl-C ends it with the report"));
            run::live(live, run::overheard(options, config, keys), &feed, &stop)
        }
    };
    let answer = runtime.block_on(async {
        feed.finish(config.mirror.timeout + PATIENCE).await;
        let answer = release::tell(asked, &engine.reports());
        engine.stop().await;
        answer
    });
    let standing = feed.counts().standing();
    // What is live has no end of its own.
    let is_whole = is_live || !stop.load(Ordering::Relaxed);
    let ended = report::ended(options.report.require, answer, standing, is_whole);
    source.lines.iter().chain(&ended.standing.lines()).for_each(|line| complain(line));
    let ended = match source.broken {
        Some(why) => told_of(&why, ended),
        None => ended,
    };
    let is_judged = options.candidate.is_some() || options.config.is_some();
    if !is_judged && ended.code != REFUSED {
        // What is only recorded has no verdict.
        return Ok(ExitCode::SUCCESS);
    }
    if is_judged {
        // A closed pipe is no reason to complain.
        drop(std::io::stdout().write_all(ended.text.as_bytes()));
    }
    if let Some(reason) = &ended.reason {
        complain(reason);
    }
    Ok(ExitCode::from(ended.code))
}

/// A source that could not be read to its end is told, and its code, unless the report says a worse one.
fn told_of(why: &str, ended: Ended) -> Ended {
    let is_fail = ended.code == 1;
    let reason = ended.reason.filter(|_| is_fail);
    let reason = reason.map_or_else(|| why.to_owned(), |reason| format!("{why}\n{reason}"));
    let code = if is_fail { ended.code } else { REFUSED };
    Ended { code, reason: Some(reason), ..ended }
}

/// Says so once it is to end; a second signal ends the process.
fn stop_at_signals(stop: &Arc<AtomicBool>) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.swap(true, Ordering::Relaxed) {
                at_once();
            }
        }
    });
    Ok(())
}

fn complain(line: &str) {
    // Nobody is left to tell when this fails.
    drop(writeln!(std::io::stderr(), "{}", line.trim_end()));
}

/// Whoever says it twice waits for nothing.
#[expect(clippy::exit, reason = "the report that is being made may take longer than anybody waits")]
fn at_once() -> ! {
    std::process::exit(1)
}
