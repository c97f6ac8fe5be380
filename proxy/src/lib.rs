//! The MirrorLab proxy: answers every request from the baseline, sends a copy of a share of them
//! to a candidate, compares the two answers, and stops by itself when the candidate misbehaves.
//!
//! # The life of a request
//!
//! 1. [`serve`] takes the connection; [`app`] tells the admin endpoints of [`control`] apart by path.
//! 2. [`forward`] finds the [`route`], makes the [`headers`] fit for the next hop, and asks
//!    [`mirror`] whether to copy: the guardrail's gate, the method, the dice.
//! 3. The request streams to the baseline by [`upstream`]. Beside it, [`body`] keeps a bounded
//!    copy; when the body is whole, the copy goes into a bounded queue, or is dropped and counted.
//! 4. The baseline's answer streams to the client, kept beside in the same way.
//! 5. In the background [`mirror`] sends the copy to the candidate, waits for both answers, lets [`compare`]
//!    judge them, counts the outcome in [`metrics`], and tells the [`guardrail`](judge::guardrail).
//! 6. The guardrail's gate is the one value that flows back.
//!
//! Whatever the mirror side does, steps 1 to 4 never wait for it.

pub mod access;
pub mod app;
pub mod arguments;
pub mod audit;
pub mod body;
pub mod check;
pub mod config;
pub mod control;
pub mod exchange;
pub mod explain;
pub mod forward;
pub mod headers;
pub mod healthcheck;
pub mod limits;
pub mod listen;
pub mod log_limit;
pub mod log_queue;
pub mod logging;
pub mod metrics;
pub mod mirror;
pub mod observe;
pub mod page;
pub mod plan;
pub mod policy;
pub mod preview;
pub mod record;
pub mod relay;
pub mod release;
pub mod replicas;
pub mod route;
pub mod serve;
pub mod source;
pub mod spread;
pub mod steer;
pub mod supervisor;
pub mod telemetry;
pub mod upstream;
