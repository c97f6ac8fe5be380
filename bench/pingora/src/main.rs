//! A peer to measure against: the least pingora proxy that answers from the baseline and sends a
//! copy of each request, body included, to the candidate. It compares nothing.
//!
//! Usage: `bench-pingora LISTEN BASELINE [CANDIDATE TIMEOUT_MS]`, addresses as `127.0.0.1:8080`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pingora_core::connectors::http::Connector;
use pingora_core::prelude::{HttpPeer, Result, Server};
use pingora_core::server::configuration::ServerConf;
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Proxy {
    baseline: HttpPeer,
    candidate: Option<Arc<Candidate>>,
}

struct Candidate {
    peer: HttpPeer,
    connector: Connector,
    timeout: Duration,
}

#[derive(Default)]
struct Copy {
    head: Option<Box<RequestHeader>>,
    body: BytesMut,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Copy;

    fn new_ctx(&self) -> Copy {
        Copy::default()
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Copy) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.baseline.clone()))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        head: &mut RequestHeader,
        copy: &mut Copy,
    ) -> Result<()> {
        if self.candidate.is_some() {
            copy.head = Some(Box::new(head.clone()));
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        copy: &mut Copy,
    ) -> Result<()> {
        if let (Some(candidate), Some(_)) = (&self.candidate, &copy.head) {
            copy.body.extend_from_slice(body.as_deref().unwrap_or_default());
            if let Some(head) = copy.head.take_if(|_| end) {
                let (candidate, body) = (Arc::clone(candidate), copy.body.split().freeze());
                tokio::spawn(async move {
                    // The answer is thrown away, and so is a failure.
                    drop(tokio::time::timeout(candidate.timeout, candidate.send(head, body)).await);
                });
            }
        }
        Ok(())
    }
}

impl Candidate {
    async fn send(&self, head: Box<RequestHeader>, body: Bytes) -> Result<()> {
        let (mut session, _) = self.connector.get_http_session(&self.peer).await?;
        session.write_request_header(head).await?;
        if !body.is_empty() {
            session.write_request_body(body, true).await?;
        }
        session.finish_request_body().await?;
        session.read_response_header().await?;
        while session.read_response_body().await?.is_some() {}
        self.connector.release_http_session(session, &self.peer, None).await;
        Ok(())
    }
}

fn peer(address: &str) -> HttpPeer {
    HttpPeer::new(address, false, String::new())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, baseline, mirror) = match arguments.as_slice() {
        [listen, baseline] => (listen, baseline, None),
        [listen, baseline, candidate, timeout] => {
            (listen, baseline, Some((candidate, timeout.parse().expect("milliseconds"))))
        }
        _ => panic!("usage: bench-pingora LISTEN BASELINE [CANDIDATE TIMEOUT_MS]"),
    };
    let candidate = mirror.map(|(candidate, timeout)| {
        Arc::new(Candidate {
            peer: peer(candidate),
            connector: Connector::new(None),
            timeout: Duration::from_millis(timeout),
        })
    });
    let conf = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let proxy = Proxy { baseline: peer(baseline), candidate };
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever();
}
