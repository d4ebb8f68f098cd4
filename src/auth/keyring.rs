//! The app's secrets. What is kept is the keyed state of the HMAC, never the text, and it is wiped when dropped.

use std::sync::{Arc, PoisonError, RwLock};

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of an HMAC-SHA256 in bytes.
pub(super) const MAC_BYTES: usize = 32;

/// One secret of the app, ready to sign with. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// A secret without a single character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret must not be empty")]
pub struct EmptySecret;

impl Secret {
    /// Takes the characters of the secret as they stand: hexadecimal digits are not decoded (Tencent Cloud Chat,
    /// UserSig guide).
    pub fn new(text: &str) -> Result<Self, EmptySecret> {
        if text.is_empty() {
            return Err(EmptySecret);
        }
        Ok(Self(Hmac::new_from_slice(text.as_bytes()).expect("HMAC takes keys of any length")))
    }

    pub(super) fn mac(&self, text: &str) -> [u8; MAC_BYTES] {
        self.keyed(text).finalize().into_bytes().into()
    }

    /// Whether the text was signed with this secret. Takes the same time wherever the two differ.
    pub(super) fn agrees(&self, text: &str, mac: &[u8]) -> bool {
        self.keyed(text).verify_slice(mac).is_ok()
    }

    /// Keying costs two blocks of SHA-256; a copy of the keyed state costs none.
    fn keyed(&self, text: &str) -> Hmac<Sha256> {
        let mut keyed = self.0.clone();
        keyed.update(text.as_bytes());
        keyed
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The app's id and its live secrets: the first signs, all verify, so that a secret can be changed without a break.
#[derive(Debug, Clone)]
pub struct Keyring {
    pub(super) app_id: u64,
    pub(super) secrets: Vec<Secret>,
}

/// A keyring needs one secret at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no secret is given")]
pub struct NoSecret;

impl Keyring {
    /// The keyring of the app `app_id` (the vendor's `sdkappid`). Fails only when there is no secret.
    pub fn new(app_id: u64, secrets: Vec<Secret>) -> Result<Self, NoSecret> {
        if secrets.is_empty() { Err(NoSecret) } else { Ok(Self { app_id, secrets }) }
    }

    /// The app that these secrets belong to.
    pub fn app_id(&self) -> u64 {
        self.app_id
    }
}

/// The secrets in force; others may be put in force while the program runs.
#[derive(Debug)]
pub struct Keys(RwLock<Arc<Keyring>>);

impl Keys {
    /// Begins with these.
    pub fn new(keyring: Keyring) -> Self {
        Self(RwLock::new(Arc::new(keyring)))
    }

    /// The secrets in force now.
    pub fn get(&self) -> Arc<Keyring> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts others in force, for whoever is checked from now on.
    pub fn set(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }
}
