//! `--healthcheck`: asks the proxy that runs with the same settings whether it is alive, since
//! small container images have no tool that could.

use std::time::Duration;

use http::{Request, StatusCode, Uri};

use crate::config::Config;
use crate::exchange::Role;
use crate::upstream::{Dns, Sent, Target, Trust, Upstream, empty_body};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks `GET /healthz` where these settings serve it.
///
/// # Errors
/// Why it is not healthy.
pub async fn check(config: &Config) -> Result<(), String> {
    let addr = config.admin.unwrap_or(config.listen).addr;
    let host =
        if addr.ip().is_unspecified() { "localhost".to_owned() } else { addr.ip().to_string() };
    // On the traffic port the proxy itself answers with its own certificate, whose name is that
    // of the service and not of this machine.
    let identity = config.tls.as_ref().filter(|_| config.admin.is_none());
    let trust = identity.map(|identity| Trust::Only(identity.certificate.clone()));
    let trust = trust.unwrap_or_default();
    let mut target = Target::new(identity.is_some(), host, addr.port());
    if config.admin.is_none() {
        target.announced_from = config.proxy_protocol_from.clone();
    }
    let itself = Upstream::new(Role::Baseline, target, &trust, TIMEOUT, Dns::default());
    let itself = itself.map_err(|error| error.to_string())?;
    let mut request = Request::new(empty_body());
    let path = format!("{}/healthz", config.admin_prefix);
    *request.uri_mut() = Uri::try_from(path).map_err(|error| error.to_string())?;
    let sent = Sent::default();
    match tokio::time::timeout(TIMEOUT, itself.send(request, &sent, false)).await {
        Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(()),
        Ok(Ok(response)) => Err(format!("unhealthy: {addr} answered {}", response.status())),
        Ok(Err(error)) => Err(format!("unhealthy: {addr}: {}", error.reason())),
        Err(_) => Err(format!("unhealthy: {addr}: no answer in {TIMEOUT:?}")),
    }
}
