//! Stories that play and check themselves. Each step waits for a condition with a deadline, never
//! for a time; only twins are watched for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

mod plot;

pub use plot::{BAD_ROUTE, Scenario, Step, Verdict};

use crate::status::{Observer, Opinion, Route, Status, Trip, Urls};
use crate::traffic::Clients;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Pairs that must have come out equal before a candidate is called healthy.
const PAIRS: f64 = 50.0;
/// Requests of clients after which it is believed that none is mirrored.
const REQUESTS: u64 = 20;
/// Copies on a route after which it is believed to be mirrored.
const COPIES: f64 = 10.0;
/// A healed candidate answers a direct request faster than that.
const QUICK: Duration = Duration::from_millis(150);
/// Services that were given a latency have at least this median, in seconds.
const BASE_P50: f64 = 0.01;
/// How often the report is read while nothing may happen.
const VERDICT: Duration = Duration::from_secs(5);
/// How often a long watch says that it goes on.
const PROGRESS: Duration = Duration::from_secs(60);

/// A step that did not come true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub step: Step,
    /// What was seen instead.
    pub why: String,
}

/// A story and what it plays on.
pub struct Story<'a> {
    /// For control and status.
    pub client: Client,
    /// Where the parts are.
    pub urls: Urls,
    /// What the clients of the traffic saw: no step may cost them an error.
    pub clients: Arc<Clients>,
    /// For each step.
    pub deadline: Duration,
    /// How long twins are watched.
    pub calm: Duration,
    /// Told what happens, line by line.
    pub narrate: Box<dyn FnMut(&str) + Send + 'a>,
}

impl std::fmt::Debug for Story<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Story").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// A story under way.
struct Play {
    scenario: Scenario,
    observer: Observer,
    well: Option<Well>,
}

/// What was seen before the candidate got worse.
struct Well {
    status: Status,
    /// Trips by then.
    trips: usize,
}

impl Play {
    async fn look(&mut self) -> Result<Status, String> {
        self.observer.look().await.ok_or_else(|| "the proxy does not answer".to_owned())
    }

    async fn trips(&self) -> Result<Vec<Trip>, String> {
        self.observer.trips().await.ok_or_else(|| "the proxy does not answer".to_owned())
    }

    fn well(&self) -> Result<&Well, String> {
        self.well.as_ref().ok_or_else(|| "the candidate was not made bad before".to_owned())
    }
}

impl Story<'_> {
    /// Plays a story to its end, or to the first step that does not come true.
    ///
    /// # Errors
    /// The step, and what was seen instead.
    pub async fn play(&mut self, scenario: Scenario) -> Result<(), Failed> {
        let observer = Observer::new(self.client.clone(), self.urls.clone());
        let mut play = Play { scenario, observer, well: None };
        let start = Instant::now();
        let steps = scenario.steps();
        for (index, &step) in steps.iter().enumerate() {
            let (number, title) = (index + 1, step.title());
            (self.narrate)(&format!("\nStep {number} of {}: {title}", steps.len()));
            let began = Instant::now();
            let seen = self.in_time(step, &mut play).await;
            let seen = seen.map_err(|why| Failed { step, why })?;
            (self.narrate)(&format!("  after {:.1} s: {seen}", began.elapsed().as_secs_f64()));
        }
        (self.narrate)(&format!(
            "\nThe story went as it should, in {:.0} s: {} client requests, {} errors.",
            start.elapsed().as_secs_f64(),
            self.clients.sent(),
            self.clients.errors(),
        ));
        Ok(())
    }

    /// A step may be two waits long; one that hangs on an answer ends then all the same.
    async fn in_time(&mut self, step: Step, play: &mut Play) -> Result<String, String> {
        let watch = if step == Step::Calm { self.calm } else { Duration::ZERO };
        let limit = watch.saturating_add(self.deadline * 2);
        let played = tokio::time::timeout(limit, self.step(step, play)).await;
        played.unwrap_or_else(|_| Err(format!("a part did not answer within {limit:?}")))
    }

    async fn step(&mut self, step: Step, play: &mut Play) -> Result<String, String> {
        let before = play.look().await?;
        match step {
            Step::Healthy => self.healthy(play, &before).await,
            Step::Regress => self.regress(play, before).await,
            Step::Trip => self.trip(play).await,
            Step::RouteTrip => self.route_trip(play).await,
            Step::OtherRoutes => self.other_routes(play).await,
            Step::OtherCandidate => self.other_candidate(play).await,
            Step::Heal => self.heal(play.scenario).await,
            Step::Resume => {
                let resumed = |now: &Status| now.is_on() && matched(&before, now) >= PAIRS;
                self.wait(play, resumed).await
            }
            Step::RouteResume => {
                let resumed = |now: &Status| {
                    let pairs = now.route(BAD_ROUTE).matched - before.route(BAD_ROUTE).matched;
                    now.is_on() && now.route(BAD_ROUTE).is_on() && pairs >= PAIRS
                };
                self.wait(play, resumed).await
            }
            Step::Calm => self.calm(play, &before).await,
        }
    }

    async fn healthy(&mut self, play: &mut Play, before: &Status) -> Result<String, String> {
        let base = play.scenario.base();
        if let Some(chaos) = &base {
            for service in [&self.urls.baseline, &self.urls.candidate] {
                self.set_chaos(service, chaos).await?;
            }
            (self.narrate)("  both answer in about 20 ms");
        }
        let slow_enough = |p50: Option<f64>| base.is_none() || p50.is_some_and(|it| it > BASE_P50);
        self.wait(play, |now| {
            let as_slow_as_wanted = slow_enough(now.baseline.p50) && slow_enough(now.candidate.p50);
            now.state == "enabled" && matched(before, now) >= PAIRS && as_slow_as_wanted
        })
        .await
    }

    async fn regress(&mut self, play: &mut Play, before: Status) -> Result<String, String> {
        let (chaos, words) = play.scenario.bad().ok_or("this story has no regression")?;
        let trips = play.trips().await?.len();
        self.set_chaos(&self.urls.candidate, &chaos).await?;
        (self.narrate)(&format!("  {words}"));
        // The candidate's own figures tell, or that something is stopped already.
        let (scenario, trip) = (play.scenario, before.last_trip.clone());
        play.well = Some(Well { status: before, trips });
        self.wait(play, |now| scenario.shows(now) || now.last_trip != trip).await
    }

    async fn trip(&mut self, play: &mut Play) -> Result<String, String> {
        let tripped = |now: &Status| now.state == "tripped" && now.enabled == 0.0;
        let seen = self.wait(play, tripped).await?;
        self.check_verdict(play).await?;
        self.standstill(play).await?;
        Ok(seen)
    }

    /// Only the bad route stops; neither the rest nor the count of all stops is touched.
    async fn route_trip(&mut self, play: &mut Play) -> Result<String, String> {
        let well = &play.well()?.status;
        let aborts = (well.aborts, well.route(BAD_ROUTE).aborts);
        let stopped = |now: &Status| now.route(BAD_ROUTE).is_stopped();
        let seen = self.wait(play, |now| stopped(now) || now.aborts > aborts.0).await?;
        let now = play.look().await?;
        if now.aborts > aborts.0 || !now.is_on() {
            return Err(format!("everything stopped, not one route:{seen}"));
        }
        if now.route(BAD_ROUTE).aborts <= aborts.1 {
            return Err(format!("{BAD_ROUTE} stopped and no abort of it was counted:{seen}"));
        }
        if let Some((other, _)) = others(&now).find(|(_, route)| !route.is_on()) {
            return Err(format!("{other} stopped too:{seen}"));
        }
        self.check_verdict(play).await?;
        Ok(seen)
    }

    async fn check_verdict(&mut self, play: &mut Play) -> Result<(), String> {
        let now = play.look().await?;
        let Some(verdict) = play.scenario.verdict() else { return Ok(()) };
        let (well, trips) = (play.well()?, play.trips().await?);
        // A sick candidate trips again after each cooldown; it is the first time that counts.
        let mut since = trips.iter().skip(well.trips);
        let trip = since.find(|trip| verdict.is_about(trip)).ok_or("no event tells of the trip")?;
        let seen = verdict.check(trip, now.copies - well.status.copies)?;
        (self.narrate)(&format!("  {seen}"));
        Ok(())
    }

    /// While the route is stopped the others get copies, and it gets none.
    async fn other_routes(&mut self, play: &mut Play) -> Result<String, String> {
        let aborts = play.well()?.status.aborts;
        let deadline = Instant::now() + self.deadline;
        let mut first: Option<Status> = None;
        while Instant::now() < deadline {
            // Long enough for copies that were about to be sent.
            tokio::time::sleep(LOOK).await;
            let now = play.look().await?;
            if !now.is_on() || now.aborts > aborts {
                return Err(format!("everything stopped: {}", now.lines().join("\n    ")));
            }
            self.without_client_errors(String::new())?;
            let same_stop = |before: &Status| {
                before.route(BAD_ROUTE).aborts == now.route(BAD_ROUTE).aborts
                    && now.route(BAD_ROUTE).is_stopped()
            };
            let Some(before) = first.as_ref().filter(|before| same_stop(before)) else {
                // It may come back, and stop again, as often as it likes before it is healed.
                first = now.route(BAD_ROUTE).is_stopped().then_some(now);
                continue;
            };
            let copies = now.route(BAD_ROUTE).copies - before.route(BAD_ROUTE).copies;
            if copies > 0.0 {
                return Err(format!("{copies} copies of {BAD_ROUTE} were sent while it was off"));
            }
            if others(&now).all(|(name, it)| it.copies - before.route(name).copies >= COPIES) {
                let sent = now.copies - before.copies;
                return Ok(format!("{sent} copies on the other routes, none on {BAD_ROUTE}"));
            }
        }
        Err(format!("no {COPIES} copies on each of the other routes within {:?}", self.deadline))
    }

    /// While one candidate is stopped the other is mirrored to, and was not stopped before.
    async fn other_candidate(&mut self, play: &mut Play) -> Result<String, String> {
        let before = play.look().await?.other.ok_or("there is no other candidate")?;
        let seen = self.wait(play, |now| {
            now.other.is_some_and(|other| other.matched - before.matched >= PAIRS)
        });
        let seen = seen.await?;
        let other = play.look().await?.other.ok_or("there is no other candidate")?;
        if other.aborts > 0.0 || other.enabled != 1.0 {
            return Err(format!("the other candidate was stopped too:{seen}"));
        }
        Ok(seen)
    }

    /// Nothing stops, and the report never says fail, for as long as it is watched.
    async fn calm(&mut self, play: &mut Play, before: &Status) -> Result<String, String> {
        if before.stops() > 0.0 {
            let trip = before.last_trip.as_ref().map_or("by hand", |trip| trip.reason.as_str());
            return Err(format!("mirroring stopped before: {trip}"));
        }
        let start = Instant::now();
        let (mut told, mut asked) = (start, start);
        // The figures of one look say little of the whole time.
        let mut whole = Observer::new(self.client.clone(), self.urls.clone());
        whole.look().await.ok_or("the proxy does not answer")?;
        loop {
            tokio::time::sleep(LOOK.min(self.calm.saturating_sub(start.elapsed()))).await;
            let now = play.look().await?;
            self.without_client_errors(String::new())?;
            let stops = now.stops() - before.stops();
            if stops > 0.0 || !now.is_on() {
                let trip = now.last_trip.as_ref().map_or("by hand", |trip| trip.reason.as_str());
                return Err(format!(
                    "mirroring stopped: {trip}\n    {}",
                    now.lines().join("\n    ")
                ));
            }
            if asked.elapsed() >= VERDICT {
                asked = Instant::now();
                let opinion = play.observer.verdict().await.ok_or("there is no report")?;
                if opinion.is_fail() {
                    let Opinion { reasons, pairs, .. } = opinion;
                    return Err(format!("the report says fail after {pairs} pairs: {reasons}"));
                }
            }
            if start.elapsed() >= self.calm {
                break;
            }
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let (passed, pairs) = (start.elapsed().as_secs(), matched(before, &now));
                (self.narrate)(&format!("  {passed} s: {pairs} pairs matched, nothing stopped"));
            }
        }
        let now = whole.look().await.ok_or("the proxy does not answer")?;
        let (pairs, different) = (matched(before, &now), differing(before, &now));
        if pairs < PAIRS || different > 0.0 {
            return Err(format!("{pairs} pairs matched and {different} did not"));
        }
        Ok(format!("{pairs} pairs matched, nothing stopped\n    {}", now.lines().join("\n    ")))
    }

    /// Waits for a condition; the answer is what was seen then, in numbers.
    async fn wait(
        &self,
        play: &mut Play,
        condition: impl Fn(&Status) -> bool,
    ) -> Result<String, String> {
        let deadline = Instant::now() + self.deadline;
        let mut last = "the proxy does not answer".to_owned();
        while Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            if let Some(now) = play.observer.look().await {
                last = now.lines().join("\n    ");
                if condition(&now) {
                    return self.without_client_errors(format!("\n    {last}"));
                }
            }
            self.without_client_errors(String::new())?;
        }
        Err(format!("not within {:?}; the last look:\n    {last}", self.deadline))
    }

    fn without_client_errors(&self, seen: String) -> Result<String, String> {
        match self.clients.errors() {
            0 => Ok(seen),
            errors => Err(format!("the clients saw {errors} errors")),
        }
    }

    /// Once tripped, and copies already sent have ended, the candidate gets nothing more.
    async fn standstill(&mut self, play: &mut Play) -> Result<(), String> {
        let deadline = Instant::now() + self.deadline;
        let mut first: Option<(Status, u64)> = None;
        while Instant::now() < deadline {
            // Long enough for copies that were about to be sent.
            tokio::time::sleep(LOOK).await;
            let (now, sent) = (play.look().await?, self.clients.sent());
            let off = now.state == "tripped" && now.enabled == 0.0;
            let same_stop = |before: &Status| off && before.aborts == now.aborts;
            let Some((before, then)) = first.as_ref().filter(|(before, _)| same_stop(before))
            else {
                // After the cooldown a candidate that is still bad is tried, and trips again.
                first = off.then_some((now, sent));
                continue;
            };
            if now.copies > before.copies {
                return Err(format!("{} copies were sent while off", now.copies - before.copies));
            }
            if sent >= then + REQUESTS {
                let clients = sent - then;
                let seen = format!("  {clients} client requests later the candidate got no copy");
                (self.narrate)(&seen);
                return Ok(());
            }
        }
        Err(format!("no {REQUESTS} client requests while off within {:?}", self.deadline))
    }

    async fn set_chaos(&self, service: &str, chaos: &Value) -> Result<(), String> {
        let response = self.client.put(format!("{service}/chaos")).json(chaos).send().await;
        let response = response.map_err(|error| format!("{service} does not answer: {error}"))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("PUT /chaos answered {status}")) }
    }

    async fn heal(&self, scenario: Scenario) -> Result<String, String> {
        self.set_chaos(&self.urls.candidate, &scenario.heal()).await?;
        let url = format!("{}/chaos", self.urls.candidate);
        let answer = self.client.get(url).send().await.map_err(|error| error.to_string())?;
        let chaos: Value = answer.json().await.map_err(|error| error.to_string())?;
        if chaos != scenario.healthy() {
            return Err(format!("healed, the candidate still has this chaos: {chaos}"));
        }
        self.wait_until_quick().await
    }

    async fn wait_until_quick(&self) -> Result<String, String> {
        let deadline = Instant::now() + self.deadline;
        let url = format!("{}/api/search", self.urls.candidate);
        while Instant::now() < deadline {
            let start = Instant::now();
            let answer = self.client.get(&url).send().await;
            let took = start.elapsed();
            if answer.is_ok_and(|answer| answer.status().is_success()) && took < QUICK {
                let millis = took.as_secs_f64() * 1000.0;
                return self.without_client_errors(format!("a direct request took {millis:.1} ms"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("the candidate is not well within {:?}", self.deadline))
    }
}

/// Pairs that matched in between.
fn matched(before: &Status, now: &Status) -> f64 {
    now.outcome("matched") - before.outcome("matched")
}

/// Pairs that differed in between.
fn differing(before: &Status, now: &Status) -> f64 {
    now.outcome("mismatched") - before.outcome("mismatched")
}

/// All routes but the bad one.
fn others(now: &Status) -> impl Iterator<Item = (&String, &Route)> {
    now.routes.iter().filter(|(name, _)| *name != BAD_ROUTE)
}
