//! Life of groups. Facts: Tencent Cloud Chat, "Creating a Group", "Disbanding a Group", "Obtaining Group Profiles", "Obtaining
//! All Groups in an App", "Obtaining the Number of Online Users".

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

use super::answer::Answer;
use super::api::Call;
use super::body::{Body, check_any};
use super::members::member_view;
use crate::clock::unix_millis;
use crate::domain::code::{Code, Refusal};
use crate::domain::member::{AppData, Details, GroupType, JoinOption, Member, NewGroup, Role};
use crate::domain::name::{GroupId, GroupName, UserId};
use crate::group::{Ask, Sought};
use crate::protocol::answer::Inspected;
use crate::protocol::fields::bad_name;

const INTRODUCTION_BYTES_MAX: usize = 400;
const NOTIFICATION_BYTES_MAX: usize = 400;
const FACE_URL_BYTES_MAX: usize = 500;
const FIRST_MEMBERS_MAX: usize = 100;
const INFO_GROUPS_MAX: usize = 50;
const LIST_GROUPS_MAX: usize = 10_000;

pub(super) async fn create(call: &Call<'_>) -> Result<Answer, Refusal> {
    let body = &call.body;
    let kind = kind(&body.needed("Type")?)?;
    let name = GroupName::parse(&body.needed("Name")?).map_err(bad_name(Code::InvalidParameter))?;
    let owner = body.user("Owner_Account")?;
    let asked = match body.text("ApplyJoinOption")?.as_deref().map(JoinOption::parse) {
        Some(None) => {
            return Err(Refusal::new(Code::InvalidParameter, "ApplyJoinOption must be FreeAccess, NeedPermission or DisableApply"));
        }
        asked => asked.flatten(),
    };
    let id = match body.text("GroupId")? {
        None => GroupId::server_made(fastrand::u64(..)),
        Some(id) => GroupId::custom(&id).map_err(bad_name(Code::BadGroupId))?,
    };
    let details = Details {
        introduction: body.short("Introduction", INTRODUCTION_BYTES_MAX)?,
        notification: body.short("Notification", NOTIFICATION_BYTES_MAX)?,
        face_url: body.short("FaceUrl", FACE_URL_BYTES_MAX)?,
        members_max: body.count("MaxMemberCount")?.filter(|max| *max > 0).map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
        data: body.app_data("AppDefinedData")?,
    };
    let members = first_members(body, kind)?;
    let mut named: Vec<UserId> = members.iter().map(|(user, _)| user.clone()).collect();
    named.extend(owner.clone());
    call.rest.node.know(&named);
    let members_max = [details.members_max.map(|max| max as usize), Some(call.rest.node.limits.members_max)];
    let kept: HashSet<_> = named.iter().collect();
    if kind != GroupType::AvChatRoom && members_max.into_iter().flatten().any(|max| max > 0 && kept.len() > max) {
        return Err(Refusal::new(Code::GroupFull, format!("the group would have {} members: more than it may", kept.len())));
    }
    let new = NewGroup { kind, name, join_option: JoinOption::of(kind, asked), owner: owner.clone(), members, details };
    call.tell(id.clone(), Ask::Create(Box::new(new))).await?;
    let owner = owner.as_ref().map(UserId::as_str);
    call.audit(Some(&id), (), json!({"type": kind.name(), "owner": owner, "members": named.len()}));
    Ok(Answer::new().with("GroupId", id.as_str()))
}

fn kind(text: &str) -> Result<GroupType, Refusal> {
    match GroupType::parse(text) {
        Some(kind) => Ok(kind),
        None if text == "Community" || text == "BChatRoom" => {
            Err(Refusal::new(Code::NotPermitted, format!("{text} groups are not supported")))
        }
        None => Err(Refusal::new(Code::InvalidParameter, "Type must be Private, Public, ChatRoom or AVChatRoom")),
    }
}

fn first_members(body: &Body<'_>, kind: GroupType) -> Result<Vec<(UserId, Member)>, Refusal> {
    let list = body.objects("MemberList", FIRST_MEMBERS_MAX, Code::TooManyAccounts)?.unwrap_or_default();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    if kind == GroupType::AvChatRoom {
        return Err(Refusal::new(Code::NotPermitted, "an AVChatRoom has no MemberList: its members join by themselves"));
    }
    let now = unix_millis() / 1000;
    let member = |entry: &Body<'_>| {
        let missing = || Refusal::new(Code::InvalidParameter, "Member_Account is missing");
        let user = entry.user("Member_Account")?.ok_or_else(missing)?;
        let role = match entry.text("Role")?.as_deref() {
            None | Some("Member") => Role::Member,
            Some("Admin") if kind != GroupType::Private => Role::Admin,
            Some("Admin") => return Err(Refusal::new(Code::NotPermitted, "a Private group has no admins")),
            Some(_) => return Err(Refusal::new(Code::InvalidParameter, "Role must be Admin or left out")),
        };
        Ok((user, Member { data: entry.app_data("AppMemberDefinedData")?, ..Member::new(role, now) }))
    };
    list.iter().map(member).collect()
}

pub(super) async fn destroy(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let before = call.inspect(group.clone(), Sought::Nobody).await?;
    call.tell(group.clone(), Ask::Dissolve).await?;
    let profile = &before.profile;
    let owner = profile.owner.as_ref().map(UserId::as_str);
    call.audit(Some(&group), json!({"type": profile.kind.name(), "owner": owner, "members": before.kept}), ());
    Ok(Answer::new())
}

pub(super) async fn info(call: &Call<'_>) -> Result<Answer, Refusal> {
    let ids = call.body.texts("GroupIdList", INFO_GROUPS_MAX, Code::InvalidParameter)?;
    let ids = ids.ok_or_else(|| Refusal::new(Code::InvalidParameter, "GroupIdList is missing"))?;
    check_any("GroupIdList", &ids)?;
    let filter = call.body.object("ResponseFilter")?;
    let list = |name| filter.as_ref().map(|f| f.filter(name)).transpose().map(Option::flatten);
    let (base, members) = (list("GroupBaseInfoFilter")?, list("MemberInfoFilter")?);
    let shows_members = base.is_none() || members.is_some();
    let sought = || if shows_members { Sought::EVERYBODY } else { Sought::Nobody };
    let mut infos = Answer::new().with_list("GroupInfo");
    let mut told = HashSet::new();
    // A group that is named again is told once, where it was named first.
    for id in ids.iter().map(Cow::as_ref).filter(|id| told.insert(*id)) {
        let found = match GroupId::parse(id) {
            Err(e) => Err(Refusal::new(Code::BadGroupId, e.to_string())),
            Ok(group) => call.inspect(group, sought()).await,
        };
        match found {
            Err(refusal) => infos.push(json!({"GroupId": id, "ErrorCode": refusal.code.number(), "ErrorInfo": refusal.message}))?,
            Ok(inspected) => {
                infos.push(Info::of(id, &inspected, call.rest.node.limits.members_max, base.as_deref(), members.as_deref()))?
            }
        }
        // A large group takes a while to write down; others on this thread have their turn before the next.
        tokio::task::yield_now().await;
    }
    Ok(infos.end())
}

/// A group as it is shown. Its members are written down one by one, so that no more of them is built than can be sent.
struct Info<'a> {
    fields: serde_json::Map<String, Value>,
    members: Option<&'a [(UserId, Member)]>,
    of_members: Option<&'a [Cow<'a, str>]>,
}

impl<'a> Info<'a> {
    /// Only what a filter names, where there is one.
    fn of(
        id: &str,
        inspected: &'a Inspected,
        members_max: usize,
        base: Option<&[Cow<'_, str>]>,
        of_members: Option<&'a [Cow<'a, str>]>,
    ) -> Self {
        let mut fields = match profile_view(inspected, members_max) {
            Value::Object(fields) => fields,
            _ => Default::default(),
        };
        if let Some(base) = base {
            fields.retain(|name, _| base.iter().any(|wanted| wanted == name));
        }
        fields.extend(
            [("GroupId", json!(id)), ("ErrorCode", json!(0)), ("ErrorInfo", json!(""))].map(|(name, value)| (name.to_owned(), value)),
        );
        let shown = inspected.profile.kind != GroupType::AvChatRoom && (base.is_none() || of_members.is_some());
        let members = shown.then_some(inspected.members.as_slice());
        Self { fields, members, of_members }
    }
}

impl Serialize for Info<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        if let Some(members) = &self.members {
            map.serialize_entry("MemberList", &Members(members, self.of_members))?;
        }
        map.end()
    }
}

/// Members as they are shown, each built when it is written down.
struct Members<'a>(&'a [(UserId, Member)], Option<&'a [Cow<'a, str>]>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(user, member)| member_view(user, member, self.1)))
    }
}

/// The fields of a group's profile.
pub(super) fn profile_view(inspected: &Inspected, members_max: usize) -> Value {
    let profile = &inspected.profile;
    let details = &profile.details;
    json!({
        "Type": profile.kind.name(),
        "Name": profile.name.as_str(),
        "Introduction": details.introduction,
        "Notification": details.notification,
        "FaceUrl": details.face_url,
        "Owner_Account": profile.owner.as_ref().map_or("", UserId::as_str),
        "CreateTime": profile.created_at,
        "InfoSeq": 0,
        "LastInfoTime": profile.created_at,
        "LastMsgTime": 0,
        "NextMsgSeq": 0,
        "MemberNum": inspected.member_count(),
        "MaxMemberNum": details.members_max.map_or(members_max, |max| max as usize),
        "ApplyJoinOption": profile.join_option.name(),
        "ShutUpAllMember": "Off",
        "AppDefinedData": pairs(&details.data),
    })
}

pub(super) fn pairs(data: &AppData) -> Value {
    data.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

pub(super) async fn online(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let inspected = call.inspect(group, Sought::Nobody).await?;
    if inspected.profile.kind != GroupType::AvChatRoom {
        return Err(Refusal::new(Code::NotPermitted, "the online number is told of an AVChatRoom alone"));
    }
    Ok(Answer::new().with("OnlineMemberNum", inspected.online))
}

/// Where pages of the list of all groups go on: the vendor's `Next` is a number, ours is how many groups were told.
#[derive(Default)]
pub struct Cursors(Mutex<HashMap<Page, GroupId>>);

/// The type asked for, and how many groups were told before.
type Page = (Option<GroupType>, usize);

/// Pages that are remembered; a page that was forgotten is found again by counting.
const CURSORS_MAX: usize = 256;

impl Cursors {
    fn find(&self, kind: Option<GroupType>, next: usize) -> Option<GroupId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(kind, next)).cloned()
    }

    fn keep(&self, kind: Option<GroupType>, next: usize, after: GroupId) {
        let mut cursors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() >= CURSORS_MAX {
            cursors.clear();
        }
        cursors.insert((kind, next), after);
    }
}

pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Refusal> {
    let limit = call.body.count("Limit")?.filter(|limit| *limit > 0).unwrap_or(LIST_GROUPS_MAX).min(LIST_GROUPS_MAX);
    let next = call.body.count("Next")?.unwrap_or(0);
    let kind = call.body.text("GroupType")?.map(|text| self::kind(&text)).transpose()?;
    let mut after = call.rest.cursors.find(kind, next);
    // Groups told before that nobody remembers are counted again.
    let mut to_skip = if after.is_some() { 0 } else { next };
    let mut found: Vec<GroupId> = Vec::new();
    let (total, more) = loop {
        let (from, want) = (after.clone(), if to_skip > 0 { to_skip.min(LIST_GROUPS_MAX) } else { limit - found.len() });
        let page = call.ask_store(|store, done| store.list(from, kind, want, done)).await?;
        if to_skip > 0 {
            to_skip -= page.groups.len().min(to_skip);
        } else {
            found.extend(page.groups);
        }
        match page.next {
            Some(on) if to_skip > 0 || found.len() < limit => after = Some(on),
            on => break (page.total, on),
        }
    };
    let told = match more {
        None => 0,
        Some(on) => {
            let told = next + found.len();
            call.rest.cursors.keep(kind, told, on);
            told
        }
    };
    let list: Vec<_> = found.iter().map(|group| json!({"GroupId": group.as_str()})).collect();
    Ok(Answer::new().with("TotalCount", total).with("GroupIdList", list).with("Next", told))
}
