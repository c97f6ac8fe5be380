//! Baseline, candidate and proxy, each stack on a network and with names of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use reqwest::Client;
use serde_json::Value;

use crate::binaries::Binaries;
use crate::client::{self, sum};
use crate::engine::Engine;
use crate::part::{Container, Log, Part, Process, Settings};
use crate::run::Run;
use crate::{Result, eventually};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Where stacks are started.
#[derive(Clone, Debug)]
pub enum Place {
    /// As containers.
    Containers(Engine),
    /// As plain processes.
    Processes(Arc<Run>, Binaries),
}

/// The programs of a stack, running.
#[derive(Debug)]
pub struct Stack {
    place: Place,
    name: String,
    /// Answers the clients.
    pub baseline: Part,
    /// Gets copies.
    pub candidate: Part,
    /// Stands before both.
    pub proxy: Part,
    /// For the tests.
    pub client: Client,
    log: Log,
}

impl Place {
    /// Starts one more part.
    ///
    /// # Errors
    /// When it does not start.
    async fn start(&self, stack: &str, role: &str, settings: Settings, log: &Log) -> Result<Part> {
        let is_proxy = role.starts_with("proxy");
        let log = Arc::clone(log);
        match self {
            Self::Containers(engine) => {
                let (program, port) = if is_proxy {
                    ("mirrorlab-proxy", 8080)
                } else {
                    ("mirrorlab-demo-service", 4001)
                };
                let name = format!("{stack}-{role}");
                let started =
                    Container::start(engine, stack, name, program, (port, settings), log).await?;
                Ok(Part::Container(Box::new(started)))
            }
            Self::Processes(run, binaries) => {
                let (program, port) = if is_proxy {
                    (&binaries.proxy, "LISTEN_ADDR")
                } else {
                    (&binaries.demo_service, "PORT")
                };
                let started = Process::start(run, program, port, settings, log).await?;
                Ok(Part::Process(Box::new(started)))
            }
        }
    }
}

fn service(name: &str) -> Settings {
    vec![("SERVICE_NAME", name.to_owned())]
}

impl Stack {
    /// Starts all parts and waits until each answers.
    ///
    /// # Errors
    /// When one does not.
    pub async fn start(place: &Place, settings: &[(&'static str, &str)]) -> Result<Self> {
        let run = match place {
            Place::Containers(engine) => engine.label().1,
            Place::Processes(run, _) => run.name.clone(),
        };
        let name = format!("mirrorlab-{run}-{}", COUNT.fetch_add(1, Ordering::SeqCst));
        if let Place::Containers(engine) = place {
            engine.create_network(&name).await?;
        }
        let log = Log::default();
        let baseline = place.start(&name, "service-v1", service("service-v1"), &log).await?;
        let candidate = place.start(&name, "service-v2", service("service-v2"), &log).await?;
        let mut all = vec![
            ("BASELINE_URL", baseline.inner_url()),
            ("CANDIDATE_URL", candidate.inner_url()),
            ("MIRROR_FRACTION", "1".to_owned()),
            // The baseline is a second one as well, for those who want noise probes.
            ("SECONDARY_URL", baseline.inner_url()),
            ("NOISE_FRACTION", "0".to_owned()),
        ];
        // A busy machine is slow at random: latency is a verdict only where a test is about it.
        all.push(("ABORT_LATENCY_FLOOR", "10s".to_owned()));
        for (name, value) in settings {
            all.retain(|(known, _)| known != name);
            all.push((name, (*value).to_owned()));
        }
        let proxy = place.start(&name, "proxy", all, &log).await?;
        let client = client::client()?;
        let stack = Self { place: place.clone(), name, baseline, candidate, proxy, client, log };
        for part in [&stack.baseline, &stack.candidate] {
            stack.wait_for(part, "/actuator/health").await?;
        }
        stack.wait_for(&stack.proxy, "/readyz").await?;
        Ok(stack)
    }

    /// Starts one more proxy beside the others, on the same network.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn another_proxy(&self, role: &str, settings: Settings) -> Result<Part> {
        let started = self.place.start(&self.name, role, settings, &self.log).await?;
        self.wait_for(&started, "/readyz").await?;
        Ok(started)
    }

    /// Waits until a part answers well.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_for(&self, part: &Part, path: &str) -> Result<()> {
        eventually!(match part.url().await {
            Ok(url) => client::text(&self.client, &format!("{url}{path}")).await.is_ok(),
            Err(_) => false,
        });
        Ok(())
    }

    /// Asks the proxy for the shop's search; status and body.
    ///
    /// # Errors
    /// No answer.
    pub async fn search(&self) -> Result<(u16, String)> {
        let url = format!("{}/api/search?q=ssd", self.proxy.url().await?);
        let response = self.client.get(url).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Changes the candidate's chaos.
    ///
    /// # Errors
    /// When it does not answer well.
    pub async fn set_chaos(&self, part: &Part, chaos: &Value) -> Result<()> {
        let url = format!("{}/chaos", part.url().await?);
        self.client.put(url).json(chaos).send().await?.error_for_status()?;
        Ok(())
    }

    /// `/control/status` of the proxy.
    ///
    /// # Errors
    /// No answer.
    pub async fn status(&self) -> Result<Value> {
        client::json(&self.client, &format!("{}/control/status", self.proxy.url().await?)).await
    }

    /// `POST /control/{action}` of the proxy.
    ///
    /// # Errors
    /// No answer, or none that is well.
    pub async fn control(&self, action: &str) -> Result<()> {
        let url = format!("{}/control/{action}", self.proxy.url().await?);
        self.client.post(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// A metric of the proxy, summed over the series with these labels.
    ///
    /// # Errors
    /// No answer.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let url = format!("{}/metrics", self.proxy.url().await?);
        Ok(sum(&client::text(&self.client, &url).await?, name, labels))
    }

    /// Requests under `/api` that a service has answered, by its own count.
    ///
    /// # Errors
    /// No answer.
    pub async fn answered(&self, service: &Part) -> Result<f64> {
        let url = format!("{}/actuator/prometheus", service.url().await?);
        let metrics = client::text(&self.client, &url).await?;
        Ok(sum(&metrics, "http_server_requests_seconds_count", &["uri=\"/api/"]))
    }

    /// What all parts wrote.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The network that containers of this stack are on.
    pub fn network(&self) -> &str {
        &self.name
    }

    /// Stops all parts.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn stop(self) -> Result<()> {
        let Self { place, name, baseline, candidate, proxy, .. } = self;
        drop((baseline, candidate, proxy));
        if let Place::Containers(engine) = place {
            engine.remove_network(&name).await?;
        }
        Ok(())
    }
}
