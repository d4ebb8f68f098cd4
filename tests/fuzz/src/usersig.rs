//! UserSigs: any text, any zlib stream, any JSON, and any facts under a true signature.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tallycast::auth::{Keyring, Secret};
use tallycast::domain::name::UserId;

use crate::bytes::Bytes;

const APP: u64 = 1_400_000_000;
const SECRET: &str = "a secret of the fuzzer";
const NOW: u64 = 1_700_000_000;

/// Numbers at which something changes.
const NUMBERS: [u64; 10] = [0, 1, NOW - 1, NOW, NOW + 1, 86_400, i64::MAX as u64 - NOW, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX];

pub fn target() -> impl FnMut(&[u8]) {
    let secret = Secret::new(SECRET).expect("it is not empty");
    let keyring = Keyring::new(APP, vec![secret]).expect("there is a secret");
    let ann = UserId::parse("ann").expect("a name");
    move |data| {
        let mut input = Bytes::new(data);
        match input.byte() % 4 {
            0 => {
                let text = String::from_utf8_lossy(input.rest());
                assert!(keyring.verify(&ann, &text, NOW).is_err(), "nobody signs by chance");
            }
            1 => assert!(keyring.verify(&ann, &dressed(input.rest()), NOW).is_err(), "nobody signs by chance"),
            2 => {
                let level = input.byte();
                let sig = dressed(&zlib(input.rest(), level));
                assert!(keyring.verify(&ann, &sig, NOW).is_err(), "nobody signs by chance");
            }
            _ => signed(&keyring, &mut input),
        }
    }
}

/// A true signature under facts of any kind: whether it is good can be told from them alone.
fn signed(keyring: &Keyring, input: &mut Bytes<'_>) {
    let number = |input: &mut Bytes<'_>| match input.byte() {
        known if usize::from(known) < NUMBERS.len() => NUMBERS[usize::from(known)],
        _ => input.number(),
    };
    let (time, expire) = (number(input), number(input));
    let app = if input.byte() % 4 == 3 { number(input) } else { APP };
    let version = ["2.0", "2.0", "2.0", "1.0"][usize::from(input.byte()) % 4];
    let name = String::from_utf8_lossy(input.short()).into_owned();
    let userbuf = (input.byte() % 2 == 1).then(|| match input.byte() % 2 {
        0 => STANDARD.encode(input.short()),
        _ => String::from_utf8_lossy(input.short()).into_owned(),
    });
    let asked = UserId::parse(if input.byte() % 4 == 3 { "somebody else" } else { &name });
    let Ok(asked) = asked else { return };
    let level = input.byte();
    let tail = input.short();

    let mut text = format!("TLS.identifier:{name}\nTLS.sdkappid:{app}\nTLS.time:{time}\nTLS.expire:{expire}\n");
    let mut facts = json!({
        "TLS.ver": version, "TLS.identifier": name, "TLS.sdkappid": app, "TLS.time": time, "TLS.expire": expire,
    });
    if let Some(userbuf) = &userbuf {
        text += &format!("TLS.userbuf:{userbuf}\n");
        facts["TLS.userbuf"] = json!(userbuf);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("keys of any length");
    mac.update(text.as_bytes());
    facts["TLS.sig"] = json!(STANDARD.encode(mac.finalize().into_bytes()));
    let facts = facts.to_string();
    let mut packed = zlib(facts.as_bytes(), level);
    packed.extend_from_slice(tail);
    let sig = dressed(&packed);

    let ends = i64::try_from(time).ok().zip(i64::try_from(expire).ok()).and_then(|(time, expire)| time.checked_add(expire));
    let canonical = |text: &String| STANDARD.decode(text).is_ok_and(|bytes| STANDARD.encode(bytes) == *text);
    let good = version == "2.0"
        && app == APP
        && name == asked.as_str()
        && userbuf.as_ref().is_none_or(canonical)
        && tail.is_empty()
        && facts.len() <= 4096
        && sig.len() <= 8192
        && ends.is_some_and(|ends| NOW <= ends as u64);
    match keyring.verify(&asked, &sig, NOW) {
        Ok(verified) => {
            assert!(good, "{facts} is refused by the contract");
            assert_eq!((verified.user, Some(verified.expires_at as i64)), (asked, ends));
        }
        Err(e) => assert!(!good, "{facts} is good, and refused: {e}"),
    }
}

fn zlib(bytes: &[u8], level: u8) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(u32::from(level % 10)));
    zlib.write_all(bytes).expect("memory takes all");
    zlib.finish().expect("memory takes all")
}

fn dressed(bytes: &[u8]) -> String {
    STANDARD
        .encode(bytes)
        .chars()
        .map(|c| match c {
            '+' => '*',
            '/' => '-',
            '=' => '_',
            other => other,
        })
        .collect()
}
