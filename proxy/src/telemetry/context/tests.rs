use super::*;

pub(in crate::telemetry) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(in crate::telemetry) const SPAN: &str = "00f067aa0ba902b7";

pub(in crate::telemetry) fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.clone(), value.parse().unwrap());
    }
    headers
}

fn parent(line: &str) -> Option<Parent> {
    Parent::of(&headers(&[(TRACEPARENT, line)]))
}

#[test]
fn a_parent_is_read_with_its_sampling_decision() {
    for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
        let parent = parent(&format!("00-{TRACE}-{SPAN}-{flags}")).unwrap();
        assert_eq!(format!("{:?} {:?}", parent.trace, parent.span), format!("{TRACE} {SPAN}"));
        assert_eq!(parent.is_sampled(), is_sampled, "{flags}");
    }
}

#[test]
fn what_the_standard_calls_invalid_is_not_there() {
    let (zero, upper) = ("0".repeat(32), TRACE.to_uppercase());
    for line in [
        String::new(),
        "00".to_owned(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{zero}-{SPAN}-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{upper}-{SPAN}-01"),
        format!("00-{TRACE}-00F067AA0BA902B7-01"),
        format!("00-{TRACE}-{SPAN}-0G"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0G-{TRACE}-{SPAN}-01"),
        format!("00_{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}_{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}_01"),
        format!("01-{TRACE}-{SPAN}-01.more"),
    ] {
        assert_eq!(parent(&line), None, "{line}");
    }
    let line = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(Parent::of(&headers(&[(TRACEPARENT, &line), (TRACEPARENT, &line)])), None);
}

#[test]
fn of_a_later_version_the_known_part_is_read() {
    for line in
        [format!("01-{TRACE}-{SPAN}-ff"), format!("cc-{TRACE}-{SPAN}-01-what-the-future-says")]
    {
        let parent = parent(&line).unwrap();
        assert_eq!(format!("{:?}", parent.trace), TRACE);
        assert_eq!(parent.line(SpanId([1; 8])), format!("00-{TRACE}-0101010101010101-01"));
    }
}
