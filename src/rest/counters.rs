//! The counter calls. Facts: Tencent Cloud Chat, "Updating Group Counters", "Getting Group Counters", "Deleting Group
//! Counters". `Version` in answers is ours.

use serde::{Serialize, Serializer};

use super::answer::Answer;
use super::api::Call;
use super::body::check_any;
use crate::domain::code::{Code, Refusal};
use crate::domain::command::{Items, Mode, Write};
use crate::domain::name::CounterKey;
use crate::group::Ask;
use crate::protocol::answer::Data;
use crate::protocol::fields::bad_name;

/// Entries of one list; the vendor's limit on keys of a group, told of the list.
const LIST_MAX: usize = 20;

pub(super) async fn update(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let mode = match call.body.text("Mode")?.as_deref() {
        None | Some("Set") => Mode::Set,
        Some("Increase") => Mode::Increase,
        Some("Decrease") => Mode::Decrease,
        Some(_) => return Err(Refusal::new(Code::InvalidParameter, "Mode must be Set, Increase or Decrease")),
    };
    let entries = call.body.objects("GroupCounter", LIST_MAX, Code::TooManyKeys)?;
    let entries = entries.ok_or_else(|| Refusal::new(Code::InvalidParameter, "GroupCounter is missing"))?;
    check_any("GroupCounter", &entries)?;
    let mut items = Items::new();
    for entry in &entries {
        items.push((key(&entry.needed("Key")?)?, entry.integer("Value")?));
    }
    let data = call.tell(group.clone(), Ask::Write(Write::Change(mode, items), call.operation.clone())).await?;
    let Data::Written { before, after, version, replayed } = data else { return Ok(Answer::new()) };
    if !replayed {
        call.audit(Some(&group), ByKey(&before), ByKey(&after));
    }
    Ok(answer(Some(&after), version))
}

pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let keys = keys(call)?.unwrap_or_default();
    let data = call.tell(group, Ask::Read(keys)).await?;
    let Data::Counters(_, snapshot) = data else { return Ok(Answer::new()) };
    Ok(answer(Some(&snapshot.counters), snapshot.version))
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Answer, Refusal> {
    let group = call.body.group()?;
    let data = call.tell(group.clone(), Ask::Write(Write::Delete(keys(call)?), call.operation.clone())).await?;
    let Data::Written { before, version, replayed, .. } = data else { return Ok(Answer::new()) };
    if !replayed && !before.is_empty() {
        call.audit(Some(&group), ByKey(&before), ByKey(&Items::new()));
    }
    Ok(answer(None, version))
}

fn keys(call: &Call<'_>) -> Result<Option<Vec<CounterKey>>, Refusal> {
    // More keys than a group can hold cannot all be there.
    let texts = call.body.texts("GroupCounterKeys", call.rest.node.limits.keys_max, Code::TooManyKeys)?;
    texts.map(|texts| texts.iter().map(|text| key(text)).collect()).transpose()
}

fn key(text: &str) -> Result<CounterKey, Refusal> {
    CounterKey::parse(text).map_err(bad_name(Code::InvalidParameter))
}

fn answer(counters: Option<&Items>, version: u64) -> Answer {
    let answer = match counters {
        Some(counters) => Answer::new().with("GroupCounter", Listed(counters)),
        None => Answer::new(),
    };
    answer.with("Version", version)
}

/// Counters as calls show them: a list of `Key` and `Value`.
struct Listed<'a>(&'a Items);

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Entry<'a> {
            key: &'a str,
            value: i64,
        }
        serializer.collect_seq(self.0.iter().map(|(key, value)| Entry { key: key.as_str(), value: *value }))
    }
}

/// Counters as the audit shows them: an object.
struct ByKey<'a>(&'a Items);

impl Serialize for ByKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key.as_str(), value)))
    }
}
