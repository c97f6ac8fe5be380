//! A run: reads, sends, tells.

use std::sync::Arc;
use std::time::Duration;

use proxy::app::Engine;
use proxy::config::Config;
use proxy::release::{self, AtHand, Request};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::counts::{Counts, Standing};
use crate::input::{self, Input};
use crate::options::{Guardrail, Report, Required, Run};
use crate::play::{Player, Rules};
use crate::progress::{self, Reading};
use crate::reader::{self, Read};
use crate::resume::{Begun, Place, Watermark};
use crate::sorted::Sorted;

/// How often it is written down how far a run came.
const WRITTEN: Duration = Duration::from_secs(1);
/// What is under way may take so long once nothing more is sent, beside the deadline of a copy.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest body that is sent again, in bytes: production's bound is about clients that wait.
const BODY: usize = 64 << 20;
/// The default is that of the proxy's stack, and nobody's wish.
const NO_CANDIDATE: &str =
    "there is no candidate: --candidate, CANDIDATE_URL or a settings file says where copies go";
/// Numbers of exchanges mean others then.
const OTHER: &str = "--resume: what is read begins with another exchange than it did, as where a quota has taken the \
                     oldest away; without the file of --resume all of it is sent";
/// The exit code for arguments that are wrong, and for nothing to be read.
pub const REFUSED: u8 = 2;

/// What came of a run.
#[derive(Debug)]
pub struct Ended {
    /// The report, to be shown.
    pub text: String,
    /// What became of the exchanges.
    pub standing: Standing,
    /// The exit code.
    pub code: u8,
    /// Why it is not 0.
    pub reason: Option<String>,
}

/// The settings of a run: what is said on the command line over the environment, and that over the file.
///
/// # Errors
/// All that is wrong with them.
pub fn settings(run: &Run) -> Result<Config, String> {
    let connections = run.pace.connections();
    let guardrail = match run.choice.guardrail {
        Guardrail::On => "on",
        Guardrail::Observe => "observe",
    };
    let mut over = vec![
        ("MIRROR_FRACTION", run.choice.share.clone()),
        ("MIRROR_CONCURRENCY", connections.to_string()),
        // What has a slot has a place in the queue.
        ("MIRROR_QUEUE_SIZE", (connections + 1).to_string()),
        ("MIRROR_BUFFER_BYTES", buffer(connections).to_string()),
        ("MIRROR_MAX_BODY_BYTES", BODY.to_string()),
        ("GUARDRAIL", guardrail.to_owned()),
    ];
    let urls = [("CANDIDATE_URL", &run.candidate), ("BASELINE_URL", &run.baseline)];
    over.extend(urls.into_iter().filter_map(|(name, url)| Some((name, url.clone()?))));
    let config = Config::from_process_under(run.config.as_deref(), &over);
    let config = config.map_err(|errors| errors.to_string())?;
    if !config.names_candidate() {
        return Err(NO_CANDIDATE.to_owned());
    }
    if run.pace.repeat.is_some() && run.sources.iter().any(|it| it == "-") {
        return Err("--loop: standard input can be read but once; allowed are files, folders and \
                    stores"
            .to_owned());
    }
    // What the settings say of these is meant for production, and may be where we read from.
    Ok(Config { record: None, audit: None, webhook: None, ..config })
}

/// Bytes for all that is under way: some for each, and never less than for large bodies of a few.
fn buffer(connections: usize) -> usize {
    const EACH: usize = 64 << 10;
    const LEAST: usize = 256 << 20;
    (connections * EACH).max(LEAST)
}

/// Runs until the sources are over, or `stop` says so.
///
/// # Errors
/// Why it could not begin.
pub async fn run(
    run: &Run,
    config: &Config,
    compare: Handle,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, String> {
    let asked = asked(&run.report)?;
    let place = run.resume.as_deref().map(|path| Place::new(path, &run.sources));
    let begun = place.as_ref().map_or(Ok(Begun::default()), Place::read)?;
    // So that what cannot be read is told before anything is sent.
    let input = Input::open(&run.sources, &run.packets)?;
    let engine = Engine::start(config, compare).await.map_err(|error| error.to_string())?;
    let watermark = Arc::new(Watermark::from(begun));
    let rules = Rules {
        schedule: run.pace.schedule(),
        connections: run.pace.connections(),
        order_by: run.pace.order_by.clone(),
        writes: run.choice.writes,
        matchers: run.choice.matchers.clone(),
        is_live: run.baseline.is_some(),
    };
    let mut player = Player::new(&engine, rules, Arc::clone(&watermark));
    let beside = beside(&player, input.reading(), place.clone(), &watermark);
    let whole = all(run, input, begun.over, &mut player, &mut stop).await;
    let patience = match *stop.borrow() {
        true => PATIENCE,
        false => config.mirror.timeout + config.forward.baseline_timeout + PATIENCE,
    };
    player.finish(patience).await;
    beside.into_iter().for_each(|task| task.abort());
    let whole = whole?;
    if let Some(place) = &place {
        let written = if whole { place.forget() } else { place.write(watermark.begun()) };
        written.map_err(|error| format!("--resume: {error}"))?;
    }
    let reports = engine.reports();
    let answer = release::tell(&asked, &reports);
    engine.stop().await;
    let standing = player.counts().standing();
    Ok(ended(run.report.require, answer, standing, whole))
}

/// What is done beside: the progress is shown, and written down.
fn beside(
    player: &Player,
    reading: Reading,
    place: Option<Place>,
    watermark: &Arc<Watermark>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut beside = vec![tokio::spawn(progress::show(Arc::clone(player.counts()), reading))];
    if let Some(place) = place {
        let watermark = Arc::clone(watermark);
        beside.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITTEN).await;
                if let Err(error) = place.write(watermark.begun()) {
                    eprintln!("--resume: {error}");
                }
            }
        }));
    }
    beside
}

/// Plays all, again and again where it is to; whether it came to the end.
async fn all(
    run: &Run,
    input: Input,
    begun: u64,
    player: &mut Player,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool, String> {
    let until = run.pace.repeat.map(|time| Instant::now() + time);
    let mut next = Some(input);
    let mut begun = begun;
    while let Some(input) = next.take() {
        let (exchanges, counts) = (reader::start(input), Arc::clone(player.counts()));
        let pass = pass(exchanges, begun, player, &counts, stop);
        let is_whole = match until {
            Some(until) => tokio::time::timeout_at(until, pass).await.unwrap_or(Ok(true))?,
            None => pass.await?,
        };
        if !is_whole {
            return Ok(false);
        }
        if until.is_some_and(|until| Instant::now() < until) && counts.standing().sent > 0 {
            player.next_pass();
            begun = 0;
            next = Input::open(&run.sources, &run.packets).ok();
        }
    }
    Ok(true)
}

/// Plays all once, but for those before; false where it is to end before that.
async fn pass(
    mut exchanges: mpsc::Receiver<Vec<Read>>,
    begun: u64,
    player: &mut Player,
    counts: &Counts,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool, String> {
    let (mut sorted, mut read) = (Sorted::default(), 0_u64);
    loop {
        let batch = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(false),
            batch = exchanges.recv() => batch,
        };
        let Some(batch) = batch else { break };
        for found in batch {
            let exchange = match found {
                Read::Exchange(exchange) => exchange,
                Read::Fault(why) => {
                    eprintln!("{why}");
                    counts.leave_out("could not be read");
                    continue;
                }
            };
            let nth = read;
            read += 1;
            if nth == 0 && !player.begins(exchange.at) {
                return Err(OTHER.to_owned());
            }
            if nth < begun {
                continue;
            }
            if let Some((nth, exchange)) = sorted.push(nth, exchange)
                && !player.play(nth, &exchange, stop).await
            {
                return Ok(false);
            }
        }
    }
    while let Some((nth, exchange)) = sorted.pop() {
        if !player.play(nth, &exchange, stop).await {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is asked of the report.
///
/// # Errors
/// An argument that is wrong.
pub fn asked(report: &Report) -> Result<Request, String> {
    let asked = AtHand {
        require_pass: report.require == Some(Required::Pass),
        min_pairs: report.min_pairs,
        cover: report.cover.clone(),
        route: report.route.clone(),
        format: Some(report.format.clone()),
        verbose: report.verbose,
    };
    Request::try_from(asked)
}

/// What comes of it: the report, and the exit code by what is required. `is_whole`: it came to the end of its source.
pub fn ended(
    required: Option<Required>,
    answer: release::Answer,
    standing: Standing,
    is_whole: bool,
) -> Ended {
    let release::Answer { text, code, reason, .. } = answer;
    let all_matched = is_whole && standing.all_matched();
    let (code, reason) = match required {
        Some(Required::Match) if all_matched => (0, None),
        Some(Required::Match) => (1, Some("not every exchange was sent and matched".to_owned())),
        Some(Required::Pass) if code == 3 && all_matched => {
            let hint = "all that was read was sent and matched, which --require match asks for";
            (code, reason.map(|why| format!("{why}; {hint}")))
        }
        _ => (code, reason),
    };
    if standing.read == 0 {
        return Ended { text, standing, code: REFUSED, reason: Some(input::NOTHING.to_owned()) };
    }
    Ended { text, standing, code, reason }
}
