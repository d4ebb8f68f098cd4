//! Many people who do everything at once, on several threads: whatever happened, in the end everybody hears the newest value
//! and the counts are right. `TALLYCAST_TEST_SEED` repeats a run's random choices.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::commands::increase;
use crate::server::{PATIENCE, Server, Setup};

const USERS: usize = 6;
const CONNECTIONS: usize = 3;
const ROUNDS: usize = 120;
const LIVE: [&str; 3] = ["live 0", "live 1", "live 2"];
const CHATS: [&str; 2] = ["chat 0", "chat 1"];

fn name(user: usize) -> String {
    format!("user {user}")
}

/// One connection's life. Refusals are part of it; a promise broken on the way ends the test by itself.
async fn live(server: &Server, user: usize, mut random: fastrand::Rng) -> Client {
    let mut client = server.user(&name(user)).await;
    for _ in 0..ROUNDS {
        let room = if random.bool() { LIVE[random.usize(..3)] } else { CHATS[random.usize(..2)] };
        match random.u32(..20) {
            0..5 => drop(client.join(room).await),
            5..7 => drop(client.quit(room).await),
            7 => {
                client.ask(json!({"cmd": "logout"})).await.ok();
                let user = if random.bool() { user } else { random.usize(..USERS) };
                client.login(&name(user)).await.ok();
            }
            8 => {
                // Gone in the middle of whatever it has asked for.
                for _ in 0..random.usize(..8) {
                    client.send(json!({"cmd": "joinGroup", "groupID": room})).await;
                    client.send(increase(room, "like", 1)).await;
                }
                client = server.user(&name(user)).await;
            }
            9..17 => {
                let mut last = 0;
                for n in 0..=random.u32(..10) {
                    last = client.send(increase(room, &format!("k{}", n % 3), 1)).await;
                }
                client.answer(last).await;
            }
            17 => drop(client.get(room).await),
            _ => sleep(Duration::from_micros(random.u64(..2_000))).await,
        }
        client.pushed();
        client.unfetched();
    }
    // He may have ended as somebody else.
    client.ask(json!({"cmd": "logout"})).await.ok();
    client.login(&name(user)).await.ok();
    client
}

/// Ends live rooms and makes them anew, again and again.
async fn rebuild(server: &Server, mut random: fastrand::Rng) -> Client {
    let mut owner = server.user("owner").await;
    for _ in 0..ROUNDS {
        let room = LIVE[random.usize(..3)];
        let ended = owner.send(json!({"cmd": "dismissGroup", "groupID": room})).await;
        owner.create_as("AVChatRoom", room).await.ok();
        owner.answer(ended).await.ok();
        owner.pushed();
        sleep(Duration::from_millis(random.u64(..10))).await;
    }
    owner
}

#[tokio::test]
async fn after_any_turmoil_everybody_hears_the_newest_value_and_is_counted() {
    let seed = std::env::var("TALLYCAST_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("TALLYCAST_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = Setup::new().unthrottled().limit("connections_per_user_max", 0).set("shards", 3).start().await;
    let mut owner = server.user("owner").await;
    for (kind, rooms) in [("AVChatRoom", &LIVE[..]), ("ChatRoom", &CHATS[..])] {
        for room in rooms {
            owner.create_as(kind, room).await.ok();
        }
    }
    let lives = (0..USERS * CONNECTIONS).map(|n| live(&server, n % USERS, random.fork())).collect::<Vec<_>>();
    let (mut clients, mut owner) = tokio::join!(futures_util::future::join_all(lives), rebuild(&server, random.fork()));

    for room in LIVE.iter().chain(&CHATS) {
        for client in clients.iter_mut().chain([&mut owner]) {
            client.join(room).await.ok();
        }
        owner.set(room, json!({"the end": 7})).await.ok();
        for client in clients.iter_mut().chain([&mut owner]) {
            client.await_value(room, "the end", 7).await;
        }
        // Connections that were left behind in the turmoil may still be on their way out.
        let deadline = Instant::now() + PATIENCE;
        while owner.online(room).await != USERS as u64 + 1 {
            assert!(Instant::now() < deadline, "{room}: {} are counted", owner.online(room).await);
            sleep(Duration::from_millis(5)).await;
        }
    }
    drop(clients);
    for room in LIVE.iter().chain(&CHATS) {
        let deadline = Instant::now() + PATIENCE;
        while owner.online(room).await != 1 {
            assert!(Instant::now() < deadline, "{room}: {} are counted", owner.online(room).await);
            sleep(Duration::from_millis(5)).await;
        }
    }
}
