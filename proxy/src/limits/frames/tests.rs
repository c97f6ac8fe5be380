use bytes::Bytes;
use conversations::huffman;
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::headers::target;

const HEAD_MAX: usize = 65_536;

/// What is read instead of bytes that come in pieces of these lengths, over and over.
fn filtered(bytes: &[u8], pieces: &[usize]) -> Vec<u8> {
    let mut filter = Filter::new(HEAD_MAX);
    let (mut rest, mut read) = (bytes, Vec::new());
    for piece in pieces.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(*piece));
        if now.is_empty() {
            break;
        }
        rest = later;
        match filter.state {
            State::Lost => return read,
            State::Done => read.extend_from_slice(now),
            _ => read.extend(filter.read(now).unwrap_or_else(|| now.to_vec())),
        }
        assert!(filter.held.len() <= HEAD_MAX + PAYLOAD_MAX);
    }
    read.extend(filter.end().unwrap_or_default());
    read
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..12_usize, 1..20_000_usize], 1..6)
}

fn runtime() -> tokio::runtime::Runtime {
    // Time goes on when there is nothing else to do.
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// So many cases. Each is a connection, and a failure is to be told before long.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 200, ..ProptestConfig::default() }
}

/// The bytes that h2 sends for these requests, whose fields enter its table.
fn by_h2(requests: Vec<http::Request<()>>) -> Vec<u8> {
    runtime().block_on(async {
        let (ours, mut theirs) = duplex(1 << 20);
        let (mut client, connection) = h2::client::handshake(ours).await.unwrap();
        tokio::spawn(connection);
        let mut bytes = Vec::new();
        for request in requests {
            let (_, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(b"some \"body\""), true).unwrap();
            // Written when there is nothing else to do.
            let patience = std::time::Duration::from_millis(1);
            while let Ok(Ok(1..)) =
                tokio::time::timeout(patience, theirs.read_buf(&mut bytes)).await
            {}
        }
        bytes
    })
}

fn request() -> impl Strategy<Value = http::Request<()>> {
    let field = ("[a-z]{1,8}", prop_oneof!["[ -~]{0,40}", "[a-z]{16000,20000}"]);
    let path = "/[a-z0-9%=&?~|^{}\u{e9}]{0,60}";
    ("GET|POST|X", path, vec(field, 0..5)).prop_map(|(method, path, fields)| {
        let path = path.trim_end_matches('\u{0}');
        let request = http::Request::builder().method(&*method).uri(format!("http://x.y{path}"));
        let add = |request: http::request::Builder, (name, value): &(String, String)| {
            request.header(format!("x-{name}"), value.trim())
        };
        fields.iter().fold(request, add).body(()).unwrap()
    })
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_another_encoder_makes_of_ordinary_requests_passes_byte_for_byte(
        requests in vec(request(), 1..5),
        pieces in pieces(),
    ) {
        let bytes = by_h2(requests);
        prop_assert_eq!(filtered(&bytes, &pieces), bytes);
    }
}

/// How a path is written.
#[derive(Clone, Debug)]
enum Written {
    /// Its first byte tells whether it enters the table, and its name's place, or 0 for a name of its own.
    Literal { begin: u8, is_coded: bool, path: Vec<u8> },
    /// One that entered before, so many back.
    Again(usize),
}

#[derive(Clone, Debug)]
struct Sent {
    path: Written,
    padding: Option<u8>,
    has_priority: bool,
    /// Where the block is cut into frames.
    cut: usize,
}

fn sent() -> impl Strategy<Value = Sent> {
    let byte = prop_oneof![
        Just(b'~'),
        b'!'..=b'~',
        prop_oneof![Just(b'"'), Just(b'<'), Just(b'>'), Just(b'`'), Just(b'#')],
        0x7f..=0xff_u8,
    ];
    let path = prop_oneof![vec(byte.clone(), 0..30), vec(byte, 0..300)];
    let begin = prop_oneof![Just(0x00), Just(0x40), Just(0x44), Just(0x45), Just(0x04), Just(0x14)];
    let literal = (begin, any::<bool>(), path).prop_map(|(begin, is_coded, path)| {
        Written::Literal { begin, is_coded, path: [b"/", &path[..]].concat() }
    });
    let path = prop_oneof![3 => literal, 1 => (0..3_usize).prop_map(Written::Again)];
    (path, any::<Option<u8>>(), any::<bool>(), 0..200_usize)
        .prop_map(|(path, padding, has_priority, cut)| Sent { path, padding, has_priority, cut })
}

fn string(bytes: &[u8], is_coded: bool) -> Vec<u8> {
    let coded = if is_coded { huffman::encode(bytes) } else { bytes.to_vec() };
    let mut written = Vec::new();
    hpack::put(&coded, &mut written);
    written[0] |= if is_coded { 0x80 } else { 0 };
    written
}

/// The frames of requests with these paths, and the paths.
fn frames(requests: &[Sent]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut bytes = [PREFACE, &frame(4, 0, 0, &[])].concat();
    let (mut table, mut paths) = (Vec::new(), Vec::new());
    for (count, Sent { path, padding, has_priority, cut }) in requests.iter().enumerate() {
        let mut block = b"\x82\x86".to_vec();
        match path {
            Written::Literal { begin, is_coded, path } => {
                block.push(*begin);
                if begin & 0x0f == 0 {
                    block.extend(string(b":path", *is_coded));
                }
                block.extend(string(path, *is_coded));
                if begin & 0x40 != 0 {
                    table.push(path.clone());
                }
                paths.push(path.clone());
            }
            Written::Again(back) if *back < table.len() => {
                // Behind each path in the table there is an authority.
                block.push(0x80 | u8::try_from(62 + 2 * back + 1).unwrap());
                paths.push(table[table.len() - 1 - back].clone());
            }
            Written::Again(_) => {
                block.push(0x84);
                paths.push(b"/".to_vec());
            }
        }
        let enters = matches!(path, Written::Literal { begin, .. } if begin & 0x40 != 0);
        block.extend([if enters { 0x41 } else { 0x01 }, 1, b'x']);
        let (first, rest) = block.split_at(block.len().min(*cut));
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        let flags = 1
            | flag(padding.is_some(), PADDED)
            | flag(*has_priority, PRIORITY)
            | flag(rest.is_empty(), END_HEADERS);
        let mut payload: Vec<u8> = padding.iter().copied().collect();
        payload.extend(has_priority.then_some([0, 0, 0, 0, 9]).iter().flatten());
        payload.extend_from_slice(first);
        payload.extend(vec![0; usize::from(padding.unwrap_or(0))]);
        let stream = 2 * u32::try_from(count).unwrap() + 1;
        bytes.extend(frame(HEADERS, flags, stream, &payload));
        if !rest.is_empty() {
            bytes.extend(frame(CONTINUATION, END_HEADERS, stream, rest));
        }
    }
    (bytes, paths)
}

/// The paths that h2 reads, with what is told of them.
fn read_by_h2(bytes: &[u8], count: usize) -> Vec<Vec<u8>> {
    runtime().block_on(async {
        let (mut ours, theirs) = duplex(1 << 20);
        ours.write_all(bytes).await.unwrap();
        let mut server = h2::server::handshake(theirs).await.unwrap();
        let (mut paths, mut answers) = (Vec::new(), Vec::new());
        while paths.len() < count {
            let (mut request, answer) = server.accept().await.unwrap().unwrap();
            // Or its stream would be reset.
            answers.push(answer);
            let told = target::take_told(request.headers_mut());
            let read = request.uri().path_and_query().unwrap().as_str();
            paths.push(
                told.map_or(read.as_bytes().to_vec(), |told| target::sent(read, &told).unwrap()),
            );
        }
        paths
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn whatever_is_sent_is_what_comes_behind_h2_however_it_is_written_and_cut(
        requests in vec(sent(), 1..12),
        pieces in pieces(),
    ) {
        let (bytes, paths) = frames(&requests);
        prop_assert_eq!(read_by_h2(&filtered(&bytes, &pieces), paths.len()), paths);
    }

    #[test]
    fn nothing_is_too_broken_and_cuts_change_nothing(
        requests in vec(sent(), 0..6),
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        more in vec(any::<u8>(), 0..60),
        pieces in pieces(),
    ) {
        let (mut bytes, _) = frames(&requests);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(more);
        prop_assert_eq!(filtered(&bytes, &pieces), filtered(&bytes, &[usize::MAX]));
    }
}

/// A request whose path enters the table.
fn entering(path: &[u8]) -> Sent {
    let path = Written::Literal { begin: 0x44, is_coded: false, path: path.to_vec() };
    Sent { path, padding: None, has_priority: false, cut: usize::MAX }
}

/// Header blocks that are looked at no more: without an end in sight, no numbers, no frames.
fn unreadable() -> [Vec<u8>; 4] {
    let long = [&b"\x04\x7f\xe1\xff\x03/<"[..], &[b'a'; 65_535]].concat();
    let mut frames = frame(HEADERS, 0, 9, &long[..PAYLOAD_MAX]);
    for part in long[PAYLOAD_MAX..].chunks(2000) {
        frames.extend(frame(CONTINUATION, 0, 9, part));
    }
    [
        frames,
        frame(HEADERS, END_HEADERS, 9, b"\x44\xff\xff\xff\xff\xff\xff"),
        frame(HEADERS, END_HEADERS | PADDED, 9, b"\x09\x04\x02/<"),
        frame(CONTINUATION, END_HEADERS, 9, b"\x04\x02/<"),
    ]
}

#[test]
fn what_cannot_be_read_passes_as_it_is() {
    for unreadable in unreadable() {
        let bytes = [PREFACE, &unreadable[..]].concat();
        for piece in [1, 1000, usize::MAX] {
            assert!(filtered(&bytes, &[piece]) == bytes);
        }
    }
    // A path that is none of ours to look at, and no HTTP/2.
    for other in [&b"GET /a\"b HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", b"PRI"] {
        assert_eq!(filtered(other, &[1]), other);
    }
}

#[tokio::test]
async fn nothing_comes_behind_what_cannot_be_read_once_a_path_stands_for_another() {
    for unreadable in unreadable() {
        let (mut bytes, _) = frames(&[entering(b"/<")]);
        let before = filtered(&bytes, &[usize::MAX]);
        bytes.extend(unreadable);
        // Its path is the one that stands for another.
        bytes.extend(frame(HEADERS, END_HEADERS, 11, b"\x82\x86\xbf"));
        for size in [64, 200_000] {
            let mut frames = Frames::new(&bytes[..], HEAD_MAX, Arc::default());
            let (mut read, mut buffer) = (Vec::new(), vec![0; size]);
            let error = loop {
                match frames.read(&mut buffer).await {
                    Ok(0) => panic!("all of it passes"),
                    Ok(length) => read.extend_from_slice(&buffer[..length]),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert_eq!(read, before);
        }
    }
}

#[tokio::test]
async fn h2_reads_the_same_in_the_huffman_code() {
    // A value may have no other bytes.
    let value: Vec<u8> = (b' '..=u8::MAX).filter(|byte| *byte != 0x7f).collect();
    let field = [&b"\x00\x01v"[..], &string(&value, true)].concat();
    let block = [&b"\x82\x86\x84\x01\x01x"[..], &field].concat();
    let (mut ours, theirs) = duplex(1 << 20);
    let settings = frame(4, 0, 0, &[]);
    let bytes = [PREFACE, &settings, &frame(HEADERS, END_HEADERS | 1, 1, &block)].concat();
    ours.write_all(&bytes).await.unwrap();
    let mut server = h2::server::handshake(theirs).await.unwrap();
    let (request, _) = server.accept().await.unwrap().unwrap();
    assert_eq!(request.headers()["v"].as_bytes(), value);
}

#[test]
fn a_long_block_is_written_in_as_many_frames_as_it_takes() {
    let path = [&b"/<\xe9"[..], &[b'a'; 30_000]].concat();
    let block = [&b"\x82\x86\x04"[..], &string(&path, false), b"\x01\x01x"].concat();
    let first = [&[200, 0, 0, 0, 0, 9], &block[..16_000], &[0; 200]].concat();
    let mut bytes = [PREFACE, &frame(4, 0, 0, &[])].concat();
    bytes.extend(frame(HEADERS, 1 | PADDED | PRIORITY, 1, &first));
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &block[16_000..]));
    for piece in [1, 5000, usize::MAX] {
        let read = filtered(&bytes, &[piece]);
        let (mut at, mut kinds) = (PREFACE.len(), Vec::new());
        while let Some(head) = Head::read(&read[at..]) {
            assert!(head.length <= PAYLOAD_MAX);
            kinds.push((head.kind, head.flags));
            at += HEAD + head.length;
        }
        assert_eq!(kinds, [(4, 0), (HEADERS, 1 | PADDED | PRIORITY), (CONTINUATION, END_HEADERS)]);
        assert!(read_by_h2(&read, 1) == std::slice::from_ref(&path));
    }
}

#[test]
fn what_is_kept_of_paths_is_no_more_than_a_table_holds() {
    let mut table = hpack::Table::default();
    for count in 0..1000_usize {
        let path = [&b"/"[..], &vec![b'<'; count]].concat();
        let block = [&b"\x44"[..], &string(&path, false)].concat();
        assert!(table.read(&block).is_ok());
        assert!(table.kept() <= 2 * 4096, "{}", table.kept());
    }
}
