//! Recordings outlive what goes wrong: a proxy that is killed, a disk that is full, a quota.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use xtests::part::{Log, Part, Process};
use xtests::raw::{Message, Service, Wire};
use xtests::stack::Place;
use xtests::{Result, client, ensure, eventually, tools};

use crate::session::{converted, name, noise, programs};

/// A proxy that records all and copies nothing.
async fn recorder(
    place: &Place,
    program: Option<&Path>,
    service: &Service,
    folder: &Path,
    more: &[(&'static str, &str)],
) -> Result<(Part, Log)> {
    let (run, binaries) = programs(place)?;
    let folder = folder.to_string_lossy().into_owned();
    let mut settings = vec![
        ("BASELINE_URL", service.url()),
        ("CANDIDATE_URL", service.url()),
        ("MIRROR_FRACTION", "0".to_owned()),
        ("RECORD_DIR", folder),
        ("RECORD_REDACT", "false".to_owned()),
    ];
    settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let log = Log::default();
    let program = program.unwrap_or(&binaries.proxy);
    let started = Process::start(run, program, "LISTEN_ADDR", settings, Arc::clone(&log)).await;
    let said = || log.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let started = started.map_err(|error| format!("{error}: {}", said()))?;
    Ok((Part::Process(Box::new(started)), log))
}

async fn port(part: &Part) -> Result<u16> {
    Ok(part.url().await?.rsplit_once(':').ok_or("no port")?.1.parse()?)
}

/// How many exchanges were recorded, or were not, by the proxy's own count.
async fn counted(proxy: &Part, result: &str) -> Result<u64> {
    let metrics =
        client::text(&client::client()?, &format!("{}/metrics", proxy.url().await?)).await?;
    let label = format!("result=\"{result}\"");
    let count = client::sum(&metrics, "mirror_recorded_total", &[&label]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    Ok(count as u64)
}

/// How many were not recorded for want of room or time.
async fn dropped(proxy: &Part) -> Result<u64> {
    let mut dropped = 0;
    for result in ["dropped_queue_full", "dropped_buffer_full", "dropped_late"] {
        dropped += counted(proxy, result).await?;
    }
    Ok(dropped)
}

/// What cannot be made smaller, another one for each name: large, unless the name says otherwise.
fn text_of(id: &str) -> Vec<u8> {
    let length = if id.starts_with("small") { 500 } else { 20_000 };
    let seed =
        id.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(131).wrapping_add(byte.into()));
    noise(seed, length)
}

fn answer(request: &Message) -> (Vec<u8>, Duration) {
    let (id, body) = (name(request), text_of(&name(request)));
    let head = format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\nContent-Length: {}\r\n\r\n", body.len());
    ([head.into_bytes(), body].concat(), Duration::ZERO)
}

fn get(id: &str) -> Vec<u8> {
    format!("GET /items HTTP/1.1\r\nHost: shop.example\r\nX-Id: {id}\r\n\r\n").into_bytes()
}

/// Asks one by one; every answer must be as it should be.
async fn ask(wire: &mut Wire, ids: impl Iterator<Item = String>) -> Result<()> {
    for id in ids {
        wire.send(&get(&id)).await?;
        let answer = wire.message(true).await?.ok_or("no answer")?;
        ensure!(answer.first == "200" && answer.body == text_of(&id), "{id}: {}", answer.first);
    }
    Ok(())
}

pub(crate) async fn a_recording_proxy_that_is_killed_loses_the_last_second_at_most(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("killed")?.join("recording");
    let service = Service::start(answer)?;
    let (mut proxy, _log) = recorder(place, None, &service, &folder, &[]).await?;
    let (port, stop) = (port(&proxy).await?, Arc::<AtomicBool>::default());
    let answered = Arc::<Mutex<BTreeMap<String, Instant>>>::default();
    let users: Vec<_> = (0..4)
        .map(|user| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let Ok(mut wire) = Wire::to(port).await else { return };
                for turn in 0.. {
                    let id = format!("small-{user}-{turn}");
                    let asked = ask(&mut wire, std::iter::once(id.clone())).await;
                    if stop.load(Ordering::SeqCst) || asked.is_err() {
                        return;
                    }
                    answered
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(id, Instant::now());
                    // So that what is written keeps up, in a build that is not optimized, too.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    let begun = Instant::now();
    eventually!(begun.elapsed() > Duration::from_secs(4));
    let dropped = dropped(&proxy).await?;
    stop.store(true, Ordering::SeqCst);
    let killed = Instant::now();
    proxy.kill().await?;
    for user in users {
        user.await?;
    }
    let (found, _) = converted((run, binaries), &folder, None).await?;
    let mut names = BTreeSet::new();
    for exchange in &found {
        let id = name(&exchange.request);
        ensure!(
            exchange.has_answer_body && exchange.answer.body == text_of(&id),
            "{id} is not whole"
        );
        ensure!(names.insert(id), "one comes twice");
    }
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // The last second, and half of one for a machine that is busy with other tests.
    let kept = killed - Duration::from_millis(1500);
    let due: Vec<_> = answered.iter().filter(|(_, at)| **at < kept).map(|(id, _)| id).collect();
    ensure!(due.len() > 50, "too little for a test: {}", due.len());
    let lost: Vec<_> = due.iter().filter(|id| !names.contains(**id)).collect();
    ensure!(
        lost.len() as u64 <= dropped,
        "{} of {} are lost, and {dropped} counted; such as {:?}",
        lost.len(),
        due.len(),
        lost.first()
    );
    Ok(())
}

/// A program that runs ours with a small disk of its own at a folder; the disk goes with it.
fn with_a_small_disk(program: &Path, folder: &Path) -> Result<PathBuf> {
    let script = folder.with_extension("sh");
    let (unshare, mount) = (tools::find("unshare")?, tools::find("mount")?);
    let text = format!(
        "#!/bin/sh\nexec {} --mount /bin/sh -c '{} -t tmpfs -o size=1m none {} && exec {}'\n",
        unshare.display(),
        mount.display(),
        folder.display(),
        program.display()
    );
    std::fs::create_dir_all(folder)?;
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
    Ok(script)
}

pub(crate) async fn a_full_disk_loses_recordings_and_no_client_sees_anything(
    place: &Place,
) -> Result<()> {
    const ALL: u64 = 200;
    tools::root()?;
    let (run, binaries) = programs(place)?;
    let folder = run.folder("full")?.join("recording");
    let program = with_a_small_disk(&binaries.proxy, &folder)?;
    let service = Service::start(answer)?;
    let (proxy, log) = recorder(place, Some(&program), &service, &folder, &[]).await?;
    let mut wire = Wire::to(port(&proxy).await?).await?;
    ask(&mut wire, (0..ALL).map(|nth| nth.to_string())).await?;
    eventually!(counted(&proxy, "recorded").await? + counted(&proxy, "failed").await? == ALL);
    let failed = counted(&proxy, "failed").await?;
    ensure!(failed > ALL / 2, "{failed} of {ALL} failed, and 1 MiB has room for fifty");
    // It goes on: those who ask see nothing of it, and what is lost is counted.
    ask(&mut wire, (0..20).map(|nth| format!("later-{nth}"))).await?;
    eventually!(counted(&proxy, "recorded").await? + counted(&proxy, "failed").await? == ALL + 20);
    let said = log.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(said.contains("No space left"), "it says why: {said}");
    Ok(())
}

pub(crate) async fn a_quota_takes_the_oldest_away(place: &Place) -> Result<()> {
    // A quarter of it is kept for pairs that differ.
    const QUOTA: u64 = 2 << 20;
    let (run, binaries) = programs(place)?;
    let folder = run.folder("quota")?.join("recording");
    let service = Service::start(answer)?;
    let small = [("RECORD_SEGMENT_BYTES", "65536"), ("RECORD_MAX_BYTES", "2097152")];
    let (mut proxy, _log) = recorder(place, None, &service, &folder, &small).await?;
    let mut wire = Wire::to(port(&proxy).await?).await?;
    let mut all = 0_u64;
    // Each round is a flush, and a file of 200 KB: seven have room, so that it shows which of them go.
    for _ in 0..12 {
        ask(&mut wire, (all..all + 10).map(|nth| nth.to_string())).await?;
        all += 10;
        eventually!(counted(&proxy, "recorded").await? == all);
    }
    eventually!(bytes(&folder)? <= QUOTA);
    drop(wire);
    proxy.signal("TERM").await?;
    ensure!(proxy.exit_code().await? == 0, "it ends well");
    ensure!(bytes(&folder)? <= QUOTA, "{} bytes", bytes(&folder)?);
    let segments = std::fs::read_dir(&folder)?
        .filter_map(|it| it.ok()?.file_type().ok())
        .filter(|it| it.is_file())
        .count();
    let (found, _) = converted((run, binaries), &folder, None).await?;
    let mut names: Vec<u64> =
        found.iter().map(|it| Ok(name(&it.request).parse()?)).collect::<Result<_>>()?;
    names.sort_unstable();
    let first = all - names.len() as u64;
    ensure!(names.iter().copied().eq(first..all), "the newest are left: {names:?}");
    // One file would be both the oldest and the newest.
    ensure!((40..all).contains(&(names.len() as u64)), "{} are left", names.len());
    ensure!(segments >= 4, "{segments} files");
    Ok(())
}

fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        // One that is just being taken away has none.
        sum += entry?.metadata().map_or(0, |about| if about.is_file() { about.len() } else { 0 });
    }
    Ok(sum)
}
