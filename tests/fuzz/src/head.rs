//! The first bytes of a connection: any request, or none.

use crate::gateway::{Gateway, Response};

/// What may be answered to a stranger's request. No 5xx: nothing that is sent is the gateway's fault.
const STATUS: [u16; 20] = [100, 101, 200, 301, 304, 307, 308, 400, 403, 404, 405, 411, 413, 414, 415, 417, 426, 431, 416, 206];

pub fn target() -> impl FnMut(&[u8]) {
    let mut gateway = Gateway::start();
    move |data| {
        let mut peer = gateway.connect();
        peer.say(data);
        peer.end();
        let said = peer.rest();
        // A HEAD request is told the length of what it does not get: behind its response nobody can tell where the next begins.
        let asks_for_heads = data.windows(4).any(|word| word == b"HEAD");
        let mut rest = &said[..];
        while !rest.is_empty() {
            let (response, bytes) = match Response::parse(rest) {
                Some(parsed) => parsed,
                None if asks_for_heads => break,
                None => panic!("a response is not whole: {:?}", String::from_utf8_lossy(rest)),
            };
            assert!(STATUS.contains(&response.status), "status {}: {:?}", response.status, String::from_utf8_lossy(rest));
            if asks_for_heads {
                break;
            }
            rest = &rest[bytes..];
            if response.status == 101 {
                check_accepted(data, &said[..said.len() - rest.len()]);
                break;
            }
            // Of several requests in one go the first that closes is the last that is answered.
            assert!(!response.closes || rest.is_empty(), "something follows the end: {:?}", String::from_utf8_lossy(rest));
        }
    }
}

/// A socket is opened only for who asked for one.
fn check_accepted(asked: &[u8], said: &[u8]) {
    let asked = String::from_utf8_lossy(asked).to_ascii_lowercase();
    for needed in ["/ws", "websocket", "upgrade", "sec-websocket-key", "sec-websocket-version", "host"] {
        assert!(asked.contains(needed), "accepted without {needed}");
    }
    let said = String::from_utf8_lossy(said).to_ascii_lowercase();
    assert!(said.contains("\r\nsec-websocket-accept: "), "{said}");
}
