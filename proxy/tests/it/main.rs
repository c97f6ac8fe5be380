//! The proxy as a whole, over real sockets, between scripted upstreams and real clients.

mod support;

mod control;
mod forward;
mod guardrail;
mod isolation;
mod mirror;
mod observability;
mod process;
mod shutdown;
mod tidy;
