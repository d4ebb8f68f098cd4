//! A frame's fields, each still as it was written: read in one pass, understood only when a command asks for it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bounded::{self, Name, Unread, first_twice};
use crate::domain::code::{Code, Refusal};
use crate::domain::command::Items;
use crate::domain::name::{BadName, CounterKey, GroupId, UserId};

macro_rules! fields {
    ($($field:ident = $wire:literal),* $(,)?) => {
        /// The fields of all commands, where present.
        #[derive(Debug, Default)]
        pub struct Fields<'a> {
            $(#[doc = concat!("`", $wire, "`")] pub $field: Option<&'a RawValue>,)*
            /// The first known field that was given twice.
            pub twice: Option<&'static str>,
        }

        impl<'a> Fields<'a> {
            fn place(&mut self, name: &str) -> Option<(&mut Option<&'a RawValue>, &'static str)> {
                match name {
                    $($wire => Some((&mut self.$field, $wire)),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    id = "id", cmd = "cmd", group_id = "groupID", key = "key", value = "value", op_id = "opID", counters = "counters",
    key_list = "keyList", user_id = "userID", user_sig = "userSig", user_id_list = "userIDList", kind = "type", name = "name",
    join_option = "joinOption", asked = "asked",
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfFrame;
        impl<'de> Visitor<'de> for OfFrame {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(Name(name)) = map.next_key()? {
                    match fields.place(&name) {
                        None => drop(map.next_value::<IgnoredAny>()?),
                        Some((place, wire)) => {
                            let value = map.next_value()?;
                            if place.replace(value).is_some() && fields.twice.is_none() {
                                fields.twice = Some(wire);
                            }
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(OfFrame)
    }
}

fn wrong(field: &str, rule: &str) -> Refusal {
    Refusal::new(Code::InvalidParameter, format!("{field} {rule}"))
}

/// What a name's rule says, as a refusal.
pub fn bad_name(code: Code) -> impl Fn(BadName) -> Refusal {
    move |BadName(rule)| Refusal::new(code, rule)
}

/// The value of an optional field; null counts as absent.
pub fn optional(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// The text in a field. Errors: 10004 where it is absent or no string.
pub fn text<'a>(field: &str, raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, Refusal> {
    match optional(raw) {
        None => Err(wrong(field, "is missing")),
        Some(raw) => as_text(raw).ok_or_else(|| wrong(field, "must be a string")),
    }
}

fn as_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

/// A field that is true or false, or absent. Errors: 10004 for anything else.
pub fn flag(field: &str, raw: Option<&RawValue>, absent: bool) -> Result<bool, Refusal> {
    match optional(raw).map(RawValue::get) {
        None => Ok(absent),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(wrong(field, "must be true or false")),
    }
}

/// A group's id. Errors: 10004 where it is absent or no string, 10015 where its form is wrong.
pub fn group_id(raw: Option<&RawValue>) -> Result<GroupId, Refusal> {
    GroupId::parse(&text("groupID", raw)?).map_err(bad_name(Code::BadGroupId))
}

/// An integer, as a JSON number or as a string of decimal digits with an optional minus sign. Errors: 10004.
pub fn integer(field: &str, raw: Option<&RawValue>) -> Result<i64, Refusal> {
    let raw = optional(raw).ok_or_else(|| wrong(field, "is missing"))?;
    let quoted = as_text(raw);
    let digits = quoted.as_deref().unwrap_or(raw.get());
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong(field, "must be an integer, or a string of decimal digits"));
    }
    digits.parse().map_err(|_| wrong(field, "does not fit in a signed 64-bit integer"))
}

/// An object of keys and integers, in the order given. Errors: 10063 for more than `keys_max` (0 = no limit), 10004 for
/// everything else, also for a key given twice.
pub fn items(field: &str, raw: Option<&RawValue>, keys_max: usize) -> Result<Items, Refusal> {
    let raw = optional(raw).ok_or_else(|| wrong(field, "is missing"))?;
    let pairs = bounded::pairs(raw, keys_max).map_err(|fault| match fault {
        Unread::Malformed => wrong(field, "must be an object of keys and integers"),
        Unread::TooMany => too_many_keys(field, keys_max),
    })?;
    if pairs.is_empty() {
        return Err(wrong(field, "is empty: name at least one key"));
    }
    let mut items = Items::with_capacity(pairs.len());
    for (key, value) in pairs {
        let named = format!("{field}.{key}");
        let key = CounterKey::parse(&key).map_err(bad_name(Code::InvalidParameter))?;
        items.push((key, integer(&named, Some(value))?));
    }
    match first_twice(items.iter().map(|(key, _)| key)) {
        Some(key) => Err(wrong(&format!("{field}.{key}"), "is given twice")),
        None => Ok(items),
    }
}

/// Keys to be read; absent and empty both mean all. Errors: 10063 for more than `keys_max` (0 = no limit), 10004.
pub fn keys(field: &str, raw: Option<&RawValue>, keys_max: usize) -> Result<Vec<CounterKey>, Refusal> {
    let keys = list(field, raw, keys_max, || too_many_keys(field, keys_max), CounterKey::parse)?;
    Ok(keys.unwrap_or_default())
}

/// What more keys than a group can hold are answered.
pub fn too_many_keys(field: &str, keys_max: usize) -> Refusal {
    Refusal::new(Code::TooManyKeys, format!("{field} names more than {keys_max} keys, and a group holds no more: name fewer"))
}

/// A list of 1 to `users_max` users (0 = no limit). Errors: 10004.
pub fn users(raw: Option<&RawValue>, users_max: usize) -> Result<Vec<UserId>, Refusal> {
    const FIELD: &str = "userIDList";
    let wrong_number = || match users_max {
        0 => wrong(FIELD, "must name at least one user"),
        max => wrong(FIELD, &format!("must name 1 to {max} users")),
    };
    let users = list(FIELD, raw, users_max, wrong_number, UserId::parse)?.ok_or_else(|| wrong(FIELD, "is missing"))?;
    if users.is_empty() { Err(wrong_number()) } else { Ok(users) }
}

/// A list of at most `max` strings (0 = no limit), each taken by `parse`; absent is `None`. Errors: 10004, and `too_many`.
fn list<T>(
    field: &str,
    raw: Option<&RawValue>,
    max: usize,
    too_many: impl Fn() -> Refusal,
    parse: impl Fn(&str) -> Result<T, BadName>,
) -> Result<Option<Vec<T>>, Refusal> {
    let Some(raw) = optional(raw) else { return Ok(None) };
    let texts: Vec<Name> = bounded::list(raw, max).map_err(|fault| match fault {
        Unread::Malformed => wrong(field, "must be a list of strings"),
        Unread::TooMany => too_many(),
    })?;
    let names = texts.iter().map(|Name(text)| parse(text).map_err(bad_name(Code::InvalidParameter)));
    names.collect::<Result<_, _>>().map(Some)
}
