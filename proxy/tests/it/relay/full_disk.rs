//! A spool on a disk that it fills itself: what was taken leaves it, and then it takes again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::spool::{Folder, first_seen, paths, running, settings_in};
use crate::eventually;
use crate::process::Process;
use crate::support::{Upstream, client, fixed, hung, in_time, json, skipped, sum, upstream};

/// A disk of 8 MiB, which those alone see that are started in it.
struct Disk(Child);

impl Disk {
    /// `None` where nobody may make one, which is told, or a failure where all servers are demanded.
    fn at(folder: &Path) -> Option<Self> {
        let disk = Self::mounted(folder);
        if disk.is_none() {
            skipped("nobody may mount a disk of their own (unshare, mount)");
        }
        disk
    }

    fn mounted(folder: &Path) -> Option<Self> {
        const MOUNT: &str =
            "mount -t tmpfs -o size=8m none \"$0\" && echo mounted && exec sleep 3600";
        std::fs::create_dir_all(folder).unwrap();
        let mut holder = Command::new("unshare");
        holder.args(["--map-root-user", "--mount", "sh", "-c", MOUNT]).arg(folder);
        let holder = holder.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut disk = Self(holder.ok()?);
        let mut said = String::new();
        BufReader::new(disk.0.stdout.take()?).read_line(&mut said).unwrap();
        (said == "mounted\n").then_some(disk)
    }

    fn start(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.0.id().to_string()]);
        inside.args(["--user", "--preserve-credentials", "--mount"]);
        inside.arg(command.get_program()).args(command.get_args());
        let settings = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inside.env_clear().envs(settings);
        inside.stdout(Stdio::piped()).stderr(Stdio::piped());
        inside
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn relay(disk: &Disk, folder: &Folder, upstreams: [&Upstream; 2]) -> (Process, String) {
    let [baseline, candidate] = upstreams;
    running(&mut disk.start(&settings_in(folder, baseline.addr, candidate.addr))).await
}

async fn metric(process: &Process, name: &str, labels: &[&str]) -> f64 {
    let answer = client().get(format!("http://{}/metrics", process.addr())).send().await.unwrap();
    sum(&answer.text().await.unwrap(), name, labels)
}

async fn spooled(process: &Process) -> f64 {
    metric(process, "mirror_relay_spool_requests", &[]).await
}

async fn post(url: &str, paths: &[String]) {
    let client = client();
    for path in paths {
        let request = client.post(format!("{url}{path}")).body(vec![b'x'; 300_000]);
        assert_eq!(in_time(request.send()).await.unwrap().status(), 200);
    }
}

/// More than the disk takes: how many of them it took.
async fn fill(process: &Process, url: &str) -> f64 {
    post(url, &paths(40)).await;
    let kept = spooled(process).await;
    let failed = metric(process, "mirror_relayed_total", &["result=\"spool_failed\""]).await;
    assert!(kept + failed == 40.0 && kept > 5.0 && failed > 5.0, "{kept} {failed}");
    kept
}

#[tokio::test]
async fn a_disk_that_is_full_gets_room_again_as_its_requests_are_relayed() {
    let folder = Folder::new("full-disk");
    let Some(disk) = Disk::at(&folder.spool_folder()) else { return };
    let gate = Arc::new(Semaphore::new(0));
    let theirs = Arc::clone(&gate);
    let baseline = upstream(move |_| {
        let gate = Arc::clone(&theirs);
        async move {
            gate.acquire().await.unwrap().forget();
            json("{}")
        }
    })
    .await;
    let candidate = fixed("{}").await;
    let (process, url) = relay(&disk, &folder, [&baseline, &candidate]).await;
    let kept = fill(&process, &url).await;
    gate.add_permits(1000);
    eventually!(spooled(&process).await == 0.0);
    post(&url, &["/a", "/b", "/c"].map(str::to_owned)).await;
    eventually!(
        metric(&process, "mirror_outcomes_total", &["outcome=\"matched\""]).await == kept + 3.0
    );
    eventually!(spooled(&process).await == 0.0);
    // Each of them once: nobody was asked again for want of room.
    assert_eq!((baseline.count(), candidate.count()), (kept as usize + 3, kept as usize + 3));
}

#[tokio::test]
async fn a_full_disk_is_no_reason_not_to_start_and_what_lies_there_is_relayed() {
    let folder = Folder::new("full-start");
    let Some(disk) = Disk::at(&folder.spool_folder()) else { return };
    let (never, candidate) = (hung().await, fixed("{}").await);
    let (killed, url) = relay(&disk, &folder, [&never, &candidate]).await;
    let kept = fill(&killed, &url).await;
    killed.signal("KILL");
    drop(killed);
    let baseline = fixed("{}").await;
    let (process, url) = relay(&disk, &folder, [&baseline, &candidate]).await;
    eventually!(spooled(&process).await == 0.0);
    let seen = first_seen(&baseline);
    assert_eq!((seen.len(), &*seen[0]), (kept as usize, "/0"));
    post(&url, &["/a".to_owned()]).await;
    eventually!(first_seen(&candidate).contains(&"/a".to_owned()));
}
