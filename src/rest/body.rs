//! The JSON body of a call: an object whose fields are looked at by name. Unknown fields are ignored; a field given twice,
//! or of another type than asked for, is 10004 and named.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::code::{Code, Refusal};
use crate::domain::member::AppData;
use crate::domain::name::{GroupId, UserId};
use crate::protocol::bounded::{self, Name, Unread, first_twice};
use crate::protocol::fields::{bad_name, integer};

/// Names in one filter: more than any answer has fields.
const FILTER_NAMES_MAX: usize = 64;
/// Pairs of what an app keeps about one thing, and their bytes in all.
const APP_DATA_MAX: (usize, usize) = (10, 4096);

/// An object.
pub struct Body<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Body<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Body(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn wrong(field: &str, rule: impl fmt::Display) -> Refusal {
    Refusal::new(Code::InvalidParameter, format!("{field} {rule}"))
}

impl<'a> Body<'a> {
    /// Reads a whole body. Errors: 60003 for what is no JSON object, 10004 for a field given twice.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refusal::new(Code::BadJson, "the body must be UTF-8"))?;
        let body: Body =
            serde_json::from_str(text).map_err(|e| Refusal::new(Code::BadJson, format!("the body must be one JSON object: {e}")))?;
        body.once()
    }

    fn once(self) -> Result<Self, Refusal> {
        match first_twice(self.0.iter().map(|(name, _)| name)) {
            Some(name) => Err(wrong(name, "is given twice")),
            None => Ok(self),
        }
    }

    fn raw(&self, field: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// A text; an empty one is as absent.
    pub fn text(&self, field: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        let Name(text) = serde_json::from_str(raw.get()).map_err(|_| wrong(field, "must be a string"))?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// A text that must be there.
    pub fn needed(&self, field: &str) -> Result<Cow<'a, str>, Refusal> {
        self.text(field)?.ok_or_else(|| wrong(field, "is missing"))
    }

    /// A text of limited length.
    pub fn short(&self, field: &str, bytes_max: usize) -> Result<Box<str>, Refusal> {
        let text = self.text(field)?.unwrap_or_default();
        if text.len() > bytes_max {
            return Err(wrong(field, format_args!("must have at most {bytes_max} bytes")));
        }
        Ok(text.into())
    }

    /// The group called `GroupId`. Errors: 10004 where it is missing, 10015 where its form is wrong.
    pub fn group(&self) -> Result<GroupId, Refusal> {
        GroupId::parse(&self.needed("GroupId")?).map_err(bad_name(Code::BadGroupId))
    }

    /// A user.
    pub fn user(&self, field: &str) -> Result<Option<UserId>, Refusal> {
        let user = self.text(field)?.map(|text| UserId::parse(&text).map_err(|e| wrong(field, format_args!("is no user: {e}"))));
        user.transpose()
    }

    /// A number of things, 0 or more.
    pub fn count(&self, field: &str) -> Result<Option<usize>, Refusal> {
        match self.raw(field) {
            None => Ok(None),
            raw => usize::try_from(integer(field, raw)?).map(Some).map_err(|_| wrong(field, "must not be negative")),
        }
    }

    /// A signed 64-bit integer, as a number or as digits in a string.
    pub fn integer(&self, field: &str) -> Result<i64, Refusal> {
        integer(field, self.raw(field))
    }

    /// A list of at most `max` texts (0 = no limit). Error beyond it: `too_many`.
    pub fn texts(&self, field: &str, max: usize, too_many: Code) -> Result<Option<Vec<Cow<'a, str>>>, Refusal> {
        let texts: Option<Vec<Name>> = self.list(field, "must be a list of strings", max, too_many)?;
        Ok(texts.map(|texts| texts.into_iter().map(|Name(text)| text).collect()))
    }

    /// The names of a filter.
    pub fn filter(&self, field: &str) -> Result<Option<Vec<Cow<'a, str>>>, Refusal> {
        self.texts(field, FILTER_NAMES_MAX, Code::InvalidParameter)
    }

    /// A list of 1 to `max` users. Error beyond it: `too_many`.
    pub fn users(&self, field: &str, max: usize, too_many: Code) -> Result<Vec<UserId>, Refusal> {
        let texts = self.texts(field, max, too_many)?.ok_or_else(|| wrong(field, "is missing"))?;
        check_any(field, &texts)?;
        texts.iter().map(|text| UserId::parse(text).map_err(|e| wrong(field, format_args!("holds a name that is no user: {e}")))).collect()
    }

    /// A list of at most `max` objects. Error beyond it: `too_many`.
    pub fn objects(&self, field: &str, max: usize, too_many: Code) -> Result<Option<Vec<Body<'a>>>, Refusal> {
        let objects: Option<Vec<Body<'a>>> = self.list(field, "must be a list of objects", max, too_many)?;
        objects.map(|objects| objects.into_iter().map(Body::once).collect()).transpose()
    }

    fn list<T: Deserialize<'a>>(&self, field: &str, rule: &str, max: usize, too_many: Code) -> Result<Option<Vec<T>>, Refusal> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        bounded::list(raw, max).map(Some).map_err(|fault| match fault {
            Unread::Malformed => wrong(field, rule),
            Unread::TooMany => Refusal::new(too_many, format!("{field} has more than {max} entries: send fewer")),
        })
    }

    /// An object inside.
    pub fn object(&self, field: &str) -> Result<Option<Body<'a>>, Refusal> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        let object: Body<'a> = serde_json::from_str(raw.get()).map_err(|_| wrong(field, "must be an object"))?;
        object.once().map(Some)
    }

    /// What an app keeps: a list of `Key` and `Value`.
    pub fn app_data(&self, field: &str) -> Result<AppData, Refusal> {
        let (pairs_max, bytes_max) = APP_DATA_MAX;
        let mut data = AppData::new();
        for pair in self.objects(field, pairs_max, Code::InvalidParameter)?.unwrap_or_default() {
            data.push((pair.needed("Key")?.into(), pair.text("Value")?.unwrap_or_default().into()));
        }
        let bytes: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > bytes_max {
            return Err(wrong(field, format_args!("must hold at most {bytes_max} bytes")));
        }
        Ok(data)
    }
}

/// Checks that a list has an entry.
pub fn check_any<T>(field: &str, list: &[T]) -> Result<(), Refusal> {
    if list.is_empty() { Err(wrong(field, "is empty")) } else { Ok(()) }
}
