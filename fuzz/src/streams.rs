//! Readers that hold what puts connections together to its word, and the books of all that it said.

use std::cell::RefCell;
use std::rc::Rc;

use packets::{Assembler, Direction, End, Endpoints, Fate, Filter, Limits, Nanos, Streams};

/// Small enough to be reached by few packets.
pub const LIMITS: fn() -> Limits = || Limits {
    connections: 4,
    opening: 4,
    closed: 4,
    held: 2048,
    held_in_all: 4096,
    datagrams: 4,
    fragments: 4096,
    ..Limits::default()
};

/// What all readers were told together.
#[derive(Debug, Default)]
pub struct Told {
    /// How often a reader was asked for; each fourth is refused.
    pub asked: usize,
    readers: usize,
    ends: usize,
    /// Bytes that were told.
    pub bytes: usize,
}

/// Reads one connection.
#[derive(Debug)]
pub struct Ledger {
    told: Rc<RefCell<Told>>,
    ended: [bool; 2],
    latest: [Nanos; 2],
    /// Where each direction is, from its first byte.
    position: [u64; 2],
    /// What the byte in a place of a direction is, where that is known.
    content: Option<fn(Direction, u64) -> u8>,
}

impl Ledger {
    /// Makes the readers of connections; what they carry is told by the place where it is known,
    /// which it is only of those whose opening was seen, by the client with its higher port.
    pub fn make(
        told: &Rc<RefCell<Told>>,
        content: Option<fn(Direction, u64) -> u8>,
    ) -> impl FnMut(Endpoints) -> Option<Self> + use<> {
        let told = Rc::clone(told);
        move |ends| {
            told.borrow_mut().asked += 1;
            if told.borrow().asked.is_multiple_of(4) {
                return None;
            }
            told.borrow_mut().readers += 1;
            let content = content.filter(|_| ends.opened && ends.one.port() > ends.other.port());
            let (ended, latest, position) = Default::default();
            Some(Self { told: Rc::clone(&told), ended, latest, position, content })
        }
    }

    fn told(&mut self, direction: Direction, at: Nanos) {
        let way = direction as usize;
        assert!(!self.ended[way], "told behind the end");
        assert!(self.latest[way] <= at, "time goes back");
        self.latest[way] = at;
    }
}

impl Streams for Ledger {
    fn data(&mut self, direction: Direction, at: Nanos, bytes: &[u8]) {
        self.told(direction, at);
        assert!(!bytes.is_empty());
        let position = &mut self.position[direction as usize];
        if let Some(content) = self.content {
            for (place, byte) in (*position..).zip(bytes) {
                assert_eq!(content(direction, place), *byte, "{direction:?}, {place}");
            }
        }
        *position += bytes.len() as u64;
        self.told.borrow_mut().bytes += bytes.len();
    }

    fn gap(&mut self, direction: Direction, at: Nanos, missing: Option<u64>) {
        self.told(direction, at);
        let missing = missing.expect("it is known how much is missing");
        assert!(missing > 0);
        self.position[direction as usize] += missing;
    }

    fn end(&mut self, direction: Direction, at: Nanos, _: End) {
        self.told(direction, at);
        self.ended[direction as usize] = true;
        self.told.borrow_mut().ends += 1;
    }
}

/// What holds after each frame.
pub fn check(assembler: &Assembler<Ledger>, frames: u64, limits: &Limits) {
    assert_eq!(assembler.counts().sum(), frames);
    assert!(assembler.held() <= limits.held_in_all);
    let most = limits.connections + limits.opening + limits.closed;
    assert!(assembler.connections() <= most);
}

/// Ends all. Each reader was told of both ends, and each connection came to one.
pub fn finish(assembler: &mut Assembler<Ledger>, told: &RefCell<Told>) {
    assembler.finish();
    let totals = assembler.totals();
    let over = totals.finished + totals.reset + totals.replaced + totals.idle;
    let over = over + totals.evicted_opening + totals.evicted + totals.unfinished;
    assert_eq!(totals.opened + totals.joined, over + totals.not_wanted, "{totals:?}");
    assert_eq!((assembler.held(), assembler.connections()), (0, 0));
    let told = told.borrow();
    assert_eq!(2 * told.readers, told.ends);
    let fates = [Fate::Delivered, Fate::OutOfOrder, Fate::Truncated];
    let carried: u64 = fates.iter().map(|fate| assembler.counts().of(*fate)).sum();
    assert!(carried > 0 || told.bytes == 0);
}

/// Puts everything together that there is.
pub fn assembler(limits: Limits) -> (Assembler<Ledger>, Rc<RefCell<Told>>) {
    (Assembler::new(limits, Filter::default()), Rc::default())
}
