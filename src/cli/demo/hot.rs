//! The hot room: up to a thousand simulated viewers who come when the page asks for them and go by themselves. Only pages of
//! the demo's own address may ask.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ROOMS;
use super::viewers::Viewer;
use crate::auth::Keyring;
use crate::domain::code::Code;
use crate::domain::member::GroupType;
use crate::domain::name::GroupId;

const VIEWERS_MAX: u16 = 1000;
/// After so long the viewers go by themselves.
pub(super) const LASTS: Duration = Duration::from_secs(300);
const BODY_BYTES_MAX: usize = 1024;
/// Milliseconds between two taps of one viewer: eager, and still within the throttle of 20 in five seconds.
const EAGER: std::ops::Range<u64> = 300..1500;
/// Milliseconds between one viewer's coming and the next one's.
const APART: u64 = 2;

/// The viewers who are there because somebody asked for them: in one room at a time.
pub(super) struct Hot {
    keyring: Arc<Keyring>,
    lasts: Duration,
    /// Where they connect to, and the runtime that they live on: not a shard's, which has enough to do with serving them.
    place: OnceLock<(SocketAddr, Handle)>,
    crowd: Mutex<Crowd>,
}

#[derive(Default)]
struct Crowd {
    room: String,
    until: Option<Instant>,
    viewers: JoinSet<()>,
}

#[derive(Deserialize)]
struct Wish {
    #[serde(rename = "groupID")]
    room: String,
    viewers: u16,
}

impl Hot {
    pub(super) fn new(keyring: Arc<Keyring>, lasts: Duration) -> Arc<Self> {
        Arc::new(Self { keyring, lasts, place: OnceLock::new(), crowd: Mutex::default() })
    }

    /// From now on viewers can come, on the runtime this is called in.
    pub(super) fn open(&self, address: SocketAddr) {
        // Called once, when the demo begins to listen.
        let _ = self.place.set((address, Handle::current()));
    }

    /// Sends away who is there and lets so many come.
    fn fill(&self, wish: Wish) -> Result<(), &'static str> {
        let room = GroupId::parse(&wish.room).map_err(|_| "groupID is no name of a room")?;
        if wish.viewers > VIEWERS_MAX {
            return Err("viewers may be 0 to 1000");
        }
        if ROOMS.iter().any(|known| known.id == room.as_str() && known.kind == GroupType::Private) {
            return Err("this room is private: no viewer can join by himself");
        }
        let (address, runtime) = self.place.get().ok_or("the demo has not begun yet: try again")?;
        let until = Instant::now() + self.lasts;
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        *crowd = Crowd { room: room.as_str().to_owned(), until: Some(until), viewers: JoinSet::new() };
        for number in 0..wish.viewers {
            let (room, name) = (crowd.room.clone(), format!("hot-{number}"));
            let viewer = Viewer { address: *address, keyring: self.keyring.clone(), name, room, pause: EAGER };
            let life = async move {
                tokio::time::sleep(Duration::from_millis(u64::from(number) * APART)).await;
                viewer.remain().await;
            };
            crowd.viewers.spawn_on(async move { drop(tokio::time::timeout_at(until, life).await) }, runtime);
        }
        Ok(())
    }

    /// Who is there now, in the words of an answer.
    fn told(&self) -> Value {
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        while crowd.viewers.try_join_next().is_some() {}
        let viewers = crowd.viewers.len();
        let left = crowd.until.filter(|_| viewers > 0).map_or(0, |until| until.saturating_duration_since(Instant::now()).as_secs());
        json!({"groupID": crowd.room, "viewers": viewers, "secondsLeft": left})
    }
}

/// `/demo/hot`: GET says who is there, POST `{"groupID", "viewers"}` changes it.
pub(super) fn route(hot: Arc<Hot>) -> Router {
    Router::new().route("/demo/hot", get(look).post(change)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(hot)
}

async fn look(State(hot): State<Arc<Hot>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(hot.told()))
}

async fn change(State(hot): State<Arc<Hot>>, headers: HeaderMap, body: Bytes) -> Response {
    let refused = |status: StatusCode, message: String| {
        (status, Json(json!({"code": Code::InvalidParameter.number(), "message": message}))).into_response()
    };
    if !same_origin(&headers) {
        return refused(StatusCode::FORBIDDEN, "only the demo's own page may do this".into());
    }
    let done = match serde_json::from_slice::<Wish>(&body) {
        Ok(wish) => hot.fill(wish).map_err(str::to_owned),
        Err(e) => Err(format!("wanted is {{\"groupID\": \"live-stage\", \"viewers\": 100}}: {e}")),
    };
    match done {
        Ok(()) => Json(hot.told()).into_response(),
        Err(message) => refused(StatusCode::BAD_REQUEST, message),
    }
}

/// A browser names the origin of each POST. Who names none is no page.
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    origin.as_bytes().strip_prefix(b"http://").is_some_and(|from| !from.is_empty() && from.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    fn wish(viewers: u16) -> Wish {
        Wish { room: "live-stage".into(), viewers }
    }

    #[tokio::test]
    async fn viewers_go_by_themselves_or_when_told() {
        let keyring = Keyring::new(7, vec![Secret::new("secret").unwrap()]).unwrap();
        let hot = Hot::new(Arc::new(keyring), Duration::from_millis(50));
        assert!(hot.fill(wish(1)).is_err(), "nowhere to connect to");
        // Nobody listens on port 1: the viewers knock in vain, and stay.
        hot.open(SocketAddr::from(([127, 0, 0, 1], 1)));
        hot.fill(wish(3)).unwrap();
        assert_eq!(hot.told()["viewers"], 3);
        let gone = async {
            while hot.told()["viewers"] != 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("they stay for ever");
        hot.fill(wish(5)).unwrap();
        hot.fill(wish(0)).unwrap();
        assert_eq!(hot.told(), json!({"groupID": "live-stage", "viewers": 0, "secondsLeft": 0}));
        assert!(hot.fill(wish(VIEWERS_MAX + 1)).is_err());
    }

    #[test]
    fn only_the_own_page_may_ask() {
        let asks = |origin: Option<&str>, host: &str| {
            let mut headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            origin.map(|origin| headers.insert(header::ORIGIN, origin.parse().unwrap()));
            same_origin(&headers)
        };
        assert!(asks(None, "127.0.0.1:8080"));
        assert!(asks(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(!asks(Some("http://127.0.0.1:8081"), "127.0.0.1:8080"));
        assert!(!asks(Some("http://elsewhere.example"), "127.0.0.1:8080"));
        assert!(!asks(Some("https://127.0.0.1:8080"), "127.0.0.1:8080"));
        assert!(!asks(Some("null"), "127.0.0.1:8080"));
        assert!(!asks(Some("http://"), ""));
    }
}
