//! A listener that keeps what it is told, and connections that are played to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use conversations::{Budget, Conversation, Limits, Listener, Lost, Of, Setup};
use packets::stream::Nanos;
use packets::{Direction, End, Endpoints, Streams};
use traffic::Exchange;

pub(crate) const C: Direction = Direction::Forth;
pub(crate) const S: Direction = Direction::Back;

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) seen: u64,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) lost: BTreeMap<&'static str, u64>,
    of_requests: u64,
}

impl Told {
    pub(crate) fn assert_closes(&self) {
        let told = self.exchanges.len() as u64 + self.of_requests;
        assert_eq!(self.seen, told, "requests seen, and what came of them: {:?}", self.lost);
    }

    pub(crate) fn lost(&self) -> Vec<(&'static str, u64)> {
        self.lost.iter().map(|(name, count)| (*name, *count)).collect()
    }

    /// `GET /a 200 body` for each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |it: &Exchange| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let answer = it.answer.as_ref().unwrap();
            let body = match &answer.body {
                traffic::Body::Whole(bytes) => text(bytes),
                traffic::Body::NotKept(length) => format!("{length:?}"),
            };
            let (method, target) = (text(&it.request.method), text(&it.request.target));
            format!("{method} {target} {} {body}", answer.status).trim_end().to_owned()
        };
        self.exchanges.iter().map(line).collect()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ear(pub(crate) Rc<RefCell<Told>>);

impl Listener for Ear {
    fn request(&mut self) {
        self.0.borrow_mut().seen += 1;
    }

    fn exchange(&mut self, exchange: Exchange) {
        self.0.borrow_mut().exchanges.push(exchange);
    }

    fn lost(&mut self, lost: Lost) {
        let mut told = self.0.borrow_mut();
        *told.lost.entry(lost.name()).or_default() += 1;
        told.of_requests += u64::from(lost.of() == Of::Request);
    }
}

/// A connection that is played.
pub(crate) struct Played {
    pub(crate) conversation: Conversation<Ear>,
    pub(crate) ear: Ear,
    pub(crate) budget: Budget,
    pub(crate) now: Nanos,
}

impl Played {
    pub(crate) fn new(opened: bool) -> Self {
        Self::with(opened, Limits::default(), Budget::new(usize::MAX))
    }

    pub(crate) fn with(opened: bool, limits: Limits, budget: Budget) -> Self {
        let setup = Setup { limits, budget, keys: None };
        Self::set_up(opened, &setup)
    }

    pub(crate) fn set_up(opened: bool, setup: &Setup) -> Self {
        let endpoints = Endpoints {
            one: "10.0.0.1:1000".parse().unwrap(),
            other: "10.0.0.2:80".parse().unwrap(),
            network: 0,
            opened,
        };
        let ear = Ear::default();
        let conversation = Conversation::new(endpoints, 7, setup, ear.clone());
        Self { conversation, ear, budget: setup.budget.clone(), now: 1000 }
    }

    pub(crate) fn say(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.now += 10;
        self.conversation.data(direction, self.now, bytes.as_ref());
        self
    }

    pub(crate) fn gap(&mut self, direction: Direction, missing: Option<u64>) -> &mut Self {
        self.now += 10;
        self.conversation.gap(direction, self.now, missing);
        self
    }

    pub(crate) fn end(&mut self, direction: Direction, how: End) -> &mut Self {
        self.now += 10;
        self.conversation.end(direction, self.now, how);
        self
    }

    /// Ends it, and gives what was told.
    pub(crate) fn told(mut self) -> Told {
        self.end(C, End::Finished).end(S, End::Finished);
        drop(self.conversation);
        assert_eq!(self.budget.used(), 0, "bytes are still taken");
        let told = self.ear.0.take();
        told.assert_closes();
        told
    }
}

/// What is told of these words, said in this order.
pub(crate) fn told_of(words: &[(Direction, &str)]) -> Told {
    let mut played = Played::new(true);
    for (direction, bytes) in words {
        played.say(*direction, bytes);
    }
    played.told()
}
