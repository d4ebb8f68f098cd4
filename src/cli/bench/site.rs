//! Where the test takes place: the server, its process if that can be seen, the users and the rooms. What was made for the test
//! is taken away after it.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::caller::Caller;
use super::machine::Process;
use super::own_server::{self, OwnServer};
use super::target::{self, Target, User, Users};

/// Groups that one user may own, by the server's default; with one to spare for his own.
const ROOMS_OF_OWNER_MAX: usize = 99;

/// The server and what was made on it.
pub(super) struct Site {
    pub target: Target,
    pub own: Option<OwnServer>,
    /// As far as it runs on this machine.
    pub process: Option<Process>,
    pub users: Vec<User>,
    /// The rooms that did not exist before, by the user who owns them.
    made: Vec<(User, Vec<Arc<str>>)>,
}

impl Site {
    /// Finds the server, or starts one, and so many users for it.
    pub(super) fn find(
        server: &target::GivenServer,
        own: &own_server::OwnSettings,
        users: impl FnOnce(&Users) -> anyhow::Result<Vec<User>>,
    ) -> anyhow::Result<Self> {
        let (target, own, process, known) = match &server.address {
            Some(address) => {
                let target = Target::find(address)?;
                let process = server.server_pid.map(Process).or_else(|| Process::listening_on(target.address));
                if process.is_some_and(|process| process.rss_bytes().is_none()) {
                    bail!("--server-pid: there is no such process on this machine, or it may not be looked at");
                }
                (target, None, process, Users::new(server)?)
            }
            None => {
                let secret: String = (0..64).map(|_| char::from_digit(fastrand::u32(..16), 16).unwrap_or('0')).collect();
                let own = OwnServer::start(own, &secret)?;
                let (target, process) = (Target::local(own.address), own.process());
                (target, Some(own), Some(process), Users::with_secret(own_server::SDK_APP_ID, &secret)?)
            }
        };
        Ok(Self { target, own, process, users: users(&known)?, made: Vec::new() })
    }

    /// Makes the rooms that do not exist yet.
    pub(super) fn make_rooms(&mut self, rooms: &[Arc<str>]) -> anyhow::Result<()> {
        for (at, rooms) in rooms.chunks(ROOMS_OF_OWNER_MAX).enumerate() {
            let owner = &self.users[at % self.users.len()];
            let create = |room: &Arc<str>| json!({"cmd": "createGroup", "type": "AVChatRoom", "name": "a load test", "groupID": &**room});
            let mut caller = Caller::open(&self.target, owner)?;
            let answers = caller.ask_all(rooms.iter().map(create).collect())?;
            let mut made = Vec::new();
            for (room, answer) in rooms.iter().zip(answers) {
                match answer["code"].as_u64() {
                    Some(0) => made.push(room.clone()),
                    // It is there already: it will be seen whether its members may join.
                    Some(10021 | 10025) => {}
                    code => bail!(
                        "the room {room} cannot be made: {} ({})",
                        answer["message"].as_str().unwrap_or("no reason is given"),
                        code.unwrap_or_default()
                    ),
                }
            }
            self.made.push((owner.clone(), made));
        }
        Ok(())
    }

    /// Dissolves the rooms that were made. A server of our own goes as a whole.
    pub(super) fn leave(self) -> anyhow::Result<()> {
        if self.own.is_some() {
            return Ok(());
        }
        for (owner, rooms) in self.made.iter().filter(|(_, rooms)| !rooms.is_empty()) {
            let dismiss = rooms.iter().map(|room| json!({"cmd": "dismissGroup", "groupID": &**room})).collect();
            let asked = Caller::open(&self.target, owner).and_then(|mut caller| caller.ask_all(dismiss));
            asked.with_context(|| format!("the rooms of the test ({} …) could not be dissolved", rooms[0]))?;
        }
        Ok(())
    }
}
