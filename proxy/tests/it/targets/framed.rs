//! Such targets from clients of HTTP/2: from curl, and in frames made by hand.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Lines, TARGETS, lines, plain};
use crate::certificates::{TempFile, certificates};
use crate::eventually;
use crate::support::{curl, frame, in_time, proxy, refusing, upstream};
use proxy::upstream::Protocol;

/// A client that sends what it is told to, well-formed or not.
struct Framed<S> {
    stream: S,
    next: u32,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Answered,
    Reset,
}

/// How `:path` begins: in no table, into the table, and never in one; its name as a place.
const WITHOUT: &[u8] = &[0x04];
const INTO: &[u8] = &[0x44];
const NEVER: &[u8] = &[0x14];
/// The name as it is, and in the Huffman code.
const NAMED: &[u8] = b"\x00\x05:path";
const CODED: &[u8] = b"\x40\x84\xb9\x58\xd3\x3f";
/// The field that last entered the table.
const LAST: &[u8] = &[0xbe];

fn path(begin: &[u8], target: &[u8]) -> Vec<u8> {
    [begin, &[u8::try_from(target.len()).unwrap()], target].concat()
}

/// `GET`, `http`, a path and an authority.
fn block(path: &[u8]) -> Vec<u8> {
    [b"\x82\x86", path, b"\x01\x01x"].concat()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    async fn new(mut stream: S) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        Self { stream, next: 1 }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    fn head(&mut self, path: &[u8]) -> Vec<u8> {
        let stream = self.next;
        self.next += 2;
        // The end of the headers and of the stream.
        frame(1, 0x5, stream, &block(path))
    }

    /// How the next request ends.
    async fn end(&mut self) -> End {
        loop {
            let mut head = [0; 9];
            in_time(self.stream.read_exact(&mut head)).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            in_time(self.stream.read_exact(&mut payload)).await.unwrap();
            match (head[3], head[4]) {
                (0, flags) if flags & 1 != 0 => return End::Answered,
                (1, _) => assert_eq!(payload[0], 0x88, "the status is 200"),
                (3, _) => return End::Reset,
                (7, _) => panic!("the connection is refused: {payload:?}"),
                _ => {}
            }
        }
    }

    async fn ask(&mut self, path: &[u8]) -> End {
        let head = self.head(path);
        self.write(&head).await;
        self.end().await
    }
}

async fn both_got(asked: &Lines, copied: &Lines, expected: &[Vec<u8>]) {
    assert_eq!(*asked.lock().unwrap(), expected);
    // Copies go out side by side.
    let sorted = |lines: &[Vec<u8>]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    eventually!(copied.lock().unwrap().len() == expected.len());
    assert_eq!(sorted(&copied.lock().unwrap()), sorted(expected));
}

#[tokio::test]
async fn what_a_client_of_http_2_sent_is_what_baseline_and_candidate_get() {
    let ((baseline, asked), (candidate, copied)) = (plain().await, plain().await);
    let proxy = proxy(baseline, candidate, |_| {}).await;
    let mut client = Framed::new(proxy.connect().await).await;
    for target in TARGETS {
        for begin in [WITHOUT, INTO, NEVER, NAMED, CODED] {
            assert_eq!(client.ask(&path(begin, target)).await, End::Answered, "{target:?}");
        }
        // By its place among what was sent before, twice: what entered last is what `CODED` did.
        for _ in 0..2 {
            assert_eq!(client.ask(LAST).await, End::Answered, "{target:?}");
        }
    }
    let expected: Vec<_> = lines().into_iter().flat_map(|line| vec![line; 7]).collect();
    both_got(&asked, &copied, &expected).await;
    eventually!(proxy.outcome("matched").await == expected.len() as f64);
    let metrics = proxy.metrics().await;
    assert!(metrics.contains("route=\"GET /%3Cscript%3E\""), "{metrics}");
    assert!(!metrics.contains("~m"), "{metrics}");
    let report = proxy.get("/control/report").await.text().await.unwrap();
    assert!(report.contains("GET /%3Cscript%3E") && !report.contains("~m"), "{report}");
}

#[tokio::test]
async fn requests_at_the_same_time_keep_their_targets_apart() {
    let ((baseline, asked), (candidate, copied)) = (plain().await, plain().await);
    let proxy = proxy(baseline, candidate, |_| {}).await;
    let mut client = Framed::new(proxy.connect().await).await;
    let targets: [&[u8]; 6] = [b"/a<", b"/a>", b"/a~", b"/a\x7f", b"/a\xff", b"/~<~"];
    let mut heads = Vec::new();
    for target in targets {
        heads.extend(client.head(&path(INTO, target)));
    }
    // The first of them again, behind five others in the table.
    heads.extend(client.head(&[0x80 | (62 + 5)]));
    client.write(&heads).await;
    for _ in 0..=targets.len() {
        assert_eq!(client.end().await, End::Answered);
    }
    let mut expected = targets.map(|target| [b"GET ", target, b" HTTP/1.1"].concat()).to_vec();
    expected.push(expected[0].clone());
    expected.sort();
    asked.lock().unwrap().sort();
    both_got(&asked, &copied, &expected).await;
}

#[tokio::test]
async fn a_head_with_padding_and_priority_in_many_frames_over_tls_is_the_same() {
    let certificates = certificates();
    let (baseline, asked) = plain().await;
    let identity = certificates.identity();
    let proxy = proxy(baseline, refusing(), |config| config.tls = Some(identity)).await;
    let io = in_time(certificates.connect(proxy.app.traffic, &["h2"])).await;
    let mut client = Framed::new(io).await;
    let block = block(&path(WITHOUT, b"/a\"b?\xe9"));
    // Padding of three bytes and a priority; all that follows in frames of one byte.
    let first = [&[3, 0, 0, 0, 0, 10], &block[..2], &[0; 3]].concat();
    client.write(&frame(1, 0x1 | 0x8 | 0x20, 1, &first)).await;
    client.write(&frame(9, 0, 1, &block[2..7])).await;
    client.write(&frame(9, 0, 1, &block[7..8])).await;
    client.write(&frame(9, 0x4, 1, &block[8..])).await;
    assert_eq!(client.end().await, End::Answered);
    assert_eq!(*asked.lock().unwrap(), [b"GET /a\"b?\xe9 HTTP/1.1"]);
}

#[tokio::test]
async fn from_http_2_to_http_2_such_bytes_are_percent_encoded() {
    let baseline = upstream(|_| async move { crate::support::text("ok") }).await;
    let proxy = proxy(baseline.addr, refusing(), |config| {
        config.baseline.protocol = Protocol::Http2;
    })
    .await;
    let mut client = Framed::new(proxy.connect().await).await;
    assert_eq!(client.ask(&path(WITHOUT, b"/a\"b#?\xe9")).await, End::Answered);
    let seen = baseline.seen().remove(0);
    assert!(seen.target.ends_with("/a%22b%23?%E9"), "{}", seen.target);
    let names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
    assert!(!names.iter().any(|name| name.contains('~')), "{names:?}");
}

#[tokio::test]
async fn what_could_split_a_line_is_reset_over_http_2_and_the_connection_goes_on() {
    let (baseline, asked) = plain().await;
    let proxy = proxy(baseline, refusing(), |_| {}).await;
    let mut client = Framed::new(proxy.connect().await).await;
    for target in [&b"/a b"[..], b"/a\"\x00b", b"/a<\r\nx: y", b"/a\"\tb", b"\"", b"a\"b"] {
        assert_eq!(client.ask(&path(INTO, target)).await, End::Reset, "{target:?}");
        assert_eq!(client.ask(LAST).await, End::Reset, "{target:?}");
    }
    assert_eq!(client.ask(&path(INTO, b"/<")).await, End::Answered);
    assert_eq!(*asked.lock().unwrap(), [b"GET /< HTTP/1.1"]);
}

#[tokio::test]
async fn curl_may_send_them_over_http_2() {
    let certificates = certificates();
    let authority = TempFile::new(&certificates.authority);
    let ((baseline, asked), (candidate, copied)) = (plain().await, plain().await);
    let tls = proxy(baseline, candidate, |config| config.tls = Some(certificates.identity())).await;
    let plain = proxy(baseline, candidate, |_| {}).await;
    let target = "/a<b>\"c`d?e=\"f<g>`h`";
    for (version, scheme, proxy) in
        [("--http2-prior-knowledge", "http", &plain), ("--http2", "https", &tls)]
    {
        let url = format!("{scheme}://localhost:{}{target}", proxy.app.traffic.port());
        let show = " %{http_version} %{http_code}";
        let arguments = ["-4", version, "--path-as-is", "--globoff", "-w", show];
        let arguments = [&arguments[..], &["--cacert", authority.path(), url.as_str()]].concat();
        let Some(output) = curl(&arguments).await else { return };
        assert_eq!(output, "ok 2 200", "{url}");
    }
    let line = format!("GET {target} HTTP/1.1").into_bytes();
    both_got(&asked, &copied, &vec![line; 2]).await;
}
