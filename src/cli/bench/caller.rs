//! One connection that asks and waits: to make the rooms before a test and to dissolve them after it. Never used while
//! anything is measured.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::{Value, json};

use super::client::frame::{CLOSE, Inbound, TEXT, put_frame};
use super::client::{Gone, Key};
use super::target::{Target, User};

const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that are under way at once.
const AT_ONCE: usize = 32;

/// A logged-in connection.
pub(super) struct Caller {
    stream: TcpStream,
    inbound: Inbound,
}

impl Caller {
    /// Connects and logs in.
    pub(super) fn open(target: &Target, user: &User) -> anyhow::Result<Self> {
        let mut stream =
            TcpStream::connect_timeout(&target.address, PATIENCE).with_context(|| format!("{} cannot be reached", target.shown()))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let key = Key::random();
        stream.write_all(key.request(&target.host, &target.path).as_bytes())?;
        let mut head = Vec::new();
        let rest = loop {
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).context("the server does not answer the handshake")?;
            head.extend_from_slice(&buffer[..n]);
            match key.answered(&head).map_err(|gone| anyhow!("{gone}"))? {
                Some(length) => break head.split_off(length),
                None => ensure!(n > 0, "the server closed the connection during the handshake"),
            }
        };
        let mut caller = Self { stream, inbound: Inbound::default() };
        caller.inbound.take(&rest, |_, _| {}).map_err(|_| anyhow!("the server sent what no Tallycast server sends"))?;
        let login = json!({"cmd": "login", "userID": &*user.id, "userSig": &*user.sig});
        let answer = caller.ask_all(vec![login])?.remove(0);
        if answer["code"] != 0 {
            bail!("{}", Gone::refused("login", &answer));
        }
        Ok(caller)
    }

    /// Sends all requests, each without its id, and waits for all answers; they come back in the order of the requests.
    pub(super) fn ask_all(&mut self, requests: Vec<Value>) -> anyhow::Result<Vec<Value>> {
        let mut answers = vec![Value::Null; requests.len()];
        for (first, some) in requests.chunks(AT_ONCE).enumerate().map(|(at, some)| (at * AT_ONCE, some)) {
            let mut frames = Vec::new();
            for (at, request) in some.iter().enumerate() {
                let mut request = request.clone();
                request["id"] = json!(first + at);
                put_frame(&mut frames, TEXT, request.to_string().as_bytes());
            }
            self.stream.write_all(&frames)?;
            while answers[first..first + some.len()].contains(&Value::Null) {
                self.hear(&mut answers)?;
            }
        }
        Ok(answers)
    }

    fn hear(&mut self, answers: &mut [Value]) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let n = self.stream.read(&mut buffer).context("the server does not answer in time")?;
        ensure!(n > 0, "the server ended the connection without a close frame");
        let mut closed = None;
        let taken = self.inbound.take(&buffer[..n], |first, payload| match first {
            TEXT => {
                let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
                if let Some(slot) = answer["id"].as_u64().and_then(|id| answers.get_mut(id as usize)) {
                    *slot = answer;
                }
            }
            CLOSE => closed = Some(Gone::closed(payload)),
            _ => {}
        });
        taken.map_err(|_| anyhow!("the server sent what no Tallycast server sends"))?;
        match closed {
            // A refused login is answered first, and that says more.
            Some(gone) if answers.contains(&Value::Null) => bail!("{gone}"),
            _ => Ok(()),
        }
    }
}
