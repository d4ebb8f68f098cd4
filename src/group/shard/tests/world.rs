//! A node of several shards in one thread, their turns taken by hand: what lies in which inbox is the test's choice.

use std::os::fd::AsRawFd;
use std::sync::mpsc;

use nix::sys::socket::{MsgFlags, recv};
use serde_json::Value;
use tokio::net::TcpStream;

use super::{limits, *};
use crate::domain::command::{Mode, Write};
use crate::domain::member::{Details, GroupType, JoinOption, Member, NewGroup, Role};
use crate::domain::name::{CounterKey, GroupName};
use crate::group::outbox::tests::open_pipe;
use crate::protocol::answer::Data;
use crate::users::User;

pub(super) struct World {
    pub(super) node: Arc<Node>,
    pub(super) shards: Vec<Rc<Shard>>,
    _folder: tempfile::TempDir,
}

/// A connection with a peer that reads.
pub(super) struct Pipe {
    pub(super) id: ConnId,
    pub(super) peer: TcpStream,
    unread: Vec<u8>,
}

impl World {
    pub(super) fn new(shards: usize, change: impl FnOnce(&mut Limits)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(folder.path()), Box::new(|_| {})).unwrap();
        let mut limits = limits();
        change(&mut limits);
        let node = Arc::new(Node::new(store, Users::new(vec![], 0), limits, shards));
        let shards = (0..shards).map(|index| Shard::new(index as u16, node.clone())).collect();
        Self { node, shards, _folder: folder }
    }

    pub(super) fn user(&self, name: &str) -> Arc<User> {
        self.node.users.visit(&UserId::parse(name).unwrap())
    }

    /// An id that is at home on this shard.
    pub(super) fn group_at(&self, home: usize, name: &str) -> GroupId {
        (0..).map(|n| GroupId::parse(&format!("{name}-{n}")).unwrap()).find(|id| self.node.home_of(id) == home).unwrap()
    }

    /// A connection of this user on this shard.
    pub(super) async fn connect(&self, shard: usize, user: &str) -> Pipe {
        let mut outboxes = self.shards[shard].outboxes.take();
        let (id, _, peer) = open_pipe(&mut outboxes, shard as u16).await;
        self.shards[shard].outboxes.replace(outboxes);
        self.node.users.enter(&UserId::parse(user).unwrap(), id);
        Pipe { id, peer, unread: Vec::new() }
    }

    /// Takes turns of one shard until it has nothing left to do by itself.
    pub(super) async fn settle(&self, shard: usize) {
        let (shard, mut mail) = (&self.shards[shard], Mail::default());
        loop {
            match shard.turn(&mut mail) {
                Some(_) => {}
                None if shard.is_calm() => return,
                None => shard.inbox().rung().await,
            }
        }
    }

    /// What the group answers a back end; only its home takes turns.
    pub(super) async fn ask(&self, group: &GroupId, user: &str, ask: Ask) -> Result<Data, Refusal> {
        let (tell, told) = mpsc::channel();
        let door = Door::Call(None, Box::new(move |answer| tell.send(answer).unwrap()));
        self.node.tell(Command { group: group.clone(), ask, user: self.user(user), door, origin: Origin::Backend });
        self.settle(self.node.home_of(group)).await;
        told.try_recv().unwrap()
    }

    pub(super) async fn create(&self, group: &GroupId, kind: GroupType, owner: &str, members: &[&str]) {
        let member = |name: &&str| (UserId::parse(name).unwrap(), Member::new(Role::Member, 0));
        let new = NewGroup {
            kind,
            name: GroupName::parse("a room").unwrap(),
            join_option: JoinOption::FreeAccess,
            owner: Some(UserId::parse(owner).unwrap()),
            members: members.iter().map(member).collect(),
            details: Details::default(),
        };
        self.ask(group, owner, Ask::Create(Box::new(new))).await.unwrap();
    }

    pub(super) async fn write(&self, group: &GroupId, user: &str, value: i64) {
        let write = Write::one(Mode::Set, CounterKey::parse("like").unwrap(), value);
        self.ask(group, user, Ask::Write(write, None)).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.node.store.clone().close().unwrap();
    }
}

impl Pipe {
    /// All frames that have arrived.
    pub(super) fn frames(&mut self) -> Vec<Value> {
        let mut chunk = [0; 65536];
        // Not by the runtime, which would first have to hear that there is something.
        while let Ok(n @ 1..) = recv(self.peer.as_raw_fd(), &mut chunk, MsgFlags::MSG_DONTWAIT) {
            self.unread.extend_from_slice(&chunk[..n]);
        }
        let mut frames = Vec::new();
        loop {
            let (head, length) = match *self.unread {
                [0x81, n @ ..126, ..] => (2, n as usize),
                [0x81, 126, a, b, ..] => (4, u16::from_be_bytes([a, b]) as usize),
                _ => return frames,
            };
            if self.unread.len() < head + length {
                return frames;
            }
            frames.push(serde_json::from_slice(&self.unread[head..head + length]).unwrap());
            self.unread.drain(..head + length);
        }
    }

    /// The same, each as the few words that tests look at.
    pub(super) fn heard(&mut self) -> Vec<String> {
        let words = |frame: Value| {
            let data = &frame["data"];
            match frame["event"].as_str() {
                Some("GROUP_COUNTER_UPDATED") => format!("{} at {}", data["value"], data["version"]),
                Some("GROUP_MEMBERSHIP_CHANGED") => data["status"].as_str().unwrap().to_owned(),
                Some(event) => event.to_owned(),
                None => frame["code"].to_string(),
            }
        };
        self.frames().into_iter().map(words).collect()
    }
}
