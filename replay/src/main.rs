//! Orders things: arguments, settings, a run until its end or a signal, the report and the exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use replay::convert;
use replay::options::{Command, Options};
use replay::run::{self, Ended, REFUSED};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Command::Convert(asked)) = &options.command {
        let Ok(runtime) = Runtime::new() else { return fail("cannot start threads") };
        let _within = runtime.enter();
        return match convert::convert(asked) {
            Ok(told) => {
                told.iter().for_each(|line| complain(line));
                ExitCode::SUCCESS
            }
            Err(why) => fail(&why),
        };
    }
    let config = match run::settings(&options.run) {
        Ok(config) => config,
        Err(why) => return fail(&why),
    };
    // Dropped last, to write what is said until then.
    let _flush = match proxy::logging::init(&config.log) {
        Ok(flush) => flush,
        Err(why) => return fail(&why),
    };
    let compare = Builder::new_multi_thread().worker_threads(1).thread_name("compare").build();
    let (Ok(runtime), Ok(compare)) = (Runtime::new(), compare) else {
        return fail("cannot start threads");
    };
    let ended = runtime.block_on(async {
        let stop = stopped()?;
        run::run(&options.run, &config, compare.handle().clone(), stop).await
    });
    compare.shutdown_background();
    runtime.shutdown_background();
    match ended {
        Ok(ended) => tell(&ended),
        Err(why) => fail(&why),
    }
}

/// Says so once the run is to end; a second signal ends the process.
fn stopped() -> Result<watch::Receiver<bool>, String> {
    let (stop, stopped) = watch::channel(false);
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::spawn(async move {
        for nth in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if nth > 0 {
                at_once();
            }
            complain("ends: what is under way may finish");
            stop.send_replace(true);
        }
    });
    Ok(stopped)
}

fn tell(ended: &Ended) -> ExitCode {
    // A closed pipe is no reason to complain.
    drop(std::io::stdout().write_all(ended.text.as_bytes()));
    ended.standing.lines().iter().for_each(|line| complain(line));
    if let Some(reason) = &ended.reason {
        complain(reason);
    }
    ExitCode::from(ended.code)
}

fn fail(why: &str) -> ExitCode {
    complain(why);
    ExitCode::from(REFUSED)
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
