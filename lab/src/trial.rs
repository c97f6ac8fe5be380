//! Twins as users have them: the proxy between two processes of the same service under the load
//! test's mix. Nothing ends it but its time; all that was wrong is counted and told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::status::{Observer, Opinion, Status, Trip};
use crate::traffic::Clients;

/// How often it is looked and told.
const LOOK: Duration = Duration::from_secs(5);
/// Pairs that must have come out equal, or nothing was tried.
const PAIRS: f64 = 100.0;

/// A trial under way.
pub struct Trial<'a> {
    /// Looks at the stack.
    pub observer: Observer,
    /// What the users saw.
    pub clients: Arc<Clients>,
    /// Told what happens, line by line.
    pub narrate: Box<dyn FnMut(&str) + Send + 'a>,
}

impl std::fmt::Debug for Trial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("observer", &self.observer).finish_non_exhaustive()
    }
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All trips that were told of, the oldest first.
    pub trips: Vec<Trip>,
    /// Times that something was switched off, by the proxy's count.
    pub stops: f64,
    /// Looks at which there was a verdict.
    pub looks: u32,
    /// Looks at which it was a fail, with what it said.
    pub fails: Vec<String>,
    /// Looks at which the proxy did not answer.
    pub silent: u32,
    /// The last look.
    pub last: Status,
    /// The last verdict.
    pub opinion: Option<Opinion>,
    /// Requests that the users sent,
    pub sent: u64,
    /// and of these those that were not answered well.
    pub errors: u64,
}

impl Trial<'_> {
    /// Looks again and again for as long as it is to be.
    pub async fn watch(&mut self, time: Duration) -> Seen {
        let start = Instant::now();
        let mut seen = Seen::default();
        // Figures are of the time between two looks.
        drop(self.observer.look().await);
        while start.elapsed() < time {
            let left = time.saturating_sub(start.elapsed());
            tokio::time::sleep(LOOK.min(left)).await;
            self.look(&mut seen, start.elapsed()).await;
        }
        (seen.sent, seen.errors) = (self.clients.sent(), self.clients.errors());
        seen
    }

    async fn look(&mut self, seen: &mut Seen, at: Duration) {
        let now = self.observer.look().await;
        let (opinion, trips) = (self.observer.verdict().await, self.observer.trips().await);
        let (Some(now), Some(opinion), Some(trips)) = (now, opinion, trips) else {
            seen.silent += 1;
            (self.narrate)(&format!("{:>5.0} s  the proxy does not answer", at.as_secs_f64()));
            return;
        };
        (self.narrate)(&format!(
            "{:>5.0} s  {:>7} pairs  {} stops  p50 {} ms  p99 {} ms  verdict {}{}",
            at.as_secs_f64(),
            now.outcome("matched"),
            now.stops(),
            both(now.baseline.p50, now.candidate.p50),
            both(now.baseline.p99, now.candidate.p99),
            opinion.verdict,
            if opinion.reasons.is_empty() {
                String::new()
            } else {
                format!(": {}", opinion.reasons)
            },
        ));
        // The proxy keeps the last events only; what was told stays here.
        for trip in trips.into_iter().filter(|trip| !seen.trips.contains(trip)).collect::<Vec<_>>()
        {
            (self.narrate)(&format!("         STOPPED {}", told(&trip)));
            seen.trips.push(trip);
        }
        seen.looks += 1;
        seen.stops = now.stops();
        if opinion.is_fail() {
            seen.fails.push(format!("at {:.0} s: {}", at.as_secs_f64(), opinion.reasons));
        }
        (seen.last, seen.opinion) = (now, Some(opinion));
    }
}

impl Seen {
    /// Everything that is not as it should be with twins.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.stops > 0.0 || !self.trips.is_empty() {
            faults.push(format!("something stopped {} times", self.stops));
        }
        if let Some(first) = self.fails.first() {
            let (fails, looks) = (self.fails.len(), self.looks);
            faults.push(format!("the report said fail at {fails} of {looks} looks, first {first}"));
        }
        if self.silent > 0 {
            faults.push(format!("the proxy did not answer at {} looks", self.silent));
        }
        if self.errors > 0 {
            faults.push(format!("the users saw {} errors", self.errors));
        }
        let (matched, differ) = (self.last.outcome("matched"), self.last.outcome("mismatched"));
        if differ > 0.0 {
            faults.push(format!("{differ} pairs differ"));
        }
        if matched < PAIRS {
            faults.push(format!("{matched} pairs matched, which is not enough to tell anything"));
        }
        faults
    }

    /// All of it, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("requests   {}, of these {} errors", self.sent, self.errors),
            format!(
                "stops      {}, the report said fail at {} of {} looks",
                self.stops,
                self.fails.len(),
                self.looks
            ),
        ];
        lines.extend(self.trips.iter().map(|trip| format!("  stopped  {}", told(trip))));
        let outcomes = self.last.outcomes.iter().filter(|(_, count)| **count > 0.0);
        lines.extend(outcomes.map(|(name, count)| format!("outcome    {name} {count}")));
        if let Some(Opinion { verdict, reasons, pairs }) = &self.opinion {
            lines.push(format!("verdict    {verdict} after {pairs} pairs {reasons}"));
        }
        lines
    }
}

fn told(trip: &Trip) -> String {
    let Trip { time, scope, rule, route, reason, signal } = trip;
    let signal = signal.as_deref().map_or_else(String::new, |it| format!(", signal {it}"));
    format!("{time}: {scope}, rule {rule}{signal}, {route}: {reason}")
}

/// Of baseline and candidate.
fn both(baseline: Option<f64>, candidate: Option<f64>) -> String {
    let millis = |it: Option<f64>| it.map_or("–".to_owned(), |it| format!("{:.1}", it * 1000.0));
    format!("{}/{}", millis(baseline), millis(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Seen {
        let outcomes = [("matched".to_owned(), 500.0)].into();
        Seen {
            looks: 4,
            sent: 500,
            last: Status { outcomes, ..Status::default() },
            ..Seen::default()
        }
    }

    #[test]
    fn all_that_must_not_happen_to_twins_is_a_fault() {
        assert_eq!(well().faults(), Vec::<String>::new());
        let fault = |seen: Seen, why: &str| {
            let faults = seen.faults();
            assert!(faults.len() == 1 && faults[0].contains(why), "{faults:?}");
        };
        fault(Seen { stops: 2.0, ..well() }, "stopped 2 times");
        fault(
            Seen { fails: vec!["at 5 s: p99".to_owned()], ..well() },
            "fail at 1 of 4 looks, first at 5 s",
        );
        fault(Seen { silent: 1, ..well() }, "did not answer");
        fault(Seen { errors: 3, ..well() }, "3 errors");
        let mut differs = well();
        differs.last.outcomes.insert("mismatched".to_owned(), 1.0);
        fault(differs, "1 pairs differ");
        fault(Seen { last: Status::default(), ..well() }, "not enough");
    }
}
