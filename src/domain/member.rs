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

/// A user's place in a group whose members are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What he may do.
    pub role: Role,
    /// Since when he is in, in Unix seconds.
    pub joined_at: u64,
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
    pub born: u32,
}
