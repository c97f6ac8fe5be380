//! Readers that write down what they are told.

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use packets::{
    Assembler, Direction, End, Endpoints, Fate, Filter, Frame, Limits, Link, Nanos, Streams,
};

/// What was told of a direction; what comes twice in a row is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Data(Vec<u8>),
    Gap(u64),
    End(End),
}

/// What was told of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) ends: Endpoints,
    pub(crate) ways: [Vec<Told>; 2],
    /// When each piece was told, in order.
    pub(crate) times: [Vec<Nanos>; 2],
}

impl Heard {
    /// The bytes of a direction, as if nothing was missing.
    pub(crate) fn bytes(&self, direction: Direction) -> Vec<u8> {
        let told = self.ways[direction as usize].iter();
        told.flat_map(|told| if let Told::Data(bytes) = told { &bytes[..] } else { &[] })
            .copied()
            .collect()
    }

    pub(crate) fn text(&self, direction: Direction) -> String {
        String::from_utf8(self.bytes(direction)).unwrap()
    }

    pub(crate) fn end(&self, direction: Direction) -> Option<End> {
        match self.ways[direction as usize].last() {
            Some(Told::End(end)) => Some(*end),
            _ => None,
        }
    }
}

/// A reader; shared with who looks at it later.
#[derive(Debug)]
pub(crate) struct Reader {
    all: Rc<RefCell<Vec<Heard>>>,
    place: usize,
}

impl Reader {
    fn tell(&mut self, direction: Direction, at: Nanos, told: Told) {
        let mut all = self.all.borrow_mut();
        let heard = &mut all[self.place];
        let times = &mut heard.times[direction as usize];
        assert!(times.last().is_none_or(|last| *last <= at), "time goes back");
        times.push(at);
        let way = &mut heard.ways[direction as usize];
        assert!(!matches!(way.last(), Some(Told::End(_))), "told behind the end");
        match (way.last_mut(), told) {
            (Some(Told::Data(bytes)), Told::Data(more)) => bytes.extend(more),
            (Some(Told::Gap(missing)), Told::Gap(more)) => *missing += more,
            (_, told) => way.push(told),
        }
    }
}

impl Streams for Reader {
    fn data(&mut self, direction: Direction, at: Nanos, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.tell(direction, at, Told::Data(bytes.to_vec()));
    }

    fn gap(&mut self, direction: Direction, at: Nanos, missing: Option<u64>) {
        let missing = missing.unwrap();
        assert!(missing > 0);
        self.tell(direction, at, Told::Gap(missing));
    }

    fn end(&mut self, direction: Direction, at: Nanos, how: End) {
        self.tell(direction, at, Told::End(how));
    }
}

/// An assembler and all that it told.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) assembler: Assembler<Reader>,
    all: Rc<RefCell<Vec<Heard>>>,
    pub(crate) wanted: bool,
}

impl Bench {
    pub(crate) fn new(limits: Limits, filter: Filter) -> Self {
        let assembler = Assembler::new(limits, filter);
        Self { assembler, all: Rc::default(), wanted: true }
    }

    /// What makes the readers.
    pub(crate) fn make(&self) -> impl FnMut(Endpoints) -> Option<Reader> + use<> {
        let (all, wanted) = (Rc::clone(&self.all), self.wanted);
        move |ends| {
            let heard = Heard { ends, ways: Default::default(), times: Default::default() };
            all.borrow_mut().push(heard);
            let place = all.borrow().len() - 1;
            wanted.then(|| Reader { all: Rc::clone(&all), place })
        }
    }

    /// A frame that is whole.
    pub(crate) fn ethernet(&mut self, at: Nanos, bytes: &[u8]) -> Fate {
        self.frame(at, Link::Ethernet, bytes, bytes.len())
    }

    pub(crate) fn frame(&mut self, at: Nanos, link: Link, bytes: &[u8], original: usize) -> Fate {
        let before = self.assembler.counts().sum();
        let mut make = self.make();
        let fate = self.assembler.frame(&Frame { at, link, bytes, original }, &mut make);
        assert_eq!(self.assembler.counts().sum(), before + 1);
        fate
    }

    /// All connections that readers were made of.
    pub(crate) fn heard(&self) -> Ref<'_, Vec<Heard>> {
        self.all.borrow()
    }

    /// The only one.
    pub(crate) fn only(&self) -> Heard {
        let all = self.all.borrow();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// Ends all: whatever began has ended in some way, in both directions, and the sums close.
    pub(crate) fn finish(&mut self) {
        self.assembler.finish();
        let totals = self.assembler.totals();
        let ended = totals.finished
            + totals.reset
            + totals.replaced
            + totals.idle
            + totals.evicted_opening
            + totals.evicted
            + totals.unfinished
            + totals.not_wanted;
        assert_eq!(totals.opened + totals.joined, ended, "{totals:?}");
        assert_eq!((self.assembler.held(), self.assembler.connections()), (0, 0));
        for heard in self.all.borrow().iter().filter(|_| self.wanted) {
            assert!(heard.end(Direction::Forth).is_some() && heard.end(Direction::Back).is_some());
        }
    }
}
