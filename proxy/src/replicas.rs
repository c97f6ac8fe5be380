//! Several replicas as one: what pairs say is told to all, all judge the same pairs, and what one decides holds for all.
//!
//! A task of its own speaks to the engine; nobody who has a request waits for it. While the engine is away each replica
//! judges its own pairs, from what is on and what is off then.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cluster::{Answer, Batch, Heard, Link, Peer, Settings, Told, Versioned};
use judge::guardrail::alone::{Own, alone};
use judge::guardrail::gate;
use judge::guardrail::{Guardrail, Moment, Rule, Transition};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::log_limit::LogLimit;
use crate::metrics::ClusterMetrics;
use crate::mirror::Mirror;
use crate::mirror::entry::Entry;
use crate::observe::Observe;
use crate::observe::replicas::Order;
use crate::policy;
use crate::upstream::Target;

/// How often the engine is spoken to.
const EVERY: Duration = Duration::from_millis(250);
/// Without an answer for so long each judges alone.
const APART: Duration = Duration::from_secs(2);
/// How often it is logged at most that the engine is away.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// How often a decision is tried that others came before.
const TRIES: u32 = 5;
/// Pairs that were told longer ago decide nothing: they are of a time before this replica was there.
const FRESH: Duration = Duration::from_secs(5);

/// This replica among the others.
#[derive(Debug)]
pub struct Replicas {
    settings: Settings,
    wake: Arc<Notify>,
    metrics: ClusterMetrics,
    is_connected: AtomicBool,
    shown: Mutex<Shown>,
}

/// What is known of the others, to be shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Why the engine cannot be asked.
    pub error: Option<String>,
    /// Who is there, by name, and since how long nothing was heard.
    pub peers: BTreeMap<String, (Peer, Duration)>,
    /// Whose pairs are left out, by candidate.
    pub aside: BTreeMap<String, Vec<String>>,
}

impl Replicas {
    /// Not connected yet.
    pub fn new(settings: Settings, metrics: ClusterMetrics) -> Arc<Self> {
        metrics.set_connected(false);
        let (wake, is_connected, shown) = Default::default();
        Arc::new(Self { settings, wake, metrics, is_connected, shown })
    }

    /// Woken for what the others are to be told.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// What this replica is called.
    pub fn replica(&self) -> &str {
        &self.settings.replica
    }

    /// Whether the engine answers.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// What is known of the others.
    pub fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Speaks to the engine for as long as it runs. `revision`: of the settings, now.
    pub async fn run(self: Arc<Self>, mirror: Arc<Mirror>, revision: impl Fn() -> String + Send) {
        let mut talk = Talk {
            link: Link::new(self.settings.clone()),
            all: self,
            mirror,
            judged: HashMap::new(),
            run: rand::random(),
            heard: None,
            told: LogLimit::new(TOLD_EVERY),
        };
        loop {
            let woken = talk.all.wake.notified();
            drop(tokio::time::timeout(EVERY, woken).await);
            // A replica that has just come reads what was told before, piece by piece.
            while talk.exchange(&revision()).await {}
        }
    }
}

/// The talk with the engine.
struct Talk {
    all: Arc<Replicas>,
    link: Link,
    mirror: Arc<Mirror>,
    /// By candidate and where it is: another one of the same name starts anew.
    judged: HashMap<String, Judged>,
    run: u64,
    heard: Option<Instant>,
    told: LogLimit,
}

/// What all replicas judge of one candidate.
struct Judged {
    guardrail: Guardrail,
    known: Versioned,
}

/// A candidate of now.
#[derive(Clone)]
struct Candidate {
    key: String,
    observe: Arc<Observe>,
}

impl Talk {
    /// Whether there is more to be heard.
    async fn exchange(&mut self, revision: &str) -> bool {
        let candidates = self.candidates();
        let mut told = self.what_is_told(&candidates, revision);
        let pairs: u64 = told.batches.iter().map(|it| it.left_out).sum();
        self.all.metrics.count_left_out(pairs);
        if self.heard.is_none() {
            // This replica has judged them alone: what they led to is told, and not they.
            self.lose(std::mem::take(&mut told.batches));
        }
        match self.link.exchange(&told).await {
            Ok(heard) => {
                let result = self.together(&candidates, &heard).await;
                self.show(&heard);
                if let Err(error) = result {
                    self.apart(&candidates, &error);
                    return false;
                }
                heard.more
            }
            Err(error) => {
                // Whether they arrived nobody knows, and none may count twice.
                self.lose(told.batches);
                self.apart(&candidates, &error);
                false
            }
        }
    }

    fn lose(&self, batches: Vec<Batch>) {
        let lost: usize = batches.into_iter().map(|it| it.lines.len()).sum();
        self.all.metrics.count_left_out(lost as u64);
    }

    fn candidates(&self) -> Vec<Candidate> {
        let lanes = self.mirror.lanes();
        let candidate = |(candidate, entry): (&policy::Candidate, &Arc<Entry>)| {
            let Target { tls, prefix, .. } = &candidate.target;
            let scheme = if *tls { "https" } else { "http" };
            let place = format!("{scheme}://{}{prefix}", candidate.target.authority());
            let key = format!("{} {place}", candidate.name);
            Candidate { key, observe: Arc::clone(&entry.lane.observe) }
        };
        lanes.plan.candidates.iter().zip(&lanes.entries).map(candidate).collect()
    }

    fn what_is_told(&self, candidates: &[Candidate], revision: &str) -> Told {
        let batch = |it: &Candidate| -> Option<Batch> {
            it.observe.shared()?.teller().take(&it.key, it.observe.since_origin())
        };
        let evidence = |it: &Candidate| (it.key.clone(), it.observe.own_evidence());
        let peer = Peer {
            run: self.run,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: revision.to_owned(),
            evidence: candidates.iter().map(evidence).collect(),
            ..Peer::default()
        };
        Told { peer, batches: candidates.iter().filter_map(batch).collect() }
    }

    /// The engine does not answer.
    fn apart(&mut self, candidates: &[Candidate], error: &cluster::Error) {
        let is_new = self.heard.take_if(|heard| heard.elapsed() >= APART).is_some();
        self.all.shown.lock().unwrap_or_else(PoisonError::into_inner).error =
            Some(error.to_string());
        if self.heard.is_none() && (is_new || self.all.is_connected()) {
            self.all.is_connected.store(false, Ordering::Relaxed);
            self.all.metrics.set_connected(false);
            for candidate in candidates {
                candidate.observe.follow(false);
                if let Some(shared) = candidate.observe.shared() {
                    shared.show(None);
                }
            }
        }
        if self.heard.is_none()
            && let Some(before) = self.told.admit(Instant::now())
        {
            warn!(%error, not_logged_before = before, "the engine of the cluster is away: each replica judges alone");
        }
    }

    async fn together(
        &mut self,
        candidates: &[Candidate],
        heard: &Heard,
    ) -> Result<(), cluster::Error> {
        let is_back = self.heard.replace(Instant::now()).is_none();
        if heard.unreadable > 0
            && let Some(before) = self.told.admit(Instant::now())
        {
            let (batches, not_logged_before) = (heard.unreadable, before);
            warn!(batches, not_logged_before, "what other replicas told cannot be read");
        }
        self.judged.retain(|key, _| candidates.iter().any(|it| it.key == *key));
        for candidate in candidates {
            self.judge(candidate, heard, is_back).await?;
        }
        if is_back {
            self.all.is_connected.store(true, Ordering::Relaxed);
            self.all.metrics.set_connected(true);
            info!(replica = self.all.replica(), "judges together with the other replicas");
        }
        Ok(())
    }

    async fn judge(
        &mut self,
        candidate: &Candidate,
        heard: &Heard,
        is_back: bool,
    ) -> Result<(), cluster::Error> {
        let Candidate { key, observe } = candidate;
        let judged = self.judged.entry(key.clone()).or_insert_with(|| Judged {
            guardrail: Guardrail::new(observe.thresholds(), gate::gate().0),
            known: Versioned::default(),
        });
        if *judged.guardrail.config() != observe.thresholds() {
            judged.guardrail.configure(observe.thresholds());
        }
        let said = heard.standings.get(key);
        let apart = observe.standing(heard.now);
        let changed_apart = is_back && apart.differing(&judged.known.standing) != Vec::new();
        match said {
            Some(said) if said.version != judged.known.version => {
                judged.take_over(said, observe, heard.now)
            }
            Some(_) if changed_apart => {
                judged.guardrail.adopt(&apart);
                self.propose(candidate, heard, "decided while the engine was away", None).await?;
            }
            None if judged.known.version > 0 || changed_apart => {
                // The engine has lost what it knew, or never knew it.
                judged.known.version = 0;
                judged.guardrail.adopt(&apart);
                self.propose(candidate, heard, "the engine knew nothing", None).await?;
            }
            _ => {}
        }
        observe.follow(!self.is_aside(key, heard.now));
        self.obey(candidate, heard).await?;
        self.weigh(candidate, heard).await?;
        let judged = self.judged.get(key);
        if let (Some(shared), Some(judged)) = (observe.shared(), judged) {
            shared.show(Some(judged.guardrail.snapshot()));
        }
        Ok(())
    }

    fn is_aside(&self, key: &str, now: Duration) -> bool {
        let known = self.judged.get(key).map(|it| &it.known);
        known.is_some_and(|known| known.is_aside(self.all.replica(), now))
    }

    /// Does what was said by hand, and what requests ask for.
    async fn obey(&mut self, candidate: &Candidate, heard: &Heard) -> Result<(), cluster::Error> {
        let Some(shared) = candidate.observe.shared() else { return Ok(()) };
        let orders = shared.take_orders();
        for (done, order) in orders.iter().enumerate() {
            if let Err(error) = self.order(candidate, heard, order).await {
                shared.put_back(orders[done..].to_vec());
                return Err(error);
            }
        }
        Ok(())
    }

    async fn order(
        &mut self,
        candidate: &Candidate,
        heard: &Heard,
        order: &Order,
    ) -> Result<(), cluster::Error> {
        for _ in 0..TRIES {
            let Some(judged) = self.judged.get_mut(&candidate.key) else { return Ok(()) };
            let (guardrail, now) = (&mut judged.guardrail, moment(heard.now));
            let (transition, why) = match order {
                Order::Due(None) => (guardrail.resume_if_due(now), "the cooldown is over"),
                Order::Due(Some(route)) => {
                    (guardrail.resume_route_if_due(route, now), "the cooldown is over")
                }
                Order::Switch { on, route } => {
                    switch(guardrail, *on, route.as_deref(), now);
                    // It was announced where it was said.
                    (None, "switched by hand")
                }
            };
            let is_by_hand = matches!(order, Order::Switch { .. });
            if transition.is_none() && !is_by_hand {
                return Ok(());
            }
            let taken = self.propose(candidate, heard, why, transition.as_ref()).await?;
            // What is said by hand is said again, to whatever came before it.
            if taken || !is_by_hand {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Has the pairs of all replicas judged.
    async fn weigh(&mut self, candidate: &Candidate, heard: &Heard) -> Result<(), cluster::Error> {
        let key = &candidate.key;
        for (by, sent, batch) in
            heard.batches.iter().filter(|(_, _, batch)| batch.candidate == *key)
        {
            let Some(judged) = self.judged.get_mut(key) else { return Ok(()) };
            if judged.known.is_aside(by, heard.now) {
                continue;
            }
            let before = judged.guardrail.standing();
            let transition = batch.judge(&mut judged.guardrail, moment(*sent));
            let is_fresh = heard.now.saturating_sub(*sent) < FRESH;
            if !is_fresh {
                judged.guardrail.adopt(&judged.known.standing.clone());
                continue;
            }
            if let Some(Transition::WouldTrip { trip }) = &transition {
                let of = format!("would:{key}");
                if self.link.first(&of, trip.cooldown).await? {
                    candidate.observe.tell_of(transition.as_ref());
                }
                continue;
            }
            if let Some(replica) = self.alone(key, heard, transition.as_ref()) {
                self.put_aside(candidate, heard, replica).await?;
            } else if self.judged.get(key).is_some_and(|it| it.guardrail.standing() != before) {
                let why = why(transition.as_ref());
                self.propose(candidate, heard, &why, transition.as_ref()).await?;
            }
        }
        Ok(())
    }

    /// The replica that alone is bad, where evidence is about to stop something.
    fn alone(&self, key: &str, heard: &Heard, transition: Option<&Transition>) -> Option<String> {
        let (Transition::Tripped { trip, .. } | Transition::RouteTripped { trip }) = transition?
        else {
            return None;
        };
        if !matches!(trip.rule, Rule::Evidence { .. }) {
            return None;
        }
        let known = &self.judged.get(key)?.known;
        let witnesses = heard.alive().filter(|(name, _)| !known.is_aside(name, heard.now));
        let own = |(replica, peer): (&'_ String, &'_ Peer)| {
            let (pairs, evidence) = *peer.evidence.get(key)?;
            Some((replica.clone(), pairs, evidence))
        };
        let all: Vec<_> = witnesses.filter_map(own).collect();
        let all: Vec<_> = all
            .iter()
            .map(|(replica, pairs, evidence)| Own { replica, pairs: *pairs, evidence: *evidence })
            .collect();
        alone(&all).map(str::to_owned)
    }

    async fn put_aside(
        &mut self,
        candidate: &Candidate,
        heard: &Heard,
        replica: String,
    ) -> Result<(), cluster::Error> {
        let Some(judged) = self.judged.get_mut(&candidate.key) else { return Ok(()) };
        let until = heard.now + judged.guardrail.config().cooldown;
        judged.guardrail.adopt(&judged.known.standing.clone());
        judged.guardrail.forget();
        let mut next = judged.known.clone();
        next.aside.retain(|_, until| *until > heard.now);
        next.aside.insert(replica.clone(), until);
        next.why = format!("the pairs of replica {replica} alone speak against the candidate");
        if self.say(candidate, next, None, heard).await? {
            warn!(replica, candidate = %candidate.observe.name(), "a replica is bad by itself: its pairs are left out for a cooldown");
        }
        Ok(())
    }

    /// Says what all of them judge as what holds from now on; whether it does.
    async fn propose(
        &mut self,
        candidate: &Candidate,
        heard: &Heard,
        why: &str,
        decided: Option<&Transition>,
    ) -> Result<bool, cluster::Error> {
        let Some(judged) = self.judged.get(&candidate.key) else { return Ok(false) };
        let mut next = judged.known.clone();
        next.standing = judged.guardrail.standing();
        why.clone_into(&mut next.why);
        self.say(candidate, next, decided, heard).await
    }

    async fn say(
        &mut self,
        candidate: &Candidate,
        mut next: Versioned,
        decided: Option<&Transition>,
        heard: &Heard,
    ) -> Result<bool, cluster::Error> {
        next.version += 1;
        self.all.replica().clone_into(&mut next.by);
        let answer = self.link.propose(&candidate.key, &next).await?;
        let Some(judged) = self.judged.get_mut(&candidate.key) else { return Ok(false) };
        match answer {
            Answer::Taken => {
                candidate.observe.adopt(&next, decided, heard.now);
                judged.known = next;
                Ok(true)
            }
            Answer::Refused(Some(said)) => {
                judged.take_over(&said, &candidate.observe, heard.now);
                Ok(false)
            }
            Answer::Refused(None) => {
                judged.known.version = 0;
                Ok(false)
            }
        }
    }

    fn show(&self, heard: &Heard) {
        let alive = heard.alive().count();
        let mut revisions: Vec<_> = heard.alive().map(|(_, peer)| &peer.revision).collect();
        revisions.sort_unstable();
        revisions.dedup();
        let aside = self.judged.iter().map(|(key, judged)| {
            let names = judged.known.aside.iter().filter(|(_, until)| **until > heard.now);
            (key.clone(), names.map(|(name, _)| name.clone()).collect::<Vec<_>>())
        });
        let aside: BTreeMap<_, _> = aside.filter(|(_, names)| !names.is_empty()).collect();
        self.all.metrics.show(alive, revisions.len(), aside.values().map(Vec::len).sum());
        let seen = |(name, peer): (&String, &Peer)| {
            (name.clone(), (peer.clone(), heard.now.saturating_sub(peer.seen)))
        };
        let peers = heard.peers.iter().map(seen).collect();
        *self.all.shown.lock().unwrap_or_else(PoisonError::into_inner) =
            Shown { error: None, peers, aside };
    }
}

impl Judged {
    /// What another has decided holds here, too.
    fn take_over(&mut self, said: &Versioned, observe: &Observe, now: Duration) {
        self.guardrail.adopt(&said.standing);
        if said.aside.keys().any(|name| !self.known.aside.contains_key(name)) {
            self.guardrail.forget();
        }
        observe.adopt(said, None, now);
        self.known = said.clone();
    }
}

fn switch(guardrail: &mut Guardrail, on: bool, route: Option<&str>, now: Moment) {
    match (on, route) {
        (true, None) => drop(guardrail.enable()),
        (false, None) => drop(guardrail.disable(now)),
        (true, Some(route)) => drop(guardrail.enable_route(route)),
        (false, Some(route)) => drop(guardrail.disable_route(route)),
    }
}

fn why(transition: Option<&Transition>) -> String {
    match transition {
        Some(Transition::Tripped { reason, .. }) => reason.clone(),
        Some(Transition::RouteTripped { trip }) => trip.reason.clone(),
        Some(Transition::Passed { .. }) => "probation passed".to_owned(),
        _ => "the share grows".to_owned(),
    }
}

/// A time of the engine, as a guardrail wants it.
fn moment(at: Duration) -> Moment {
    Moment { at, wall: SystemTime::UNIX_EPOCH + at }
}
