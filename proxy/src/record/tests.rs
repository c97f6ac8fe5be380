use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use http::{Extensions, HeaderMap, Method, Uri};
use traffic::Clock;
use traffic::disk::Disk;
use traffic::read::{Position, Segments};

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

#[test]
fn what_waited_too_long_to_be_on_disk_within_a_second_is_dropped_and_counted() {
    let dir = std::env::temp_dir().join(format!("record-late-{}", std::process::id()));
    let place = Place {
        dir: dir.clone(),
        segment_bytes: 1 << 20,
        segment_age: Duration::from_secs(60),
        max_bytes: 1 << 24,
        replica: "one".to_owned(),
    };
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
    let read = Segments::new(Disk::new(&dir), Position::default(), &traffic::Limits::default());
    let targets: Vec<_> = read.unwrap().map(|it| it.unwrap().request.target).collect();
    assert_eq!(targets, ["/in-time"]);
    std::fs::remove_dir_all(dir).unwrap();
}
