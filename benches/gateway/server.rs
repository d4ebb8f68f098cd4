//! The real program: started with a configuration of its own, asked for its CPU and memory through /proc, ended by its id.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::{Args, machine};

const SECRET: &str = "a secret for measurements alone";
const APP_ID: u64 = 1_400_000_000;
/// An app admin, whom no group's membership binds.
pub const ADMIN: &str = "administrator";
/// The kernel's clock ticks of /proc, a second.
const TICKS: f64 = 100.0;

/// Everything that limits a caller, off.
const UNLIMITED: &str = r#"
counter_window = "0s"
members_per_group_max = 0
connections_per_user_max = 0
connections_per_address_max = 0
frames_per_second_max = 0
login_deadline = "0s"
stall_deadline = "0s"
groups_owned_max = 0
replay_answers_max = 0
"#;

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Time from the start of the process to the line that says so.
    pub listened_after: Duration,
}

/// What a server is started with.
pub struct Setup {
    folder: PathBuf,
    program: PathBuf,
    ping_every: &'static str,
    durability: &'static str,
}

impl Setup {
    /// The usual: durable, unlimited, no pings.
    pub fn new(args: &Args, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), program: args.program.clone(), ping_every: "0s", durability: "sync" }
    }

    /// With pings to silent clients.
    pub fn ping_every(self, ping_every: &'static str) -> Self {
        Self { ping_every, ..self }
    }

    /// With another setting of `store.durability`.
    pub fn durability(self, durability: &'static str) -> Self {
        Self { durability, ..self }
    }

    /// The folder of the store.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the program and waits until it says where it listens.
    pub fn start(&self) -> anyhow::Result<Server> {
        let (data, ping, durability) = (self.data(), self.ping_every, self.durability);
        let config = format!(
            "listen = \"127.0.0.1:0\"\n[app]\nsdk_app_id = {APP_ID}\nsecret_keys = [\"{SECRET}\"]\nadmins = [\"{ADMIN}\"]\n\
             [store]\npath = {:?}\ndurability = \"{durability}\"\n[rest]\ncalls_per_second_max = 0\n[limits]{UNLIMITED}ping_every = \"{ping}\"\n",
            data.display().to_string()
        );
        let file = self.folder.join("tallycast.toml");
        std::fs::write(&file, config)?;
        let mut command = match machine::can_pin() {
            true => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", &machine::SERVER_CORE.to_string()]).arg(&self.program);
                pinned
            }
            false => Command::new(&self.program),
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TALLYCAST_")) {
            command.env_remove(name);
        }
        command.args(["serve", "--config"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().context("the program cannot be started")?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let (found, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                match listening(&line) {
                    Some(address) => drop(found.send((address, began.elapsed()))),
                    None if line.contains("ERROR") => eprintln!("the server said: {line}"),
                    None => {}
                }
            }
        });
        let Ok((address, listened_after)) = heard.recv_timeout(Duration::from_secs(120)) else {
            let _ = child.kill();
            bail!("the server does not say where it listens");
        };
        Ok(Server { child, address, listened_after })
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once("listening on http://")?;
    let end = after.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).unwrap_or(after.len());
    after[..end].parse().ok()
}

/// A UserSig for a user of this server.
pub fn sign(user: &str) -> anyhow::Result<String> {
    use tallycast::auth::{Keyring, Secret};
    use tallycast::domain::name::UserId;
    let keyring = Keyring::new(APP_ID, vec![Secret::new(SECRET)?])?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    Ok(keyring.sign(&UserId::parse(user)?, now, 86_400))
}

impl Server {
    /// The CPU that each of its threads has used so far.
    pub fn usage(&self) -> Usage {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        Usage(tasks.filter_map(|task| Some((task.file_name().to_str()?.parse().ok()?, Thread::read(&task.path())?))).collect())
    }

    /// Resident memory in bytes.
    pub fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// A figure that it tells of itself at /metrics.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("{name} is not among the metrics"))
    }

    /// SIGKILL, and the wait for its end.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and the wait for its end; how long that took comes back.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        anyhow::ensure!(sent.success(), "the server cannot be told to end");
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the server ended with {status}");
        Ok(began.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What threads have used: by thread id.
#[derive(Clone, Default)]
pub struct Usage(BTreeMap<u32, Thread>);

#[derive(Clone, Default)]
struct Thread {
    name: String,
    nanos: u64,
    user_ticks: u64,
    system_ticks: u64,
}

impl Thread {
    fn read(task: &Path) -> Option<Self> {
        let schedstat = std::fs::read_to_string(task.join("schedstat")).ok()?;
        let stat = std::fs::read_to_string(task.join("stat")).ok()?;
        let (before, after) = (stat.find('(')?, stat.rfind(')')?);
        let fields: Vec<&str> = stat[after + 1..].split_whitespace().collect();
        Some(Self {
            name: stat[before + 1..after].to_owned(),
            nanos: schedstat.split_whitespace().next()?.parse().ok()?,
            user_ticks: fields.get(11)?.parse().ok()?,
            system_ticks: fields.get(12)?.parse().ok()?,
        })
    }
}

impl Usage {
    /// What was used since then: seconds in all, and for each name of a thread seconds with those in user and system mode.
    pub fn since(&self, before: &Usage) -> (f64, BTreeMap<String, [f64; 3]>) {
        let mut by_name: BTreeMap<String, [f64; 3]> = BTreeMap::new();
        for (id, thread) in &self.0 {
            let old = before.0.get(id).cloned().unwrap_or_default();
            let sum = by_name.entry(thread.name.clone()).or_default();
            sum[0] += (thread.nanos - old.nanos) as f64 / 1e9;
            sum[1] += (thread.user_ticks - old.user_ticks) as f64 / TICKS;
            sum[2] += (thread.system_ticks - old.system_ticks) as f64 / TICKS;
        }
        (by_name.values().map(|sum| sum[0]).sum(), by_name)
    }
}
