//! One REST call from its address to its answer, HTTP 200 always but for failures of HTTP itself; the checks in the
//! contract's order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::body::{Bytes, HttpBody};
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use super::answer::{Answer, respond};
use super::audit::{Audit, Change};
use super::body::Body;
use super::caller::{GoodSigs, identify};
use super::intake::{Intake, Missing};
use super::{accounts, counters, groups, intake, members};
use crate::auth::Keys;
use crate::clock::unix_millis;
use crate::domain::code::{Code, Refusal};
use crate::domain::name::{GroupId, OpId, UserId};
use crate::domain::throttle::{Throttle, Window};
use crate::group::node::Node;
use crate::group::{Ask, Command, Door, Origin, Sought};
use crate::protocol::answer::{Data, Inspected};
use crate::seldom;
use crate::users::User;

macro_rules! apis {
    ($($name:ident = $service:literal / $command:literal),* $(,)?) => {
        /// The calls.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Api { $(#[doc = $command] $name),* }
        impl Api {
            /// All calls.
            pub const ALL: &'static [Api] = &[$(Api::$name),*];
            fn parse(service: &str, command: &str) -> Option<Self> {
                match (service, command) { $(($service, $command) => Some(Self::$name),)* _ => None }
            }
            /// The command's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $command),* }
            }
        }
    };
}

apis! {
    UpdateGroupCounter = "group_open_http_svc" / "update_group_counter",
    GetGroupCounter = "group_open_http_svc" / "get_group_counter",
    DeleteGroupCounter = "group_open_http_svc" / "delete_group_counter",
    CreateGroup = "group_open_http_svc" / "create_group",
    DestroyGroup = "group_open_http_svc" / "destroy_group",
    AddGroupMember = "group_open_http_svc" / "add_group_member",
    DeleteGroupMember = "group_open_http_svc" / "delete_group_member",
    GetGroupInfo = "group_open_http_svc" / "get_group_info",
    GetGroupMemberInfo = "group_open_http_svc" / "get_group_member_info",
    GetRoleInGroup = "group_open_http_svc" / "get_role_in_group",
    GetJoinedGroupList = "group_open_http_svc" / "get_joined_group_list",
    GetAppidGroupList = "group_open_http_svc" / "get_appid_group_list",
    GetOnlineMemberNum = "group_open_http_svc" / "get_online_member_num",
    AccountImport = "im_open_login_svc" / "account_import",
    AccountCheck = "im_open_login_svc" / "account_check",
    Kick = "im_open_login_svc" / "kick",
}

/// What all calls share.
pub struct Rest {
    /// The gateway.
    pub node: Arc<Node>,
    /// Secrets in force.
    pub keys: Arc<Keys>,
    /// Where changes by admins are written down.
    pub audit: Audit,
    /// Pages of the list of all groups that were told where to go on.
    pub cursors: groups::Cursors,
    good_sigs: GoodSigs,
    intake: Intake,
    calls_max: Window,
    throttles: Vec<Mutex<Throttle>>,
}

impl Rest {
    /// `calls_max`: calls of each API in a second, 0 = no limit.
    pub fn new(node: Arc<Node>, keys: Arc<Keys>, audit: Audit, calls_max: u32) -> Self {
        let throttles = Api::ALL.iter().map(|_| Mutex::default()).collect();
        let calls_max = Window { calls_max, millis: 1000 };
        Self { node, keys, audit, cursors: Default::default(), good_sigs: Default::default(), intake: Intake::new(), calls_max, throttles }
    }
}

/// One call that has passed all checks but those of its own.
pub struct Call<'a> {
    /// What is shared.
    pub rest: &'a Arc<Rest>,
    /// Which call.
    pub api: Api,
    /// The admin who calls.
    pub admin: Arc<User>,
    /// From where.
    pub peer: SocketAddr,
    /// The operation's name, where a write has one.
    pub operation: Option<OpId>,
    /// What is asked.
    pub body: Body<'a>,
}

impl Call<'_> {
    /// Tells a group something in the admin's name, and waits for the answer.
    pub async fn tell(&self, group: GroupId, ask: Ask) -> Result<Data, Refusal> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let door = Door::Call(None, Box::new(move |answer| drop(tell.send(answer))));
        self.rest.node.tell(Command { group, ask, user: self.admin.clone(), door, origin: Origin::Backend });
        told.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// What a group is, with the members sought. Errors: 10010.
    pub async fn inspect(&self, group: GroupId, sought: Sought) -> Result<Box<Inspected>, Refusal> {
        match self.tell(group, Ask::Inspect(sought)).await? {
            Data::Inspected(inspected) => Ok(inspected),
            _ => Err(stopping()),
        }
    }

    /// Whether a user was ever seen. Who is here, or was a moment ago, was seen, though that may be on its way to the disk still.
    pub async fn knows(&self, user: &UserId) -> Result<bool, Refusal> {
        let here = self.rest.node.users.find(user).is_some();
        let asked = user.clone();
        Ok(here || self.ask_store(|store, done| store.has_account(asked, done)).await?)
    }

    /// Asks the store something.
    pub async fn ask_store<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&crate::store::Store, crate::store::Done<T, crate::store::LoadError>),
    ) -> Result<T, Refusal> {
        let (tell, told) = tokio::sync::oneshot::channel();
        ask(&self.rest.node.store, Box::new(move |found| drop(tell.send(found))));
        told.await.ok().and_then(Result::ok).ok_or_else(stopping)
    }

    /// Writes a change down.
    pub fn audit(&self, group: Option<&GroupId>, before: impl Serialize, after: impl Serialize) {
        let (admin, command) = (self.admin.id.as_str(), self.api.name());
        let group = group.map(GroupId::as_str);
        self.rest.audit.write(&Change { time: unix_millis(), admin, from: self.peer, command, group, before, after });
    }
}

fn stopping() -> Refusal {
    Refusal::new(Code::Internal, "the server cannot answer at the moment: try again")
}

/// Answers a request whose path begins with `/v4`. The address is looked at first: nobody's body is kept before it is known
/// that they may call.
pub async fn serve<B>(rest: &Arc<Rest>, peer: SocketAddr, request: Request<B>) -> Response<axum::body::Body>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let (began, (parts, mut body)) = (Instant::now(), request.into_parts());
    if intake::is_too_large(&body) {
        let refused = Err(too_large());
        note(rest, peer, named(&parts).ok(), began, &refused);
        return respond(refused, false);
    }
    let (api, admin) = match named(&parts).and_then(|api| Ok((api, admit(rest, &parts, api)?))) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let refused = Err(refusal);
            note(rest, peer, named(&parts).ok(), began, &refused);
            // Who waits to be asked for the body is not asked.
            let whole = !parts.headers.contains_key(header::EXPECT) && intake::is_soon_over(&mut body).await;
            return respond(refused, whole);
        }
    };
    let bytes = match rest.intake.read(&mut body).await {
        Ok(bytes) => bytes,
        Err(Missing::TooLarge) => {
            let refused = Err(too_large());
            note(rest, peer, Some(api), began, &refused);
            return respond(refused, false);
        }
        Err(Missing::Late) => {
            let head = [(header::CONNECTION, "close")];
            return fail(rest, api, began, StatusCode::REQUEST_TIMEOUT, (head, "the body was not complete in time\n"));
        }
        Err(Missing::NoRoom) => {
            let text = "this server is reading as many bodies as it has memory for: try again\n";
            let head = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "1")];
            return fail(rest, api, began, StatusCode::SERVICE_UNAVAILABLE, (head, text));
        }
    };
    let answer = dispatch(rest, peer, &parts, (api, admin), &bytes).await;
    note(rest, peer, Some(api), began, &answer);
    respond(answer, true)
}

/// Counts and logs what became of a call. That somebody may not call at all is of interest to an operator; their UserSig is not.
fn note(rest: &Rest, peer: SocketAddr, api: Option<Api>, began: Instant, answer: &Result<Answer, Refusal>) {
    let (took, command) = (began.elapsed(), api.map_or("none", Api::name));
    let code = answer.as_ref().map_or_else(|refusal| refusal.code, |_| Code::Ok);
    rest.node.count_call(command, code.number(), took);
    let (code, took_us) = (code.number(), took.as_micros() as u64);
    match answer {
        Err(Refusal { message, .. }) if matches!(code, 60_002..=70_099 | 80_002) => {
            seldom!(info, ("REST call refused", code), %peer, command, code, "a REST call was refused: {message}");
        }
        Err(Refusal { message, .. }) => tracing::debug!(%peer, command, code, took_us, "refused: {message}"),
        Ok(_) => tracing::debug!(%peer, command, code, took_us, "answered"),
    }
}

/// A failure of HTTP itself: it is counted by its status.
fn fail(rest: &Rest, api: Api, began: Instant, status: StatusCode, response: impl IntoResponse) -> Response<axum::body::Body> {
    rest.node.count_call(api.name(), status.as_u16().into(), began.elapsed());
    (status, response).into_response()
}

fn too_large() -> Refusal {
    Refusal::new(Code::BodyTooLarge, "the body must have at most 1 MiB")
}

/// Which call it is.
fn named(parts: &Parts) -> Result<Api, Refusal> {
    let bad_request = |text| Refusal::new(Code::BadRequest, text);
    if parts.method != Method::POST {
        return Err(bad_request("only POST is spoken here"));
    }
    let (service, command) = parts
        .uri
        .path()
        .strip_prefix("/v4/")
        .and_then(|path| path.split_once('/'))
        .ok_or_else(|| bad_request("the address must be /v4/service/command"))?;
    Api::parse(service, command).ok_or_else(|| Refusal::new(Code::NoSuchApi, "there is no such service or command"))
}

/// Whose call it is, where they may make it now. Its address and its head tell.
fn admit(rest: &Rest, parts: &Parts, api: Api) -> Result<UserId, Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    let admin = identify(query, &rest.keys.get(), &rest.good_sigs, unix_millis() / 1000)?;
    if !rest.node.users.is_admin(&admin) {
        return Err(Refusal::new(Code::NotAdmin, "only app admins may call REST: see app.admins"));
    }
    let slot = &rest.throttles[api as usize];
    let now = rest.node.micros(Instant::now());
    if slot.lock().unwrap_or_else(PoisonError::into_inner).admit(rest.calls_max, now).is_err() {
        let text = format!("more than {} calls of {} in a second: call it less often", rest.calls_max.calls_max, api.name());
        return Err(Refusal::new(Code::TooManyCalls, text));
    }
    Ok(admin)
}

async fn dispatch(rest: &Arc<Rest>, peer: SocketAddr, parts: &Parts, (api, admin): (Api, UserId), bytes: &[u8]) -> Result<Answer, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::new(Code::BadJson, "the body is empty: send {} when there is nothing to say"));
    }
    let body = Body::read(bytes)?;
    let operation = match parts.headers.get("idempotency-key") {
        None => None,
        Some(key) => {
            let key = key.to_str().ok().and_then(|key| OpId::parse(key).ok());
            let rule = "Idempotency-Key must be 1 to 64 printable ASCII characters";
            Some(key.ok_or_else(|| Refusal::new(Code::InvalidParameter, rule))?)
        }
    };
    let admin = rest.node.users.visit(&admin);
    let call = Call { rest, api, admin, peer, operation, body };
    match api {
        Api::UpdateGroupCounter => counters::update(&call).await,
        Api::GetGroupCounter => counters::get(&call).await,
        Api::DeleteGroupCounter => counters::delete(&call).await,
        Api::CreateGroup => groups::create(&call).await,
        Api::DestroyGroup => groups::destroy(&call).await,
        Api::GetGroupInfo => groups::info(&call).await,
        Api::GetAppidGroupList => groups::list(&call).await,
        Api::GetOnlineMemberNum => groups::online(&call).await,
        Api::AddGroupMember => members::add(&call).await,
        Api::DeleteGroupMember => members::remove(&call).await,
        Api::GetGroupMemberInfo => members::info(&call).await,
        Api::GetRoleInGroup => members::roles(&call).await,
        Api::GetJoinedGroupList => members::joined(&call).await,
        Api::AccountImport => accounts::import(&call).await,
        Api::AccountCheck => accounts::check(&call).await,
        Api::Kick => accounts::kick(&call).await,
    }
}
