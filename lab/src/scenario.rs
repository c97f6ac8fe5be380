//! Stories that play and check themselves. Each step waits for a condition with a deadline, never
//! for a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::status::{Observer, Status, Urls};
use crate::traffic::Clients;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Pairs that must have come out equal before a candidate is called healthy.
const PAIRS: f64 = 50.0;
/// A healed candidate answers a direct request faster than that.
const QUICK: Duration = Duration::from_millis(150);

/// The steps of the regression story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pairs match.
    Healthy,
    /// The candidate gets slow and faulty.
    Regress,
    /// The guardrail stops mirroring.
    Trip,
    /// The candidate is well again.
    Heal,
    /// Mirroring resumes, and pairs match.
    Resume,
}

impl Step {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Healthy, Self::Regress, Self::Trip, Self::Heal, Self::Resume];

    fn title(self) -> &'static str {
        match self {
            Self::Healthy => "both services are healthy: wait for pairs that match",
            Self::Regress => "the candidate gets slow and faulty",
            Self::Trip => "wait for the guardrail to stop mirroring",
            Self::Heal => "the candidate is healed",
            Self::Resume => "wait for the cooldown's end and for pairs that match again",
        }
    }
}

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
    /// Told what happens, line by line.
    pub narrate: Box<dyn FnMut(&str) + Send + 'a>,
}

impl std::fmt::Debug for Story<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Story").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl Story<'_> {
    /// Plays the regression story to its end, or to the first step that does not come true.
    ///
    /// # Errors
    /// The step, and what was seen instead.
    pub async fn regression(&mut self) -> Result<(), Failed> {
        let mut observer = Observer::new(self.client.clone(), self.urls.clone());
        let start = Instant::now();
        for (index, step) in Step::ALL.into_iter().enumerate() {
            (self.narrate)(&format!("\nStep {} of 5: {}", index + 1, step.title()));
            let began = Instant::now();
            let seen = self.in_time(step, &mut observer).await;
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
    async fn in_time(&mut self, step: Step, observer: &mut Observer) -> Result<String, String> {
        let limit = self.deadline * 2;
        let played = tokio::time::timeout(limit, self.play(step, observer)).await;
        played.unwrap_or_else(|_| Err(format!("a part did not answer within {limit:?}")))
    }

    async fn play(&mut self, step: Step, observer: &mut Observer) -> Result<String, String> {
        let before = observer.look().await.ok_or("the proxy does not answer")?;
        match step {
            Step::Healthy => {
                self.wait(observer, |now| now.state == "enabled" && matched(&before, now) >= PAIRS)
                    .await
            }
            Step::Regress => {
                let chaos = json!({"latencyMs": 250, "jitterMs": 50, "errorRate": 0.3});
                self.set_chaos(&chaos).await?;
                (self.narrate)("  250 to 300 ms are added to each answer, three in ten are errors");
                // The candidate's own figures tell, or that mirroring is off already.
                self.wait(observer, |now| {
                    now.state == "tripped" || now.candidate.p50.is_some_and(|p50| p50 > 0.1)
                })
                .await
            }
            Step::Trip => {
                let seen =
                    self.wait(observer, |now| now.state == "tripped" && now.enabled == 0.0).await?;
                self.standstill(observer).await?;
                Ok(seen)
            }
            Step::Heal => {
                let chaos = json!({"latencyMs": 0, "jitterMs": 0, "errorRate": 0.0});
                self.set_chaos(&chaos).await?;
                self.wait_until_quick().await
            }
            Step::Resume => {
                self.wait(observer, |now| {
                    now.state == "enabled" && now.enabled == 1.0 && matched(&before, now) >= PAIRS
                })
                .await
            }
        }
    }

    /// Waits for a condition; the answer is what was seen then, in numbers.
    async fn wait(
        &self,
        observer: &mut Observer,
        condition: impl Fn(&Status) -> bool,
    ) -> Result<String, String> {
        let deadline = Instant::now() + self.deadline;
        let mut last = "the proxy does not answer".to_owned();
        while Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            if let Some(now) = observer.look().await {
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
    async fn standstill(&mut self, observer: &mut Observer) -> Result<(), String> {
        let first = observer.look().await.ok_or("the proxy does not answer")?;
        let sent = self.clients.sent();
        let deadline = Instant::now() + self.deadline;
        while self.clients.sent() < sent + 20 {
            if Instant::now() > deadline {
                return Err("no client traffic".to_owned());
            }
            tokio::time::sleep(LOOK).await;
        }
        let second = observer.look().await.ok_or("the proxy does not answer")?;
        if second.state == "tripped" && second.copies > first.copies {
            return Err(format!("{} copies were sent while off", second.copies - first.copies));
        }
        let clients = self.clients.sent() - sent;
        (self.narrate)(&format!("  {clients} client requests later the candidate got no copy"));
        Ok(())
    }

    async fn set_chaos(&self, chaos: &Value) -> Result<(), String> {
        let url = format!("{}/chaos", self.urls.candidate);
        let response = self.client.put(url).json(chaos).send().await;
        let response =
            response.map_err(|error| format!("the candidate does not answer: {error}"))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("PUT /chaos answered {status}")) }
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

fn matched(before: &Status, now: &Status) -> f64 {
    now.outcome("matched") - before.outcome("matched")
}
