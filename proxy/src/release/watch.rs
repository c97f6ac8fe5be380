//! `report --watch`: follows the report until it is told to end.

use std::io::{self, IsTerminal};
use std::time::Duration;

use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time;

use super::screen::{Screen, Size};
use super::{Answer, Request, ask};
use crate::config::Config;

/// Whoever looks on does not wait for longer; a proxy that is away comes back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows the report again and again, and waits for a proxy that is away, until Ctrl-C or a SIGTERM. What
/// the last report said is the answer.
///
/// # Errors
/// Why there never was a report.
pub async fn follow(request: &Request, config: &Config, every: Duration) -> Result<Answer, String> {
    let mut ends = Ends::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let mut screen = Screen::new(io::stdout(), io::stderr(), io::stdout().is_terminal());
    let mut last = Err("no report yet".to_owned());
    loop {
        let asked = tokio::select! {
            asked = time::timeout(PATIENCE, ask(request, config)) => asked,
            () = ends.wait() => break,
        };
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")));
        // Where nobody reads any more there is nothing to follow.
        if screen.show(asked.as_ref(), every, size()).is_err() {
            break;
        }
        if asked.is_ok() || last.is_err() {
            last = asked;
        }
        tokio::select! {
            () = time::sleep(every) => {}
            () = ends.wait() => break,
        }
    }
    // It may be gone.
    drop(screen.leave());
    last.map(|answer| Answer { text: String::new(), ..answer })
}

/// Asked for anew each time, since windows change.
fn size() -> Size {
    let size = tcgetwinsize(io::stdout()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(Size::default(), |size| Size {
        columns: usize::from(size.ws_col),
        rows: usize::from(size.ws_row),
    })
}

/// What ends it.
struct Ends([Signal; 2]);

impl Ends {
    fn listen() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
