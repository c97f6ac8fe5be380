//! The proxy as a whole, over real sockets, between scripted upstreams and real clients.

mod support;

mod forward;
