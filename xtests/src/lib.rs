//! What the black-box tests stand on. They know the binaries and HTTP, nothing of our crates.
//!
//! Reading order: [`run`] owns what a run leaves behind, [`binaries`] builds what is tested,
//! [`engine`] is the container engine, [`part`] is one program in a container or a process,
//! [`stack`] is all of them together, [`client`] asks and counts, [`prometheus`] is a real one, and so are the servers of [`mirrors`]
//! and the [`browser`], whose requests [`har`] tells. [`tools`] runs what the system has, [`sniffer`] and [`namespace`] are for packets, [`raw`] is a
//! service and a client that know every byte, [`exchanges`] reads what was recorded of them, and [`tshark`] what was captured.

pub mod binaries;
pub mod browser;
pub mod client;
pub mod engine;
pub mod exchanges;
pub mod har;
pub mod mirrors;
pub mod namespace;
pub mod part;
pub mod pcap;
pub mod prometheus;
pub mod raw;
pub mod run;
pub mod sniffer;
pub mod stack;
pub mod tools;
pub mod tshark;

/// What a test gives back: what went wrong, in words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a test waits for what must happen.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Evaluates a condition until it holds; an error with its text when it does not in time.
#[macro_export]
macro_rules! eventually {
    ($condition:expr) => {{
        let deadline = tokio::time::Instant::now() + $crate::PATIENCE;
        loop {
            if $condition {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("never held: {}", stringify!($condition)).into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }};
}

/// An error with its text and these values when a condition does not hold.
#[macro_export]
macro_rules! ensure {
    ($condition:expr $(, $($arg:tt)+)?) => {
        if !$condition {
            let context: &[String] = &[$(format!($($arg)+))?];
            let text = format!("does not hold: {}; {}", stringify!($condition), context.join(" "));
            return Err(text.into());
        }
    };
}
