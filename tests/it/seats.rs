//! In which groups a connection sits: what its user asks for comes before what others cause, an answer never promises a seat
//! that is not there, and nobody is led from one group into another of the same id unawares.

use serde_json::{Value, json};

use crate::client::Client;
use crate::commands::increase;
use crate::server::Setup;

/// Few enough to fill.
const PLACES: usize = 8;

fn setup() -> Setup {
    Setup::new().unthrottled().limit("groups_per_connection_max", PLACES as i64).set("shards", 2)
}

fn joined(frame: &Value) -> bool {
    frame["data"]["status"] == "JoinedSuccess" || frame["data"]["status"] == "AlreadyInGroup"
}

/// Groups that sort before all others, to which the user is added by somebody they do not know.
async fn crowd(stranger: &mut Client, user: &str, groups: usize) -> Vec<String> {
    let mut rooms = Vec::new();
    for n in 0..groups {
        let room = format!("!{n}");
        stranger.create_as("Private", &room).await.ok();
        stranger.add(&room, &[user]).await.ok();
        rooms.push(room);
    }
    rooms
}

/// The groups of which the events tell that this connection is not subscribed to them.
fn unsubscribed(events: Vec<Value>) -> Vec<String> {
    let group = |event: &Value| event["data"]["groupID"].as_str().expect("a group").to_owned();
    events.iter().filter(|event| event["event"] == "GROUP_UNSUBSCRIBED").map(group).collect()
}

#[tokio::test]
async fn strangers_cannot_crowd_a_user_out_of_the_groups_they_ask_for() {
    let server = setup().start().await;
    let mut ann = server.user("ann").await;
    let mut rooms = Vec::new();
    for _ in 0..PLACES {
        rooms.push(ann.create("ChatRoom").await);
    }
    let mut stranger = server.user("stranger").await;
    let theirs = crowd(&mut stranger, "ben", 2 * PLACES).await;

    let mut ben = server.user("ben").await;
    for room in &rooms {
        assert_eq!(ben.join(room).await.ok()["status"], "JoinedSuccess");
    }
    // Each seat that was lost is told, and each that the login could not give any more.
    let mut gone = Vec::new();
    while gone.len() < PLACES {
        let event = ben.event().await;
        // The last of them may be told to whoever logs in just then.
        let late = event["event"] == "GROUP_MEMBERSHIP_CHANGED" && event["data"]["groupID"] == *theirs[theirs.len() - 1];
        assert!(late || event["event"] == "GROUP_UNSUBSCRIBED", "{event}");
        gone.extend(unsubscribed(vec![event]));
    }
    assert!(gone.iter().all(|room| theirs.contains(room)), "only what others caused gives way: {gone:?}");
    for room in &rooms {
        ann.increase(room, "like", 1).await.ok();
        ben.expect_push(room, "like", 1).await;
    }
    // The places are the user's own now: nobody takes one, and not even the user has one more.
    stranger.create_as("Private", "!last").await.ok();
    stranger.add("!last", &["ben"]).await.ok();
    assert_eq!(ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": "!last", "status": "added"}));
    assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": "!last"}));
    ben.join("!last").await.refused(10037);
    assert_eq!(ben.get("!last").await.ok()["counters"], json!({}), "a member without a seat still is one");
    for room in &rooms {
        ann.increase(room, "like", 1).await.ok();
        ben.expect_push(room, "like", 2).await;
    }
}

/// Or whoever made it would take it for one that is kept up to date.
#[tokio::test]
async fn a_group_without_a_place_for_its_maker_is_told_after_it_is_made() {
    let server = setup().start().await;
    let mut ben = server.user("ben").await;
    for _ in 0..PLACES {
        ben.create("ChatRoom").await;
    }
    for n in 0..20 {
        let group = format!("more {n}");
        let create = json!({"cmd": "createGroup", "type": "ChatRoom", "name": "a room", "groupID": group});
        let id = ben.send(create).await;
        ben.answer(id).await.ok();
        assert_eq!(ben.pushed(), Vec::<Value>::new(), "nothing comes before the answer");
        assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": group}));
    }
}

/// ChatRooms of somebody else that the user has joined by themself, as many as a connection has places for.
async fn joined_rooms(owner: &mut Client, user: &mut Client) -> Vec<String> {
    let mut rooms = Vec::new();
    for _ in 0..PLACES {
        let room = owner.create("ChatRoom").await;
        assert_eq!(user.join(&room).await.ok()["status"], "JoinedSuccess");
        rooms.push(room);
    }
    rooms
}

/// The login alone has seated the connection in each of these rooms.
async fn expect_pushes(writer: &mut Client, user: &mut Client, rooms: &[String], value: i64) {
    for room in rooms {
        // Its answer comes behind what the login has asked of the group.
        user.get(room).await.ok();
        writer.increase(room, "like", 1).await.ok();
        user.expect_push(room, "like", value).await;
    }
}

#[tokio::test]
async fn a_login_brings_what_the_user_joined_before_what_strangers_caused() {
    let mut server = setup().start().await;
    let (mut ann, mut ben) = (server.user("ann").await, server.user("ben").await);
    let rooms = joined_rooms(&mut ann, &mut ben).await;
    ben.leave().await;
    let theirs = crowd(&mut server.user("stranger").await, "ben", 2 * PLACES).await;
    ann.leave().await;
    // Who caused what outlives the process, before and after it is in the table.
    for round in 1..=3 {
        let (mut ann, mut ben) = (server.user("ann").await, server.user("ben").await);
        expect_pushes(&mut ann, &mut ben, &rooms, round).await;
        assert_eq!(ann.online(&rooms[0]).await, 2);
        for room in &theirs {
            assert_eq!(ben.get(room).await.ok()["counters"], json!({}), "a member without a seat still is one");
        }
        ben.leave().await;
        ann.leave().await;
        server.restart(if round == 1 { "KILL" } else { "TERM" }).await;
    }
}

#[tokio::test]
async fn the_groups_that_a_user_joined_are_asked_for_after_a_login_too() {
    let server = setup().start().await;
    let (mut ann, mut ben) = (server.user("ann").await, server.user("ben").await);
    let rooms = joined_rooms(&mut ann, &mut ben).await;
    let one_more = ann.create("ChatRoom").await;
    ben.join(&one_more).await.refused(10037);
    ben.leave().await;
    let mut ben = server.user("ben").await;
    ben.join(&one_more).await.refused(10037);
    ann.add(&one_more, &["ben"]).await.ok();
    assert_eq!(ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": one_more, "status": "added"}));
    assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": one_more}));
    expect_pushes(&mut ann, &mut ben, &rooms, 1).await;
}

#[tokio::test]
async fn the_newest_seat_that_somebody_else_caused_gives_way() {
    let server = setup().start().await;
    let mut ann = server.user("ann").await;
    let mut carl = server.user("carl").await;
    let room = carl.create("AVChatRoom").await;
    let mut ben = server.user("ben").await;
    let theirs = crowd(&mut ann, "ben", PLACES).await;
    for room in &theirs {
        assert_eq!(ben.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": room, "status": "added"}));
    }
    // To ask for a group makes its seat one's own, and so the newest but one gives way.
    ben.join(theirs.last().expect("groups")).await.ok();
    ben.join(&room).await.ok();
    assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": theirs[PLACES - 2]}));
    for room in &theirs {
        ann.increase(room, "like", 1).await.ok();
        if *room != theirs[PLACES - 2] {
            ben.expect_push(room, "like", 1).await;
        }
    }
    carl.join(&room).await.ok();
    carl.increase(&room, "like", 1).await.ok();
    ben.expect_push(&room, "like", 1).await;
    assert_eq!(ann.online(&theirs[PLACES - 2]).await, 1, "who gets no pushes of a group is not there");
    // What was lost is to be had again, from the next one.
    let data = ben.join(&theirs[PLACES - 2]).await.ok();
    assert_eq!((&data["status"], &data["counters"]), (&json!("AlreadyInGroup"), &json!({"like": 1})));
    assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": theirs[PLACES - 3]}));
    ann.increase(&theirs[PLACES - 2], "like", 1).await.ok();
    ben.expect_push(&theirs[PLACES - 2], "like", 2).await;
}

#[tokio::test]
async fn a_join_that_succeeds_has_a_seat_though_the_login_has_not_filled_all_yet() {
    let server = setup().start().await;
    let mut ann = server.user("ann").await;
    let mut live = Vec::new();
    for _ in 0..PLACES {
        live.push(ann.create("AVChatRoom").await);
    }
    for round in 0..20 {
        let user = format!("ben {round}");
        let mut ben = server.user(&user).await;
        for _ in 0..PLACES / 2 {
            ben.create("ChatRoom").await;
        }
        let mut owner = server.connect().await;
        let request = json!({"cmd": "login", "userID": user, "userSig": crate::usersig::sign(&user)});
        let login = owner.send(request).await;
        let mut asked = Vec::new();
        for room in &live {
            asked.push((room, owner.send(json!({"cmd": "joinGroup", "groupID": room})).await));
        }
        owner.answer(login).await.ok();
        let mut seats = 0;
        for (room, id) in asked {
            let answer = owner.answer(id).await;
            if joined(&answer.0) {
                seats += 1;
                owner.increase(room, "like", 1).await.ok();
            } else {
                answer.refused(10037);
            }
        }
        assert_eq!(seats, PLACES - PLACES / 2, "the user's own groups have their places from the login on");
        assert_eq!(unsubscribed(owner.pushed()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_answer_to_many_joins_at_once_is_true() {
    let server = setup().set("shards", 3).start().await;
    let mut ann = server.user("ann").await;
    let mut rooms = Vec::new();
    for n in 0..2 * PLACES {
        rooms.push(ann.create(if n % 2 == 0 { "AVChatRoom" } else { "ChatRoom" }).await);
    }
    for round in 0..20 {
        let mut ben = server.user(&format!("ben {round}")).await;
        let mut asked = Vec::new();
        for room in rooms.iter().chain(&rooms) {
            asked.push((room, ben.send(json!({"cmd": "joinGroup", "groupID": room})).await));
        }
        let mut seats = Vec::new();
        for (room, id) in asked {
            let answer = ben.answer(id).await;
            match joined(&answer.0) {
                true => seats.push(room),
                false => drop(answer.refused(10037)),
            }
        }
        seats.sort();
        seats.dedup();
        assert_eq!(seats.len(), PLACES);
        for room in seats {
            let value = ben.increase(room, "like", 1).await.ok()["value"].as_i64().expect("a value");
            ben.await_value(room, "like", value).await;
        }
        ben.leave().await;
    }
}

#[tokio::test]
async fn a_second_device_is_told_of_what_the_first_one_joins_and_leaves() {
    let server = setup().start().await;
    let mut ann = server.user("ann").await;
    let (mut phone, mut tablet) = (server.user("ben").await, server.user("ben").await);
    let told = |room: &str, status: &str| json!({"groupID": room, "status": status});
    for round in 0..20 {
        ann.create_as("ChatRoom", "room").await.ok();
        phone.join("room").await.ok();
        assert_eq!(tablet.expect_event("GROUP_MEMBERSHIP_CHANGED").await, told("room", "added"), "round {round}");
        for n in 1..=5 {
            assert_eq!(ann.increase("room", "like", 1).await.ok()["version"], n);
            assert_eq!(tablet.expect_push("room", "like", n).await, n as u64);
            phone.expect_push("room", "like", n).await;
        }
        phone.quit("room").await.ok();
        assert_eq!(tablet.expect_event("GROUP_MEMBERSHIP_CHANGED").await, told("room", "removed"));
        ann.dismiss("room").await.ok();
        ann.pushed();
        // The client forgets what it held only when it is told to.
        tablet.no_push_until_ping().await;
        phone.no_push_until_ping().await;
    }
}

#[tokio::test]
async fn whoever_makes_a_group_has_it_on_all_devices() {
    let server = setup().start().await;
    let (mut phone, mut tablet) = (server.user("ann").await, server.user("ann").await);
    for kind in ["Private", "Public", "ChatRoom"] {
        let room = phone.create(kind).await;
        assert_eq!(tablet.expect_event("GROUP_MEMBERSHIP_CHANGED").await, json!({"groupID": room, "status": "added"}));
        tablet.increase(&room, "like", 1).await.ok();
        phone.expect_push(&room, "like", 1).await;
        tablet.expect_push(&room, "like", 1).await;
        tablet.dismiss(&room).await.ok();
        for device in [&mut phone, &mut tablet] {
            assert_eq!(device.expect_event("GROUP_DISMISSED").await, json!({"groupID": room}));
            device.no_push_until_ping().await;
        }
    }
    let room = phone.create("AVChatRoom").await;
    phone.join(&room).await.ok();
    phone.quit(&room).await.ok();
    tablet.no_push_until_ping().await;
}

#[tokio::test]
async fn nothing_of_an_earlier_group_is_heard_in_a_later_one_of_its_id() {
    let server = setup().set("shards", 3).start().await;
    let mut ann = server.user("ann").await;
    let mut members = Vec::new();
    for n in 0..6 {
        members.push(server.user(&format!("user {n}")).await);
    }
    let names: Vec<_> = (0..6).map(|n| format!("user {n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for round in 0..40 {
        let room = format!("room {}", round % 4);
        let remade = async |ann: &mut Client| {
            ann.create_as("ChatRoom", &room).await.ok();
            ann.add(&room, &names).await.ok();
        };
        remade(&mut ann).await;
        let mut open = Vec::new();
        for _ in 0..8 {
            open.push(ann.send(increase(&room, "old", 1)).await);
        }
        open.push(ann.send(json!({"cmd": "deleteGroupMember", "groupID": room, "userIDList": names})).await);
        open.push(ann.send(json!({"cmd": "dismissGroup", "groupID": room})).await);
        for id in open {
            ann.answer(id).await.ok();
        }
        remade(&mut ann).await;
        for n in 1..=3 {
            assert_eq!(ann.increase(&room, "new", 1).await.ok()["version"], n, "round {round}");
            for member in &mut members {
                let old = async |member: &mut Client| loop {
                    let event = member.event().await;
                    if event["event"] == "GROUP_COUNTER_UPDATED" && event["data"]["key"] == "new" {
                        return event["data"]["value"].clone();
                    }
                    assert!(n == 1, "only what lies before the first push may be of the earlier group: {event}");
                };
                assert_eq!(old(member).await, n, "round {round}");
            }
        }
        ann.dismiss(&room).await.ok();
        ann.pushed();
        for member in &mut members {
            assert_eq!(member.expect_event("GROUP_DISMISSED").await["groupID"], room);
        }
    }
}

#[tokio::test]
async fn to_follow_a_group_is_not_to_ask_for_it() {
    let server = setup().start().await;
    let (mut ann, mut ben) = (server.user("ann").await, server.user("ben").await);
    let theirs = crowd(&mut ann, "ben", PLACES).await;
    let follow = |room: &str| json!({"cmd": "joinGroup", "groupID": room, "asked": false});
    for room in &theirs {
        assert_eq!(ben.ask(follow(room)).await.ok()["status"], "AlreadyInGroup");
    }
    let mut carl = server.user("carl").await;
    let room = carl.create("ChatRoom").await;
    ben.ask(follow(&room)).await.refused(10007);
    ben.ask(json!({"cmd": "joinGroup", "groupID": room, "asked": 1})).await.names("asked");
    ben.pushed();
    ben.join(&room).await.ok();
    assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": theirs[PLACES - 1]}));
    // There is no place to follow it from, and the answer is followed by that.
    let data = ben.ask(follow(&theirs[PLACES - 1])).await.ok();
    assert_eq!((&data["status"], &data["counters"]), (&json!("AlreadyInGroup"), &json!({})));
    assert_eq!(ben.expect_event("GROUP_UNSUBSCRIBED").await, json!({"groupID": theirs[PLACES - 1]}));
    carl.increase(&room, "like", 1).await.ok();
    ben.expect_push(&room, "like", 1).await;
}
