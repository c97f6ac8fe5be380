use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Uri};
use traffic::Clock;
use traffic::disk::Disk;
use traffic::read::{Position, Segments};

use super::queue::WAITING_PATIENTLY;
use super::*;
use crate::body::Budget;
use crate::exchange::RequestSnapshot;
use crate::metrics::{Gauges, Metrics};
use crate::policy::record::Bodies;
use crate::policy::share::Share;

fn taken(target: &'static str) -> Box<Taken> {
    let request = RequestSnapshot {
        method: Method::GET,
        uri: Uri::from_static(target),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
    };
    let record = Record {
        share: Share::ALL,
        mismatches: false,
        bodies: Bodies::All,
        max_body_bytes: 1024,
        redact: true,
    };
    let about = About {
        record,
        is_sampled: true,
        at: SystemTime::now(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        connection: None,
        clock: Clock::Proxy,
        label: "GET /".into(),
        rules: Arc::new(compare::Policy::default().of("GET /")),
        redaction: Arc::default(),
        request: Arc::new(request),
    };
    let held = Budget::new(1).try_take(0).unwrap();
    let body = TakenBody::NotKept(None);
    Box::new(Taken { about, body, answer: None, pairs: Vec::new(), held })
}

fn place(name: &str) -> Place {
    Place {
        dir: std::env::temp_dir().join(format!("record-{name}-{}", std::process::id())),
        segment_bytes: 1 << 20,
        segment_age: Duration::from_secs(60),
        max_bytes: 1 << 24,
        replica: "one".to_owned(),
    }
}

fn targets(dir: &Path) -> Vec<Bytes> {
    let read = Segments::new(Disk::new(dir), Position::default(), &traffic::Limits::default());
    read.unwrap().map(|it| it.unwrap().request.target).collect()
}

#[test]
fn what_waited_too_long_to_be_on_disk_within_a_second_is_dropped_and_counted() {
    let place = place("late");
    let dir = place.dir.clone();
    let (queue, metrics) = (Queue::default(), Metrics::new().unwrap());
    let long_ago = Instant::now().checked_sub(LATE * 2).unwrap();
    assert!(queue.push(taken("/late"), long_ago) && queue.push(taken("/in-time"), Instant::now()));
    let recorder = Recorder(Some(Arc::new(Running {
        queue: Arc::new(queue),
        metrics: metrics.record().clone(),
        carrier: None,
    })));
    // Whoever asks for the metrics, or has one to record: the disk may hold up the one who writes.
    recorder.drop_late();
    let queue = recorder.0.as_ref().map(|running| Arc::clone(&running.queue)).unwrap();
    drop(recorder);
    run(&queue, Writer::open(place).unwrap(), metrics.record());
    let text = metrics.render(Gauges::default());
    for counted in ["recorded", "dropped_late"] {
        let series = format!("mirror_recorded_total{{result=\"{counted}\"}} 1\n");
        assert!(text.contains(&series), "{series} is not in {text}");
    }
    assert_eq!(targets(&dir), ["/in-time"]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_source_that_waits_for_the_disk_has_all_of_it_recorded() {
    const ALL: usize = 50 * WAITING_PATIENTLY;
    let place = place("patient");
    let dir = place.dir.clone();
    let all = taken("/").about.record;
    let config = Config { place, all, store: None, waits: true };
    let metrics = Metrics::new().unwrap();
    let recorder = Recorder::start(config, metrics.record()).await.unwrap();
    for _ in 0..ALL {
        recorder.offer(taken("/"));
    }
    recorder.close().await;
    assert_eq!(targets(&dir).len(), ALL);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_a_source_brings_that_waits_is_never_late() {
    let long_ago = Instant::now().checked_sub(LATE * 2).unwrap();
    for (waits, late) in [(true, 0), (false, 1)] {
        let queue = Queue::new(waits);
        assert!(queue.push(taken("/"), long_ago));
        assert_eq!(queue.drop_late(), late);
    }
}
