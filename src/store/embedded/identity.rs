//! Which store this is: a secret number, made with the folder, that seeds every checksum of the journal.
//!
//! Data may hold any bytes, so a checksum that anybody can compute proves nothing: a text could be made that looks like a
//! block. This number leaves the folder by no way, so whoever can write into the store can neither make nor guess a sum.

use std::fmt;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// The number. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoreId([u8; 16]);

impl StoreId {
    /// Another one than any before.
    pub(super) fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(format!("no random number can be had: {error}")))?;
        Ok(Self(bytes))
    }

    /// The number as it stands in a file.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As it stands in a file.
    pub(super) fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// The checksum of bytes that stand for `what` at a place of a segment: SipHash-1-3, keyed with this number.
    pub(super) fn sum(&self, what: u8, segment: u64, offset: u64, bytes: &[u8]) -> u64 {
        let mut place = [0; 24];
        place[0] = what;
        place[8..16].copy_from_slice(&segment.to_le_bytes());
        place[16..].copy_from_slice(&offset.to_le_bytes());
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(&place);
        hasher.write(bytes);
        hasher.finish()
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreId(secret)")
    }
}
