//! Logging in: what a good UserSig opens, and what a bad one costs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use crate::server::{ADMIN, SECRET, Server, Setup};
use crate::usersig::{Sig, deflate, dress, sign, unix_now};

#[tokio::test]
async fn a_login_tells_who_one_is_and_for_how_long() {
    let server = Server::start().await;
    let mut ann = server.connect().await;
    let now = unix_now();
    let data = ann.login_with("ann", &Sig::of("ann").time(now).expire(1000).encode()).await.ok();
    assert_eq!(data["userID"], "ann");
    assert_eq!(data["expiresAt"], now + 1000);
    assert_eq!(data["admin"], false);
    assert!(data["repeatLogin"] != true, "{data}");
    let mut admin = server.connect().await;
    assert_eq!(admin.login(ADMIN).await.ok()["admin"], true);
    for name in ["x", "with space", "~!@#$%^&*()_+`-={}|[]\\:;<>?,./\"'", &"u".repeat(32)] {
        assert_eq!(server.connect().await.login(name).await.ok()["userID"], name);
    }
}

#[tokio::test]
async fn a_repeated_login_renews_and_another_user_is_refused() {
    let server = Server::start().await;
    let now = unix_now();
    let mut ann = server.connect().await;
    ann.login_with("ann", &Sig::of("ann").time(now).expire(1000).encode()).await.ok();
    let room = ann.create("ChatRoom").await;
    let data = ann.login_with("ann", &Sig::of("ann").time(now).expire(2000).encode()).await.ok();
    assert_eq!((&data["repeatLogin"], &data["expiresAt"]), (&json!(true), &json!(now + 2000)));
    ann.login("ben").await.refused(10004);
    assert_eq!(ann.increase(&room, "like", 1).await.ok()["value"], 1, "she is still herself");
    ann.ask(json!({"cmd": "logout"})).await.ok();
    let data = ann.login("ben").await.ok();
    assert!(data["repeatLogin"] != true, "{data}");
    ann.get(&room).await.refused(10007);
}

#[tokio::test]
async fn a_bad_sig_gets_its_code_and_the_end() {
    let server = Server::start().await;
    let good = Sig::of("ann");
    let stored = STANDARD.encode(b"not zlib").replace('=', "_");
    let user_with_lines = "ann\nTLS.sdkappid:1";
    let cases = [
        ("ann", String::new(), 70002),
        ("ann", "rubbish!".to_owned(), 70003),
        ("ann", stored, 70003),
        ("ann", dress(&deflate(b"not json")), 70003),
        ("ann", dress(&deflate(b"{}")), 70003),
        ("ann", dress(&deflate(b"[]")), 70003),
        ("ann", dress(&deflate(&[b' '; 5000])), 70003),
        ("ann", Sig::of("ann").version("1.0").encode(), 70003),
        ("ann", Sig::of("ann").tail(b"more").encode(), 70003),
        ("ann", good.encode()[..40].to_owned(), 70003),
        ("ann", Sig::of("ann").app(1_400_000_001).encode(), 70014),
        ("ann", sign("ben"), 70013),
        ("ann", Sig::of("ann").secret("another secret").encode(), 70009),
        ("ann", Sig::of("ann").secret(&SECRET.to_uppercase()).encode(), 70009),
        ("ann", Sig::of("ann").time(unix_now() - 100).expire(50).encode(), 70001),
        ("ann", Sig::of("ann").time(0).expire(1).encode(), 70001),
        ("ann", Sig::of(user_with_lines).encode(), 70003),
    ];
    for (n, (user, sig, code)) in cases.into_iter().enumerate() {
        let mut client = server.connect().await;
        let answer = client.login_with(user, &sig).await;
        assert_eq!(answer.0["code"], code, "case {n}: {}", answer.0);
        assert!(!answer.0.to_string().contains(&sign("ann")[..20]), "a sig is never repeated");
        client.expect_close(4500).await;
    }
    server.user("ann").await.ask(json!({"cmd": "ping"})).await.ok();
}

#[tokio::test]
async fn a_name_of_a_wrong_form_is_refused_even_when_truly_signed() {
    let server = Server::start().await;
    for name in ["", " ann", "ann ", "a\nb", "用户一", &"u".repeat(33)] {
        let mut client = server.connect().await;
        let answer = client.login(name).await;
        let code = answer.0["code"].as_i64().unwrap_or_default();
        assert!([10004, 70003].contains(&code), "{name:?} got {}", answer.0);
        // What was truly signed and is refused as a sig ends the connection like any bad sig.
        if code == 70003 {
            client.expect_close(4500).await;
        } else {
            client.join("a").await.refused(6014);
        }
    }
}

#[tokio::test]
async fn a_sig_is_good_to_its_last_second_and_ends_the_connection_after_it() {
    let server = Server::start().await;
    let mut steady = server.connect().await;
    steady.login_with("ben", &Sig::of("ben").expire(2).encode()).await.ok();
    let mut ann = server.connect().await;
    let end = ann.login_with("ann", &Sig::of("ann").expire(2).encode()).await.ok()["expiresAt"].clone();
    // He renews in time, so that her end is not his.
    assert_eq!(steady.login("ben").await.ok()["repeatLogin"], true);

    assert_eq!(ann.expect_event("KICKED_OUT").await, json!({"type": "userSigExpired"}));
    assert!(unix_now() > end.as_u64().expect("Unix seconds"), "closed while the sig was still good");
    ann.expect_close(4501).await;
    steady.ask(json!({"cmd": "ping"})).await.ok();
    server.connect().await.login_with("ann", &Sig::of("ann").time(unix_now() - 2).expire(0).encode()).await.refused(70001);
}

#[tokio::test]
async fn every_live_secret_verifies() {
    let server = Setup::new().set("app.secret_keys", vec!["the new one, and long enough", SECRET]).start().await;
    for secret in ["the new one, and long enough", SECRET] {
        let sig = Sig::of("ann").secret(secret).encode();
        server.connect().await.login_with("ann", &sig).await.ok();
    }
    let mut stranger = server.connect().await;
    stranger.login_with("ann", &Sig::of("ann").secret("the old one").encode()).await.refused(70009);
    stranger.expect_close(4500).await;
}

#[tokio::test]
async fn secrets_are_read_again_at_a_hangup() {
    let server = Server::start().await;
    let mut ann = server.user("ann").await;
    let new = Sig::of("ben").secret("the new one, and long enough").encode();
    server.connect().await.login_with("ben", &new).await.refused(70009);

    server.setup().clone().set("app.secret_keys", vec!["the new one, and long enough"]).write(server.folder());
    server.signal("HUP");
    let begun = Instant::now();
    while server.connect().await.login_with("ben", &new).await.0["code"] != 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the new secret is never read; it said:\n{}", server.log());
        sleep(Duration::from_millis(20)).await;
    }
    ann.ask(json!({"cmd": "ping"})).await.ok();
    server.connect().await.login("ann").await.refused(70009);
}

#[tokio::test]
async fn a_sig_is_never_logged() {
    let server = Setup::new().set("log.level", "debug").start().await;
    let good = sign("ann");
    let bad = Sig::of("ann").secret("another secret").encode();
    server.connect().await.login_with("ann", &good).await.ok();
    server.connect().await.login_with("ann", &bad).await.refused(70009);
    let log = server.log();
    assert!(!log.contains(&good[..24]) && !log.contains(&bad[..24]) && !log.contains(SECRET), "{log}");
}

/// What arrives while the login is looked at must be seen without any further byte: no later frame may have to wake it.
#[tokio::test]
async fn a_request_right_behind_the_login_is_answered() {
    let server = Server::start().await;
    for at in 0..100 {
        let (user, mut client) = (format!("user-{at}"), server.connect().await);
        let login = client.send(json!({"cmd": "login", "userID": user, "userSig": sign(&user)})).await;
        let ping = client.send(json!({"cmd": "ping"})).await;
        client.answer(login).await.ok();
        client.answer(ping).await.ok();
    }
}
