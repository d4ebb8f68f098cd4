//! The WebSocket handshake (RFC 6455, section 4.2), on a request head that is already read.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Which pages may open a socket. A request without `Origin` is from no page and always may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Those of the host that the request names.
    SameHost,
    /// All.
    Any,
    /// These, in small letters.
    List(Vec<String>),
}

/// What is wanted of the gateway.
pub enum Wanted {
    /// A WebSocket; these bytes accept it.
    Socket(String),
    /// Something over plain HTTP.
    Http,
    /// Nothing that can be had: status line, extra header lines, text.
    Refused(&'static str, &'static str, &'static str),
}

const PATH: &str = "/ws";

/// Looks at a complete request head.
pub fn look(head: &[u8], origins: &Origins) -> Wanted {
    let mut headers = vec![httparse::EMPTY_HEADER; 512];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return Wanted::Refused("400 Bad Request", "", "this is no HTTP/1.1 request");
    }
    let target = request.path.unwrap_or_default();
    if target.split('?').next() != Some(PATH) {
        return Wanted::Http;
    }
    let header = |name: &str| {
        let found = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(str::trim)
    };
    let has_token = |name: &str, token: &str| {
        let mut found = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        found.any(|h| std::str::from_utf8(h.value).is_ok_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(token))))
    };
    if request.method != Some("GET") {
        return Wanted::Refused("405 Method Not Allowed", "Allow: GET\r\n", "a WebSocket handshake is a GET request");
    }
    if !has_token("upgrade", "websocket") || !has_token("connection", "upgrade") || request.version != Some(1) {
        return Wanted::Refused("426 Upgrade Required", "Upgrade: websocket\r\n", "this address speaks WebSocket");
    }
    if header("sec-websocket-version") != Some("13") {
        return Wanted::Refused("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n", "only WebSocket version 13 is spoken here");
    }
    let Some(key) = header("sec-websocket-key").filter(|key| is_key(key)) else {
        return Wanted::Refused("400 Bad Request", "", "Sec-WebSocket-Key must be 16 bytes in base64");
    };
    if header("host").is_none() {
        return Wanted::Refused("400 Bad Request", "", "the Host header is missing");
    }
    let from_a_page = request.headers.iter().any(|h| h.name.eq_ignore_ascii_case("origin"));
    if from_a_page && !origins.allow(header("origin").unwrap_or_default(), header("host").unwrap_or_default()) {
        return Wanted::Refused("403 Forbidden", "", "pages of this origin may not connect: see security.allowed_origins");
    }
    let accept = derive_accept_key(key.as_bytes());
    Wanted::Socket(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// 16 bytes in standard base64 are 22 characters and two signs of padding.
fn is_key(key: &str) -> bool {
    let body = key.strip_suffix("==").unwrap_or_default();
    body.len() == 22 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

impl Origins {
    fn allow(&self, origin: &str, host: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match self {
            Origins::Any => true,
            Origins::List(list) => list.contains(&origin),
            Origins::SameHost => match origin.split_once("://") {
                Some((scheme, authority)) => {
                    let default = if scheme == "https" { ":443" } else { ":80" };
                    let host = host.to_ascii_lowercase();
                    authority.trim_end_matches(default) == host.trim_end_matches(default)
                }
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        let same = |origin, host| Origins::SameHost.allow(origin, host);
        assert!(same("http://Example.com", "example.com"));
        assert!(same("https://example.com", "example.com:443"));
        assert!(same("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(!same("http://127.0.0.1:8081", "127.0.0.1:8080"));
        assert!(!same("http://example.com.evil.org", "example.com"));
        assert!(!same("null", "example.com"));
        assert!(!same("", "example.com"));
        let list = Origins::List(vec!["https://live.example".into()]);
        assert!(list.allow("https://live.example", "other"));
        assert!(!list.allow("http://live.example", "live.example"));
        assert!(Origins::Any.allow("null", "x"));
    }

    #[test]
    fn only_a_true_handshake_is_accepted() {
        let head = |lines: &str| format!("GET /ws HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let full = "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        match look(head(full).as_bytes(), &Origins::SameHost) {
            Wanted::Socket(response) => assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
            _ => panic!("refused"),
        }
        let refused = |lines: &str| matches!(look(head(lines).as_bytes(), &Origins::SameHost), Wanted::Refused(..));
        assert!(refused(&full.replace("13", "8")));
        assert!(refused(&full.replace("dGhlIHNhbXBsZSBub25jZQ==", "short")));
        assert!(refused(&full.replace("Upgrade: WebSocket\r\n", "")));
        assert!(refused(&format!("{full}Origin: http://b\r\n")));
        assert!(matches!(look(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &Origins::SameHost), Wanted::Http));
    }
}
