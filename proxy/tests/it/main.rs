//! The proxy as a whole, over real sockets, between scripted upstreams and real clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod certificates;
mod live;
mod support;
mod targets;

mod access;
mod answers;
mod beside;
mod between;
mod candidates;
mod capacity;
mod clients;
mod control;
mod dropped;
mod evidence;
mod floods;
mod forward;
mod framing;
mod grpc;
mod guardrail;
mod handover;
mod hosts;
mod http2;
mod isolation;
mod limits;
mod masks;
mod mirror;
mod names;
mod noise;
mod observability;
mod process;
mod protocols;
mod report;
mod routes;
mod rules;
mod servers;
mod settings;
mod shutdown;
mod steered;
mod streaming;
mod tidy;
mod told;
mod upgrades;
mod upstream;
mod wire;
