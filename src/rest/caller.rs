//! Who calls: the parameters of the address, looked at in the order of the contract's checks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::auth::{Keyring, SigError};
use crate::domain::code::{Code, Refusal};
use crate::domain::name::UserId;

/// UserSigs that are remembered; more than that many admins with a fresh one each are verified again and again.
const REMEMBERED_MAX: usize = 64;

/// UserSigs that were found good: a back end sends the same one with every call, and unpacking it costs more than the call.
/// They are known by their digest, which tells nobody how near a guess was.
#[derive(Default)]
pub struct GoodSigs(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// With which secrets they were found good.
    keyring: Option<Arc<Keyring>>,
    /// Until when each is good, in Unix seconds.
    sigs: HashMap<[u8; 32], u64>,
}

impl GoodSigs {
    fn verify(&self, keyring: &Arc<Keyring>, user: &UserId, sig: &str, now_seconds: u64) -> Result<(), SigError> {
        let mut digest = Sha256::new();
        digest.update(user.as_str());
        // No name has it, so that no name can go on in the UserSig.
        digest.update(b"\n");
        digest.update(sig);
        let digest: [u8; 32] = digest.finalize().into();
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !remembered.keyring.as_ref().is_some_and(|known| Arc::ptr_eq(known, keyring)) {
            *remembered = Remembered { keyring: Some(keyring.clone()), sigs: HashMap::new() };
        }
        match remembered.sigs.get(&digest) {
            Some(expires_at) if now_seconds <= *expires_at => return Ok(()),
            _ => drop(remembered),
        }
        let expires_at = keyring.verify(user, sig, now_seconds)?.expires_at;
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.keyring.as_ref().is_some_and(|known| Arc::ptr_eq(known, keyring)) {
            if remembered.sigs.len() >= REMEMBERED_MAX {
                remembered.sigs.clear();
            }
            remembered.sigs.insert(digest, expires_at);
        }
        Ok(())
    }
}

/// The parameters of an address that mean something; of one that is given twice, the first.
#[derive(Default)]
struct Parameters<'a> {
    sdkappid: Option<Cow<'a, str>>,
    identifier: Option<Cow<'a, str>>,
    usersig: Option<Cow<'a, str>>,
    random: Option<Cow<'a, str>>,
    contenttype: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Self {
        let mut parameters = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let parameter = match &*decoded(name) {
                "sdkappid" => &mut parameters.sdkappid,
                "identifier" => &mut parameters.identifier,
                "usersig" => &mut parameters.usersig,
                "random" => &mut parameters.random,
                "contenttype" => &mut parameters.contenttype,
                _ => continue,
            };
            parameter.get_or_insert_with(|| decoded(value));
        }
        parameters
    }
}

/// The user whose call this is. Whether he is an admin is looked at afterwards.
pub fn identify(query: &str, keyring: &Arc<Keyring>, good: &GoodSigs, now_seconds: u64) -> Result<UserId, Refusal> {
    let Parameters { sdkappid, identifier, usersig, random, contenttype } = Parameters::read(query);
    match sdkappid.and_then(|id| id.parse::<u64>().ok()) {
        None => return Err(Refusal::new(Code::NoAppId, "sdkappid is missing or no number")),
        Some(id) if id != keyring.app_id() => return Err(Refusal::new(Code::NoSuchApp, "this server serves another sdkappid")),
        Some(_) => {}
    }
    let bad = |text| Refusal::new(Code::BadUrlParameter, text);
    let identifier = identifier.and_then(|name| UserId::parse(&name).ok()).ok_or_else(|| bad("identifier is missing or no user"))?;
    let sig = usersig.ok_or_else(|| bad("usersig is missing"))?;
    random.and_then(|random| random.parse::<u32>().ok()).ok_or_else(|| bad("random must be a number from 0 to 4294967295"))?;
    contenttype.filter(|kind| kind == "json").ok_or_else(|| bad("contenttype must be json"))?;
    let refuse = |e: SigError| Refusal::new(e.code(), e.to_string());
    good.verify(keyring, &identifier, &sig, now_seconds).map_err(refuse)?;
    Ok(identifier)
}

/// Undoes what forms do to text; what they would not have made stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, more @ ..] = rest {
        let pair = match more {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => bytes.push(high << 4 | low),
            None => bytes.push(if *first == b'+' { b' ' } else { *first }),
        }
        rest = if pair.is_some() { &more[2..] } else { more };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    fn keyring(secret: &str) -> Arc<Keyring> {
        let secret = Secret::new(secret).unwrap_or_else(|_| panic!("a secret"));
        Arc::new(Keyring::new(1, vec![secret]).unwrap_or_else(|_| panic!("a keyring")))
    }

    #[test]
    fn a_remembered_sig_still_expires_and_dies_with_its_secret() {
        let (good, user) = (GoodSigs::default(), UserId::parse("admin").unwrap());
        let first = keyring("first");
        let sig = first.sign(&user, 1000, 10);
        for now in [1000, 1010, 1005] {
            assert!(good.verify(&first, &user, &sig, now).is_ok());
        }
        assert_eq!(good.verify(&first, &user, &sig, 1011).map_err(|e| e.code()), Err(Code::SigExpired));
        assert_eq!(good.verify(&first, &UserId::parse("other").unwrap(), &sig, 1000).map_err(|e| e.code()), Err(Code::SigOtherUser));
        assert_eq!(good.verify(&keyring("second"), &user, &sig, 1000).map_err(|e| e.code()), Err(Code::SigMismatch));
        assert!(good.verify(&first, &user, &sig, 1000).is_ok());
    }

    #[test]
    fn no_more_sigs_are_remembered_than_that() {
        let (good, user, keyring) = (GoodSigs::default(), UserId::parse("admin").unwrap(), keyring("a"));
        for time in 0..200 {
            assert!(good.verify(&keyring, &user, &keyring.sign(&user, time, 1000), time).is_ok());
            assert!(good.0.lock().unwrap().sigs.len() <= REMEMBERED_MAX);
        }
    }

    #[test]
    fn what_forms_do_to_text_is_undone() {
        for (text, read) in
            [("a", "a"), ("a+b%20c", "a b c"), ("%4a*-_", "J*-_"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%c3%a9%ff", "é\u{fffd}")]
        {
            assert_eq!(decoded(text), read);
        }
    }
}
