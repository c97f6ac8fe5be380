//! Connections that left HTTP after a 101: bytes go both ways until either side ends.

use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::downstream::InFlight;

/// All tunnels of one proxy; as many as there are client connections at most.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    open: TaskTracker,
    cut: CancellationToken,
}

impl Tunnels {
    /// Joins the two connections, once both have switched.
    pub(super) fn open(&self, client: OnUpgrade, baseline: OnUpgrade, in_flight: InFlight) {
        let cut = self.cut.clone();
        self.open.spawn(async move {
            let _in_flight = in_flight;
            if let Some(Err(error)) = cut.run_until_cancelled(join(client, baseline)).await {
                debug!(%error, "a tunnel broke off");
            }
        });
    }

    /// Waits for all to end; how many did not within `limit` and are cut off.
    pub(super) async fn close(&self, limit: Duration) -> usize {
        self.open.close();
        if tokio::time::timeout(limit, self.open.wait()).await.is_ok() {
            return 0;
        }
        let cut = self.open.len();
        self.cut.cancel();
        self.open.wait().await;
        cut
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn join(client: OnUpgrade, baseline: OnUpgrade) -> Result<(), BoxError> {
    let (client, baseline) = tokio::try_join!(client, baseline)?;
    copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(baseline)).await?;
    Ok(())
}
