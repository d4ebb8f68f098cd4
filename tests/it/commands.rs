//! The commands that dialogues use again and again, as one line each.

use serde_json::{Value, json};

use crate::client::{Answer, Client};

impl Client {
    /// Creates a group of the type under an id of the server's choice and returns the id.
    pub async fn create(&mut self, kind: &str) -> String {
        let data = self.ask(json!({"cmd": "createGroup", "type": kind, "name": "a room"})).await.ok();
        data["group"]["groupID"].as_str().expect("a group has an id").to_owned()
    }

    pub async fn create_as(&mut self, kind: &str, group: &str) -> Answer {
        self.ask(json!({"cmd": "createGroup", "type": kind, "name": "a room", "groupID": group})).await
    }

    pub async fn join(&mut self, group: &str) -> Answer {
        self.ask(json!({"cmd": "joinGroup", "groupID": group})).await
    }

    pub async fn quit(&mut self, group: &str) -> Answer {
        self.ask(json!({"cmd": "quitGroup", "groupID": group})).await
    }

    pub async fn dismiss(&mut self, group: &str) -> Answer {
        self.ask(json!({"cmd": "dismissGroup", "groupID": group})).await
    }

    pub async fn add(&mut self, group: &str, users: &[&str]) -> Answer {
        self.ask(json!({"cmd": "addGroupMember", "groupID": group, "userIDList": users})).await
    }

    pub async fn remove(&mut self, group: &str, users: &[&str]) -> Answer {
        self.ask(json!({"cmd": "deleteGroupMember", "groupID": group, "userIDList": users})).await
    }

    pub async fn set(&mut self, group: &str, counters: Value) -> Answer {
        self.ask(set(group, counters)).await
    }

    pub async fn increase(&mut self, group: &str, key: &str, value: impl Into<Value>) -> Answer {
        self.ask(increase(group, key, value)).await
    }

    pub async fn decrease(&mut self, group: &str, key: &str, value: impl Into<Value>) -> Answer {
        let value: Value = value.into();
        self.ask(json!({"cmd": "decreaseGroupCounter", "groupID": group, "key": key, "value": value})).await
    }

    pub async fn get(&mut self, group: &str) -> Answer {
        self.ask(json!({"cmd": "getGroupCounters", "groupID": group})).await
    }

    /// The counters of a group as its members read them.
    pub async fn counters(&mut self, group: &str) -> Value {
        self.get(group).await.ok()["counters"].clone()
    }

    pub async fn online(&mut self, group: &str) -> u64 {
        let data = self.ask(json!({"cmd": "getGroupOnlineMemberCount", "groupID": group})).await.ok();
        assert_eq!(data["groupID"], group);
        data["memberCount"].as_u64().expect("a count")
    }

    /// The number of members, as a join tells it to somebody who is in already.
    pub async fn member_count(&mut self, group: &str) -> u64 {
        let data = self.join(group).await.ok();
        assert_eq!(data["status"], "AlreadyInGroup");
        data["group"]["memberCount"].as_u64().expect("a count")
    }
}

pub fn set(group: &str, counters: Value) -> Value {
    json!({"cmd": "setGroupCounters", "groupID": group, "counters": counters})
}

pub fn increase(group: &str, key: &str, value: impl Into<Value>) -> Value {
    json!({"cmd": "increaseGroupCounter", "groupID": group, "key": key, "value": value.into()})
}

/// The same request as an operation that may be sent again.
pub fn under(op: &str, mut request: Value) -> Value {
    request["opID"] = json!(op);
    request
}
