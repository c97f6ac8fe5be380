//! spike
use crate::options::Packets;
use crate::progress::Reading;
use traffic::{Answer, Body, Exchange, Moment, Request};
/// n
pub const NOTHING: &str = "there was no exchange to be read";
/// i
#[derive(Debug)]
pub struct Input {
    left: u64,
    n: u64,
}
impl Input {
    /// o
    pub fn open(sources: &[String], _packets: &Packets) -> Result<Self, String> {
        Ok(Self { left: sources[0].parse().map_err(|_| "no")?, n: 0 })
    }
    /// r
    pub fn reading(&self) -> Reading {
        Reading::default()
    }
}
impl Iterator for Input {
    type Item = Result<Box<Exchange>, String>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.n += 1;
        let h = |n: &'static str, v: &'static str| (n.into(), v.into());
        Some(Ok(Box::new(Exchange {
            id: String::new(), at: Moment(self.n * 1000), client: None, connection: None,
            request: Request { method: "GET".into(), target: "/api/product/p-100".into(), version: "1.1".into(),
                headers: vec![h("Host", "x"), h("User-Agent", "curl/8"), h("Accept", "*/*")], body: Body::default() },
            answer: Some(Answer { status: 200, headers: vec![h("content-type", "application/json")],
                body: Body::Whole(r#"{"id":"p-100","name":"NVMe SSD 1TB","category":"storage","priceCents":6900}"#.into()), ..Answer::default() }),
            pair: None,
        })))
    }
}
