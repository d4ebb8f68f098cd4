//! Where the load goes, and who sends it: the address as it is typed, and users with their UserSigs. No secret and no sig is
//! ever shown.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use zeroize::Zeroizing;

use crate::auth::{Keyring, Secret};
use crate::config::Sources;
use crate::domain::name::UserId;

/// Sigs made here are good for a day.
const SIG_SECONDS: u64 = 86_400;

/// A Tallycast server to be tested, and how to log in there.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The server")]
pub(super) struct GivenServer {
    /// HOST:PORT or ws://HOST:PORT/ws. Without it, the test starts a server of its own, without throttle and limits
    #[arg(value_name = "ADDRESS", help_heading = "Arguments", requires = "login", value_parser = Address::parse)]
    pub address: Option<Address>,
    /// Sign for made-up users with this secret. @FILE reads it from a file and env:NAME from a variable, so that no list of
    /// processes shows it
    #[arg(long, value_name = "KEY", group = "login", requires = "sdk_app_id")]
    pub secret: Option<String>,
    /// The app that the secret belongs to
    #[arg(long, value_name = "ID")]
    pub sdk_app_id: Option<u64>,
    /// Take secret and app from the server's own configuration (and from its variables TALLYCAST_…)
    #[arg(long, value_name = "FILE", group = "login")]
    pub config: Option<PathBuf>,
    /// Users to log in as, one a line: userID, a tab, userSig
    #[arg(long, value_name = "FILE", group = "login")]
    pub sigs: Option<PathBuf>,
    /// The server's process, to show its CPU and memory; found by itself where it listens on this machine
    #[arg(long, value_name = "PID", requires = "address")]
    pub server_pid: Option<u32>,
}

/// An address as it was typed, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    path: String,
}

impl Address {
    /// Reads `HOST:PORT`, `ws://HOST:PORT` or `ws://HOST:PORT/PATH`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "an address looks like HOST:PORT or ws://HOST:PORT/ws";
        let rest = match text.split_once("://") {
            None => text,
            Some(("ws", rest)) => rest,
            Some(("wss" | "https", _)) => {
                return Err("the test speaks no TLS; a proxy does that for Tallycast: name the address behind it, ws://HOST:PORT/ws".into());
            }
            Some(_) => return Err(FORMS.into()),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !plain(host) || !plain(path) {
            return Err(FORMS.into());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
        let host = if has_port { host.to_owned() } else { format!("{host}:80") };
        Ok(Self { host, path: if path.is_empty() { "/ws".to_owned() } else { format!("/{path}") } })
    }
}

/// A server that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub address: SocketAddr,
    /// With its port.
    pub host: String,
    pub path: String,
}

impl Target {
    /// Looks the host up.
    pub(super) fn find(address: &Address) -> anyhow::Result<Self> {
        let Address { host, path } = address.clone();
        let mut found = host.to_socket_addrs().with_context(|| format!("{host}: the host cannot be found"))?;
        Ok(Self { address: found.next().with_context(|| format!("{host}: the host has no address"))?, host, path })
    }

    /// A server on this machine.
    pub(super) fn local(address: SocketAddr) -> Self {
        Self { address, host: address.to_string(), path: "/ws".to_owned() }
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> String {
        format!("ws://{}{}", self.host, self.path)
    }
}

/// A user and his UserSig.
#[derive(Clone)]
pub(super) struct User {
    pub id: Arc<str>,
    pub sig: Arc<str>,
}

/// Where users come from.
pub(super) enum Users {
    /// Made up, and signed for.
    Signed(Keyring),
    /// Given.
    Listed(Vec<User>),
}

impl Users {
    /// By what was chosen. Fails with a message that says what to change, and shows nothing secret.
    pub(super) fn new(choices: &GivenServer) -> anyhow::Result<Self> {
        if let Some(path) = &choices.sigs {
            return Ok(Self::Listed(read_sigs(path)?));
        }
        if let Some(path) = &choices.config {
            return Ok(Self::Signed(Sources::new().file(path).environment(std::env::vars_os()).read()?.app.keyring));
        }
        let given = choices.secret.as_deref().unwrap_or_default();
        let secret = Zeroizing::new(match (given.strip_prefix('@'), given.strip_prefix("env:")) {
            (Some(path), _) => std::fs::read_to_string(path).with_context(|| format!("--secret: {path} cannot be read"))?,
            (_, Some(name)) => std::env::var(name).with_context(|| format!("--secret: the variable {name} cannot be read"))?,
            _ => given.to_owned(),
        });
        Self::with_secret(choices.sdk_app_id.unwrap_or_default(), secret.trim_end_matches(['\n', '\r']))
    }

    /// Made-up users of this app.
    pub(super) fn with_secret(sdk_app_id: u64, secret: &str) -> anyhow::Result<Self> {
        Ok(Self::Signed(Keyring::new(sdk_app_id, vec![Secret::new(secret).context("--secret")?])?))
    }

    /// So many users, made up with this in their names; of a list its `part`th share (from 1) of `parts`, and as many as it has.
    pub(super) fn take(&self, count: usize, run: &str, part: usize, parts: usize) -> anyhow::Result<Vec<User>> {
        match self {
            Self::Signed(keyring) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
                let user = |at| {
                    let id = UserId::parse(&format!("{run}-{at}"))?;
                    Ok(User { id: id.as_str().into(), sig: keyring.sign(&id, now, SIG_SECONDS).into() })
                };
                (0..count).map(user).collect()
            }
            Self::Listed(users) => {
                let share: Vec<User> = users.iter().skip(part - 1).step_by(parts).take(count).cloned().collect();
                ensure!(!share.is_empty(), "--sigs: the file has {} users, too few for {parts} parts", users.len());
                Ok(share)
            }
        }
    }
}

fn read_sigs(path: &Path) -> anyhow::Result<Vec<User>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--sigs: {} cannot be read", path.display()))?;
    let mut users = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = line.split_once('\t').and_then(|(user, sig)| Some((UserId::parse(user).ok()?, sig.trim_end())));
        let Some((id, sig)) = read.filter(|(_, sig)| !sig.is_empty()) else {
            bail!("--sigs: line {} of {} is not a userID, a tab and a userSig", at + 1, path.display());
        };
        users.push(User { id: id.as_str().into(), sig: sig.into() });
    }
    ensure!(!users.is_empty(), "--sigs: {} names no user", path.display());
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        let read = |text: &str| Address::parse(text).map(|address| (address.host, address.path));
        let fine = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        for text in ["127.0.0.1:8080", "ws://127.0.0.1:8080", "ws://127.0.0.1:8080/", "ws://127.0.0.1:8080/ws"] {
            assert_eq!(read(text), fine("127.0.0.1:8080", "/ws"), "{text}");
        }
        assert_eq!(read("ws://h:1/a/b?c"), fine("h:1", "/a/b?c"));
        assert_eq!(read("ws://h"), fine("h:80", "/ws"));
        let found = Target::find(&Address::parse("[::1]:9").unwrap()).unwrap();
        assert_eq!((found.address, found.shown()), ("[::1]:9".parse().unwrap(), "ws://[::1]:9/ws".to_owned()));
        for (text, word) in
            [("wss://h/ws", "TLS"), ("http://h", "HOST:PORT"), ("", "HOST:PORT"), ("a b:1", "HOST:PORT"), ("h:1/\r\nb", "HOST:PORT")]
        {
            assert!(read(text).unwrap_err().contains(word), "{text}");
        }
    }

    #[test]
    fn a_list_of_sigs_is_shared_out_among_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sigs");
        std::fs::write(&path, "a\tsig-a\nb c\tsig-b\n\nd\tsig-d\r\n").unwrap();
        let users = Users::Listed(read_sigs(&path).unwrap());
        let names = |part| users.take(9, "", part, 2).unwrap().iter().map(|user| format!("{}={}", user.id, user.sig)).collect::<Vec<_>>();
        assert_eq!((names(1), names(2)), (vec!["a=sig-a".into(), "d=sig-d".into()], vec!["b c=sig-b".to_owned()]));
        std::fs::write(&path, "a\tsig\nno-tab secret-sig\n").unwrap();
        let fault = read_sigs(&path).err().unwrap().to_string();
        assert!(fault.contains("line 2") && !fault.contains("secret-sig"), "{fault}");
    }
}
