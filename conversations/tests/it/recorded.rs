//! Real clients and servers, with a recorder between them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use packets::{Direction, End};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::support::{C, Played, S, Told};

pub(crate) type Wire = Vec<(Direction, Vec<u8>)>;

/// Two ends that are joined, and what goes between them.
pub(crate) fn wire() -> (DuplexStream, DuplexStream, Arc<Mutex<Wire>>) {
    let (client, near) = tokio::io::duplex(64 * 1024);
    let (far, server) = tokio::io::duplex(64 * 1024);
    let record = Arc::new(Mutex::new(Wire::new()));
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::spawn(copy(near_read, far_write, C, record.clone()));
    tokio::spawn(copy(far_read, near_write, S, record.clone()));
    (client, server, record)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    record: Arc<Mutex<Wire>>,
) {
    let mut buffer = vec![0; 3000];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        record.lock().unwrap().push((direction, buffer[..read].to_vec()));
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // The other side may have gone already.
    drop(to.shutdown().await);
}

/// What is told of a recording, in pieces of so many bytes.
pub(crate) fn replay(mut played: Played, wire: &Wire, piece: usize) -> Told {
    for (direction, bytes) in wire {
        for bytes in bytes.chunks(piece) {
            played.say(*direction, bytes);
        }
    }
    played.end(C, End::Finished).end(S, End::Finished);
    played.told()
}

fn filled(number: usize, most: usize) -> Bytes {
    (0..number * 7919 % most).map(|at| (at * 31 + number) as u8).collect::<Vec<_>>().into()
}

/// The body of this exchange's request, and of its answer.
pub(crate) fn bodies(number: usize) -> (Bytes, Bytes) {
    let asked = if number.is_multiple_of(3) { Bytes::new() } else { filled(number, 20_000) };
    let answered = if number.is_multiple_of(5) { Bytes::new() } else { filled(number + 1, 50_000) };
    (asked, answered)
}

/// So many exchanges over HTTP/2, some at once.
pub(crate) async fn speak_http2<A, B>(client: A, server: B, count: usize)
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut server = h2::server::handshake(server).await.unwrap();
        while let Some(Ok((request, respond))) = server.accept().await {
            tokio::spawn(answer(request, respond));
        }
    });
    let (send, connection) = h2::client::handshake(client).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut waiting = Vec::new();
    for number in 1..=count {
        let mut send = send.clone().ready().await.unwrap();
        let request = Request::post(format!("http://shop.example/{number}?q=%20"))
            .header("x-number", number)
            .header("cookie", "a=b")
            .header("cookie", format!("session={}", number / 4))
            .body(())
            .unwrap();
        let (asked, _) = bodies(number);
        let (response, mut stream) = send.send_request(request, asked.is_empty()).unwrap();
        if !asked.is_empty() {
            stream.send_data(asked, true).unwrap();
        }
        waiting.push(tokio::spawn(async move {
            let mut body = response.await.unwrap().into_body();
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
            }
            drop(body.trailers().await.unwrap());
        }));
    }
    for waiting in waiting {
        waiting.await.unwrap();
    }
    drop(send);
    drop(connection.await.unwrap());
}

async fn answer(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let number: usize = request.headers()["x-number"].to_str().unwrap().parse().unwrap();
    let mut body = request.into_body();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    let (_, answered) = bodies(number);
    let response =
        Response::builder().header("x-for", number).header("content-type", "application/grpc");
    let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
    if !answered.is_empty() {
        stream.send_data(answered, false).unwrap();
    }
    let name = HeaderName::from_static("grpc-status");
    let trailers = HeaderMap::from_iter([(name, HeaderValue::from(number))]);
    stream.send_trailers(trailers).unwrap();
}

/// Whether exactly these exchanges were told, each with what is its own.
pub(crate) fn assert_http2(told: &Told, count: usize) {
    let mut numbers = assert_each_http2(told, false);
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{:?}", told.lost());
    assert_eq!(told.lost(), []);
}

/// Whether each that was told has what is its own; which ones they are.
pub(crate) fn assert_each_http2(told: &Told, may_miss: bool) -> Vec<usize> {
    let is = |told: &traffic::Body, said: &Bytes| match told {
        traffic::Body::Whole(bytes) => bytes == said,
        traffic::Body::NotKept(length) => may_miss && *length == Some(said.len() as u64),
    };
    let mut numbers = Vec::new();
    for exchange in &told.exchanges {
        let value = |name| traffic::exchange::header(&exchange.request.headers, name).unwrap();
        let number: usize = std::str::from_utf8(value("x-number")).unwrap().parse().unwrap();
        let (asked, answered) = bodies(number);
        let answer = exchange.answer.as_ref().unwrap();
        assert_eq!(exchange.request.target, format!("/{number}?q=%20"));
        assert_eq!(exchange.request.method, "POST");
        assert_eq!(exchange.request.version, "2");
        assert_eq!(exchange.request.headers[0], ("host".into(), "shop.example".into()));
        assert!(is(&exchange.request.body, &asked), "{number}");
        assert!(is(&answer.body, &answered), "{number}");
        assert_eq!(answer.trailers, [("grpc-status".into(), number.to_string().into())]);
        assert_eq!(
            *traffic::exchange::header(&answer.headers, "x-for").unwrap(),
            number.to_string()
        );
        numbers.push(number);
    }
    numbers
}

/// Runs it on one thread to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
