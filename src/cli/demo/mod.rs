//! `tallycast demo`: everything on one loopback address, to try it: rooms of every type, viewers who are real clients, a page.

mod hot;
mod viewers;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::log;
use super::serve::serve;
use super::temporary::Temporary;
use crate::auth::Keyring;
use crate::clock::unix_millis;
use crate::config::{AllowedOrigins, Sources};
use crate::domain::code::Code;
use crate::domain::member::{GroupType, JoinOption, NewGroup};
use crate::domain::name::{GroupId, GroupName, UserId};
use crate::group::node::Node;
use crate::group::{Ask, Command, Door, Origin};
use crate::rest::assets;
use crate::server::Server;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen: a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = loopback)]
    listen: String,
    /// The folder of the store; a temporary one unless given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many simulated viewers come, each over a socket of his own
    #[arg(long, value_name = "COUNT", default_value_t = 12, value_parser = clap::value_parser!(u16).range(0..=1000))]
    viewers: u16,
}

struct Room {
    id: &'static str,
    kind: GroupType,
    name: &'static str,
}

const ROOMS: [Room; 4] = [
    Room { id: "live-stage", kind: GroupType::AvChatRoom, name: "Live stage" },
    Room { id: "game-lounge", kind: GroupType::ChatRoom, name: "Game lounge" },
    Room { id: "vote-plaza", kind: GroupType::Public, name: "Vote plaza" },
    Room { id: "backstage", kind: GroupType::Private, name: "Backstage" },
];
const HOST: &str = "host";
const SIG_SECONDS: u64 = 86_400;

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let temporary = match &args.data {
        Some(_) => None,
        None => Some(Temporary::make("demo", None)?),
    };
    let data = args.data.clone().or_else(|| temporary.as_ref().map(|t| t.path().to_owned())).unwrap_or_default();
    let secret: String = (0..64).map(|_| char::from_digit(fastrand::u32(..16), 16).unwrap_or('0')).collect();
    let (listen, data) = (args.listen.clone(), data.display().to_string());
    // Whatever the demo does not settle by itself can be set.
    let sources = Sources::new().environment(std::env::vars_os()).flag("demo", "app.secret_keys", Some(&secret));
    let sources = sources.flag("--listen", "listen", Some(&listen)).flag("--data", "store.path", Some(&data));
    let sources = sources.flag("demo", "app.sdk_app_id", Some("1400000000"));
    let config = sources.read()?;
    let level = log::start(&config.log)?;
    let keyring = Arc::new(config.app.keyring.clone());
    let hot = hot::Hot::new(keyring.clone(), hot::LASTS);
    let signer = Arc::new(Signer { keyring: keyring.clone(), origins: config.security.allowed_origins.clone() });
    let site = assets::page().route("/demo/session", get(session).with_state(signer)).merge(hot::route(hot.clone()));
    let begun = |server: &Server| {
        let rooms = make_rooms(server.node.clone());
        let (address, count) = (server.address, args.viewers);
        tokio::spawn(async move {
            if let Err(e) = rooms.await {
                tracing::error!("the demo's rooms could not be made: {e:#}");
            }
            viewers::come(address, &keyring, count);
        });
        hot.open(address);
        tracing::info!("open http://{} in a browser, in two tabs; Ctrl-C ends the demo", server.address);
        Ok(())
    };
    serve(&config, site, begun, || Ok(sources.read()?), &level)
}

/// What signs for the demo's users.
struct Signer {
    keyring: Arc<Keyring>,
    /// Pages that may open a socket may read a UserSig, too.
    origins: AllowedOrigins,
}

/// Who asks gets a UserSig: that is why the demo is for this machine alone.
async fn session(State(signer): State<Arc<Signer>>, request: HeaderMap, Query(query): Query<Vec<(String, String)>>) -> impl IntoResponse {
    let keyring = &signer.keyring;
    let asked = query.iter().find(|(name, _)| name == "userID").map(|(_, id)| id.as_str()).unwrap_or_default();
    let (status, answer) = match UserId::parse(asked) {
        Err(e) => (StatusCode::BAD_REQUEST, json!({"code": Code::InvalidParameter.number(), "message": e.to_string()})),
        Ok(user) => {
            let groups: Vec<_> = ROOMS.iter().map(|r| json!({"groupID": r.id, "type": r.kind.name(), "name": r.name})).collect();
            let sig = keyring.sign(&user, unix_millis() / 1000, SIG_SECONDS);
            (StatusCode::OK, json!({"sdkAppID": keyring.app_id(), "userID": user.as_str(), "userSig": sig, "groups": groups}))
        }
    };
    let allowed = request.get(header::ORIGIN).filter(|origin| signer.allows(origin.as_bytes()));
    let allowed = allowed.map(|origin| [(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())]);
    (status, [(header::CACHE_CONTROL, "no-store"), (header::VARY, "Origin")], allowed, Json(answer))
}

impl Signer {
    /// Same-host pages need no leave.
    fn allows(&self, origin: &[u8]) -> bool {
        match &self.origins {
            AllowedOrigins::SameHost => false,
            AllowedOrigins::Any => true,
            AllowedOrigins::List(list) => list.iter().any(|allowed| allowed.as_bytes() == origin),
        }
    }
}

/// Makes the rooms that are not there yet.
async fn make_rooms(node: Arc<Node>) -> anyhow::Result<()> {
    let host = node.users.visit(&UserId::parse(HOST)?);
    for room in ROOMS {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (kind, name) = (room.kind, GroupName::parse(room.name)?);
        let join_option = JoinOption::of(kind, Some(JoinOption::FreeAccess));
        let owner = Some(host.id.clone());
        let new = NewGroup { kind, name, join_option, owner, members: Vec::new(), details: Default::default() };
        let door = Door::Call(None, Box::new(move |answer| drop(tell.send(answer))));
        node.tell(Command {
            group: GroupId::parse(room.id)?,
            ask: Ask::Create(Box::new(new)),
            user: host.clone(),
            door,
            origin: Origin::Backend,
        });
        match told.await.context("no answer")? {
            Err(refusal) if !matches!(refusal.code, Code::GroupIdTaken | Code::GroupIdTakenByOwn) => anyhow::bail!("{}", refusal.message),
            _ => {}
        }
    }
    Ok(())
}

/// The demo hands out UserSigs to whoever asks, so nobody but this machine may reach it.
fn loopback(text: &str) -> Result<String, String> {
    let addresses: Vec<SocketAddr> = match text.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(_) => return Err("not an address and a port such as 127.0.0.1:8080 or localhost:8080".into()),
    };
    match addresses.iter().all(|address| address.ip().is_loopback()) {
        true => Ok(text.to_owned()),
        false => Err("the demo listens on loopback addresses only, such as 127.0.0.1:8080".into()),
    }
}
