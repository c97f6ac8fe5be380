//! The messages that go over the wire, known byte for byte to those who send and those who check.
//!
//! Each request carries a number in `x-seq`, and each answer brings it back: an answer that went to
//! the wrong client, or came from nowhere, is found.

/// Digits of the number in `x-seq`.
pub(crate) const DIGITS: usize = 10;
const NUMBER: &str = "0000000000";

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A GET with a JSON answer of 600 bytes, the same from both backends.
    Get,
    /// A POST of 1 KiB with a JSON answer of 4 KiB that differs in `timestamp` and `request_id`.
    Post,
}

/// Which backend answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Baseline,
    Candidate,
}

/// Bytes with a place for the number.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    number_at: usize,
    /// What follows the head.
    pub(crate) body: Vec<u8>,
}

impl Message {
    fn new(head: &str, body: String) -> Self {
        let number_at = head.find(NUMBER).unwrap_or_default();
        Self {
            bytes: [head.as_bytes(), body.as_bytes()].concat(),
            number_at,
            body: body.into_bytes(),
        }
    }

    /// The whole message with this number.
    pub(crate) fn numbered(&mut self, number: &[u8]) -> &[u8] {
        self.bytes[self.number_at..self.number_at + DIGITS].copy_from_slice(number);
        &self.bytes
    }
}

/// The request of this kind.
pub(crate) fn request(kind: Kind) -> Message {
    let common = format!(
        "Host: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\
         X-Seq: {NUMBER}\r\n"
    );
    match kind {
        Kind::Get => Message::new(
            &format!("GET /api/products/1234?fields=all HTTP/1.1\r\n{common}\r\n"),
            String::new(),
        ),
        Kind::Post => {
            let body = post_body();
            let length = body.len();
            let head = format!(
                "POST /api/orders HTTP/1.1\r\n{common}Content-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            Message::new(&head, body)
        }
    }
}

/// The answer of a backend to a request of this kind.
pub(crate) fn answer(kind: Kind, role: Role) -> Message {
    let body = match kind {
        Kind::Get => get_answer(),
        Kind::Post => post_answer(role),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nDate: Sat, 01 Jan 2028 00:00:00 GMT\r\nX-Seq: {NUMBER}\r\n\r\n",
        body.len()
    );
    Message::new(&head, body)
}

fn get_answer() -> String {
    let items = items(4);
    padded(600, format!(r#"{{"query":"all","count":4,"items":[{items}],"note":""#))
}

fn post_body() -> String {
    let mut lines = String::new();
    for line in 0..12 {
        lines.push_str(&format!(
            r#"{{"product":"p-{}","quantity":{}}},"#,
            100 + line,
            1 + line % 3
        ));
    }
    padded(1024, format!(r#"{{"customer":4711,"lines":[{}],"note":""#, lines.trim_end_matches(',')))
}

fn post_answer(role: Role) -> String {
    let (time, id) = match role {
        Role::Baseline => (1_893_456_000_123_u64, "5f0c2a9e7b314d68"),
        Role::Candidate => (1_893_456_000_987_u64, "c81e728d9d4c2f63"),
    };
    let items = items(28);
    padded(
        4096,
        format!(
            r#"{{"timestamp":{time},"request_id":"{id}","status":"accepted","total":12345.67,"items":[{items}],"note":""#
        ),
    )
}

fn items(count: usize) -> String {
    let mut items = String::new();
    for item in 0..count {
        items.push_str(&format!(r#"{{"id":"p-{}","title":"Widget \"{}\" of the shop","category":"storage","priceCents":{},"weight":{}.5,"inStock":{}}},"#,
            100 + item,
            item * 7,
            1900 + item * 250,
            item,
            item % 3 != 0));
    }
    items.pop();
    items
}

/// Fills the string that the text ends in, so that all of it has this length.
fn padded(length: usize, mut text: String) -> String {
    while text.len() + 2 < length {
        text.push(if text.len().is_multiple_of(8) { ' ' } else { 'n' });
    }
    text.push_str("\"}");
    assert_eq!(text.len(), length, "the text is too long");
    text
}

/// The number in these headers.
pub(crate) fn number_of<'a>(headers: &[httparse::Header<'a>]) -> Option<&'a [u8]> {
    header(headers, "x-seq").filter(|value| value.len() == DIGITS)
}

/// The length of the body that follows these headers; none without the header.
pub(crate) fn length_of(headers: &[httparse::Header<'_>]) -> Option<usize> {
    std::str::from_utf8(header(headers, "content-length")?).ok()?.parse().ok()
}

/// The first value of this name.
pub(crate) fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_promised_sizes() {
        assert_eq!(request(Kind::Post).body.len(), 1024);
        for role in [Role::Baseline, Role::Candidate] {
            assert_eq!(answer(Kind::Get, role).body.len(), 600);
            assert_eq!(answer(Kind::Post, role).body.len(), 4096);
        }
    }

    #[test]
    fn answers_to_a_post_differ_in_two_values_only() {
        let text = |role| String::from_utf8(answer(Kind::Post, role).body).unwrap();
        let same = text(Role::Candidate)
            .replace("1893456000987", "1893456000123")
            .replace("c81e728d9d4c2f63", "5f0c2a9e7b314d68");
        assert_eq!(text(Role::Baseline), same);
        assert_ne!(text(Role::Baseline), text(Role::Candidate));
    }
}
