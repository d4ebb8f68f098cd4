//! Members of groups, and groups of members. Facts: Tencent Cloud Chat, "Adding Group Members", "Deleting Group Members",
//! "Obtaining Group Member Profiles", "Querying Group Member Roles", "Obtaining Groups of a User".

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::answer::Answer;
use super::api::Call;
use super::body::check_any;
use super::groups::{pairs, profile_view};
use crate::domain::code::{Code, Refusal};
use crate::domain::member::{GroupType, Member, Role};
use crate::domain::name::UserId;
use crate::group::{Ask, Sought};
use crate::protocol::answer::{Data, Inspected};

const ADDED_MAX: usize = 300;
const REMOVED_MAX: usize = 100;
const ROLES_MAX: usize = 500;
const MEMBERS_MAX: usize = 6000;
const JOINED_MAX: usize = 5000;
const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Member];

pub(super) async fn add(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let list = call.body.objects("MemberList", ADDED_MAX, Code::TooManyAccounts)?;
    let list = list.ok_or_else(|| Refusal::new(Code::InvalidParameter, "MemberList is missing"))?;
    check_any("MemberList", &list)?;
    let missing = || Refusal::new(Code::InvalidParameter, "Member_Account is missing");
    let users = list.iter().map(|entry| entry.user("Member_Account")?.ok_or_else(missing)).collect::<Result<Vec<_>, _>>()?;
    // Before the group: then whoever is in it is known, too.
    call.rest.node.know(&users);
    let data = call.tell(group.clone(), Ask::Add(users.clone())).await?;
    let Data::Listed(_, listed) = data else { return Ok(Answer::new()) };
    if !listed.success.is_empty() {
        let added: Vec<_> = listed.success.iter().map(UserId::as_str).collect();
        call.audit(Some(&group), (), json!({"added": added}));
    }
    // One of a list that names a user twice was added, the other was there already.
    let (mut fresh, failed): (HashSet<_>, HashSet<_>) = (listed.success.iter().collect(), listed.failure.iter().collect());
    let result = |user: &UserId| match fresh.remove(user) {
        true => 1,
        false if failed.contains(user) => 0,
        false => 2,
    };
    let results: Vec<i32> = users.iter().map(result).collect();
    let list: Vec<_> = users.iter().zip(results).map(|(user, result)| json!({"Member_Account": user.as_str(), "Result": result})).collect();
    Ok(Answer::new().with("MemberList", list))
}

pub(super) async fn remove(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let users = call.body.users("MemberToDel_Account", REMOVED_MAX, Code::InvalidParameter)?;
    let before = call.inspect(group.clone(), Sought::These(users.clone())).await?;
    let before: HashSet<_> = before.members.iter().map(|(user, _)| user).collect();
    let data = call.tell(group.clone(), Ask::Remove(users)).await?;
    let Data::Listed(_, listed) = data else { return Ok(Answer::new()) };
    // Who was no member counts as removed in the answer, and was not.
    let removed: BTreeSet<_> = listed.success.iter().filter(|user| before.contains(user)).map(UserId::as_str).collect();
    if !removed.is_empty() {
        call.audit(Some(&group), json!({"removed": removed}), ());
    }
    Ok(Answer::new())
}

pub(super) async fn info(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let limit = call.body.count("Limit")?.filter(|limit| *limit > 0).unwrap_or(MEMBERS_MAX).min(MEMBERS_MAX);
    let offset = call.body.count("Offset")?.unwrap_or(0);
    let filter = call.body.filter("MemberInfoFilter")?;
    let roles = call.body.filter("MemberRoleFilter")?.filter(|roles| !roles.is_empty());
    let named = |names: Vec<Cow<str>>| ROLES.into_iter().filter(|role| names.iter().any(|name| name == role_name(Some(*role)))).collect();
    let inspected = call.inspect(group, Sought::Page { roles: roles.map(named), offset, limit }).await?;
    check_kept(&inspected)?;
    let list: Vec<_> = inspected.members.iter().map(|(user, member)| member_view(user, member, filter.as_deref())).collect();
    Ok(Answer::new().with("MemberNum", inspected.kept).with("MemberList", list))
}

pub(super) async fn roles(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let users = call.body.users("User_Account", ROLES_MAX, Code::TooManyAccounts)?;
    let inspected = call.inspect(group, Sought::These(users.clone())).await?;
    check_kept(&inspected)?;
    let roles: HashMap<_, _> = inspected.members.iter().map(|(user, member)| (user, member.role)).collect();
    let role = |user: &UserId| role_name(roles.get(user).copied());
    let list: Vec<_> = users.iter().map(|user| json!({"Member_Account": user.as_str(), "Role": role(user)})).collect();
    Ok(Answer::new().with("UserIdList", list))
}

pub(super) async fn joined(call: &Call<'_>) -> Result<Answer, Refusal> {
    let missing = || Refusal::new(Code::InvalidParameter, "Member_Account is missing");
    let user = call.body.user("Member_Account")?.ok_or_else(missing)?;
    let limit = call.body.count("Limit")?.filter(|limit| *limit > 0).unwrap_or(JOINED_MAX).min(JOINED_MAX);
    let offset = call.body.count("Offset")?.unwrap_or(0);
    let kind = match call.body.text("GroupType")? {
        None => None,
        Some(text) => Some(GroupType::parse(&text).ok_or_else(|| Refusal::new(Code::InvalidParameter, "GroupType is no type of groups"))?),
    };
    let filter = call.body.object("ResponseFilter")?;
    let list = |name| filter.as_ref().map(|f| f.filter(name)).transpose().map(Option::flatten);
    let (base, own) = (list("GroupBaseInfoFilter")?, list("SelfInfoFilter")?);
    let asked = user.clone();
    let relations = call.ask_store(|store, done| store.relations(asked, done)).await?;
    let mut groups: Vec<_> = relations.into_iter().filter(|(_, relation)| relation.member).map(|(group, _)| group).collect();
    if let Some(kind) = kind {
        let asked = groups.clone();
        let kinds = call.ask_store(|store, done| store.kinds(asked, done)).await?;
        let mut kinds = kinds.into_iter();
        groups.retain(|_| kinds.next().flatten() == Some(kind));
    }
    let total = groups.len();
    let mut entries = Vec::new();
    for group in groups.into_iter().skip(offset).take(limit) {
        let mut entry = json!({"GroupId": group.as_str()});
        if base.is_some() || own.is_some() {
            let sought = if own.is_some() { Sought::These(vec![user.clone()]) } else { Sought::Nobody };
            // One that has ended meanwhile has nothing to tell of itself.
            if let Ok(inspected) = call.inspect(group, sought).await {
                describe(&mut entry, &inspected, call.rest.node.limits.members_max, base.as_deref(), own.as_deref());
            }
        }
        entries.push(entry);
    }
    Ok(Answer::new().with("TotalCount", total).with("GroupIdList", entries))
}

/// Adds what filters name: of the group, and of the member that was sought.
fn describe(entry: &mut Value, inspected: &Inspected, members_max: usize, base: Option<&[Cow<'_, str>]>, own: Option<&[Cow<'_, str>]>) {
    if let (Some(base), Value::Object(mut profile)) = (base, profile_view(inspected, members_max)) {
        for name in base {
            if let Some(value) = profile.remove(name.as_ref()) {
                entry[name.as_ref()] = value;
            }
        }
    }
    if let (Some(own), Some((_, member))) = (own, inspected.members.first()) {
        entry["SelfInfo"] = self_view(member, own);
    }
}

/// Errors: 10007 for an AVChatRoom.
fn check_kept(inspected: &Inspected) -> Result<(), Refusal> {
    match inspected.profile.kind {
        GroupType::AvChatRoom => Err(Refusal::new(Code::NotPermitted, "members of an AVChatRoom are not kept")),
        _ => Ok(()),
    }
}

/// A member as he is shown; only what a filter names, where there is one. What this server has nothing of has the vendor's
/// resting value.
pub(super) fn member_view(user: &UserId, member: &Member, filter: Option<&[Cow<'_, str>]>) -> Value {
    let mut view = json!({
        "Role": role_name(Some(member.role)),
        "JoinTime": member.joined_at,
        "MsgSeq": 0,
        "MsgFlag": "AcceptAndNotify",
        "LastSendMsgTime": 0,
        "ShutUpUntil": 0,
        "NameCard": "",
        "AppMemberDefinedData": pairs(&member.data),
    });
    if let (Some(filter), Value::Object(fields)) = (filter, &mut view) {
        fields.retain(|name, _| filter.iter().any(|wanted| wanted == name));
    }
    view["Member_Account"] = json!(user.as_str());
    view
}

fn self_view(member: &Member, filter: &[Cow<'_, str>]) -> Value {
    let all = json!({"Role": role_name(Some(member.role)), "JoinTime": member.joined_at, "MsgFlag": "AcceptAndNotify", "UnreadMsgNum": 0});
    let Value::Object(mut fields) = all else { return all };
    fields.retain(|name, _| filter.iter().any(|wanted| wanted == name));
    Value::Object(fields)
}

fn role_name(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Owner) => "Owner",
        Some(Role::Admin) => "Admin",
        Some(Role::Member) => "Member",
        None => "NotMember",
    }
}
