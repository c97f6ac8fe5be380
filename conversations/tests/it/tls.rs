//! TLS: what rustls says is read with the keys that it logs, in each of its suites.

use std::sync::{Arc, Mutex};

use conversations::{Budget, KeyLog, Limits, Setup};
use packets::{Direction, End};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, KeyLog as Logs, RootCertStore, ServerConfig, SupportedCipherSuite,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::recorded::{Wire, assert_http2, replay, run, speak_http2, wire};
use crate::support::{C, Played, S};

#[derive(Debug, Default)]
struct Lines(Mutex<String>);

impl Logs for Lines {
    fn log(&self, label: &str, client: &[u8], secret: &[u8]) {
        let hexadecimal =
            |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hexadecimal(client), hexadecimal(secret));
        self.0.lock().unwrap().push_str(&line);
    }
}

type Client = client::TlsStream<DuplexStream>;
type Server = server::TlsStream<DuplexStream>;

/// Both ends of a connection in this suite.
async fn connect(
    suite: SupportedCipherSuite,
    lines: &Arc<Lines>,
    (near, far): (DuplexStream, DuplexStream),
) -> (Client, Server) {
    let is_rsa = format!("{:?}", suite.suite()).contains("_RSA_");
    let algorithm = if is_rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let certificate = CertificateDer::from(params.self_signed(&key).unwrap().der().to_vec());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = CryptoProvider { cipher_suites: vec![suite], ..aws_lc_rs::default_provider() };
    let provider = Arc::new(provider);
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let versions = [suite.version()];
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.key_log = lines.clone();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let name = ServerName::try_from("shop.example").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    (client.unwrap(), server.unwrap())
}

fn asked(number: usize) -> String {
    let body = "a".repeat(number * 3000);
    format!(
        "POST /{number} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answered(number: usize) -> String {
    let body = "b".repeat(number * 7000);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Four exchanges, with new keys between them where the version has that.
async fn speak_http1(mut client: Client, mut server: Server) {
    let is_13 = client.get_ref().1.protocol_version().unwrap().as_str() == Some("TLSv1_3");
    for number in 1..=4 {
        let (asked, answered) = (asked(number), answered(number));
        let ask = async {
            client.write_all(asked.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
            client.read_exact(&mut vec![0; answered.len()]).await.unwrap();
        };
        let answer = async {
            server.read_exact(&mut vec![0; asked.len()]).await.unwrap();
            server.write_all(answered.as_bytes()).await.unwrap();
            server.flush().await.unwrap();
        };
        tokio::join!(ask, answer);
        if is_13 && number >= 2 {
            client.get_mut().1.refresh_traffic_keys().unwrap();
            server.get_mut().1.refresh_traffic_keys().unwrap();
        }
    }
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
}

fn lines_of_http1() -> Vec<String> {
    (1..=4).map(|it| format!("POST /{it} 200 {}", "b".repeat(it * 7000))).collect()
}

/// What was on the wire, and the log.
fn recorded_http1(suite: SupportedCipherSuite) -> (Wire, String) {
    run(async {
        let lines = Arc::new(Lines::default());
        let (near, far, record) = wire();
        let (client, server) = connect(suite, &lines, (near, far)).await;
        speak_http1(client, server).await;
        tokio::task::yield_now().await;
        let (wire, lines) = (record.lock().unwrap().clone(), lines.0.lock().unwrap().clone());
        (wire, lines)
    })
}

fn played(keys: Option<KeyLog>) -> Played {
    let limits = Limits { conversation_bytes: usize::MAX, ..Limits::default() };
    Played::set_up(true, &Setup { limits, budget: Budget::new(usize::MAX), keys })
}

fn suites() -> Vec<SupportedCipherSuite> {
    aws_lc_rs::ALL_CIPHER_SUITES.to_vec()
}

/// One of TLS 1.3, and one of TLS 1.2.
fn two_suites() -> [SupportedCipherSuite; 2] {
    use aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256,
    };
    [TLS13_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
}

#[test]
fn http1_is_read_in_each_suite() {
    assert_eq!(suites().len(), 9);
    for suite in suites() {
        let (wire, lines) = recorded_http1(suite);
        for piece in [1, 5000] {
            let told = replay(played(Some(KeyLog::parse(lines.as_bytes()))), &wire, piece);
            assert_eq!(told.lines(), lines_of_http1(), "{suite:?}: {:?}", told.lost());
            assert_eq!(told.lost(), []);
        }
    }
}

#[test]
fn http2_is_read_in_each_suite() {
    for suite in suites() {
        let (wire, lines) = run(async {
            let lines = Arc::new(Lines::default());
            let (near, far, record) = wire();
            let (client, server) = connect(suite, &lines, (near, far)).await;
            speak_http2(client, server, 20).await;
            let (wire, lines) = (record.lock().unwrap().clone(), lines.0.lock().unwrap().clone());
            (wire, lines)
        });
        assert_http2(&replay(played(Some(KeyLog::parse(lines.as_bytes()))), &wire, 700), 20);
    }
}

#[test]
fn without_keys_it_is_counted_once_and_left() {
    for suite in two_suites() {
        let (wire, lines) = recorded_http1(suite);
        let other = KeyLog::parse(lines.replace(['0', '1', '2'], "7").as_bytes());
        for keys in [None, Some(KeyLog::default()), Some(other)] {
            let told = replay(played(keys), &wire, 1000);
            assert_eq!((told.seen, told.lost()), (0, vec![("encrypted", 1)]));
        }
        // Secrets of another connection under this one's name open nothing.
        let (random, _) = lines.split_once(' ').unwrap().1.split_once(' ').unwrap();
        let wrong: String = ["CLIENT_RANDOM", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]
            .map(|label| format!("{label} {random} {}\n", "07".repeat(32)))
            .concat();
        let told = replay(played(Some(KeyLog::parse(wrong.as_bytes()))), &wire, 1000);
        assert_eq!(told.seen, 0);
        assert_eq!(told.lost().iter().map(|(_, count)| count).sum::<u64>(), 1, "{:?}", told.lost());
        // Joined behind the hellos there is nothing to begin with.
        let late: Wire = wire[4..].to_vec();
        let setup =
            Setup { limits: Limits::default(), budget: Budget::new(usize::MAX), keys: None };
        let told = replay(Played::set_up(false, &setup), &late, 100_000);
        assert_eq!(told.seen, 0);
    }
}

#[test]
fn keys_may_come_later_than_what_they_open() {
    for suite in two_suites() {
        let (wire, lines) = recorded_http1(suite);
        for late in [5, 8, 12] {
            let log = KeyLog::default();
            let mut played = played(Some(log.clone()));
            for (at, (direction, bytes)) in wire.iter().enumerate() {
                if at == late {
                    log.extend(lines.as_bytes());
                }
                played.say(*direction, bytes);
            }
            let told = played.told();
            assert_eq!(told.lines(), lines_of_http1(), "{late}: {:?}", told.lost());
        }
    }
}

/// Plays it with bytes missing in the last piece of the server that is as long as they are.
fn with_gap(
    wire: &Wire,
    lines: &str,
    (from, to): (usize, usize),
    known: bool,
) -> crate::support::Told {
    let is_it = |(direction, bytes): &(Direction, Vec<u8>)| *direction == S && bytes.len() > to;
    let last = wire.iter().rposition(is_it).unwrap();
    let mut played = played(Some(KeyLog::parse(lines.as_bytes())));
    for (at, (direction, bytes)) in wire.iter().enumerate() {
        if at == last {
            played
                .say(S, &bytes[..from])
                .gap(S, known.then_some((to - from) as u64))
                .say(S, &bytes[to..]);
        } else {
            played.say(*direction, bytes);
        }
    }
    played.end(C, End::Finished).end(S, End::Finished);
    played.told()
}

#[test]
fn a_gap_within_a_record_costs_what_was_in_it_and_any_other_all_that_follows() {
    let [of_13, of_12] = two_suites();
    let (wire, lines) = recorded_http1(of_12);
    let told = with_gap(&wire, &lines, (100, 200), true);
    assert_eq!(told.lines()[3], "POST /4 200 Some(28000)");
    assert_eq!(told.lost(), [("body_gap", 1)]);
    let (wire, lines) = recorded_http1(of_13);
    let told = with_gap(&wire, &lines, (100, 200), true);
    assert_eq!((told.lines().len(), told.lost()), (3, vec![("gap", 1)]));
    for suite in [of_13, of_12] {
        let (wire, lines) = recorded_http1(suite);
        let told = with_gap(&wire, &lines, (100, 200), false);
        assert_eq!((told.lines().len(), told.lost()), (3, vec![("gap", 1), ("tls_broken", 1)]));
    }
}

/// Where the records of the server begin and end.
fn records(wire: &Wire) -> Vec<(usize, usize)> {
    let said = wire.iter().filter(|(direction, _)| *direction == S);
    let said: Vec<u8> = said.flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut records = vec![(0, 0)];
    while let Some(head) =
        said.get(records[records.len() - 1].1..).and_then(|it| it.first_chunk::<5>())
    {
        let start = records[records.len() - 1].1;
        records.push((start, start + 5 + usize::from(u16::from_be_bytes([head[3], head[4]]))));
    }
    records
}

/// Plays it without these bytes of the server.
fn without(
    wire: &Wire,
    lines: &str,
    (start, end): (usize, usize),
    known: bool,
) -> crate::support::Told {
    let mut played = played(Some(KeyLog::parse(lines.as_bytes())));
    let mut place = 0;
    for (direction, bytes) in wire {
        if *direction == C {
            played.say(C, bytes);
            continue;
        }
        let cut = |at: usize| at.saturating_sub(place).min(bytes.len());
        let (from, to) = (cut(start), cut(end));
        place += bytes.len();
        played.say(S, &bytes[..from]);
        if to > from && place >= end {
            played.gap(S, known.then_some((end - start) as u64));
        }
        played.say(S, &bytes[to..]);
    }
    played.end(C, End::Finished).end(S, End::Finished);
    played.told()
}

#[test]
fn behind_missing_records_the_next_one_is_found_by_its_number() {
    for suite in two_suites() {
        let (wire, lines) = recorded_http1(suite);
        let records = records(&wire);
        let first = *records.iter().find(|(start, end)| end - start > 7000).unwrap();
        for known in [true, false] {
            let told = without(&wire, &lines, first, known);
            assert_eq!(told.lines(), lines_of_http1()[3..], "{suite:?}: {:?}", told.lost());
            assert_eq!(told.lost(), [("gap", 1), ("out_of_step", 2)]);
        }
        for (start, end) in &records[1..] {
            for range in
                [(*start, *end), (*start + 1, *end), (*start, *end - 1), (*start, *end + 7)]
            {
                let told = without(&wire, &lines, range, true);
                let lines = lines_of_http1();
                assert!(told.lines().iter().all(|it| it.contains("Some(") || lines.contains(it)));
            }
        }
    }
}
