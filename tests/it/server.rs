//! The real program as a test sees it: started with a configuration of its own in a folder of its own, watched over its
//! standard error, ended by its own process id and by nothing broader.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;

/// The sample key printed in the vendor's own README: no live secret.
pub const SECRET: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
pub const SDK_APP_ID: u64 = 1_400_000_000;
pub const ADMIN: &str = "administrator";

/// How long any single thing that must happen may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// What a server is started with: the settings every test relies on, and what the test changes.
#[derive(Clone)]
pub struct Setup {
    settings: toml::Table,
    env: Vec<(String, String)>,
    /// Words before the program's name, which begin it in their way.
    under: Vec<String>,
}

impl Setup {
    pub fn new() -> Self {
        let mut bare = Self { settings: toml::Table::new(), env: Vec::new(), under: Vec::new() };
        // How many threads serve must make no difference to anybody: `TALLYCAST_TEST_SHARDS` says how many in this run.
        if let Some(shards) = std::env::var("TALLYCAST_TEST_SHARDS").ok().and_then(|shards| shards.parse::<i64>().ok()) {
            bare = bare.set("shards", shards);
        }
        bare.set("listen", "127.0.0.1:0")
            .set("app.sdk_app_id", SDK_APP_ID as i64)
            .set("app.secret_keys", vec![SECRET])
            .set("app.admins", vec![ADMIN])
            .set("store.kind", "embedded")
    }

    /// Sets one key of the configuration, named by its path: `push.min_interval`.
    pub fn set(mut self, path: &str, value: impl Into<toml::Value>) -> Self {
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        let table = if section.is_empty() {
            &mut self.settings
        } else {
            let entry = self.settings.entry(section).or_insert_with(|| toml::Table::new().into());
            entry.as_table_mut().expect("a section is a table")
        };
        table.insert(key.to_owned(), value.into());
        self
    }

    pub fn without(mut self, section: &str, key: &str) -> Self {
        self.settings[section].as_table_mut().expect("a section is a table").remove(key);
        self
    }

    pub fn limit(self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.set(&format!("limits.{key}"), value)
    }

    /// For tests that write or ask more than one person's share.
    pub fn unthrottled(self) -> Self {
        let calls = self.limit("counter_writes_max", 0).limit("counter_reads_max", 0).limit("frames_per_second_max", 0);
        calls.limit("membership_changes_max", 0)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it with so few open files as `ulimit -n` allows then.
    pub fn descriptors(self, max: u32) -> Self {
        self.under(&["sh", "-c", "ulimit -n \"$0\" && exec \"$@\"", &max.to_string()])
    }

    /// Starts it by such a command, which must become it: its process id stays the same.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub async fn start(self) -> Server {
        let dir = TempDir::new().expect("a temporary folder");
        let process = Process::ready(&self, dir.path()).await;
        Server { setup: self, process, dir }
    }

    /// Writes the configuration file; the store lives beside it.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let mut settings = self.clone();
        let has_path = settings.settings["store"].as_table().is_some_and(|store| store.contains_key("path"));
        if !has_path {
            settings = settings.set("store.path", dir.join("data").to_str().expect("a folder name in UTF-8"));
        }
        let file = dir.join("tallycast.toml");
        std::fs::write(&file, toml::to_string(&settings.settings).expect("TOML")).expect("the configuration file");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
        file
    }
}

/// The program with the given words after its name, and nothing of the outer environment that it would read.
pub fn tallycast(words: &[&str]) -> Command {
    tallycast_under(&[], words)
}

/// The same, begun by a command.
fn tallycast_under(under: &[String], words: &[&str]) -> Command {
    let mut all = under.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_tallycast")]).chain(words.iter().copied());
    let mut command = Command::new(all.next().expect("the program at least"));
    command.args(all).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TALLYCAST_") {
            command.env_remove(name);
        }
    }
    command
}

/// One running program and what it has said so far.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    listener: Option<std::thread::JoinHandle<()>>,
    addresses: watch::Receiver<Vec<SocketAddr>>,
}

impl Process {
    pub fn spawn(setup: &Setup, dir: &Path) -> Self {
        let file = setup.write(dir);
        let file = file.to_str().expect("UTF-8");
        let mut command = tallycast_under(&setup.under, &["serve", "--config", file]);
        command.envs(setup.env.iter().cloned()).current_dir(dir);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let stderr = child.stderr.take().expect("standard error is piped");
        let (found, addresses) = watch::channel(Vec::new());
        let log = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&log);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    found.send_modify(|addresses: &mut Vec<SocketAddr>| addresses.push(address));
                }
                let mut log = said.lock().expect("no one panics with the log in hand");
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log, listener: Some(listener), addresses }
    }

    async fn ready(setup: &Setup, dir: &Path) -> Self {
        let mut process = Self::spawn(setup, dir);
        let heard = timeout(PATIENCE, process.addresses.wait_for(|found| !found.is_empty())).await.map(|r| r.is_ok());
        assert!(matches!(heard, Ok(true)), "the server did not say where it listens; it said:\n{}", process.log());
        process
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no one panics with the log in hand").clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill can be run");
        assert!(sent.success(), "signal {name} could not be sent to {pid}");
    }

    /// The processor's time that all its threads have taken so far.
    pub fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let of_task = |task: std::fs::DirEntry| {
            // A thread that has ended meanwhile counts no more.
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
        };
        Duration::from_nanos(tasks.map(|task| task.map_or(0, of_task)).sum())
    }

    /// Waits for the end, which must come within [`PATIENCE`].
    pub async fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                // What it said last may still be on its way.
                if let Some(listener) = self.listener.take() {
                    listener.join().expect("listening does not panic");
                }
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end; it said:\n{}", self.log());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- standard error of the server ---\n{}", self.log());
        }
    }
}

pub struct Server {
    setup: Setup,
    process: Process,
    dir: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    pub fn addr(&self) -> SocketAddr {
        self.process.addresses.borrow()[0]
    }

    /// Every address that it has said it listens on, once there are `count` of them.
    pub async fn addresses(&mut self, count: usize) -> Vec<SocketAddr> {
        let found = timeout(PATIENCE, self.process.addresses.wait_for(|found| found.len() >= count)).await;
        found.expect("it says where it listens").expect("it runs").clone()
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line for its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    pub async fn exit(&mut self) -> ExitStatus {
        self.process.exit().await
    }

    /// Ends it with the signal and starts it again on the same data.
    pub async fn restart(&mut self, signal: &str) {
        self.process.signal(signal);
        self.process.exit().await;
        self.again().await;
    }

    /// Starts it again on the same data after it has ended.
    pub async fn again(&mut self) {
        self.process = Process::ready(&self.setup, self.dir.path()).await;
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.addr()).await
    }

    /// A connection on which the user is logged in.
    pub async fn user(&self, user: &str) -> Client {
        let mut client = self.connect().await;
        client.login(user).await.ok();
        client
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let (before, after) = line.split_once("http://")?;
    if !before.to_lowercase().contains("listening") {
        return None;
    }
    let end = after.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).unwrap_or(after.len());
    after[..end].parse().ok()
}
