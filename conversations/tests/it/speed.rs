//! How fast keep-alive requests with answers of 10 KiB are read; run it by
//! `cargo test --release -p conversations --test it -- --ignored --nocapture speed`.

use std::time::Instant;

use packets::End;

use crate::support::{C, Played, S};

#[test]
#[ignore = "measures"]
#[allow(clippy::print_stdout, reason = "it is there to be read")]
fn speed_of_keep_alive_answers() {
    const ROUNDS: usize = 100_000;
    /// What one packet of a network card with receive offload brings.
    const PIECE: usize = 1448 * 4;
    let request = b"GET /some/path?with=query HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: loadgen/1.0\r\nAccept: */*\r\nX-Request-Id: 0123456789abcdef\r\n\r\n";
    for (name, size) in [("10 KiB", 10 * 1024), ("2 MiB, over the limit", 2 * 1024 * 1024)] {
        let rounds = ROUNDS * 10 * 1024 / size;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 28 Nov 2026 08:00:00 GMT\r\nContent-Length: {size}\r\n\r\n"
        );
        let answer = [head.into_bytes(), vec![b'a'; size]].concat();
        let mut played = Played::new(true);
        let began = Instant::now();
        for _ in 0..rounds {
            played.say(C, request);
            for piece in answer.chunks(PIECE) {
                played.say(S, piece);
            }
            played.ear.0.borrow_mut().exchanges.clear();
        }
        let took = began.elapsed().as_secs_f64();
        let bits = (rounds * (answer.len() + request.len()) * 8) as f64;
        println!(
            "{name}: {:.1} Gbit/s, {:.0} exchanges/s",
            bits / took / 1e9,
            rounds as f64 / took
        );
        played.end(C, End::Finished);
        assert_eq!(played.ear.0.borrow().seen, rounds as u64);
    }
}
