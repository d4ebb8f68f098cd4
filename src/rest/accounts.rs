//! Accounts. A user exists from the first sight of him; importing only makes that sight. Facts: Tencent Cloud Chat, "Importing
//! a Single Account", "Querying Accounts", "Invalidating Account Login States".

use serde_json::json;

use super::answer::Answer;
use super::api::Call;
use super::body::Body;
use crate::domain::code::{Code, Refusal};
use crate::domain::name::UserId;
use crate::group::inbox::Letter;
use crate::protocol::close::Close;
use crate::protocol::push::{KickedOut, kicked_out};

const CHECKED_MAX: usize = 100;

pub(super) async fn import(call: &Call<'_>) -> Result<Answer, Refusal> {
    let user = named(&call.body)?;
    let asked = user.clone();
    let known = call.ask_store(|store, done| store.has_account(asked, done)).await?;
    if !known {
        call.rest.node.know_for_sure(&user).await?;
        call.audit(None, (), json!({"imported": user.as_str()}));
    }
    Ok(Answer::new())
}

pub(super) async fn check(call: &Call<'_>) -> Result<Answer, Refusal> {
    let items = call.body.objects("CheckItem", CHECKED_MAX, Code::BadAccountParameter).map_err(account_fault)?.unwrap_or_default();
    if items.is_empty() {
        return Err(Refusal::new(Code::BadAccountParameter, format!("CheckItem must name 1 to {CHECKED_MAX} users")));
    }
    let mut results = Vec::new();
    for item in &items {
        let user = named(item)?;
        let status = if call.knows(&user).await? { "Imported" } else { "NotImported" };
        results.push(json!({"UserID": user.as_str(), "ResultCode": 0, "ResultInfo": "", "AccountStatus": status}));
    }
    Ok(Answer::new().with("ResultItem", results))
}

pub(super) async fn kick(call: &Call<'_>) -> Result<Answer, Refusal> {
    let user = named(&call.body)?;
    if !call.knows(&user).await? {
        return Err(Refusal::new(Code::NotImported, "there is no such account"));
    }
    let connections = call.rest.node.users.find(&user).map(|user| user.connections()).unwrap_or_default();
    for connection in &connections {
        call.rest.node.post(*connection, Letter::Close(*connection, kicked_out(KickedOut::ByAdmin), Close::KICKED));
    }
    call.audit(None, json!({"user": user.as_str(), "connections": connections.len()}), ());
    Ok(Answer::new())
}

/// `UserID`, or `Identifier` as older clients call it.
fn named(body: &Body<'_>) -> Result<UserId, Refusal> {
    let found = match body.user("UserID").map_err(account_fault)? {
        None => body.user("Identifier").map_err(account_fault)?,
        found => found,
    };
    found.ok_or_else(|| Refusal::new(Code::BadAccountParameter, "UserID is missing"))
}

/// Account calls have a code of their own for a wrong parameter.
fn account_fault(refusal: Refusal) -> Refusal {
    match refusal.code {
        Code::InvalidParameter => Refusal { code: Code::BadAccountParameter, ..refusal },
        _ => refusal,
    }
}
