//! Against a server of S3's protocol: `STORED_S3_SERVER` names the program, such as `moto_server`, which is
//! started with `-p PORT`. Without it the test is skipped, unless `STORED_REQUIRE_S3` is set.
#![allow(clippy::disallowed_methods, reason = "the environment says where the server is")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is told")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stored::{Remote, Store};
use traffic::disk::Disk;
use traffic::read::{Position, Segments};
use traffic::segment::{Options, Writer};
use traffic::{Exchange, Limits, Moment};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("the server ends");
    }
}

fn server() -> Option<(Server, u16)> {
    let Some(program) = std::env::var_os("STORED_S3_SERVER") else {
        assert!(std::env::var_os("STORED_REQUIRE_S3").is_none(), "STORED_S3_SERVER is missing");
        println!("skipped: STORED_S3_SERVER names no program");
        return None;
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(program)
        .args(["-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "the server does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some((server, port))
}

fn bucket(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = "PUT /recordings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
}

fn exchange(number: u64) -> Exchange {
    Exchange { id: number.to_string(), at: Moment(number), ..Exchange::default() }
}

fn read(store: &Store, runtime: &tokio::runtime::Runtime) -> Vec<Exchange> {
    let remote = Remote::new(store.clone(), runtime.handle().clone());
    let segments = Segments::new(remote, Position::default(), &Limits::default()).unwrap();
    segments.map(Result::unwrap).collect()
}

#[test]
fn segments_are_carried_into_the_store_and_read_back() {
    let Some((_server, port)) = server() else { return };
    bucket(port);
    let endpoint = format!("http://127.0.0.1:{port}");
    let options = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT", &endpoint),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let store = Store::new("s3://recordings/shop/v2", options).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();

    let path = std::env::temp_dir().join(format!("stored-{}", std::process::id()));
    let mut disk = Disk::create(&path).unwrap();
    let mut writer = Writer::new(disk.clone(), Options::new("a")).unwrap();
    for number in 0..6 {
        writer.write(&exchange(number), Moment(number)).unwrap();
        if number % 2 == 1 {
            writer.close(Moment(number)).unwrap();
        }
    }
    writer.write(&exchange(6), Moment(6)).unwrap();
    writer.flush(Moment(6)).unwrap();

    let carried = runtime.block_on(store.carry(&mut disk)).unwrap();
    assert_eq!(carried.segments, 3);
    let left: Vec<_> =
        std::fs::read_dir(&path).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "what is being written stays: {left:?}");
    assert_eq!(read(&store, &runtime), Vec::from_iter((0..6).map(exchange)));

    writer.close(Moment(7)).unwrap();
    assert_eq!(runtime.block_on(store.carry(&mut disk)).unwrap().segments, 1);
    assert_eq!(read(&store, &runtime), Vec::from_iter((0..7).map(exchange)));
    std::fs::remove_dir_all(&path).unwrap();

    let large: Vec<u8> = (0..20u32 << 20).map(|at| (at >> 7) as u8).collect();
    assert_eq!(runtime.block_on(store.put("large", &large[..])).unwrap(), large.len() as u64);
    let mut remote = Remote::new(store.clone(), runtime.handle().clone());
    let mut back = Vec::new();
    traffic::read::Source::open(&mut remote, "large").unwrap().read_to_end(&mut back).unwrap();
    assert!(back == large, "the large file came back otherwise");

    let nowhere = Store::new("s3://nowhere/x", options).unwrap();
    assert!(runtime.block_on(nowhere.put("a", &b"x"[..])).is_err());
}
