//! The WebSocket handshake (RFC 6455, section 4.2), on a request head that is already read: the first of its connection, as
//! bytes, or a later one, as the HTTP library has read it.

use hyper::Request;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::metrics::Refused;

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
    /// A WebSocket; this key accepts it.
    Socket(String),
    /// Something over plain HTTP.
    Http,
    /// Nothing that can be had.
    Rejected(Rejection),
}

/// Why there is no WebSocket, and what is said about it.
#[derive(Debug, Clone, Copy)]
pub struct Rejection {
    /// What it is counted as.
    pub why: Refused,
    /// The HTTP status.
    pub status: u16,
    /// A header that belongs to the status.
    pub header: Option<(&'static str, &'static str)>,
    /// For people.
    pub text: &'static str,
}

impl Rejection {
    /// One without a header of its own.
    pub const fn new(why: Refused, status: u16, text: &'static str) -> Self {
        Self { why, status, header: None, text }
    }

    /// One that passes: 503.
    pub const fn come_back(why: Refused, text: &'static str) -> Self {
        Self { why, status: 503, header: Some(("Retry-After", "5")), text }
    }
}

const PATH: &str = "/ws";

/// Looks at a complete request head.
pub fn look(head: &[u8], origins: &Origins) -> Wanted {
    let mut headers = vec![httparse::EMPTY_HEADER; 512];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return Wanted::Rejected(Rejection::new(Refused::HeadMalformed, 400, "this is no HTTP/1.1 request"));
    }
    if request.path.and_then(|target| target.split('?').next()) != Some(PATH) {
        return Wanted::Http;
    }
    let headers = || request.headers.iter().map(|header| (header.name, header.value));
    judged(request.method.unwrap_or_default(), request.version == Some(1), headers, origins)
}

/// Looks at a request that the HTTP library has read.
pub fn look_at<B>(request: &Request<B>, origins: &Origins) -> Wanted {
    if request.uri().path() != PATH {
        return Wanted::Http;
    }
    let headers = || request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    judged(request.method().as_str(), request.version() == hyper::Version::HTTP_11, headers, origins)
}

fn judged<'a, I: Iterator<Item = (&'a str, &'a [u8])>>(
    method: &str,
    is_http_11: bool,
    headers: impl Fn() -> I,
    origins: &Origins,
) -> Wanted {
    let rejected = |status, header, text| Wanted::Rejected(Rejection { why: Refused::Handshake, status, header, text });
    let all = |wanted: &'static str| headers().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    let header = |name| all(name).next().and_then(|value| std::str::from_utf8(value).ok()).map(str::trim);
    let has_token = |name, token: &str| {
        all(name).any(|value| std::str::from_utf8(value).is_ok_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(token))))
    };
    if method != "GET" {
        return rejected(405, Some(("Allow", "GET")), "a WebSocket handshake is a GET request");
    }
    if !has_token("upgrade", "websocket") || !has_token("connection", "upgrade") || !is_http_11 {
        return rejected(426, Some(("Upgrade", "websocket")), "this address speaks WebSocket");
    }
    if header("sec-websocket-version") != Some("13") {
        return rejected(426, Some(("Sec-WebSocket-Version", "13")), "only WebSocket version 13 is spoken here");
    }
    let Some(key) = header("sec-websocket-key").filter(|key| is_key(key)) else {
        return rejected(400, None, "Sec-WebSocket-Key must be 16 bytes in base64");
    };
    let Some(host) = header("host") else { return rejected(400, None, "the Host header is missing") };
    let from_a_page = all("origin").next().is_some();
    if from_a_page && !origins.allow(header("origin").unwrap_or_default(), host) {
        let text = "pages of this origin may not connect: see security.allowed_origins";
        return Wanted::Rejected(Rejection::new(Refused::Origin, 403, text));
    }
    Wanted::Socket(derive_accept_key(key.as_bytes()))
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
            Wanted::Socket(accept) => assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            _ => panic!("refused"),
        }
        let refused = |lines: &str| matches!(look(head(lines).as_bytes(), &Origins::SameHost), Wanted::Rejected(_));
        assert!(refused(&full.replace("13", "8")));
        assert!(refused(&full.replace("dGhlIHNhbXBsZSBub25jZQ==", "short")));
        assert!(refused(&full.replace("Upgrade: WebSocket\r\n", "")));
        assert!(refused(&format!("{full}Origin: http://b\r\n")));
        assert!(matches!(look(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &Origins::SameHost), Wanted::Http));
    }
}
