use http::HeaderName;

use super::*;
use crate::telemetry::context::TraceId;
use crate::telemetry::context::tests::{SPAN, TRACE, headers};

fn carried(copies: Copies, lines: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = headers(lines);
    Carried::new(copies, None).put(&mut headers);
    headers
}

#[test]
fn a_copy_has_the_trace_and_the_decision_and_another_span() {
    for flags in ["00", "01", "03"] {
        let line = format!("00-{TRACE}-{SPAN}-{flags}");
        let first = carried(Copies::Linked, &[(TRACEPARENT, &line), (TRACESTATE, "a=b,c@d=e")]);
        let told = first[TRACEPARENT].to_str().unwrap();
        assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with(flags), "{told}");
        assert!(!told.contains(SPAN) && Parent::of(&first).is_some(), "{told}");
        assert_eq!(first[TRACESTATE], "mirrorlab-mirror=true,a=b,c@d=e");
        let second = carried(Copies::Linked, &[(TRACEPARENT, &line)]);
        assert_ne!(first[TRACEPARENT], second[TRACEPARENT]);
        assert_eq!(second[TRACESTATE], "mirrorlab-mirror=true");
    }
}

#[test]
fn a_copy_that_is_off_or_has_no_valid_parent_says_nothing_of_traces() {
    let line = format!("00-{TRACE}-{SPAN}-01");
    let both = [(TRACEPARENT, &*line), (TRACESTATE, "a=b")];
    let twice = [(TRACEPARENT, &*line), (TRACEPARENT, &*line), (TRACESTATE, "a=b")];
    let invalid = [(TRACEPARENT, "nonsense"), (TRACESTATE, "a=b")];
    for (copies, lines) in [
        (Copies::Off, &both[..]),
        (Copies::Linked, &twice),
        (Copies::Linked, &invalid),
        (Copies::Linked, &both[1..]),
        (Copies::Linked, &[]),
    ] {
        assert_eq!(carried(copies, lines), HeaderMap::new(), "{copies:?} {lines:?}");
    }
}

#[test]
fn what_others_say_of_the_trace_is_kept_in_order_and_left_out_where_it_is_malformed() {
    let line = format!("00-{TRACE}-{SPAN}-01");
    let many: Vec<_> = (0..33).map(|at| format!("k{at}=v")).collect();
    let (full, more) = (many[..32].join(","), many.join(","));
    let but_one = format!("mirrorlab-mirror=true,{}", many[..31].join(","));
    let alone = "mirrorlab-mirror=true";
    for (states, expected) in [
        (&["a=1, b=2 ,", "c=3"][..], "mirrorlab-mirror=true,a=1,b=2,c=3"),
        (&["a=1,mirrorlab-mirror=true,b=2"], "mirrorlab-mirror=true,a=1,b=2"),
        (&["mirrorlab-mirror=false"], alone),
        (&[&full], &but_one),
        (&[&more], alone),
        (&["a=1,a=2"], alone),
        (&["A=1"], alone),
        (&["a.b=1"], alone),
        (&["a"], alone),
        (&["a="], alone),
        (&["a=b=c"], alone),
        (&["a=ü"], alone),
        (&[""], alone),
    ] {
        let states = states.iter().map(|it| (TRACESTATE, *it));
        let lines: Vec<_> = [(TRACEPARENT, &*line)].into_iter().chain(states).collect();
        assert_eq!(carried(Copies::Linked, &lines)[TRACESTATE], expected, "{lines:?}");
    }
}

#[test]
fn a_request_without_a_trace_gives_its_copy_the_one_that_was_made_up() {
    let (trace, span) = (TraceId([7; 16]), SpanId([8; 8]));
    let carried = Carried {
        copies: Copies::Linked,
        span: SpanId([9; 8]),
        made_up: Some(Parent::root(trace, span)),
    };
    for lines in [&[][..], &[(TRACEPARENT, "nonsense"), (TRACESTATE, "a=b")]] {
        let mut headers = headers(lines);
        carried.put(&mut headers);
        assert_eq!(headers[TRACEPARENT], format!("00-{}-{}-03", "07".repeat(16), "09".repeat(8)));
        assert_eq!(headers[TRACESTATE], "mirrorlab-mirror=true");
    }
    let mut headers = headers(&[]);
    Carried { copies: Copies::Off, ..carried }.put(&mut headers);
    assert!(headers.is_empty());
}
