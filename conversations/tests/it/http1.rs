//! The rules of HTTP/1, one by one.

use std::time::Duration;

use conversations::{Budget, Limits};
use packets::End;
use traffic::{Body, Clock, Moment};

use crate::support::{C, Played, S, told_of};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_exchange_is_told_as_it_was_said() {
    let mut played = Played::new(true);
    played.say(C, "POST /a%zz\u{e4}\"?b HTTP/1.1\r\nhOsT: x\r\nContent-Length: 3\r\n\r\n");
    played
        .say(C, "abc")
        .say(S, "HTTP/1.1 201 Created\r\nX: ")
        .say(S, "1\r\nTransfer-Encoding: chunked\r\n\r\n");
    played.say(S, "2\r\nde\r\n1\r\nf\r\n0\r\nSum: 6\r\n\r\n");
    let told = played.told();
    assert_eq!(told.lost(), []);
    let exchange = &told.exchanges[0];
    assert_eq!((exchange.at, exchange.connection), (Moment(1010), Some(7)));
    assert_eq!(exchange.client, Some("10.0.0.1".parse().unwrap()));
    assert_eq!(exchange.request.method, "POST");
    assert_eq!(exchange.request.target, "/a%zz\u{e4}\"?b");
    assert_eq!(exchange.request.version, "1.1");
    assert_eq!(exchange.request.headers[0], ("hOsT".into(), "x".into()));
    assert_eq!(exchange.request.body, Body::Whole("abc".into()));
    let answer = exchange.answer.as_ref().unwrap();
    assert_eq!((answer.status, answer.clock), (201, Clock::Wire));
    assert_eq!(answer.body, Body::Whole("def".into()));
    assert_eq!(answer.trailers, [("Sum".into(), "6".into())]);
    // The request was whole at 1020, the head of the answer at 1040.
    assert_eq!(answer.latency, Some(Duration::from_nanos(20)));
}

#[test]
fn pipelined_requests_get_their_answers_in_order() {
    let told = told_of(&[
        (C, &(get("/1") + &get("/2") + "\r\n" + &get("/3"))),
        (S, &(ok("1") + &ok("2"))),
        (S, &ok("3")),
        (C, &get("/4")),
        (S, &ok("4")),
    ]);
    assert_eq!(told.lines(), ["GET /1 200 1", "GET /2 200 2", "GET /3 200 3", "GET /4 200 4"]);
    assert_eq!(told.lost(), []);
}

#[test]
fn interim_answers_are_passed_over() {
    let told = told_of(&[
        (C, "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
        (S, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        (C, "x"),
        (S, OK),
    ]);
    assert_eq!(told.lines(), ["PUT / 200 ok"]);
}

#[test]
fn an_answer_may_come_before_the_request_is_whole() {
    let told = told_of(&[
        (C, "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\na"),
        (S, OK),
        (C, "bc"),
        (C, &get("/2")),
        (S, &ok("2")),
    ]);
    assert_eq!(told.lines(), ["PUT / 200 ok", "GET /2 200 2"]);
    assert_eq!(told.exchanges[0].answer.as_ref().unwrap().latency, None);
}

#[test]
fn answers_without_bodies_end_with_their_heads() {
    let told = told_of(&[
        (C, "HEAD /h HTTP/1.1\r\n\r\n"),
        (S, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        (C, &get("/n")),
        (S, "HTTP/1.1 204 No Content\r\n\r\n"),
        (C, &get("/m")),
        (S, "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"),
        (C, &get("/")),
        (S, OK),
    ]);
    assert_eq!(told.lines(), ["HEAD /h 200", "GET /n 204", "GET /m 304", "GET / 200 ok"]);
}

#[test]
fn a_body_until_the_end_is_whole_by_fin_and_cut_short_by_reset() {
    for (how, lines, lost) in [
        (End::Finished, &["GET / 200 abc"][..], &[][..]),
        (End::Reset, &[], &[("cut_short", 1)]),
        (End::GivenUp, &[], &[("cut_short", 1)]),
    ] {
        let mut played = Played::new(true);
        played.say(C, get("/")).say(S, "HTTP/1.0 200 OK\r\n\r\nab").say(S, "c").end(S, how);
        let told = played.told();
        assert_eq!(
            (told.lines(), told.lost()),
            (lines.iter().map(|it| it.to_string()).collect(), lost.to_vec())
        );
    }
}

#[test]
fn what_ends_early_is_counted() {
    let told = told_of(&[
        (C, &get("/1")),
        (C, &get("/2")),
        (S, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
    ]);
    assert_eq!(told.lost(), [("cut_short", 1), ("no_answer", 1)]);
    let told = told_of(&[(C, "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")]);
    assert_eq!(told.lost(), [("cut_short", 1)]);
    let told = told_of(&[(C, "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"), (S, OK)]);
    assert_eq!(told.lost(), [("cut_short", 1)]);
}

#[test]
fn a_tunnel_is_counted_and_left() {
    let upgrade = "GET /chat HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (asked, answered) in [
        (upgrade, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02"),
        ("CONNECT a:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ] {
        let told = told_of(&[(C, asked), (S, answered), (C, &get("/no")), (S, OK)]);
        assert_eq!((told.lines().len(), told.lost()), (0, vec![("tunnel", 1)]));
    }
    let told = told_of(&[
        (C, "CONNECT a:443 HTTP/1.1\r\n\r\n"),
        (S, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
        (C, &get("/")),
        (S, OK),
    ]);
    assert_eq!(told.lines(), ["CONNECT a:443 403", "GET / 200 ok"]);
    let told = told_of(&[(C, upgrade), (S, OK), (C, &get("/")), (S, OK)]);
    assert_eq!(told.lines(), ["GET /chat 200 ok", "GET / 200 ok"]);
}

#[test]
fn what_is_malformed_is_given_up_and_the_connection_resumes() {
    let rest =
        [(C, get("/1")), (S, ok("1")), (C, get("/2")), (S, ok("2")), (C, get("/3")), (S, ok("3"))];
    for (asked, answered, seen) in [
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", OK, 4),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", OK, 4),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", OK, 4),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", 4),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 4),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n no: name\r\n\r\n", 4),
    ] {
        let mut played = Played::new(true);
        played.say(C, asked).say(S, answered);
        for (direction, bytes) in &rest {
            played.say(*direction, bytes);
        }
        let told = played.told();
        assert_eq!(told.lines(), ["GET /3 200 3"], "{asked}{answered}: {:?}", told.lost());
        assert_eq!((told.seen, told.lost["malformed"]), (seen, 1), "{:?}", told.lost());
    }
}

#[test]
fn garbage_between_requests_is_skipped_and_counted() {
    let mut played = Played::new(true);
    played.say(C, get("/0")).say(S, ok("0")).say(C, "\x00garbage").say(C, " of some kind\r\n");
    for target in ["/1", "/2", "/3"] {
        played.say(C, get(target)).say(S, ok(target));
    }
    let told = played.told();
    assert_eq!(told.lines(), ["GET /0 200 0", "GET /3 200 /3"]);
    assert_eq!(told.lost(), [("garbage", 1), ("out_of_step", 2)]);
}

#[test]
fn what_is_no_http_is_counted_once_and_left() {
    let told =
        told_of(&[(S, "SSH-2.0-x\r\n"), (C, "SSH-2.0-y\r\n"), (C, "abc"), (C, &get("/")), (S, OK)]);
    assert_eq!((told.seen, told.lost()), (0, vec![("not_http", 1)]));
    let told = told_of(&[(C, "GET /old\r\n"), (S, "<p>"), (C, "abc")]);
    assert_eq!((told.seen, told.lost()), (1, vec![("http_0_9", 1)]));
    let told = told_of(&[(C, "\x01\x02\x03"), (C, &get("/")), (S, OK)]);
    assert_eq!((told.seen, told.lost()), (0, vec![("not_http", 1)]));
}

#[test]
fn an_answer_to_nothing_brings_it_out_of_step() {
    let mut played = Played::new(true);
    played.say(S, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    for target in ["/1", "/2", "/3"] {
        played.say(C, get(target)).say(S, ok(target));
    }
    let told = played.told();
    assert_eq!(told.lines(), ["GET /3 200 /3"]);
    assert_eq!(told.lost(), [("answer_alone", 1), ("out_of_step", 2)]);
}

#[test]
fn a_gap_within_a_body_of_known_length_ends_nothing() {
    let mut played = Played::new(true);
    played.say(C, "PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab").gap(C, Some(5)).say(C, "cde");
    played.say(S, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nab").gap(S, Some(6));
    played.say(S, "\r\n0\r\n\r\n").say(C, get("/2")).say(S, ok("2"));
    played.say(C, get("/3")).say(S, "HTTP/1.1 200 OK\r\n\r\nabc").gap(S, Some(2)).say(S, "d");
    let told = played.told();
    assert_eq!(told.lines(), ["PUT / 200 Some(8)", "GET /2 200 2", "GET /3 200 Some(6)"]);
    assert_eq!(told.exchanges[0].request.body, Body::NotKept(Some(10)));
    assert_eq!(told.lost(), [("body_gap", 3)]);
}

#[test]
fn a_gap_in_the_answers_gives_up_all_that_wait() {
    let mut played = Played::new(true);
    played
        .say(C, get("/1") + &get("/2"))
        .say(S, "HTTP/1.1 200 OK\r\nCont")
        .gap(S, None)
        .say(S, ok("2"));
    for target in ["/3", "/4", "/5"] {
        played.say(C, get(target)).say(S, ok(target));
    }
    let told = played.told();
    assert_eq!(told.lines(), ["GET /5 200 /5"]);
    assert_eq!(told.lost(), [("answer_alone", 1), ("gap", 2), ("out_of_step", 2)]);
}

#[test]
fn behind_bodies_without_a_lines_end_the_next_answers_are_found_where_packets_begin() {
    let mut played = Played::new(true);
    played.say(C, get("/1")).gap(S, Some(40)).say(S, "the rest of a body");
    for nth in 2..=6 {
        played.say(C, get(&format!("/{nth}"))).say(S, ok("{}"));
    }
    let told = played.told();
    assert_eq!(told.lines(), ["GET /4 200 {}", "GET /5 200 {}", "GET /6 200 {}"]);
    assert_eq!(told.lost(), [("gap", 1), ("out_of_step", 2)]);
}

#[test]
fn one_joined_within_a_long_download_is_taken_up_with_the_next_request() {
    let limits = Limits { search_bytes: 1000, ..Limits::default() };
    let mut played = Played::with(false, limits, Budget::new(usize::MAX));
    for _ in 0..100 {
        played.say(S, "x".repeat(100));
    }
    for nth in 1..=3 {
        played.say(C, get(&format!("/{nth}"))).say(S, ok("{}"));
    }
    assert!(played.told().lines().contains(&"GET /3 200 {}".to_owned()));
}

#[test]
fn a_gap_in_the_requests_leaves_those_before_it_their_answers() {
    let mut played = Played::new(true);
    played.say(C, get("/1") + &get("/2") + "GET /3 HT").gap(C, Some(100)).say(C, "x: y\r\n\r\n");
    played.say(C, get("/5")).say(S, ok("1") + &ok("2") + &ok("3") + &ok("4") + &ok("5"));
    for target in ["/6", "/7", "/8"] {
        played.say(C, get(target)).say(S, ok(target));
    }
    let told = played.told();
    assert_eq!(told.lines(), ["GET /1 200 1", "GET /2 200 2", "GET /8 200 /8"]);
}

#[test]
fn a_client_that_keeps_a_window_full_is_in_step_again_only_after_a_pause() {
    let mut played = Played::new(true);
    played.say(C, get("/1")).say(C, get("/2")).say(S, ok("1")).say(C, get("/3")).say(S, ok("2"));
    // /3 waits. What follows looks like a client that waits, and is always one ahead.
    played.gap(C, None);
    for at in 4..20 {
        played.say(C, get(&format!("/{at}"))).say(S, ok(&format!("{}", at - 1)));
    }
    played.say(S, ok("19"));
    played.say(C, get("/20")).say(S, ok("20")).say(C, get("/21")).say(S, ok("21"));
    played.now += 3_000_000_000;
    played.say(C, get("/22")).say(S, ok("22"));
    let told = played.told();
    assert_eq!(told.lines(), ["GET /1 200 1", "GET /2 200 2", "GET /3 200 3", "GET /22 200 22"]);
}

#[test]
fn a_connection_that_was_open_begins_at_its_first_request() {
    for first in [C, S] {
        let mut played = Played::new(false);
        if first == S {
            played.say(S, "rest of something\r\n".to_owned() + &ok("0"));
        }
        played.say(C, get("/1")).say(S, ok("1")).say(C, get("/2")).say(S, ok("2"));
        let told = played.told();
        assert_eq!(told.lines(), ["GET /1 200 1", "GET /2 200 2"], "{:?}", told.lost());
        let alone = u64::from(first == S);
        assert_eq!(told.lost.get("answer_alone").copied().unwrap_or(0), alone);
    }
    // The client is whoever asks, whichever way that is.
    let mut played = Played::new(false);
    played.say(S, get("/1")).say(C, ok("1"));
    let told = played.told();
    assert_eq!(told.lines(), ["GET /1 200 1"]);
    assert_eq!(told.exchanges[0].client, Some("10.0.0.2".parse().unwrap()));
}

#[test]
fn one_joined_within_a_body_is_out_of_step_at_first() {
    let mut played = Played::new(false);
    played.say(C, "half a body\nGET /0 HTTP/1.1\r\n\r\n").say(S, ok("?"));
    for target in ["/1", "/2", "/3"] {
        played.say(C, get(target)).say(S, ok(target));
    }
    assert_eq!(played.told().lines(), ["GET /2 200 /2", "GET /3 200 /3"]);
}

#[test]
fn bodies_are_kept_up_to_a_limit_and_measured_beyond() {
    let limits = Limits { body_bytes: 4, ..Limits::default() };
    let mut played = Played::with(true, limits, Budget::new(usize::MAX));
    played.say(C, get("/1")).say(S, ok("1234")).say(C, get("/2")).say(S, ok("12345"));
    played.say(C, get("/3")).say(
        S,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    );
    let told = played.told();
    assert_eq!(told.lines(), ["GET /1 200 1234", "GET /2 200 Some(5)", "GET /3 200 Some(6)"]);
    assert_eq!(told.lost(), [("body_over_limit", 2)]);
}

#[test]
fn a_body_for_which_there_is_no_room_is_not_kept() {
    let limits = Limits { conversation_bytes: 150, ..Limits::default() };
    for (budget, name) in [(usize::MAX, "body_over_conversation"), (150, "body_over_budget")] {
        let limits = if budget == 150 { Limits::default() } else { limits };
        let mut played = Played::with(true, limits, Budget::new(budget));
        played.say(C, get("/1")).say(S, ok(&"a".repeat(200))).say(C, get("/2")).say(S, ok("2"));
        let told = played.told();
        assert_eq!(told.lines(), ["GET /1 200 Some(200)", "GET /2 200 2"]);
        assert_eq!(told.lost(), [(name, 1)]);
    }
    let mut played = Played::with(true, Limits::default(), Budget::new(60));
    played
        .say(C, get("/1"))
        .say(C, get(&"a".repeat(99)))
        .say(S, ok("1"))
        .say(S, ok("2"))
        .say(C, get("/3"));
    played.say(S, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(played.told().lost(), [("body_over_budget", 0), ("no_room", 3)][1..]);
}

#[test]
fn heads_and_waiting_requests_have_a_bound() {
    let limits = Limits { head_bytes: 100, pending: 2, ..Limits::default() };
    for pieces in [1000, 7] {
        let mut played = Played::with(true, limits, Budget::new(usize::MAX));
        for piece in get(&"/a".repeat(100)).as_bytes().chunks(pieces) {
            played.say(C, piece);
        }
        assert_eq!(played.told().lost(), [("head_too_large", 1)]);
    }
    let mut played = Played::with(true, limits, Budget::new(usize::MAX));
    played.say(C, get("/1") + &get("/2") + &get("/3")).say(S, ok("1") + &ok("2") + &ok("3"));
    let told = played.told();
    assert_eq!(told.lines(), ["GET /1 200 1", "GET /2 200 2"]);
    assert_eq!(told.lost(), [("answer_alone", 1), ("too_many_pending", 1)]);
}

#[test]
fn a_server_that_ended_before_all_is_no_reason_to_forget_a_request() {
    let mut played = Played::new(true);
    played.end(S, End::Reset).say(C, get("/"));
    assert_eq!(played.told().lost(), [("no_answer", 1)]);
}

#[test]
fn what_is_unfinished_counts_and_without_room_the_connection_is_left() {
    let budget = Budget::new(200);
    let mut played = Played::with(true, Limits::default(), budget.clone());
    played.say(C, get("/1")).say(C, "GET /2 HTTP/1.1\r\nA: ".to_owned() + &"a".repeat(100));
    assert_eq!(budget.used(), get("/1").len() + 120);
    played.say(C, "a".repeat(100));
    assert!(played.conversation.is_left());
    assert_eq!(budget.used(), 0);
    assert_eq!(played.told().lost(), [("crowded", 1), ("no_room", 1)]);
}
