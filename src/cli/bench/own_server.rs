//! A server for one run: this very program as a child process on a free port, with throttle and limits off, on data of its own.
//! It is ended by its process id, and its folder goes with it, however the run ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::super::temporary::Temporary;
use super::machine::Process;

/// Time for the program to say where it listens.
const START_MAX: Duration = Duration::from_secs(60);
/// The app of a server of our own.
pub(super) const SDK_APP_ID: u64 = 1_400_000_000;

const CONFIG: &str = "tallycast.toml";

/// Everything that limits a caller, off. Pings stay: real servers send them.
const UNLIMITED: &str = "\
counter_window = 0
connections_per_user_max = 0
connections_per_address_max = 0
frames_per_second_max = 0
bad_logins_per_minute_max = 0
groups_owned_max = 0
";

/// What can be chosen of it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "A server of its own (when no address is given)")]
pub(super) struct OwnSettings {
    /// store.durability of the server: sync or interval
    #[arg(long, value_name = "MODE", default_value = "sync", value_parser = ["sync", "interval"])]
    pub durability: String,
    /// How many threads serve; 0 is one for each core
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub shards: u16,
    /// An existing folder in which its data lie while it runs; the system's temporary folder unless given
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The child and its folder.
pub(super) struct OwnServer {
    child: Child,
    folder: Temporary,
    pub address: SocketAddr,
}

impl OwnServer {
    /// Starts it and waits until it listens.
    pub(super) fn start(choices: &OwnSettings, secret: &str) -> anyhow::Result<Self> {
        let folder = Temporary::make("bench", choices.data.as_deref())?;
        let data = toml::Value::from(folder.path().join("data").display().to_string());
        let OwnSettings { durability, shards, .. } = choices;
        let config = format!(
            "shards = {shards}\n[log]\nformat = \"json\"\n[app]\nsdk_app_id = {SDK_APP_ID}\nsecret_keys = [\"{secret}\"]\n\
             [store]\npath = {data}\ndurability = \"{durability}\"\n[limits]\n{UNLIMITED}"
        );
        std::fs::write(folder.path().join(CONFIG), config).context("the configuration of the server cannot be written")?;
        let (child, address) = spawn(folder.path(), "127.0.0.1:0")?;
        Ok(Self { child, folder, address })
    }

    /// Its process.
    pub(super) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Kills it in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same data and address. Returns when it listens.
    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        (self.child, self.address) = spawn(self.folder.path(), &self.address.to_string())?;
        Ok(())
    }

    /// Whether it still runs; if not, with what it ended.
    pub(super) fn has_ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path, listen: &str) -> anyhow::Result<(Child, SocketAddr)> {
    let program = std::env::current_exe().context("this program does not know where it lies")?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TALLYCAST_")) {
        command.env_remove(name);
    }
    command.args(["serve", "--listen", listen, "--config"]).arg(folder.join(CONFIG));
    // A group of its own: Ctrl-C on the terminal is for the tool, which ends its server when it has looked at it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context("a server cannot be started")?;
    let stderr = child.stderr.take().context("standard error is piped")?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            match listening(&line) {
                Some(address) => drop(tell.send(address)),
                None if line.contains("\"ERROR\"") || !line.starts_with('{') => eprintln!("the server says: {line}"),
                None => {}
            }
        }
    });
    match told.recv_timeout(START_MAX) {
        Ok(address) => Ok((child, address)),
        Err(_) => {
            let _ = child.kill();
            let status = child.wait().context("the server cannot be waited for")?;
            bail!("the server does not say where it listens, and ended with {status}: its own words are above");
        }
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once("listening on http://")?;
    let end = after.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).unwrap_or(after.len());
    after[..end].parse().ok()
}
