//! Requests of a connection that have to wait for something: login, logout, and making a group. The next frame of the
//! connection is read when they are through.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::WebSocket;

use super::connection::{Connection, Leave};
use super::session::Login;
use super::wire::Wire;
use crate::clock::unix_millis;
use crate::domain::code::{Code, Refusal};
use crate::domain::member::NewGroup;
use crate::domain::name::{GroupId, UserId};
use crate::group::inbox::Letter;
use crate::group::{Ask, Command, Door, Origin};
use crate::protocol::answer::Data;
use crate::protocol::close::Close;
use crate::protocol::request::{Body, Cmd, Id};
use crate::seldom;
use crate::store::{LoadError, Relation};
use crate::users::User;

impl Connection {
    pub(super) async fn slow(self: Rc<Self>, id: Id, body: Body, asked_at: Instant, socket: &mut WebSocket<Wire>) -> Result<(), Leave> {
        match body {
            Body::Login { user, sig } => self.log_in(&id, user, &sig, asked_at).await?,
            Body::Logout => self.log_out(&id, asked_at).await?,
            Body::CreateGroup(group, new) => {
                if let Err(refusal) = self.create(&id, group, new, asked_at).await {
                    self.answer(Cmd::CreateGroup, &id, &Err(refusal), asked_at);
                }
            }
            _ => {}
        }
        self.resize(socket);
        self.door.look_at(self.id.get().slot, Instant::now());
        Ok(())
    }

    async fn log_in(&self, id: &Id, user: UserId, sig: &str, asked_at: Instant) -> Result<(), Leave> {
        let (gate, shard, now) = (&self.door.gate, &self.door.shard, Instant::now());
        if gate.addresses.is_banned(self.address, now) {
            return self.ban(id, asked_at);
        }
        let verified = match gate.keys.get().verify(&user, sig, unix_millis() / 1000) {
            Ok(verified) => verified,
            Err(e) => {
                let (address, code) = (self.address, e.code().number());
                seldom!(info, ("login refused", code), %address, user = user.as_str(), code, "a login was refused: {e}");
                if !gate.addresses.bad_login(self.address, now) {
                    return self.ban(id, asked_at);
                }
                self.answer(Cmd::Login, id, &Err(Refusal::new(e.code(), e.to_string())), asked_at);
                return Err(Leave::Close(Close::BAD_LOGIN));
            }
        };
        let known = self.session.borrow().login.clone();
        if let Some(login) = known {
            let answer = match login.user.id == user {
                false => Err(Refusal::new(Code::InvalidParameter, "another user is logged in on this connection: log out first")),
                true => {
                    let (admin, expires_at) = (login.user.admin, verified.expires_at);
                    self.session.borrow_mut().login = Some(Login { expires_at, ..login });
                    Ok(Data::Login { user, expires_at, admin, repeat: true })
                }
            };
            self.answer(Cmd::Login, id, &answer, asked_at);
            return Ok(());
        }
        // Registered first, read afterwards: a membership that is made meanwhile is seen by one of the two.
        let (entered, oldest) = shard.node.users.enter(&user, self.id.get());
        for connection in oldest {
            shard.node.post(connection, Letter::Close(connection, bytes::Bytes::new(), Close::REPLACED));
        }
        self.session.borrow_mut().login = Some(Login { user: entered.clone(), expires_at: verified.expires_at });
        let groups = match self.seats(&user).await {
            Ok(groups) => groups,
            Err(e) => {
                seldom!(error, ("groups of a user", 0), user = user.as_str(), "cannot read a user's groups: {e}");
                self.leave_user();
                self.answer(Cmd::Login, id, &Err(cannot_read()), asked_at);
                return Ok(());
            }
        };
        if !entered.known.swap(true, Ordering::Relaxed) {
            self.remember(&user);
        }
        tracing::debug!(address = %self.address, user = user.as_str(), connection = %self.id.get(), "logged in");
        let data = Data::Login { user, expires_at: verified.expires_at, admin: entered.admin, repeat: false };
        self.answer(Cmd::Login, id, &Ok(data), asked_at);
        self.attach(&entered, groups);
        Ok(())
    }

    /// Subscribes the connection to groups of its user. Those that the user made or joined themself have the places that are
    /// theirs; those to which others added them get what is left.
    fn attach(&self, user: &Arc<User>, groups: Vec<(GroupId, Relation)>) {
        for (group, relation) in groups {
            let has_place = relation.is_asked() && self.door.shard.keep_place(self.id.get(), &group);
            let door = Door::Login(self.id.get(), has_place);
            self.door.shard.tell(Command { group, ask: Ask::Attach, user: user.clone(), door, origin: Origin::Backend });
        }
    }

    /// Sees to it that the store knows the user. Nobody waits for it.
    fn remember(&self, user: &UserId) {
        let (node, seen) = (self.door.shard.node.clone(), user.clone());
        let tell = move |known| {
            if known == Ok(false) {
                node.know(std::slice::from_ref(&seen));
            }
        };
        self.door.shard.node.store.has_account(user.clone(), Box::new(tell));
    }

    fn ban(&self, id: &Id, asked_at: Instant) -> Result<(), Leave> {
        let address = self.address;
        seldom!(warn, ("banned", 0), %address, "no login is looked at: too many from this address failed within a minute");
        let refusal = Refusal::new(Code::TooManyBadLogins, "too many logins from your address failed: try again in a minute").after(60_000);
        self.answer(Cmd::Login, id, &Err(refusal), asked_at);
        Err(Leave::Close(Close::TOO_MANY_BAD_LOGINS))
    }

    async fn log_out(&self, id: &Id, asked_at: Instant) -> Result<(), Leave> {
        while self.bell.in_flight.get() > 0 && self.bell.closing.borrow().is_none() {
            poll_fn(|cx| self.bell.poll_rung(cx)).await;
        }
        self.leave_user();
        self.answer(Cmd::Logout, id, &Ok(Data::Empty), asked_at);
        Ok(())
    }

    /// Takes the connection away from its user: out of his rooms, and under a new name, so that nothing which is still on its
    /// way to him can reach whoever logs in next, or follow a close frame.
    pub(super) fn leave_user(&self) {
        let (shard, id) = (&self.door.shard, self.id.get());
        shard.leave_rooms(id);
        let login = self.session.borrow_mut().log_out(Instant::now());
        if let Some(login) = login {
            shard.node.users.leave(&login.user, id);
        }
        self.id.set(shard.outboxes.borrow_mut().rename(id));
    }

    /// Has a group made, and waits until that is answered. Error: nobody was asked for it.
    async fn create(&self, id: &Id, group: Option<GroupId>, mut new: Box<NewGroup>, asked_at: Instant) -> Result<(), Refusal> {
        let Some(login) = self.session.borrow().login.clone() else { return Err(Refusal::new(Code::NotLoggedIn, "log in first")) };
        let _one_at_a_time = login.user.creating().await;
        let max = self.door.gate.limits.groups_owned_max;
        if max > 0 {
            let (tell, told) = oneshot::channel();
            self.door.shard.node.store.owned(login.user.id.clone(), Box::new(move |owned| drop(tell.send(owned))));
            if told.await.unwrap_or(Err(LoadError::Closed)).map_err(|_| cannot_read())? >= max {
                return Err(Refusal::new(Code::TooManyGroupsOwned, format!("you own {max} groups: dissolve one first")));
            }
        }
        new.owner = Some(login.user.id.clone());
        let group = group.unwrap_or_else(|| GroupId::server_made(fastrand::u64(..)));
        let (answered, told) = oneshot::channel();
        self.bell.told();
        let door = Door::Create(self.id.get(), id.clone(), asked_at, answered);
        self.door.shard.tell(Command { group, ask: Ask::Create(new), user: login.user.clone(), door, origin: Origin::Socket });
        // What is never answered ends with the server.
        let _ = told.await;
        // The answer may lie in this shard's inbox still, and should come before those to later requests.
        self.door.shard.read_up().await;
        Ok(())
    }

    /// The groups of a user, as many as a connection has places for. Anybody may have been added to any number of groups: more
    /// than that are not even looked at.
    async fn seats(&self, user: &UserId) -> Result<Vec<(GroupId, Relation)>, LoadError> {
        let max = match self.door.gate.limits.groups_per_connection_max {
            0 => usize::MAX,
            max => max,
        };
        let (tell, told) = oneshot::channel();
        self.door.shard.node.store.seats(user.clone(), max, Box::new(move |seats| drop(tell.send(seats))));
        told.await.unwrap_or(Err(LoadError::Closed))
    }
}

fn cannot_read() -> Refusal {
    Refusal::new(Code::Internal, "the store cannot be read at the moment: try again").after(1000)
}
