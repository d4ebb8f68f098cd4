//! What the store lacks under the real program: a disk that is full to its last block, and descriptors of which none is left.
//! What it serves then, what it says, and how it comes back.
//!
//! The disk is a small file system in memory where this user may mount one. It is also played by a library before the C
//! library's calls, which needs no right at all, so that the test shows something everywhere.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::raw::RawClient;
use crate::server::{PATIENCE, Server, Setup};

/// A disk that can be filled and emptied.
struct SmallDisk {
    dir: TempDir,
    /// Keeps the mount namespace in which there is a file system of its own; it ends with its standard input.
    keeper: Option<Child>,
    /// How a command goes into that namespace.
    enter: &'static [&'static str],
}

impl SmallDisk {
    /// A folder of which a library says that it is full.
    fn played() -> Self {
        let disk = Self { dir: TempDir::new().expect("a temporary folder"), keeper: None, enter: &[] };
        std::fs::create_dir(disk.data()).expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/disk/full.c");
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(disk.library()).arg(source).arg("-ldl").status();
        assert!(made.expect("cc, which Rust links with").success(), "the disk cannot be made");
        disk
    }

    /// A file system of its own; `None` where this user may not mount one.
    fn mounted() -> Option<Self> {
        let ways: [(&str, &[&str]); 2] = [("-m", &["--mount"]), ("-Urm", &["--mount", "--user", "--preserve-credentials"])];
        ways.into_iter().find_map(|(leave, enter)| Self::mounted_in(leave, enter))
    }

    fn mounted_in(leave: &str, enter: &'static [&'static str]) -> Option<Self> {
        let mut disk = Self { dir: TempDir::new().expect("a temporary folder"), keeper: None, enter };
        std::fs::create_dir(disk.data()).expect("a folder");
        let script = "mount -t tmpfs -o size=64m,mode=700 none \"$0\" && echo mounted && exec cat";
        let mut command = Command::new("unshare");
        command.args([leave, "sh", "-c", script]).arg(disk.data());
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut said = String::new();
        let _ = BufReader::new(keeper.stdout.take().expect("standard output is piped")).read_line(&mut said);
        disk.keeper = Some(keeper);
        (said == "mounted\n").then_some(disk)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("full.so")
    }

    /// What takes all the room that is left.
    fn ballast(&self) -> PathBuf {
        match &self.keeper {
            Some(keeper) => {
                Path::new(&format!("/proc/{}/root", keeper.id())).join(self.data().strip_prefix("/").expect("absolute")).join("ballast")
            }
            None => self.dir.path().join("full"),
        }
    }

    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file");
        if self.keeper.is_some() {
            for bytes in [1 << 20, 4096, 1] {
                let full = std::iter::repeat_with(|| ballast.write_all(&vec![1; bytes])).find_map(Result::err).expect("it is small");
                assert_eq!(full.kind(), ErrorKind::StorageFull);
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    async fn server(&self, durability: &str) -> Server {
        let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
        let setup = Setup::new().set("store.path", text(self.data())).set("store.durability", durability).unthrottled();
        let setup = match &self.keeper {
            Some(keeper) => setup.under(&["nsenter", "--target", &keeper.id().to_string()]).under(self.enter),
            None => {
                let setup = setup.env("LD_PRELOAD", &text(self.library())).env("DISK_FOLDER", &text(self.data()));
                setup.env("DISK_FULL", &text(self.ballast()))
            }
        };
        setup.start().await
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// How many bytes the program has written so far, to files and to sockets.
fn written(server: &Server) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", server.id())).expect("it runs");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("a line for what was written");
    line.parse().expect("a number")
}

async fn merges_without_space(server: &Server) -> u64 {
    let metrics = RawClient::http(server.addr(), "/metrics").await.body;
    let value = metrics.lines().find_map(|line| line.strip_prefix("tallycast_store_merges_without_space_total "));
    value.expect("it is counted").parse().expect("a number")
}

async fn a_full_disk(disk: &SmallDisk, durability: &str) {
    let mut server = disk.server(durability).await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    for n in 0..90 {
        ann.create_as("ChatRoom", &format!("another-room-{n}")).await.ok();
    }
    ann.increase(&room, "like", 5).await.ok();
    let epoch = ann.get(&room).await.ok()["epoch"].clone();

    disk.fill();
    let mut value = 5;
    for end in ["KILL", "KILL", "TERM", "TERM"] {
        server.signal(end);
        let status = server.exit().await;
        assert!(end == "KILL" || status.code() == Some(0), "{status}: {}", server.log());
        server.again().await;
        let mut ann = server.user("ann").await;
        let data = ann.get(&room).await.ok();
        assert_eq!((&data["counters"], &data["epoch"]), (&json!({"like": value}), &epoch), "after {end}");
        let ready = RawClient::http(server.addr(), "/readyz").await;
        assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)), "{}", ready.body);
        assert!(ready.body.contains("disk_full"), "{}", ready.body);
        assert_eq!(RawClient::http(server.addr(), "/healthz").await.status, 200, "a restart would not help");
        // The journal has its blocks.
        value += 1;
        assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], value);
    }
    let (before, attempts, since) = (written(&server), merges_without_space(&server).await, Instant::now());
    while merges_without_space(&server).await < attempts + 2 {
        assert!(since.elapsed() < PATIENCE, "nobody tries again: {}", server.log());
        sleep(std::time::Duration::from_millis(20)).await;
    }
    let written = written(&server) - before;
    assert!(written < 1 << 20, "two attempts took {written} bytes");
    let lines = server.log().lines().filter(|line| line.contains("disk_full")).count();
    assert!((1..=3).contains(&lines), "each trouble is told once: {}", server.log());

    disk.make_room();
    let since = Instant::now();
    while RawClient::http(server.addr(), "/readyz").await.status != 200 {
        assert!(since.elapsed() < PATIENCE, "it does not come back by itself: {}", server.log());
        sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut ann = server.user("ann").await;
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], value + 1);
    server.restart("TERM").await;
    let mut ann = server.user("ann").await;
    let data = ann.get(&room).await.ok();
    assert_eq!((&data["counters"], &data["epoch"]), (&json!({"like": value + 1}), &epoch));
    assert_eq!(ann.get("another-room-89").await.ok()["counters"], json!({}));
}

#[tokio::test]
async fn a_full_disk_stops_no_reader_and_no_end_and_is_over_when_there_is_room() {
    a_full_disk(&SmallDisk::played(), "interval").await;
}

#[tokio::test]
async fn a_full_file_system_stops_no_reader_and_no_end_and_is_over_when_there_is_room() {
    match SmallDisk::mounted() {
        Some(disk) => a_full_disk(&disk, "sync").await,
        None => eprintln!("this user may not mount anything: only the played disk was shown"),
    }
}

/// Sets how many descriptors a program that runs may open.
fn limit_descriptors(server: &Server, max: &str) {
    let (pid, limit) = (server.id().to_string(), format!("--nofile={max}:"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("prlimit can be run").success());
}

/// No descriptor is left for anything: not for a segment, not for a connection, not for whoever comes to take a backup.
#[tokio::test]
async fn without_descriptors_those_who_are_in_are_served_and_all_is_well_again_afterwards() {
    let server = Setup::new().unthrottled().limit("counters_per_group_max", 1000).start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let (addr, mut kept) = (server.addr(), RawClient::tcp(server.addr()).await);
    let mut ask = async |path: &str| {
        kept.send(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await;
        kept.whole_reply().await
    };
    assert_eq!(ask("/readyz").await.0, 200);
    limit_descriptors(&server, "3");
    // Whoever waits for somebody has a descriptor for the next one, and none for those after them.
    let socket = server.folder().join("data/control.sock");
    let callers = [(); 2].map(|()| std::os::unix::net::UnixStream::connect(&socket).expect("the door is open"));
    drop(callers);
    let since = Instant::now();
    let mut round = 0;
    // A segment of the journal is filled, so that another one must be made.
    while !server.log().contains("no_descriptors") {
        assert!(since.elapsed() < 4 * PATIENCE, "{}", server.log());
        let counters: serde_json::Map<_, _> = (0..550).map(|n| (format!("a-key-of-a-good-length-{n:04}"), json!(round))).collect();
        ann.set(&room, counters.into()).await.ok();
        round += 1;
    }
    assert_eq!(ask("/readyz").await.0, 200, "a crowd at the door takes no node out of service");
    let trouble = "tallycast_store_trouble{trouble=\"no_descriptors\"}";
    assert!(ask("/metrics").await.1.contains(&format!("{trouble} 1\n")));

    limit_descriptors(&server, "1024");
    let since = Instant::now();
    while !ask("/metrics").await.1.contains(&format!("{trouble} 0\n")) {
        assert!(since.elapsed() < PATIENCE, "it does not come back by itself: {}", server.log());
        sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(ann.increase(&room, "a-key-of-a-good-length-0000", 1).await.ok()["value"], round);
    crate::backup::backup(&server, "later").ok();
}
