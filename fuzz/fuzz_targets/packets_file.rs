//! Any bytes as a capture file, and as what a tunnel's socket receives: no panic, one fate for each frame, no byte
//! told that was not in a frame, and no more memory than the limits say.
#![no_main]

use fuzz::memory::Room;
use fuzz::streams::{LIMITS, Ledger, assembler, check, finish};
use libfuzzer_sys::fuzz_target;
use packets::{Capture, Tunnel};

/// The largest block of a file that is read, twice while its buffer grows, and what is held.
const ROOM: usize = 32 << 20;

fuzz_target!(|data: &[u8]| {
    let room = Room::new(ROOM);
    file(data);
    drop(room);
    let _room = Room::new(1 << 20);
    for tunnel in [Tunnel::Vxlan, Tunnel::Geneve] {
        let (mut assembler, told) = assembler(LIMITS());
        let mut make = Ledger::make(&told, None);
        assembler.payload(tunnel, 0, data, data.len() + data.len() % 3, &mut make);
        check(&assembler, 1, &LIMITS());
        finish(&mut assembler, &told);
    }
});

fn file(data: &[u8]) {
    let Ok(mut capture) = Capture::new(data) else { return };
    let limits = LIMITS();
    let (mut assembler, told) = assembler(LIMITS());
    let mut make = Ledger::make(&told, None);
    let (mut frames, mut bytes) = (0, 0);
    while let Ok(Some(frame)) = capture.next_frame() {
        frames += 1;
        bytes += frame.bytes.len();
        assembler.frame(&frame, &mut make);
        check(&assembler, frames, &limits);
    }
    assert!(bytes <= data.len());
    finish(&mut assembler, &told);
    assert!(told.borrow().bytes <= bytes);
}
