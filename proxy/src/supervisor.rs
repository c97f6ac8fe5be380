//! Tells whoever supervises the process how it stands, as systemd wants to hear it (`NOTIFY_SOCKET`); says nothing where
//! nobody asked.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

use crate::steer::Steer;

/// How often it is looked whether there is another thing to tell.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// It takes traffic, from now on or after a reload.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its settings anew.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    // Of systemd 253 and later, which tells two reloads apart by it.
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// It drains, which may take as long as this, whatever the unit says.
pub fn stopping(within: Duration) {
    let micros = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("draining"),
        NotifyState::ExtendTimeoutUsec(micros),
    ]);
}

/// Tells for ever which candidates get copies, and that it is alive where somebody watches for that: from where requests are
/// handled, so that it falls silent when they are not.
pub async fn keep_telling(steer: &Steer) {
    let watched = sd_notify::watchdog_enabled();
    let mut looks = tokio::time::interval(watched.map_or(LOOK_EVERY, |it| LOOK_EVERY.min(it / 3)));
    let mut told = String::new();
    loop {
        looks.tick().await;
        if watched.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        let now = status(steer);
        if now != told {
            tell(&[NotifyState::Status(&now)]);
            told = now;
        }
    }
}

fn status(steer: &Steer) -> String {
    let lanes = steer.mirror().lanes();
    let of = lanes.entries.iter().map(|entry| {
        let observe = &entry.lane.observe;
        format!("{} {}", observe.name(), if observe.is_on() { "on" } else { "off" })
    });
    format!("mirroring: {}", of.collect::<Vec<_>>().join(", "))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell the supervisor");
    }
}
