//! UserSigs (TLS 2.0, HMAC-SHA256): made and verified. Pure; never compares two sigs as text, because official
//! generators dress the same facts differently, and never puts a sig into a message.
//!
//! Source: Tencent Cloud Chat, "Generating UserSig", and the official generators for Node, Python, Go, Java and C++.

use std::borrow::Cow;
use std::io::Write as _;

use base64::Engine as _;
use base64::alphabet::{Alphabet, Symbol};
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use serde::{Deserialize, Deserializer, Serialize};

use crate::auth::keyring::{Keyring, Secret};
use crate::domain::code::Code;
use crate::domain::name::UserId;

/// The longest text that is looked at, in bytes. Real ones have 200 to 500.
pub const SIG_BYTES_MAX: usize = 8 * 1024;

/// The most that a sig may inflate to, in bytes: the bound of a zlib bomb.
pub const INFLATED_BYTES_MAX: usize = 4 * 1024;

const VERSION: &str = "2.0";

/// Standard base64 with `*` for `+`, `-` for `/` and `_` for `=`. It is not the URL alphabet of RFC 4648.
static DRESS: GeneralPurpose = GeneralPurpose::new(&ALPHABET, PAD);
const ALPHABET: Alphabet = {
    let Some(padding) = Symbol::new(b'_') else { panic!("an underscore is printable") };
    match Alphabet::new_with_padding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-", padding) {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("the alphabet has 64 different printable characters"),
    }
};

/// What a good UserSig says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub user: UserId,
    /// The last Unix second in which it is still good.
    pub expires_at: u64,
}

/// Why a UserSig is refused. The words never repeat any part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigError {
    /// There is no text.
    #[error("the UserSig is empty")]
    Empty,
    /// It is not the text of a UserSig, or says something that no UserSig may say.
    #[error("the UserSig cannot be decoded: {0}")]
    Undecodable(&'static str),
    /// It was made for another `sdkappid`.
    #[error("the UserSig was made for another app")]
    OtherApp,
    /// It was made for another user.
    #[error("the UserSig was made for another user")]
    OtherUser,
    /// No live secret of the app made it.
    #[error("the UserSig was not made with a secret of this app")]
    Mismatch,
    /// Its time is over.
    #[error("the UserSig has expired")]
    Expired,
}

impl SigError {
    /// The number that a caller gets.
    pub fn code(self) -> Code {
        match self {
            Self::Empty => Code::SigEmpty,
            Self::Undecodable(_) => Code::SigUndecodable,
            Self::OtherApp => Code::SigOtherApp,
            Self::OtherUser => Code::SigOtherUser,
            Self::Mismatch => Code::SigMismatch,
            Self::Expired => Code::SigExpired,
        }
    }
}

impl Keyring {
    /// A UserSig for the user, made with the first secret, good from `now_seconds` (Unix time) for `expire_seconds`.
    pub fn sign(&self, user: &UserId, now_seconds: u64, expire_seconds: u64) -> String {
        let mut ticket = Ticket {
            version: VERSION.into(),
            user: user.as_str().into(),
            app_id: self.app_id,
            time: now_seconds,
            expire: expire_seconds,
            userbuf: None,
            mac: Cow::Borrowed(""),
        };
        let mac = self.secrets[0].mac(&ticket.signed_text());
        ticket.mac = STANDARD.encode(mac).into();
        dress(&ticket)
    }

    /// Verifies that `sig` is a UserSig of this app for `user`, at `now_seconds` (Unix time).
    ///
    /// Checks in this order: empty, undecodable, app, user, HMAC (against every live secret), expiry.
    pub fn verify(&self, user: &UserId, sig: &str, now_seconds: u64) -> Result<Verified, SigError> {
        if sig.is_empty() {
            return Err(SigError::Empty);
        }
        let json = undress(sig)?;
        let ticket = Ticket::parse(&json)?;
        let named = UserId::parse(&ticket.user).map_err(|_| SigError::Undecodable("it names a user in a wrong form"))?;
        let expires_at = ticket.expires_at().ok_or(SigError::Undecodable("it ends after the end of time"))?;
        if ticket.app_id != self.app_id {
            return Err(SigError::OtherApp);
        }
        if named != *user {
            return Err(SigError::OtherUser);
        }
        if !any_agrees(&self.secrets, &ticket) {
            return Err(SigError::Mismatch);
        }
        if now_seconds > expires_at {
            return Err(SigError::Expired);
        }
        Ok(Verified { user: named, expires_at })
    }
}

/// Tries every secret even after one agreed, so that the time taken does not tell which one it was.
fn any_agrees(secrets: &[Secret], ticket: &Ticket<'_>) -> bool {
    let Ok(mac) = STANDARD.decode(ticket.mac.as_bytes()) else { return false };
    let text = ticket.signed_text();
    secrets.iter().fold(false, |agreed, secret| agreed | secret.agrees(&text, &mac))
}

/// The facts inside a UserSig, in the order in which the Node generator writes them.
#[derive(Serialize, Deserialize)]
struct Ticket<'a> {
    #[serde(rename = "TLS.ver", borrow)]
    version: Cow<'a, str>,
    #[serde(rename = "TLS.identifier", borrow)]
    user: Cow<'a, str>,
    #[serde(rename = "TLS.sdkappid")]
    app_id: u64,
    #[serde(rename = "TLS.time")]
    time: u64,
    #[serde(rename = "TLS.expire")]
    expire: u64,
    #[serde(rename = "TLS.userbuf", default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    userbuf: Option<String>,
    #[serde(rename = "TLS.sig", borrow)]
    mac: Cow<'a, str>,
}

impl<'a> Ticket<'a> {
    fn parse(json: &'a [u8]) -> Result<Self, SigError> {
        // Without this, a JSON array would be taken for the fields in their order.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(SigError::Undecodable("it holds no JSON object"));
        }
        let ticket: Self =
            serde_json::from_slice(json).map_err(|_| SigError::Undecodable("its JSON lacks a field, or one is malformed"))?;
        if ticket.version != VERSION {
            return Err(SigError::Undecodable("TLS.ver is not \"2.0\""));
        }
        if ticket.userbuf.as_deref().is_some_and(|buf| STANDARD.decode(buf).is_err()) {
            return Err(SigError::Undecodable("TLS.userbuf is not canonical base64"));
        }
        Ok(ticket)
    }

    /// When it ends, where that is a time that can be told everywhere: a signed 64-bit number of seconds.
    fn expires_at(&self) -> Option<u64> {
        let seconds = |n: u64| i64::try_from(n).ok();
        seconds(self.time)?.checked_add(seconds(self.expire)?).map(i64::cast_unsigned)
    }

    /// The text is made of lines, so it proves something only while no field can hold a line break: a name has
    /// passed its check, a userbuf is base64.
    fn signed_text(&self) -> String {
        let mut text =
            format!("TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n", self.user, self.app_id, self.time, self.expire);
        if let Some(buf) = &self.userbuf {
            text.extend(["TLS.userbuf:", buf, "\n"]);
        }
        text
    }
}

/// A field that may be absent but, where it stands, must be a text: `null` is none.
fn text<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    String::deserialize(field).map(Some)
}

fn dress(ticket: &Ticket<'_>) -> String {
    let json = serde_json::to_vec(ticket).expect("texts and numbers always become JSON");
    let mut zlib = ZlibEncoder::new(Vec::with_capacity(json.len()), Compression::default());
    zlib.write_all(&json).expect("writing into memory cannot fail");
    DRESS.encode(zlib.finish().expect("writing into memory cannot fail"))
}

fn undress(sig: &str) -> Result<Vec<u8>, SigError> {
    if sig.len() > SIG_BYTES_MAX {
        return Err(SigError::Undecodable("it is too long"));
    }
    let packed = DRESS.decode(sig).map_err(|_| SigError::Undecodable("it is not base64 in the UserSig alphabet"))?;
    // One byte more than allowed tells "exactly full" from "too much".
    let mut json = Vec::with_capacity(INFLATED_BYTES_MAX + 1);
    let mut inflate = Decompress::new(true);
    let status = inflate
        .decompress_vec(&packed, &mut json, FlushDecompress::Finish)
        .map_err(|_| SigError::Undecodable("it is not a zlib stream"))?;
    if json.len() > INFLATED_BYTES_MAX {
        return Err(SigError::Undecodable("it inflates to more than 4 KiB"));
    }
    if status != Status::StreamEnd {
        return Err(SigError::Undecodable("its zlib stream is cut off"));
    }
    if inflate.total_in() != packed.len() as u64 {
        return Err(SigError::Undecodable("something follows its zlib stream"));
    }
    Ok(json)
}

#[cfg(test)]
mod tests;
