//! The counter calls. Facts: Tencent Cloud Chat, "Updating Group Counters", "Getting Group Counters", "Deleting Group
//! Counters". `Version` in answers is ours.

use serde_json::{Value, json};

use super::api::{Answer, Call};
use super::body::check_length;
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
    let entries = call.body.objects("GroupCounter")?.ok_or_else(|| Refusal::new(Code::InvalidParameter, "GroupCounter is missing"))?;
    check_length("GroupCounter", entries.len(), LIST_MAX, Code::TooManyKeys)?;
    let mut items = Items::new();
    for entry in &entries {
        items.push((key(&entry.needed("Key")?)?, entry.integer("Value")?));
    }
    let data = call.tell(group.clone(), Ask::Write(Write::Change(mode, items), call.operation.clone())).await?;
    let Data::Written { before, after, version, replayed } = data else { return Ok(Answer::new()) };
    if !replayed {
        call.audit(Some(&group), object(&before), object(&after));
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
        call.audit(Some(&group), object(&before), json!({}));
    }
    Ok(answer(None, version))
}

fn keys(call: &Call<'_>) -> Result<Option<Vec<CounterKey>>, Refusal> {
    let texts = call.body.texts("GroupCounterKeys")?;
    texts.map(|texts| texts.iter().map(|text| key(text)).collect()).transpose()
}

fn key(text: &str) -> Result<CounterKey, Refusal> {
    CounterKey::parse(text).map_err(bad_name(Code::InvalidParameter))
}

fn answer(counters: Option<&Items>, version: u64) -> Answer {
    let mut answer = Answer::new();
    if let Some(counters) = counters {
        let list: Vec<_> = counters.iter().map(|(key, value)| json!({"Key": key.as_str(), "Value": value})).collect();
        answer.insert("GroupCounter".into(), list.into());
    }
    answer.insert("Version".into(), version.into());
    answer
}

fn object(counters: &Items) -> Value {
    counters.iter().map(|(key, value)| (key.as_str().to_owned(), Value::from(*value))).collect()
}
