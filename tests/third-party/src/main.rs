//! Calls the gateway's counters by crates.io's `tencent_im_rs`. Its wrappers speak HTTPS alone, so its public `send` gets the address;
//! its values are unsigned and of 32 bits. Prints a line for each call that went as its caller would expect.
//!
//! `counter-client HOST:PORT APP SECRET ADMIN GROUP`: the group must be there, without counters.

use tencent_im_rs::api::v4::common::{ActionStatus, GroupCounter, GroupCounterMode};
use tencent_im_rs::api::v4::group_open_http_svc::delete_group_counter::{DeleteGroupCounterRequest, DeleteGroupCounterResponse};
use tencent_im_rs::api::v4::group_open_http_svc::get_group_counter::{GetGroupCounterRequest, GetGroupCounterResponse};
use tencent_im_rs::api::v4::group_open_http_svc::update_group_counter::{UpdateGroupCounterRequest, UpdateGroupCounterResponse};
use tencent_im_rs::api::v4::{TencentHelper, make_url, send};
use tencent_im_rs::user_sig::hmac_sha256::TencentSig;

/// The address that the client itself makes, but for its scheme.
fn address(helper: &TencentHelper, command: &str) -> String {
    make_url(helper, format!("v4/group_open_http_svc/{command}")).replacen("https://", "http://", 1)
}

fn pairs(counters: Option<Vec<GroupCounter>>) -> Vec<(String, u32)> {
    let mut pairs: Vec<_> = counters.unwrap_or_default().iter().map(|c| (c.key().to_owned(), c.value())).collect();
    pairs.sort();
    pairs
}

async fn update(helper: &mut TencentHelper, group: &str, mode: Option<GroupCounterMode>, list: &[(&str, u32)]) -> Vec<(String, u32)> {
    let mut request = UpdateGroupCounterRequest::new(group, list.iter().map(|(key, value)| GroupCounter::new(key, *value)).collect());
    request.set_mode(mode);
    let url = address(helper, "update_group_counter");
    let answer: UpdateGroupCounterResponse = send(helper, url, &request).await.expect("an answer that this client understands");
    assert_eq!(answer.action_status, Some(ActionStatus::Ok), "{answer:?}");
    println!("passed update_group_counter");
    pairs(answer.group_counter)
}

async fn get(helper: &mut TencentHelper, group: &str, keys: Option<Vec<&str>>) -> GetGroupCounterResponse {
    let mut request = GetGroupCounterRequest::new(group);
    request.set_group_counter_keys(keys);
    let url = address(helper, "get_group_counter");
    let answer = send(helper, url, &request).await.expect("an answer that this client understands");
    println!("passed get_group_counter");
    answer
}

async fn delete(helper: &mut TencentHelper, group: &str, keys: Option<Vec<&str>>) {
    let mut request = DeleteGroupCounterRequest::new(group);
    request.set_group_counter_keys(keys);
    let url = address(helper, "delete_group_counter");
    let answer: DeleteGroupCounterResponse = send(helper, url, &request).await.expect("an answer that this client understands");
    assert_eq!(answer.action_status, Some(ActionStatus::Ok), "{answer:?}");
    println!("passed delete_group_counter");
}

fn named(list: &[(&str, u32)]) -> Vec<(String, u32)> {
    list.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [at, app, secret, admin, group] = words.as_slice() else { panic!("counter-client HOST:PORT APP SECRET ADMIN GROUP") };
    let app: u32 = app.parse().expect("the app is a number");
    let sig = TencentSig::new(app, secret.clone()).generate_user_sig(admin.clone(), 300).expect("a UserSig");
    let mut helper = TencentHelper::new(at.clone(), app, admin.clone(), sig);
    let helper = &mut helper;

    let most = u32::MAX;
    assert_eq!(update(helper, group, None, &[("like", 5), ("gift", most)]).await, named(&[("gift", most), ("like", 5)]));
    assert_eq!(update(helper, group, Some(GroupCounterMode::Set), &[("like", 7)]).await, named(&[("like", 7)]));
    assert_eq!(update(helper, group, Some(GroupCounterMode::Increase), &[("like", 3), ("new", 1)]).await, named(&[("like", 10), ("new", 1)]));
    assert_eq!(update(helper, group, Some(GroupCounterMode::Decrease), &[("gift", most)]).await, named(&[("gift", 0)]));
    assert_eq!(pairs(get(helper, group, None).await.group_counter), named(&[("gift", 0), ("like", 10), ("new", 1)]));
    assert_eq!(pairs(get(helper, group, Some(vec!["like", "none"])).await.group_counter), named(&[("like", 10)]));
    delete(helper, group, Some(vec!["like"])).await;
    assert_eq!(pairs(get(helper, group, None).await.group_counter), named(&[("gift", 0), ("new", 1)]));
    delete(helper, group, None).await;
    assert_eq!(pairs(get(helper, group, None).await.group_counter), named(&[]));
    let refused = get(helper, "nowhere", None).await;
    assert_eq!((refused.action_status, refused.group_counter), (Some(ActionStatus::Fail), None));
}
