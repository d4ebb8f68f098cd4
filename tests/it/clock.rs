//! The wall clock of the machine is set forward and back under a running program, as it is when somebody sets it by hand or
//! when it is brought in step after a start.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::commands::{increase, under};
use crate::server::{PATIENCE, Server, Setup};

const HOUR: i64 = 3600;

/// The wall clock of one program.
struct WallClock {
    dir: TempDir,
}

impl WallClock {
    fn new() -> Self {
        let clock = Self { dir: TempDir::new().expect("a temporary folder") };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/clock/step.c");
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(clock.library()).arg(source).arg("-ldl").status();
        assert!(made.expect("cc, which Rust links with").success(), "the clock cannot be made");
        clock.step(0);
        clock
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("step.so")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("step")
    }

    /// Sets it so many seconds beside the true time.
    fn step(&self, seconds: i64) {
        // In one piece: whoever reads it meanwhile finds the old or the new step.
        let new = self.dir.path().join("step.new");
        std::fs::write(&new, seconds.to_string()).expect("the step can be written");
        std::fs::rename(new, self.file()).expect("the step can be put in place");
    }

    async fn server(&self, setup: Setup) -> Server {
        let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
        setup.env("LD_PRELOAD", &text(self.library())).env("CLOCK_STEP", &text(self.file())).unthrottled().start().await
    }
}

/// Sends a write under a name; true where it was a repeat.
async fn is_repeat(client: &mut Client, group: &str, op: &str) -> bool {
    client.ask(under(op, increase(group, "like", 1))).await.ok()["replayed"] == true
}

#[tokio::test]
async fn a_step_forward_shortens_no_window() {
    let clock = WallClock::new();
    let server = clock.server(Setup::new()).await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    assert!(!is_repeat(&mut ann, &room, "op").await);
    clock.step(HOUR);
    // Whatever looks after what is old does so ten times a second.
    for _ in 0..15 {
        assert!(is_repeat(&mut ann, &room, "op").await, "the write was counted twice");
        sleep(Duration::from_millis(40)).await;
    }
    clock.step(-HOUR);
    assert!(is_repeat(&mut ann, &room, "op").await);
    // What people are shown follows the wall clock.
    let before = ann.ask(json!({"cmd": "createGroup", "type": "ChatRoom", "name": "a room"})).await.ok();
    clock.step(HOUR);
    let after = ann.ask(json!({"cmd": "createGroup", "type": "ChatRoom", "name": "a room"})).await.ok();
    let time = |data: &serde_json::Value| data["group"]["createTime"].as_i64().expect("a time");
    assert!((2 * HOUR..2 * HOUR + 60).contains(&(time(&after) - time(&before))), "{before} {after}");
}

/// Sends a write under a new name until there is room for its answer: a server that remembers as many as it can has room again when
/// their window is over. Says how often there was none.
async fn waits_for_room(client: &mut Client, group: &str, op: &str) -> usize {
    let begun = Instant::now();
    let mut full = 0;
    loop {
        let answer = client.ask(under(op, increase(group, "like", 1))).await;
        if answer.0["code"] == 0 {
            assert_ne!(answer.0["data"]["replayed"], true);
            return full;
        }
        answer.refused(10006);
        full += 1;
        assert!(begun.elapsed() < PATIENCE, "nothing is forgotten");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_step_back_stretches_no_window() {
    let clock = WallClock::new();
    let setup = Setup::new().limit("replay_window", "1s").limit("replay_answers_max", 5);
    let mut server = clock.server(setup).await;
    let mut ann = server.user("ann").await;
    let room = ann.create("ChatRoom").await;
    let mut full = 0;
    for (round, writes) in [("first", 5), ("second", 4)] {
        for n in 0..writes {
            full += waits_for_room(&mut ann, &room, &format!("{round}-{n}")).await;
        }
        clock.step(-HOUR);
        if round == "second" {
            server.restart("KILL").await;
            ann = server.user("ann").await;
            assert!(is_repeat(&mut ann, &room, "second-3").await, "a stamp of the future counts as one of now");
        }
        full += waits_for_room(&mut ann, &room, &format!("{round}-more")).await;
        clock.step(0);
    }
    assert!(full > 0, "the limit was never felt");
}
