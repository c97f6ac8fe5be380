//! How fast a file of full segments is read and put together. To be run by hand, optimised:
//! `cargo test --release -p packets -- --ignored --nocapture throughput`.

use std::time::Instant;

use packets::{Assembler, Capture, Direction, End, Filter, Limits, Nanos, Streams};

use crate::build::{Order, Record, Tcp, pcap, pcapng};

#[derive(Debug)]
struct Sum(u64);

impl Streams for Sum {
    fn data(&mut self, _: Direction, _: Nanos, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }

    fn gap(&mut self, _: Direction, _: Nanos, _: Option<u64>) {
        panic!("nothing is missing");
    }

    fn end(&mut self, _: Direction, _: Nanos, _: End) {}
}

/// Segments of 1448 bytes of many connections in turn, each acknowledged as Linux does, by every other.
fn records(connections: u32, bytes: usize, swapped: bool) -> Vec<Record> {
    // Whole pairs for each.
    let count = (bytes / 1514) as u32 / (2 * connections) * (2 * connections);
    let mut records = Vec::new();
    let frame = |tcp: &Tcp| {
        let frame = tcp.frame();
        let length = frame.len();
        (0, frame, length)
    };
    for number in 0..count {
        let (connection, round) = (number % connections, number / connections);
        // Of each pair the second comes first.
        let round = if swapped { round ^ 1 } else { round };
        let [_, a, b, c] = connection.to_be_bytes();
        let (from, to) = (([10, a, b, c], 40_000).into(), ([192, 168, 0, 1], 80).into());
        let payload = vec![0x55; 1448];
        let sequence = 1 + round * 1448;
        if number < connections {
            let tcp =
                Tcp { from, to, sequence: 0, acknowledged: None, payload: vec![], flags: "S" };
            records.push(frame(&tcp));
        }
        let tcp = Tcp { from, to, sequence, acknowledged: Some(1), flags: "", payload };
        records.push(frame(&tcp));
        if round % 2 == 1 && !swapped {
            let acknowledged = Some(sequence + 1448);
            let tcp =
                Tcp { from: to, to: from, sequence: 1, acknowledged, payload: vec![], flags: "" };
            records.push(frame(&tcp));
        }
    }
    records
}

fn measure(name: &str, file: &[u8]) {
    let start = Instant::now();
    let mut capture = Capture::new(file).unwrap();
    let mut assembler = Assembler::new(Limits::default(), Filter::default());
    while let Some(frame) = capture.next_frame().unwrap() {
        assembler.frame(&frame, &mut |_| Some(Sum(0)));
    }
    assembler.finish();
    let seconds = start.elapsed().as_secs_f64();
    let bits = file.len() as f64 * 8.0;
    let packets = assembler.counts().sum() as f64;
    eprintln!(
        "{name}: {:.1} Gbit/s, {:.2} million packets/s, {seconds:.3} s",
        bits / seconds / 1e9,
        packets / seconds / 1e6
    );
}

#[test]
#[ignore = "measures, and needs 600 MB"]
fn throughput() {
    for (name, connections, swapped) in [
        ("one connection", 1, false),
        ("1000 connections", 1000, false),
        ("30000 connections", 30_000, false),
        ("1000 connections, each pair swapped", 1000, true),
    ] {
        let records = records(connections, 200_000_000, swapped);
        measure(name, &pcap(Order::Little, true, 1, &records));
        measure(&format!("{name}, pcapng"), &pcapng(Order::Little, 1, &records));
    }
}
