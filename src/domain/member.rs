//! Kinds of groups, and who is in them. Source: Tencent Cloud Chat, "Group System".

use serde::{Deserialize, Serialize};

use super::name::{GroupName, UserId};

/// A group's type; `Community` has no counters and is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GroupType {
    /// Members are added by members; also called Work.
    Private,
    /// Joined freely where its join option says so.
    Public,
    /// Joined freely; also called Meeting.
    ChatRoom,
    /// Joined freely; membership lives with the connection.
    #[serde(rename = "AVChatRoom")]
    AvChatRoom,
}

impl GroupType {
    /// All types.
    pub const ALL: [GroupType; 4] = [GroupType::Private, GroupType::Public, GroupType::ChatRoom, GroupType::AvChatRoom];

    /// Reads a type's name or its alias.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Private" | "Work" => Some(Self::Private),
            "Public" => Some(Self::Public),
            "ChatRoom" | "Meeting" => Some(Self::ChatRoom),
            "AVChatRoom" => Some(Self::AvChatRoom),
            _ => None,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "Private",
            Self::Public => "Public",
            Self::ChatRoom => "ChatRoom",
            Self::AvChatRoom => "AVChatRoom",
        }
    }
}

/// Who may join by himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinOption {
    /// Anybody.
    FreeAccess,
    /// Nobody without being added (there is no approval here).
    NeedPermission,
    /// Nobody without being added.
    DisableApply,
}

impl JoinOption {
    /// Reads an option's name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "FreeAccess" => Some(Self::FreeAccess),
            "NeedPermission" => Some(Self::NeedPermission),
            "DisableApply" => Some(Self::DisableApply),
            _ => None,
        }
    }

    /// The option of a new group. Only a Public group has a choice; the vendor fixes the others the same way.
    pub fn of(kind: GroupType, asked: Option<Self>) -> Self {
        match kind {
            GroupType::Public => asked.unwrap_or(Self::NeedPermission),
            GroupType::Private => Self::DisableApply,
            GroupType::ChatRoom | GroupType::AvChatRoom => Self::FreeAccess,
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::FreeAccess => "FreeAccess",
            Self::NeedPermission => "NeedPermission",
            Self::DisableApply => "DisableApply",
        }
    }
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everything.
    Owner,
    /// Adds and removes ordinary members.
    Admin,
    /// Writes and reads.
    Member,
}

/// Fields that an app has given a meaning of its own, kept as they came.
pub type AppData = Vec<(Box<str>, Box<str>)>;

/// A user's place in a group whose members are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What he may do.
    pub role: Role,
    /// Since when he is in, in Unix seconds.
    pub joined_at: u64,
    /// What the app keeps about him.
    pub data: AppData,
    /// He joined by himself; nobody else has caused it. Records and rows say so beside what is written of a member.
    #[serde(skip)]
    pub asked: bool,
}

impl Member {
    /// A member about whom the app keeps nothing.
    pub fn new(role: Role, joined_at: u64) -> Self {
        Self { role, joined_at, data: AppData::new(), asked: false }
    }

    /// One who joined by himself.
    pub fn entered(joined_at: u64) -> Self {
        Self { asked: true, ..Self::new(Role::Member, joined_at) }
    }
}

/// What a group tells of itself and the gateway does nothing with, but for the number of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What it is about.
    pub introduction: Box<str>,
    /// What its owner wants known.
    pub notification: Box<str>,
    /// Its picture.
    pub face_url: Box<str>,
    /// How many members it may have, where that is fewer than this server allows.
    pub members_max: Option<u32>,
    /// What the app keeps about it.
    pub data: AppData,
}

/// What a group is, apart from its counters and members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its type.
    pub kind: GroupType,
    /// Its display name.
    pub name: GroupName,
    /// Its owner; a Private group's owner may leave, and then it has none.
    pub owner: Option<UserId>,
    /// Who may join by himself.
    pub join_option: JoinOption,
    /// Unix seconds.
    pub created_at: u64,
    /// A random number that tells this group from an earlier one of the same id.
    pub incarnation: u32,
    /// What it tells of itself.
    pub details: Details,
}

/// A group that somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Its type.
    pub kind: GroupType,
    /// Its display name.
    pub name: GroupName,
    /// Who may join by himself.
    pub join_option: JoinOption,
    /// Its owner, where it has one.
    pub owner: Option<UserId>,
    /// Members beside the owner; none in an AVChatRoom.
    pub members: Vec<(UserId, Member)>,
    /// What it tells of itself.
    pub details: Details,
}
