//! The JSON body of a call: an object whose fields are looked at by name. Unknown fields are ignored; a field given twice,
//! or of another type than asked for, is 10004 and named.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::code::{Code, Refusal};
use crate::domain::member::AppData;
use crate::domain::name::{GroupId, UserId};
use crate::protocol::fields::{bad_name, integer};

/// Up to as many fields are compared one by one.
const FEW: usize = 16;

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

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

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
        let mut many = HashSet::new();
        for (i, (name, _)) in self.0.iter().enumerate() {
            // Comparing each with all before it is the quickest way for a few fields, and no way for the many that fit into a body.
            let twice = match self.0.len() > FEW {
                true => !many.insert(name),
                false => self.0[..i].iter().any(|(n, _)| n == name),
            };
            if twice {
                return Err(wrong(name, "is given twice"));
            }
        }
        Ok(self)
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

    /// A list of texts.
    pub fn texts(&self, field: &str) -> Result<Option<Vec<Cow<'a, str>>>, Refusal> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        let texts: Vec<Name> = serde_json::from_str(raw.get()).map_err(|_| wrong(field, "must be a list of strings"))?;
        Ok(Some(texts.into_iter().map(|Name(text)| text).collect()))
    }

    /// A list of 1 to `max` users. Error beyond it: `too_many`.
    pub fn users(&self, field: &str, max: usize, too_many: Code) -> Result<Vec<UserId>, Refusal> {
        let texts = self.texts(field)?.ok_or_else(|| wrong(field, "is missing"))?;
        check_length(field, texts.len(), max, too_many)?;
        texts.iter().map(|text| UserId::parse(text).map_err(|e| wrong(field, format_args!("holds a name that is no user: {e}")))).collect()
    }

    /// A list of objects.
    pub fn objects(&self, field: &str) -> Result<Option<Vec<Body<'a>>>, Refusal> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        let objects: Vec<Body<'a>> = serde_json::from_str(raw.get()).map_err(|_| wrong(field, "must be a list of objects"))?;
        objects.into_iter().map(Body::once).collect::<Result<_, _>>().map(Some)
    }

    /// An object inside.
    pub fn object(&self, field: &str) -> Result<Option<Body<'a>>, Refusal> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        let object: Body<'a> = serde_json::from_str(raw.get()).map_err(|_| wrong(field, "must be an object"))?;
        object.once().map(Some)
    }

    /// What an app keeps: a list of `Key` and `Value`, at most 10 of them and 4096 bytes in all.
    pub fn app_data(&self, field: &str) -> Result<AppData, Refusal> {
        let mut data = AppData::new();
        for pair in self.objects(field)?.unwrap_or_default() {
            data.push((pair.needed("Key")?.into(), pair.text("Value")?.unwrap_or_default().into()));
        }
        let bytes: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
        if data.len() > 10 || bytes > 4096 {
            return Err(wrong(field, "must hold at most 10 pairs and 4096 bytes"));
        }
        Ok(data)
    }
}

/// Checks that a list has 1 to `max` entries.
pub fn check_length(field: &str, length: usize, max: usize, too_many: Code) -> Result<(), Refusal> {
    match length {
        0 => Err(wrong(field, "is empty")),
        n if n > max => Err(Refusal::new(too_many, format!("{field} has {n} entries: at most {max} are allowed"))),
        _ => Ok(()),
    }
}
