//! Hands exchanges on when they are due.

use std::sync::Arc;
use std::time::Duration;

use proxy::app::Engine;
use proxy::exchange::RequestSnapshot;
use proxy::forward::{Forward, Parcel, Played};
use proxy::mirror::Keep;
use proxy::policy::matcher::{Matcher, Seen};
use proxy::source::{self, Unfit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use traffic::{Exchange, Moment};

use crate::counts::{Counts, UnderWay};
use crate::order::{Before, Order, OrderBy, Over};
use crate::pace::{Pace, Schedule};
use crate::resume::Watermark;

/// Whoever waits for longer is told what for.
const LONG: Duration = Duration::from_secs(60);

/// What is left out, and why: methods that are not safe.
const WRITES: &str = "methods that write (--writes sends them)";
const NO_MATCH: &str = "no --match fits";

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Rules {
    /// When exchanges are due.
    pub schedule: Schedule,
    /// How many may be under way at once.
    pub connections: usize,
    /// Which go one after the other.
    pub order_by: OrderBy,
    /// Whether methods that are not safe (RFC 9110, section 9.2.1) are sent.
    pub writes: bool,
    /// One of them must fit, where there are any.
    pub matchers: Vec<Matcher>,
    /// The baseline is asked, too; else its recorded answers are what counts.
    pub is_live: bool,
}

/// Hands exchanges on.
#[derive(Debug)]
pub struct Player {
    forward: Arc<Forward>,
    rules: Rules,
    slots: Arc<Semaphore>,
    counts: Arc<Counts>,
    watermark: Arc<Watermark>,
    order: Order,
    /// Slots that are not given out yet, while it begins.
    withheld: usize,
    started: Instant,
    /// Exchanges that were due so far, and when the first of this pass was recorded.
    due: u64,
    pass: Option<(Instant, Moment)>,
}

/// What is kept for an exchange until it is over.
#[derive(Debug)]
struct Kept {
    watermark: Arc<Watermark>,
    nth: u64,
    _slot: OwnedSemaphorePermit,
    _over: Option<Over>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.watermark.over(self.nth);
    }
}

impl Player {
    /// Nothing is sent yet.
    pub fn new(engine: &Engine, rules: Rules, watermark: Arc<Watermark>) -> Self {
        let most = rules.connections;
        let begins = rules.schedule.connections(most, Duration::ZERO);
        Self {
            forward: Arc::clone(engine.forward()),
            slots: Arc::new(Semaphore::new(begins)),
            withheld: most - begins,
            rules,
            counts: Arc::default(),
            watermark,
            order: Order::default(),
            started: Instant::now(),
            due: 0,
            pass: None,
        }
    }

    /// What becomes of all.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// The source begins with an exchange of this time; whether it is the one that the run began with.
    pub fn begins(&self, at: Moment) -> bool {
        self.watermark.begins(at)
    }

    /// The source begins again.
    pub fn next_pass(&mut self) {
        self.pass = None;
    }

    /// Hands one on when it is due, `nth` of its source; false where the run is to end before.
    pub async fn play(
        &mut self,
        nth: u64,
        exchange: &Exchange,
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        let going = match self.fitting(exchange) {
            Ok(going) => going,
            Err(why) => {
                self.counts.read();
                self.counts.leave_out(why);
                self.watermark.over(nth);
                return true;
            }
        };
        let due = self.due_at(exchange.at);
        if let Some(wait) = due.map(|due| due - Instant::now()).filter(|wait| *wait > LONG) {
            let wait = humantime::format_duration(Duration::from_secs(wait.as_secs()));
            eprintln!("nothing more was recorded for long: the next request is due in {wait}");
        }
        self.due += 1;
        let slot = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return false,
            slot = self.slot(due) => slot,
        };
        // Not before: a run that ends while this waits has not come to it.
        self.counts.read();
        let Some(slot) = slot else {
            self.counts.overrun();
            self.watermark.over(nth);
            return true;
        };
        self.counts.sent(due.map_or(Duration::ZERO, |due| due.elapsed()));
        let key = self.rules.order_by.key(exchange.connection, &going.seen());
        let (before, over) = key.map(|key| self.order.stand_in_line(key)).unzip();
        let kept = Kept { watermark: Arc::clone(&self.watermark), nth, _slot: slot, _over: over };
        let keep: Keep = Arc::new(UnderWay::new(&self.counts, kept));
        hand_on(&self.forward, going, before.flatten(), keep);
        true
    }

    /// Waits until all that was handed on is over, or for so long at most.
    pub async fn finish(&self, patience: Duration) {
        let begun = self.rules.connections - self.withheld;
        let all = u32::try_from(begun).unwrap_or(u32::MAX);
        // What is not over then, the counts tell.
        drop(tokio::time::timeout(patience, self.slots.acquire_many(all)).await);
    }

    /// As the main path takes it; or why it is left out.
    fn fitting(&self, exchange: &Exchange) -> Result<Going, &'static str> {
        let going = match self.rules.is_live {
            true => source::parcel(exchange).map(|it| Going::Live(Box::new(it))),
            false => source::whole(exchange).map(|it| Going::Played(Box::new(it))),
        };
        let going = going.map_err(Unfit::name)?;
        let seen = going.seen();
        if !self.rules.writes && !seen.method.is_safe() {
            return Err(WRITES);
        }
        let mut label = || Arc::from("");
        let matchers = &self.rules.matchers;
        if !matchers.is_empty() && !matchers.iter().any(|it| it.fits(&seen, &mut label)) {
            return Err(NO_MATCH);
        }
        Ok(going)
    }

    fn due_at(&mut self, recorded: Moment) -> Option<Instant> {
        let (begun, first) = *self.pass.get_or_insert_with(|| (Instant::now(), recorded));
        let since = Duration::from_nanos(recorded.0.saturating_sub(first.0));
        let begun = match self.rules.schedule.pace {
            Pace::Recorded(_) => begun,
            Pace::Rate(_) | Pace::Connections => self.started,
        };
        self.rules.schedule.due(self.due, since).map(|due| begun + due)
    }

    /// Waits until it is due and gives a slot, or none where there is none then; without a due time until there is
    /// one.
    async fn slot(&mut self, due: Option<Instant>) -> Option<OwnedSemaphorePermit> {
        if let Some(due) = due {
            // Timers are as exact as a millisecond.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            self.give_out();
            return Arc::clone(&self.slots).try_acquire_owned().ok();
        }
        loop {
            self.give_out();
            let slot = Arc::clone(&self.slots).acquire_owned();
            if self.withheld == 0 {
                return slot.await.ok();
            }
            if let Ok(slot) = tokio::time::timeout(Duration::from_millis(20), slot).await {
                return slot.ok();
            }
        }
    }

    /// While it begins there are more slots from moment to moment.
    fn give_out(&mut self) {
        if self.withheld > 0 {
            let most = self.rules.connections;
            let now = self.rules.schedule.connections(most, self.started.elapsed());
            let more = now.saturating_sub(most - self.withheld);
            self.slots.add_permits(more);
            self.withheld -= more;
        }
    }
}

/// An exchange on its way.
#[derive(Debug)]
enum Going {
    /// The baseline is asked, too.
    Live(Box<Parcel>),
    /// What it answered is known.
    Played(Box<Played>),
}

impl Going {
    fn seen(&self) -> Seen<'_> {
        let (head, client) = match self {
            Self::Live(parcel) => (&parcel.head, &parcel.client),
            Self::Played(played) => (&played.head, &played.client),
        };
        let RequestSnapshot { method, uri, headers, .. } = head;
        Seen { method, uri, headers, client: *client }
    }
}

fn hand_on(forward: &Arc<Forward>, going: Going, before: Option<Before>, keep: Keep) {
    match (going, before) {
        // Most of them: nothing to wait for, and the copy is sent by others.
        (Going::Played(played), None) => forward.play(&played, &keep),
        (going, before) => {
            let forward = Arc::clone(forward);
            tokio::spawn(async move {
                if let Some(before) = before {
                    // It is dropped when that one is over.
                    before.await.ok();
                }
                match going {
                    Going::Played(played) => forward.play(&played, &keep),
                    Going::Live(parcel) => forward.relay(*parcel, keep).await,
                }
            });
        }
    }
}
