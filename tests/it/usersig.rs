//! A UserSig signer of the tests' own, written from the vendor's description, so that the server's is never its own judge.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::server::{SDK_APP_ID, SECRET};

pub struct Sig {
    user: String,
    app: u64,
    secret: String,
    time: u64,
    expire: u64,
    version: String,
    tail: &'static [u8],
}

impl Sig {
    pub fn of(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            app: SDK_APP_ID,
            secret: SECRET.to_owned(),
            time: unix_now(),
            expire: 86_400,
            version: "2.0".to_owned(),
            tail: b"",
        }
    }

    pub fn app(mut self, app: u64) -> Self {
        self.app = app;
        self
    }

    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.to_owned();
        self
    }

    pub fn time(mut self, time: u64) -> Self {
        self.time = time;
        self
    }

    pub fn expire(mut self, seconds: u64) -> Self {
        self.expire = seconds;
        self
    }

    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// Bytes that follow the end of the zlib stream.
    pub fn tail(mut self, tail: &'static [u8]) -> Self {
        self.tail = tail;
        self
    }

    pub fn mac(&self) -> String {
        let text = format!("TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n", self.user, self.app, self.time, self.expire);
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length of key will do");
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    pub fn encode(&self) -> String {
        let record = json!({
            "TLS.ver": self.version,
            "TLS.identifier": self.user,
            "TLS.sdkappid": self.app,
            "TLS.time": self.time,
            "TLS.expire": self.expire,
            "TLS.sig": self.mac(),
        });
        let mut packed = deflate(record.to_string().as_bytes());
        packed.extend_from_slice(self.tail);
        dress(&packed)
    }
}

/// What a browser would get from the app's own server.
pub fn sign(user: &str) -> String {
    Sig::of(user).encode()
}

/// The vendor's alphabet over the given bytes.
pub fn dress(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "*").replace('/', "-").replace('=', "_")
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory does not fail");
    encoder.finish().expect("memory does not fail")
}

pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The signer that judges the server must itself agree with the vendor's published key and our measured vectors.
#[test]
fn the_signer_of_the_tests_agrees_with_the_vendors() {
    let at = |user: &str, expire| Sig::of(user).time(1_700_000_000).expire(expire);
    assert_eq!(at("xiaojun", 15_552_000).mac(), "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=");
    assert_eq!(at("administrator", 86_400).mac(), "yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60=");
    assert_eq!(at("user with space~!", 3_600).mac(), "g+jqY0P6bfbfihenXlu2NQBDJY1qDTmFjKnH3txj5oM=");
    let other = at("user_1", 604_800).app(88_888_888).secret("secret");
    assert_eq!(other.mac(), "NtfpDDEkoRtnVEWipGim/Vv4fdLI6zEF/YN9jOeKPdk=");
}
