//! What an operator does to a store: `backup` (of a running gateway too), `restore`, `verify` and `repair`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::commands::{increase, under};
use crate::server::{Server, Setup, tallycast};

pub struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// It failed with this code, and said this on standard error.
    pub fn fails(self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{} {}", self.out, self.err);
        assert!(self.err.contains(words), "{words}: {}", self.err);
    }
}

fn run(words: &[&str]) -> Ran {
    Ran::of(tallycast(words).output().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A path in the server's folder.
fn at(server: &Server, name: &str) -> PathBuf {
    server.folder().join(name)
}

pub fn backup(server: &Server, to: &str) -> Ran {
    run(&["backup", "--config", text(&at(server, "tallycast.toml")), "--to", text(&at(server, to))])
}

#[tokio::test]
async fn a_running_gateway_is_backed_up_and_the_restored_one_knows_all_that_was_answered() {
    let server = Setup::new().unthrottled().start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("Public").await;
    ann.add(&room, &["bob"]).await.ok();
    let like = under("the-like", increase(&room, "like", 5));
    let first = ann.ask(like.clone()).await.ok();
    let epoch = ann.get(&room).await.ok()["epoch"].clone();

    let said = backup(&server, "copy").ok();
    assert!(said.contains("while the gateway runs: everything up to record block ") && said.contains("1 groups, 2 members"), "{said}");
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 6, "it goes on");
    let said = run(&["verify", text(&at(&server, "copy"))]).ok();
    assert!(said.contains("sound up to record block ") && said.contains("1 groups, 2 members"), "{said}");
    let said = run(&["restore", "--from", text(&at(&server, "copy")), "--to", text(&at(&server, "again"))]).ok();
    assert!(said.contains("new epoch"), "{said}");

    let second = Setup::new().set("store.path", text(&at(&server, "again"))).start().await;
    let mut ann = second.user("ann").await;
    let data = ann.get(&room).await.ok();
    assert_eq!((&data["counters"], &data["version"]), (&json!({"like": 5}), &json!(1)), "as it was when the backup was taken");
    assert_ne!(data["epoch"], epoch);
    let again = ann.ask(like).await.ok();
    assert_eq!((&again["replayed"], &again["value"], &again["version"]), (&json!(true), &first["value"], &first["version"]));
    assert_eq!(ann.member_count(&room).await, 2);
    run(&["verify", text(&at(&server, "again"))]).fails(1, "is in use by another process");
    run(&["repair", text(&at(&server, "again"))]).fails(1, "is in use by another process");
}

/// Whoever takes a copy and goes away, or asks for something else, disturbs nobody.
#[tokio::test]
async fn a_copy_that_is_broken_off_does_no_harm() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("Public").await;
    let socket = at(&server, "data/control.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "for the gateway's user alone");
    for asked in ["backup1\n", "restore\n", "x"] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(asked.as_bytes()).unwrap();
        if asked.starts_with("backup") {
            stream.read_exact(&mut [0; 3]).unwrap();
        }
    }
    backup(&server, "copy").ok();
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 1);
    server.signal("TERM");
    assert!(server.exit().await.success());
    assert!(!socket.exists());
    assert!(backup(&server, "later").ok().contains("at rest"));
}

/// A gateway that was killed leaves its socket behind; the next one takes its place.
#[tokio::test]
async fn a_socket_that_a_kill_has_left_is_no_gateway() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    ann.create("Public").await;
    server.signal("KILL");
    server.exit().await;
    assert!(at(&server, "data/control.sock").exists());
    assert!(backup(&server, "at-rest").ok().contains("at rest"));
    server.again().await;
    assert!(backup(&server, "running").ok().contains("while the gateway runs"));
}

#[tokio::test]
async fn wrong_arguments_are_told_with_exit_code_2_and_nothing_is_done() {
    let server = Server::start().await;
    let config = at(&server, "tallycast.toml");
    backup(&server, "copy").ok();
    backup(&server, "copy").fails(2, "is not empty");
    backup(&server, "data/inside").fails(2, "lies inside");
    run(&["backup", "--config", text(&config)]).fails(2, "--to");
    run(&["backup", "--config", "/nowhere.toml", "--to", "x"]).fails(2, "/nowhere.toml");
    run(&["restore", "--from", text(&at(&server, "data")), "--to", text(&at(&server, "x"))]).fails(2, "is not a backup");
    run(&["restore", "--from", text(&at(&server, "copy")), "--to", text(&at(&server, "copy"))]).fails(2, "lies inside");
    run(&["verify", text(&at(&server, "nothing"))]).fails(2, "is not a folder");
    run(&["repair", text(server.folder())]).fails(2, "is not a store");
    let backup_as_store = Setup::new().set("store.path", text(&at(&server, "copy")));
    let folder = tempfile::tempdir().unwrap();
    let file = backup_as_store.write(folder.path());
    run(&["serve", "--config", text(&file)]).fails(1, "tallycast restore");
    assert!(!at(&server, "x").exists());
    run(&["verify", text(&at(&server, "copy"))]).ok();
}

/// A disk that takes no more: here a limit on the size of files, which fails as late.
#[tokio::test]
async fn a_backup_that_finds_no_room_is_told_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("Public").await;
    let (config, to) = (at(&server, "tallycast.toml"), at(&server, "copy"));
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" backup --config \"$1\" --to \"$2\"";
    let program = env!("CARGO_BIN_EXE_tallycast");
    let output = Command::new("sh").args(["-c", script, program, text(&config), text(&to)]).output().unwrap();
    Ran::of(output).fails(1, text(&to));
    assert!(!to.exists());
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 1, "the gateway does not notice");
    backup(&server, "copy").ok();
}

#[tokio::test]
async fn damage_is_named_by_verify_and_mended_by_repair_alone() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("Public").await;
    ann.increase(&room, "like", 5).await.ok();
    let epoch = ann.get(&room).await.ok()["epoch"].clone();
    server.signal("TERM");
    server.exit().await;
    let data = at(&server, "data");
    let said = run(&["verify", text(&data)]).ok();
    assert!(said.contains("sound"), "{said}");
    assert!(run(&["repair", text(&data)]).ok().contains("nothing was changed"));
    let mut bytes = std::fs::read(data.join("table.redb")).unwrap();
    let places = (0..bytes.len() - room.len()).filter(|at| bytes[*at..].starts_with(room.as_bytes()));
    let places: Vec<usize> = places.collect();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(data.join("table.redb"), &bytes).unwrap();

    for _ in 0..2 {
        let verified = run(&["verify", text(&data)]);
        assert_eq!(verified.code, Some(1), "{}", verified.err);
        assert!(verified.out.contains("damaged\n  table.redb at byte ") && verified.out.contains("tallycast repair"), "{}", verified.out);
    }
    let repaired = run(&["repair", text(&data)]).ok();
    assert!(repaired.contains("1 groups, 1 members") && repaired.contains("put right"), "{repaired}");
    let aside = repaired.lines().last().unwrap().split_whitespace().find(|word| word.contains(".damaged-")).unwrap();
    assert_eq!(std::fs::read(Path::new(aside.trim_end_matches(';')).join("table.redb")).unwrap(), bytes);
    server.again().await;
    let mut ann = server.user("ann").await;
    let got = ann.get(&room).await.ok();
    assert_eq!(got["counters"], json!({"like": 5}));
    assert_ne!(got["epoch"], epoch);
}

/// The oldest way to restore: a copy of the folder, put back later. What members hold is of a later time.
#[tokio::test]
async fn a_copy_of_the_folder_that_is_put_back_changes_every_epoch() {
    let mut server = Server::start().await;
    let mut ann = server.user("ann").await;
    let room = ann.create("Public").await;
    ann.increase(&room, "like", 5).await.ok();
    let epoch = ann.get(&room).await.ok()["epoch"].clone();
    server.signal("TERM");
    server.exit().await;
    let copy = |from: &Path, to: &Path| assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    copy(&at(&server, "data"), &at(&server, "aside"));
    server.again().await;
    let mut ann = server.user("ann").await;
    let data = ann.get(&room).await.ok();
    assert_eq!(data["epoch"], epoch, "a restart alone changes nothing");
    ann.increase(&room, "like", 1).await.ok();
    server.signal("TERM");
    server.exit().await;
    std::fs::remove_dir_all(at(&server, "data")).unwrap();
    copy(&at(&server, "aside"), &at(&server, "data"));
    server.again().await;
    let mut ann = server.user("ann").await;
    let data = ann.get(&room).await.ok();
    assert_eq!(data["counters"], json!({"like": 5}));
    assert_ne!(data["epoch"], epoch);
}
