//! What is looked at before a REST call is carried out: each check has its code, all checks have one order, and the status is
//! HTTP 200 whatever comes of them.

use serde_json::json;

use crate::rest_client::{Address, Backend, Told, path};
use crate::server::{SDK_APP_ID, SECRET, Server, Setup};
use crate::usersig::{Sig, deflate, dress, unix_now};

const GET: &str = "get_group_counter";

async fn told(server: &Server, address: Address, body: &str) -> Told {
    server.backend().await.under(&address).call_text(GET, body).await
}

#[tokio::test]
async fn each_check_has_its_code() {
    let server = Setup::new().set("app.admins", vec!["administrator", "a"]).start().await;
    let good = Address::good;
    let admin = || Sig::of("administrator");
    for (address, code) in [
        (good().without("sdkappid"), 60012),
        (good().with("sdkappid", ""), 60012),
        (good().with("sdkappid", "14e8"), 60012),
        (good().with("sdkappid", -1), 60012),
        (good().with("sdkappid", 1_400_000_001), 70020),
        (good().without("identifier"), 60025),
        (good().with("identifier", ""), 60025),
        (good().with("identifier", "%0a"), 60025),
        (good().without("usersig"), 60025),
        (good().without("random"), 60025),
        (good().with("random", "4294967296"), 60025),
        (good().with("random", "-1"), 60025),
        (good().with("random", "x"), 60025),
        (good().without("contenttype"), 60025),
        (good().with("contenttype", "xml"), 60025),
        (good().with("contenttype", "JSON"), 60025),
        (good().with("usersig", ""), 70002),
        (good().with("usersig", "nonsense"), 70003),
        (good().with("usersig", dress(&deflate(b"{}"))), 70003),
        (good().with("usersig", admin().version("1.0").encode()), 70003),
        (good().with("usersig", admin().tail(b"more").encode()), 70003),
        (good().with("usersig", admin().app(88_888_888).encode()), 70014),
        (good().with("identifier", "a"), 70013),
        (good().with("usersig", admin().secret("another").encode()), 70009),
        (good().with("usersig", admin().time(unix_now() - 100).expire(50).encode()), 70001),
        (Address::of("nobody"), 60010),
    ] {
        let query = address.query();
        let answer = told(&server, address, "").await;
        assert_eq!(answer.0["ErrorCode"], code, "{query}: {}", answer.0);
        let words = answer.refused(code);
        assert!(!words.contains("eJ"), "a UserSig is never shown: {words}");
    }
    for body in ["", " ", "no JSON", "[]", "1", "null", "\"text\"", "{", "{} {}", "{\"GroupId\":\"\u{1}\"}"] {
        told(&server, Address::good(), body).await.refused(60003);
    }
    let mut backend = server.backend().await;
    let reply = backend.send("POST", &format!("{}?{}", path(GET), Address::good().query()), "", b"{\"GroupId\":\"\xff\"}").await;
    Told::of(reply).refused(60003);
    told(&server, Address::good(), "{\"GroupId\":\"a\",\"GroupId\":\"a\"}").await.names("GroupId");
    told(&server, Address::good(), "{\"GroupId\":\"a\",\"Group\\u0049d\":\"a\"}").await.names("GroupId");
    told(&server, Address::good(), "{}").await.names("GroupId");
    told(&server, Address::good(), "{\"GroupId\":\"a\"}").await.refused(10010);
}

/// Everything is wrong at first; then one fault after the other is put right, and the next one shows.
#[tokio::test]
async fn the_order_of_the_checks() {
    let server = Server::start().await;
    let other = || Sig::of("somebody").app(1).secret("another").time(unix_now() - 100).expire(1);
    let mut address = Address::of("administrator").without("sdkappid").with("contenttype", "xml").with("usersig", "");
    let mut backend = server.backend().await;
    let large = vec![b' '; (1 << 20) + 1];
    let reply = backend.send("GET", &format!("/v4/nothing/here?{}", address.query()), "", &large).await;
    Told::of(reply).refused(80002);

    let mut backend = server.backend().await;
    let reply = backend.send("GET", &format!("/v4/nothing/here?{}", address.query()), "", b"").await;
    Told::of(reply).refused(60002);
    let reply = backend.send("POST", &format!("/v4/nothing/here?{}", address.query()), "", b"").await;
    Told::of(reply).refused(60009);

    let step = async |address: &Address, code| {
        told(&server, address.clone(), "").await.refused(code);
    };
    step(&address, 60012).await;
    address = address.with("sdkappid", 7);
    step(&address, 70020).await;
    address = address.with("sdkappid", SDK_APP_ID);
    step(&address, 60025).await;
    address = address.with("contenttype", "json");
    step(&address, 70002).await;
    address = address.with("usersig", "nonsense");
    step(&address, 70003).await;
    address = address.with("usersig", other().encode());
    step(&address, 70014).await;
    address = address.with("usersig", other().app(SDK_APP_ID).encode());
    step(&address, 70013).await;
    address = address.with("identifier", "somebody");
    step(&address, 70009).await;
    address = address.with("usersig", other().app(SDK_APP_ID).secret(SECRET).encode());
    step(&address, 70001).await;
    address = Address::of("somebody");
    step(&address, 60010).await;
    step(&Address::good(), 60003).await;
}

#[tokio::test]
async fn bad_addresses_and_methods_are_answered_with_200_too() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    let query = Address::good().query();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = backend.send(method, &format!("{}?{query}", path(GET)), "", b"{}").await;
        Told::of(reply).refused(60002);
    }
    for (target, code) in [
        ("/v4", 60002),
        ("/v4/", 60002),
        ("/v4/group_open_http_svc", 60002),
        ("/v4/group_open_http_svc/", 60009),
        ("/v4/group_open_http_svc/modify_group_attr", 60009),
        ("/v4/group_open_http_svc/kick", 60009),
        ("/v4/im_open_login_svc/create_group", 60009),
        ("/v4/group_open_http_svc/get_group_counter/more", 60009),
        ("/v4/GROUP_OPEN_HTTP_SVC/get_group_counter", 60009),
    ] {
        let reply = backend.send("POST", &format!("{target}?{query}"), "", b"{}").await;
        Told::of(reply).refused(code);
    }
}

/// Clients differ in what they send beside the call; none of it matters.
#[tokio::test]
async fn what_clients_add_is_ignored() {
    let server = Server::start().await;
    let mut backend = server.backend().await;
    backend.create("Public", "room").await;
    for headers in
        ["", "Content-Type: application/json\r\n", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"]
    {
        backend.call_with(GET, headers, "{\"GroupId\":\"room\"}").await.ok();
    }
    let unknown = json!({"GroupId": "room", "Silence": 1, "Nothing": {"of": ["ours"]}, "Mode": "?"});
    backend.call(GET, unknown).await.ok();
    // An empty text and null are as if they had not been sent.
    backend.call("update_group_counter", json!({"GroupId": "room", "Mode": "", "GroupCounter": [{"Key": "a", "Value": 1}]})).await.ok();
    backend.call(GET, json!({"GroupId": "room", "GroupCounterKeys": null})).await.ok();
    backend.call("get_appid_group_list", json!({"GroupType": "", "Next": 0})).await.ok();
    let empty = json!({"Type": "Public", "Name": "a room", "GroupId": "", "Owner_Account": "", "Introduction": "", "ApplyJoinOption": ""});
    let made = backend.call("create_group", empty).await.ok();
    assert!(made["GroupId"].as_str().is_some_and(|id| id.starts_with("@TGS#")), "{made}");

    // Parameters in another order, one of them unknown, the name in another writing.
    let sig = crate::usersig::sign("administrator");
    let target = format!("{}?contenttype=json&random=0&apn=1&usersig={sig}&identifier=%61dministrator&sdkappid={SDK_APP_ID}", path(GET));
    Told::of(backend.send("POST", &target, "", b"{\"GroupId\":\"room\"}").await).ok();
    // A body in chunks.
    let head = format!("POST {}?{} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path(GET), Address::good().query());
    backend.write(head.as_bytes()).await;
    backend.write(b"8\r\n{\"GroupI\r\na\r\nd\":\"room\"}\r\n0\r\n\r\n").await;
    Told::of(backend.reply().await).ok();
}

#[tokio::test]
async fn only_admins_may_call_and_more_than_one_may_be_named() {
    let server = Setup::new().set("app.admins", vec!["root", "second admin"]).start().await;
    let body = json!({"GroupId": "nowhere"});
    let call = async |address: Address| {
        let mut backend: Backend = server.backend().await.under(&address);
        backend.call(GET, body.clone()).await
    };
    call(Address::of("root")).await.refused(10010);
    let with_space = Address::of("second admin").with("identifier", "second%20admin");
    call(with_space.clone()).await.refused(10010);
    call(with_space.with("identifier", "second+admin")).await.refused(10010);
    call(Address::of("administrator")).await.refused(60010);
}

/// Fields beyond number are looked at in a time that grows with them, not with their square.
#[tokio::test]
async fn a_body_full_of_unknown_fields_is_read_in_no_time() {
    let server = Server::start().await;
    let fields: Vec<String> = (0..90_000).map(|i| format!("\"{i}\":0")).collect();
    let begun = std::time::Instant::now();
    told(&server, Address::good(), &format!("{{{}}}", fields.join(","))).await.names("GroupId");
    told(&server, Address::good(), &format!("{{{},\"7\":1}}", fields.join(","))).await.names("7");
    assert!(begun.elapsed().as_secs() < 3, "it took {:?}", begun.elapsed());
}
