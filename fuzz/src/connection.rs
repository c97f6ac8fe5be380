//! Connections made up: what both sides say in pieces, with bytes missing and ends anywhere, and what must
//! hold of whatever is told of them.

use std::cell::RefCell;
use std::rc::Rc;

use conversations::{Budget, Conversation, Limits, Listener, Lost, Of, Setup};
use packets::{Direction, End, Endpoints, Streams};
use traffic::{Body, Exchange};

/// Small, so that inputs reach them.
pub const LIMITS: Limits = Limits {
    head_bytes: 600,
    headers: 12,
    body_bytes: 200,
    conversation_bytes: 1500,
    pending: 4,
    search_bytes: 2000,
    table_bytes: 600,
    waiting_bytes: 1200,
};
const BUDGET: usize = 1400;

#[derive(Default)]
struct Counts {
    seen: u64,
    exchanges: u64,
    of_requests: u64,
    of_connections: u64,
}

#[derive(Clone, Default)]
struct Counting(Rc<RefCell<Counts>>);

impl Listener for Counting {
    fn request(&mut self) {
        self.0.borrow_mut().seen += 1;
    }

    fn exchange(&mut self, exchange: Exchange) {
        self.0.borrow_mut().exchanges += 1;
        let answer = exchange.answer.expect("an exchange without an answer");
        assert!(answer.status >= 200, "an interim answer");
        assert!(!exchange.request.method.is_empty() && !exchange.request.target.is_empty());
        for (body, headers) in
            [(exchange.request.body, exchange.request.headers), (answer.body, answer.headers)]
        {
            assert!(headers.len() <= LIMITS.headers + 1);
            if let Body::Whole(bytes) = body {
                assert!(bytes.len() <= LIMITS.body_bytes);
            }
        }
    }

    fn lost(&mut self, lost: Lost) {
        let mut counts = self.0.borrow_mut();
        counts.of_requests += u64::from(lost.of() == Of::Request);
        counts.of_connections += u64::from(lost.of() == Of::Connection);
    }
}

/// Plays one, and checks that the limits held and the counts close.
pub fn play(
    setup: impl FnOnce(Limits, Budget) -> Setup,
    opened: bool,
    first: &[u8],
    script: &[u8],
) {
    let budget = Budget::new(BUDGET);
    let setup = setup(LIMITS, budget.clone());
    let endpoints = Endpoints {
        one: ([10, 0, 0, 1], 1000).into(),
        other: ([10, 0, 0, 2], 80).into(),
        network: 0,
        opened,
    };
    let counting = Counting::default();
    let mut conversation = Conversation::new(endpoints, 1, &setup, counting.clone());
    conversation.data(Direction::Forth, 0, first);
    for (at, step) in (0..).step_by(400_000_000).zip(Steps(script)) {
        match step {
            Step::Data(direction, bytes) => conversation.data(direction, at, bytes),
            Step::Gap(direction, missing) => conversation.gap(direction, at, missing),
            Step::End(direction, how) => conversation.end(direction, at, how),
        }
        assert!(conversation.held() <= LIMITS.conversation_bytes);
        assert!(budget.used() <= BUDGET && budget.used() == conversation.held());
    }
    drop(conversation);
    assert_eq!(budget.used(), 0, "bytes are still taken");
    let counts = counting.0.take();
    assert_eq!(counts.seen, counts.exchanges + counts.of_requests, "the counts do not close");
    assert!(counts.of_connections <= 1, "a connection was lost twice");
}

enum Step<'a> {
    Data(Direction, &'a [u8]),
    Gap(Direction, Option<u64>),
    End(Direction, End),
}

/// A byte says what happens, the lowest bit of it in which direction; a length of two bytes may follow, and
/// that many bytes.
struct Steps<'a>(&'a [u8]);

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let (what, rest) = self.0.split_first()?;
        self.0 = rest;
        let direction = if what & 1 == 0 { Direction::Forth } else { Direction::Back };
        match what >> 1 & 0xf {
            13 => Some(Step::Gap(direction, None)),
            14 => Some(Step::Gap(direction, Some(self.number().into()))),
            15 => {
                let how = [End::Finished, End::Reset, End::GivenUp, End::Finished];
                Some(Step::End(direction, how[usize::from(what >> 5 & 3)]))
            }
            _ => {
                let length = usize::from(self.number()).min(self.0.len());
                let (bytes, rest) = self.0.split_at(length);
                self.0 = rest;
                Some(Step::Data(direction, bytes))
            }
        }
    }
}

impl Steps<'_> {
    fn number(&mut self) -> u16 {
        let Some((number, rest)) = self.0.split_first_chunk() else { return 0 };
        self.0 = rest;
        u16::from_be_bytes(*number)
    }
}
