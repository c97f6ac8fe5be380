//! What may grow stays within its bounds, and what goes first is what is missed least.

use packets::{Direction, End, Fate, Filter, Limits};

use crate::build::{Tcp, ethernet, ip4_fragment};
use crate::log::Bench;

const SECOND: u64 = 1_000_000_000;

fn client(number: u32, sequence: u32, flags: &'static str, text: &str) -> Tcp {
    let [_, a, b, c] = number.to_be_bytes();
    Tcp {
        from: ([10, a, b, c], 40_000).into(),
        to: ([192, 168, 0, 1], 80).into(),
        sequence,
        acknowledged: None,
        flags,
        payload: text.into(),
    }
}

#[test]
fn a_flood_of_openings_takes_no_place_of_what_is_established() {
    let limits = Limits { opening: 10, connections: 5, ..Limits::default() };
    let mut bench = Bench::new(limits, Filter::default());
    for number in 0..5 {
        bench.ethernet(0, &client(number, 0, "S", "").frame());
        bench.ethernet(0, &client(number, 1, "", "ab").frame());
        bench.ethernet(0, &client(number, 3, "", "cd").frame());
    }
    for number in 100..10_000 {
        bench.ethernet(0, &client(number, 0, "S", "").frame());
        // Nor does one packet with bytes each.
        bench.ethernet(0, &client(1_000_000 + number, 0, "", "x").frame());
        assert!(bench.assembler.connections() <= 15);
    }
    for number in 0..5 {
        assert_eq!(bench.ethernet(0, &client(number, 5, "", "ef").frame()), Fate::Delivered);
    }
    assert_eq!(bench.assembler.totals().evicted, 0);
    bench.finish();
    for heard in &bench.heard()[..5] {
        assert_eq!(heard.text(Direction::Forth), "abcdef");
    }
}

#[test]
fn the_one_that_was_silent_for_longest_goes_first() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let mut bench = Bench::new(limits, Filter::default());
    for (number, sequence) in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (3, 2)] {
        bench.ethernet(0, &client(number, sequence, "", "x").frame());
    }
    let ended: Vec<_> = bench.heard().iter().map(|heard| heard.end(Direction::Forth)).collect();
    assert_eq!(ended, [None, Some(End::GivenUp), None]);
    assert_eq!(bench.assembler.totals().evicted, 1);
}

#[test]
fn what_is_held_is_bounded_for_one_direction_and_for_all() {
    let limits = Limits { held: 10_000, held_in_all: 25_000, ..Limits::default() };
    let mut bench = Bench::new(limits, Filter::default());
    for round in 1..200 {
        for number in 0..8 {
            bench.ethernet(0, &client(number, 10 * round, "", "x").frame());
            assert!(bench.assembler.held() <= 25_000);
        }
    }
    assert!(bench.assembler.held() > 20_000);
    bench.finish();
    for heard in bench.heard().iter() {
        assert_eq!(heard.bytes(Direction::Forth).len(), 199);
    }
}

#[test]
fn bytes_beyond_the_window_end_the_wait_for_those_before() {
    let limits = Limits { window: 1000, ..Limits::default() };
    let mut bench = Bench::new(limits, Filter::default());
    bench.ethernet(0, &client(1, 0, "S", "").frame());
    assert_eq!(bench.ethernet(0, &client(1, 900, "", "x").frame()), Fate::OutOfOrder);
    assert_eq!(bench.ethernet(0, &client(1, 5000, "", "y").frame()), Fate::Delivered);
    assert_eq!(bench.assembler.totals().missing, 4998);
}

#[test]
fn silence_ends_a_connection() {
    let limits = Limits { idle: 10 * SECOND, idle_opening: SECOND, ..Limits::default() };
    let mut bench = Bench::new(limits, Filter::default());
    bench.ethernet(0, &client(1, 1, "", "x").frame());
    bench.ethernet(0, &client(1, 2, "", "x").frame());
    bench.ethernet(0, &client(2, 0, "S", "").frame());
    bench.assembler.advance(SECOND);
    assert_eq!(bench.assembler.connections(), 1);
    bench.assembler.advance(10 * SECOND - 1);
    assert_eq!(bench.assembler.connections(), 1);
    bench.assembler.advance(10 * SECOND);
    assert_eq!(bench.assembler.connections(), 0);
    assert_eq!(bench.assembler.totals().idle, 2);
    assert_eq!(bench.only().end(Direction::Forth), Some(End::GivenUp));
}

#[test]
fn one_that_is_not_wanted_is_asked_for_once() {
    let mut bench = Bench::new(Limits::default(), Filter::default());
    bench.wanted = false;
    for sequence in 1..10 {
        let fate = bench.ethernet(0, &client(1, sequence, "", "x").frame());
        assert_eq!(fate, Fate::NotWanted);
    }
    assert_eq!(bench.heard().len(), 1);
    bench.finish();
}

#[test]
fn one_that_is_not_wanted_leaves_no_hole_behind() {
    let mut bench = Bench::new(Limits::default(), Filter::default());
    bench.wanted = false;
    bench.ethernet(0, &client(1, 0, "S", "").frame());
    bench.ethernet(0, &client(1, 100, "F", "").frame());
    assert_eq!(bench.ethernet(0, &client(1, 1, "", "x").frame()), Fate::NotWanted);
    for time in 1..100 {
        bench.assembler.advance(time * SECOND);
    }
    assert_eq!((bench.assembler.totals().gaps, bench.assembler.connections()), (0, 0));
}

#[test]
fn what_is_filtered_says_by_what() {
    let filter = Filter {
        ports: vec![80],
        hosts: vec!["192.168.0.0/16".parse().unwrap()],
        networks: vec![0, 7],
    };
    let mut bench = Bench::new(Limits::default(), filter);
    let tcp = client(1, 1, "", "x");
    let mut port = tcp.clone();
    port.to.set_port(81);
    let mut host = tcp.clone();
    host.to.set_ip([172, 16, 0, 1].into());
    assert_eq!(bench.ethernet(0, &port.frame()), Fate::OtherPort);
    assert_eq!(bench.ethernet(0, &host.frame()), Fate::OtherHost);
    assert_eq!(bench.ethernet(0, &ethernet(&[8], &tcp.ip())), Fate::OtherNetwork);
    assert_eq!(bench.ethernet(0, &ethernet(&[7], &tcp.ip())), Fate::Delivered);
    assert_eq!(bench.ethernet(0, &tcp.frame()), Fate::Delivered);
}

#[test]
fn a_listed_port_serves_though_it_is_the_higher_one() {
    let filter = Filter { ports: vec![40_000], ..Filter::default() };
    let mut bench = Bench::new(Limits::default(), filter);
    bench.ethernet(0, &client(1, 1, "", "x").frame());
    assert_eq!(bench.only().ends.other.port(), 40_000);
}

#[test]
fn fragments_are_bounded_in_number_bytes_and_age() {
    let (from, to) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let limits = Limits { datagrams: 3, fragments: 2000, ..Limits::default() };
    let mut bench = Bench::new(limits, Filter::default());
    for id in 0..100 {
        let size = if id % 2 == 0 { 8 } else { 800 };
        let packet = ip4_fragment(from, to, 6, id, 0, true, &vec![0; size]);
        assert_eq!(bench.ethernet(0, &ethernet(&[], &packet)), Fate::FragmentHeld);
    }
    assert!(bench.assembler.totals().fragments_given_up >= 97);
    bench.assembler.advance(60 * SECOND);
    assert_eq!(bench.assembler.totals().fragments_given_up, 100);
}
