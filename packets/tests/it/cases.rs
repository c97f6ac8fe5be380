//! What TCP does on the wire, case by case, in a conversation of two sides.

use packets::{Direction, End, Fate, Filter, Limits, Link};

use crate::build::{Tcp, ethernet};
use crate::log::{Bench, Told};

const SECOND: u64 = 1_000_000_000;

/// One side's segments: numbers are counted from its first.
struct Talk {
    bench: Bench,
    now: u64,
    isns: [u32; 2],
}

impl Talk {
    fn new(limits: Limits) -> Self {
        let bench = Bench::new(limits, Filter::default());
        Self { bench, now: SECOND, isns: [u32::MAX - 20, 5000] }
    }

    /// With SYN and its answer seen.
    fn opened(limits: Limits) -> Self {
        let mut talk = Self::new(limits);
        assert_eq!(talk.send(0, 0, "S", None, ""), Fate::NoPayload);
        assert_eq!(talk.send(1, 0, "S", Some(1), ""), Fate::NoPayload);
        assert_eq!(talk.send(0, 1, "", Some(1), ""), Fate::NoPayload);
        talk
    }

    fn tcp(
        &self,
        side: usize,
        number: i64,
        flags: &'static str,
        ack: Option<u32>,
        text: &str,
    ) -> Tcp {
        let ends = ["10.0.0.1:40000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()];
        Tcp {
            from: ends[side],
            to: ends[1 - side],
            sequence: self.isns[side].wrapping_add(number as u32),
            acknowledged: ack.map(|number| self.isns[1 - side].wrapping_add(number)),
            flags,
            payload: text.into(),
        }
    }

    fn send(
        &mut self,
        side: usize,
        number: i64,
        flags: &'static str,
        ack: Option<u32>,
        text: &str,
    ) -> Fate {
        let frame = self.tcp(side, number, flags, ack, text).frame();
        self.bench.ethernet(self.now, &frame)
    }

    fn forth(&mut self, number: i64, text: &str) -> Fate {
        self.send(0, number, "", Some(1), text)
    }

    fn told(&self, direction: Direction) -> Vec<Told> {
        self.bench.only().ways[direction as usize].clone()
    }
}

fn data(text: &str) -> Told {
    Told::Data(text.into())
}

#[test]
fn segments_are_told_in_order_over_the_wrap_of_the_numbers() {
    let mut talk = Talk::opened(Limits::default());
    assert_eq!(talk.forth(1, "0123456789"), Fate::Delivered);
    assert_eq!(talk.forth(21, "abcdefghij"), Fate::OutOfOrder);
    assert_eq!(talk.forth(11, "ABCDEFGHIJ"), Fate::Delivered);
    assert_eq!(talk.forth(31, "end"), Fate::Delivered);
    let heard = talk.bench.only();
    assert_eq!(heard.text(Direction::Forth), "0123456789ABCDEFGHIJabcdefghijend");
    assert!(heard.ends.opened);
}

#[test]
fn a_retransmission_with_more_behind_it_tells_what_is_new() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "GET /");
    assert_eq!(talk.forth(1, "GET /"), Fate::Duplicate);
    assert_eq!(talk.forth(1, "XXX / HTTP"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("GET / HTTP")]);
}

#[test]
fn a_syn_may_carry_bytes() {
    let mut talk = Talk::new(Limits::default());
    assert_eq!(talk.send(0, 0, "S", None, "early"), Fate::Delivered);
    talk.send(1, 0, "S", Some(1), "");
    assert_eq!(talk.forth(1, "early and late"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("early and late")]);
}

#[test]
fn one_joined_in_the_middle_begins_with_the_first_bytes_seen() {
    let mut talk = Talk::new(Limits::default());
    assert_eq!(talk.send(1, 100, "", Some(500), ""), Fate::NoPayload);
    assert_eq!(talk.send(1, 100, "", Some(500), "answer"), Fate::Delivered);
    assert_eq!(talk.send(1, 50, "", Some(500), "before"), Fate::BeforeStart);
    assert_eq!(talk.send(0, 500, "", Some(106), "ask"), Fate::Delivered);
    let heard = talk.bench.only();
    assert!(!heard.ends.opened);
    assert_eq!(heard.ends.other.port(), 80, "the lower port serves");
    assert_eq!(heard.text(Direction::Forth), "ask");
    assert_eq!(heard.text(Direction::Back), "answer");
}

#[test]
fn the_answer_to_a_syn_that_was_not_seen_opens_a_connection() {
    let mut talk = Talk::new(Limits::default());
    talk.send(1, 0, "S", Some(1), "");
    assert_eq!(talk.forth(4, "lo"), Fate::OutOfOrder);
    assert_eq!(talk.forth(1, "hel"), Fate::Delivered);
    let heard = talk.bench.only();
    assert!(heard.ends.opened);
    assert_eq!(heard.text(Direction::Forth), "hello");
}

#[test]
fn a_handshake_out_of_order_is_one_connection() {
    let mut talk = Talk::new(Limits::default());
    talk.send(1, 0, "S", Some(1), "");
    talk.send(0, 1, "", Some(1), "ask");
    assert_eq!(talk.send(0, 0, "S", None, ""), Fate::NoPayload);
    talk.send(1, 1, "", Some(4), "answer");
    let heard = talk.bench.only();
    assert_eq!(
        (heard.text(Direction::Forth).as_str(), heard.text(Direction::Back).as_str()),
        ("ask", "answer")
    );
    assert_eq!(talk.bench.assembler.totals().opened, 1);
}

#[test]
fn where_only_the_syn_was_seen_the_first_acknowledgement_says_where_the_server_began() {
    let mut talk = Talk::new(Limits::default());
    talk.send(0, 0, "S", None, "");
    talk.send(0, 1, "", Some(1), "ask");
    assert_eq!(talk.send(1, 4, "", Some(4), "wer"), Fate::OutOfOrder);
    talk.send(1, 1, "", Some(4), "ans");
    assert_eq!(talk.told(Direction::Back), [data("answer")]);
}

#[test]
fn keep_alive_probes_are_duplicates_and_probes_of_a_closed_window_bytes() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "abc");
    assert_eq!(talk.forth(3, "\0"), Fate::Duplicate);
    assert_eq!(talk.forth(3, ""), Fate::NoPayload);
    assert_eq!(talk.forth(4, "d"), Fate::Delivered);
    assert_eq!(talk.forth(4, "def"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("abcdef")]);
}

#[test]
fn each_direction_ends_with_its_own_fin() {
    let mut talk = Talk::opened(Limits::default());
    assert_eq!(talk.send(0, 1, "F", Some(1), "ask"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("ask"), Told::End(End::Finished)]);
    assert_eq!(talk.send(0, 1, "F", Some(1), "ask"), Fate::Duplicate);
    assert_eq!(talk.send(0, 5, "", Some(1), "more"), Fate::AfterEnd);
    assert_eq!(talk.send(1, 1, "", Some(5), "answer"), Fate::Delivered);
    assert_eq!(talk.bench.only().end(Direction::Back), None);
    talk.send(1, 7, "F", Some(5), "");
    assert_eq!(talk.told(Direction::Back), [data("answer"), Told::End(End::Finished)]);
    assert_eq!(talk.send(1, 7, "F", Some(5), ""), Fate::NoPayload);
    assert_eq!(talk.bench.assembler.totals().finished, 1);
    talk.bench.finish();
}

#[test]
fn an_end_before_the_first_bytes_is_told_when_these_come() {
    let mut talk = Talk::opened(Limits::default());
    assert_eq!(talk.send(1, 11, "F", Some(1), ""), Fate::NoPayload);
    assert_eq!(talk.send(0, 1, "", Some(12), ""), Fate::NoPayload);
    assert_eq!(talk.send(0, 1, "", Some(12), "ask"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Back), [Told::Gap(10), Told::End(End::Finished)]);
    assert_eq!(talk.told(Direction::Forth), [data("ask")]);
    talk.bench.finish();
}

#[test]
fn a_fin_ahead_of_bytes_ends_when_they_came() {
    let mut talk = Talk::opened(Limits::default());
    assert_eq!(talk.send(0, 7, "F", Some(1), ""), Fate::NoPayload);
    assert_eq!(talk.forth(4, "def-and-more"), Fate::OutOfOrder);
    assert_eq!(talk.forth(1, "abc"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("abcdef"), Told::End(End::Finished)]);
}

#[test]
fn a_reset_ends_both_and_what_is_behind_it_is_passed_over() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "ask");
    talk.forth(10, "later");
    assert_eq!(talk.send(1, 1, "R", Some(4), ""), Fate::NoPayload);
    assert_eq!(talk.forth(4, "more"), Fate::AfterEnd);
    let forth = [data("ask"), Told::Gap(6), data("later"), Told::End(End::Reset)];
    assert_eq!(talk.told(Direction::Forth), forth);
    assert_eq!(talk.told(Direction::Back), [Told::End(End::Reset)]);
    assert_eq!(talk.bench.assembler.totals().reset, 1);
}

#[test]
fn a_reset_from_nowhere_is_not_believed() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "ask");
    assert_eq!(talk.send(0, 1_000_000_000, "R", None, ""), Fate::OutOfWindow);
    assert_eq!(talk.forth(4, "more"), Fate::Delivered);
}

#[test]
fn ports_that_are_opened_anew_are_another_connection() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "first");
    talk.send(0, 0, "S", None, "");
    talk.isns = [77, 99];
    talk.send(0, 0, "S", None, "");
    talk.send(1, 0, "S", Some(1), "");
    assert_eq!(talk.forth(1, "second"), Fate::Delivered);
    let texts: Vec<_> =
        talk.bench.heard().iter().map(|heard| heard.text(Direction::Forth)).collect();
    assert_eq!(texts, ["first", "second"]);
    assert_eq!(talk.bench.heard()[0].end(Direction::Forth), Some(End::GivenUp));
    assert_eq!(talk.bench.assembler.totals().replaced, 1);
}

#[test]
fn the_answer_to_an_opening_that_was_not_seen_is_another_connection_too() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "first");
    talk.send(1, 0, "S", Some(1), "");
    assert_eq!(talk.bench.assembler.totals().replaced, 0);
    talk.isns = [77, 99];
    talk.send(1, 0, "S", Some(1), "");
    talk.forth(1, "second");
    assert_eq!(talk.bench.heard()[1].text(Direction::Forth), "second");
}

#[test]
fn a_hole_that_was_acknowledged_is_given_up_at_once_when_something_is_behind_it() {
    let mut talk = Talk::opened(Limits::default());
    talk.forth(1, "abc");
    talk.send(1, 1, "", Some(10), "");
    assert_eq!(talk.told(Direction::Forth), [data("abc")], "nothing is behind it yet");
    assert_eq!(talk.forth(10, "jkl"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("abc"), Told::Gap(6), data("jkl")]);
    assert_eq!(talk.forth(20, "uvw"), Fate::OutOfOrder);
    talk.send(1, 1, "", Some(19), "");
    assert_eq!(talk.bench.assembler.totals().gaps, 1, "not all of it was received");
    talk.send(1, 1, "", Some(20), "");
    assert_eq!(talk.bench.assembler.totals().gaps, 2);
    assert_eq!(talk.bench.assembler.totals().missing, 13);
}

#[test]
fn with_grace_an_acknowledged_hole_may_still_be_filled() {
    let mut talk = Talk::opened(Limits { grace: SECOND, ..Limits::default() });
    talk.forth(4, "def");
    talk.send(1, 1, "", Some(7), "");
    assert_eq!(talk.forth(1, "abc"), Fate::Delivered);
    talk.forth(10, "jkl");
    talk.now += SECOND;
    talk.send(1, 1, "", Some(13), "");
    assert_eq!(talk.told(Direction::Forth), [data("abcdef"), Told::Gap(3), data("jkl")]);
}

#[test]
fn with_grace_acknowledgements_that_overtake_bytes_and_the_end_make_no_gap() {
    let mut talk = Talk::opened(Limits { grace: SECOND, ..Limits::default() });
    talk.send(1, 1, "", Some(7), "");
    assert_eq!(talk.forth(4, "def"), Fate::OutOfOrder);
    assert_eq!(talk.forth(1, "abc"), Fate::Delivered);
    talk.send(1, 1, "", Some(11), "");
    assert_eq!(talk.send(0, 10, "F", Some(1), ""), Fate::NoPayload);
    assert_eq!(talk.forth(7, "ghi"), Fate::Delivered);
    assert_eq!(talk.told(Direction::Forth), [data("abcdefghi"), Told::End(End::Finished)]);
    assert_eq!(talk.bench.assembler.totals().gaps, 0);
}

#[test]
fn a_hole_that_gets_old_is_given_up_by_the_time_of_other_packets() {
    let mut talk = Talk::opened(Limits { hole: 5 * SECOND, ..Limits::default() });
    talk.forth(1, "abc");
    talk.forth(10, "jkl");
    talk.forth(20, "uvw");
    talk.bench.assembler.advance(talk.now + 4 * SECOND);
    assert_eq!(talk.told(Direction::Forth), [data("abc")]);
    talk.bench.assembler.advance(talk.now + 5 * SECOND);
    let told = [data("abc"), Told::Gap(6), data("jkl"), Told::Gap(7), data("uvw")];
    assert_eq!(talk.told(Direction::Forth), told);
    assert_eq!(talk.bench.assembler.held(), 0);
}

#[test]
fn an_end_behind_a_hole_comes_when_that_gets_old() {
    let mut talk = Talk::opened(Limits { hole: 5 * SECOND, ..Limits::default() });
    talk.forth(1, "abc");
    talk.send(0, 10, "F", Some(1), "");
    talk.bench.assembler.advance(talk.now + 5 * SECOND);
    let told = [data("abc"), Told::Gap(6), Told::End(End::Finished)];
    assert_eq!(talk.told(Direction::Forth), told);
}

#[test]
fn what_a_snap_length_cut_is_a_gap_of_its_own_kind() {
    let mut talk = Talk::opened(Limits::default());
    let frame = talk.tcp(0, 1, "", Some(1), "0123456789").frame();
    let fate = talk.bench.frame(SECOND, Link::Ethernet, &frame[..frame.len() - 4], frame.len());
    assert_eq!(fate, Fate::Truncated);
    talk.forth(11, "next");
    assert_eq!(talk.told(Direction::Forth), [data("012345"), Told::Gap(4), data("next")]);
    let totals = talk.bench.assembler.totals();
    assert_eq!((totals.cuts, totals.cut, totals.gaps, totals.missing), (1, 4, 0, 0));
}

#[test]
fn frames_larger_than_any_on_the_wire_are_read() {
    let mut talk = Talk::opened(Limits::default());
    let full = "x".repeat(65_535 - 40);
    let frame = talk.tcp(0, 1, "", Some(1), &full).frame();
    assert_eq!(frame.len(), 65_549);
    assert_eq!(talk.bench.ethernet(SECOND, &frame), Fate::Delivered);
    // Here the length field is 0.
    let more = "y".repeat(70_000);
    assert_eq!(talk.forth(1 + full.len() as i64, &more), Fate::Delivered);
    assert_eq!(talk.bench.only().bytes(Direction::Forth).len(), full.len() + more.len());
}

#[test]
fn padding_behind_a_short_packet_is_no_payload() {
    let mut talk = Talk::opened(Limits::default());
    let mut ip = talk.tcp(0, 1, "", Some(1), "").ip();
    ip.extend([0; 6]);
    assert_eq!(talk.bench.ethernet(SECOND, &ethernet(&[], &ip)), Fate::NoPayload);
}

#[test]
fn who_talks_to_itself_is_one_stream() {
    let mut talk = Talk::new(Limits::default());
    let tcp = Tcp { to: "10.0.0.1:40000".parse().unwrap(), ..talk.tcp(0, 0, "S", None, "me") };
    assert_eq!(talk.bench.ethernet(SECOND, &tcp.frame()), Fate::Delivered);
    talk.bench.finish();
}
