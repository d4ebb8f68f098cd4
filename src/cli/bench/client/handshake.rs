//! The opening handshake of RFC 6455 from the client's side. Only an answer that proves that a WebSocket server has read the
//! request is taken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::gone::Gone;

/// The longest head of an answer that is read, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// So much of an unwelcome answer is shown, in characters.
const SHOWN_MAX: usize = 120;

/// The random key of one handshake.
pub struct Key(String);

impl Key {
    /// A fresh one.
    pub fn random() -> Self {
        Self(STANDARD.encode(std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..))))
    }

    /// The request for an upgrade.
    pub fn request(&self, host: &str, path: &str) -> String {
        let key = &self.0;
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nUser-Agent: tallycast-bench/{}\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        )
    }

    /// Reads what has come: the length of the head once the upgrade is done, `None` while it is not whole.
    pub fn answered(&self, bytes: &[u8]) -> Result<Option<usize>, Gone> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        let length = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(Gone::NoWebSocket("the head of its answer has no end")),
            Err(_) => return Err(Gone::NoWebSocket("its answer is no HTTP")),
        };
        let status = answer.code.unwrap_or_default();
        if status != 101 {
            let words: String = String::from_utf8_lossy(&bytes[length..]).chars().take(SHOWN_MAX).collect();
            return Err(Gone::NotUpgraded(status, words.trim().to_owned()));
        }
        let accept = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-accept"));
        match accept.is_some_and(|header| header.value == derive_accept_key(self.0.as_bytes()).as_bytes()) {
            true => Ok(Some(length)),
            false => Err(Gone::NoWebSocket("its Sec-WebSocket-Accept is wrong")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn only_the_right_accept_is_taken() {
        // Key and answer are the example of RFC 6455.
        let key = Key("dGhlIHNhbXBsZSBub25jZQ==".into());
        assert_eq!(key.answered(format!("{GOOD}more").as_bytes()), Ok(Some(GOOD.len())));
        assert_eq!(key.answered(&GOOD.as_bytes()[..GOOD.len() - 1]), Ok(None));
        assert!(matches!(Key::random().answered(GOOD.as_bytes()), Err(Gone::NoWebSocket(_))));
        assert!(matches!(key.answered(b"SSH-2.0-OpenSSH\r\n"), Err(Gone::NoWebSocket(_))));
        let refused = key.answered(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\ntoo many connections");
        assert_eq!(refused, Err(Gone::NotUpgraded(503, "too many connections".into())));
    }
}
