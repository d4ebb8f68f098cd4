//! The bytes of a WebSocket behind its handshake: any frames, in any pieces. A reader of RFC 6455 that is not the gateway's
//! tells how the connection must end and how many answers there must be.

mod frames;

use serde_json::Value;

use self::frames::{End, Stream, masked};
use crate::bytes::Bytes;
use crate::gateway::{Gateway, Peer, sign};

const HANDSHAKE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
/// Faulty frames in a minute, and frames in three seconds (the defaults).
const FAULTS_MAX: usize = 20;
const FRAMES_MAX: usize = 300;
const FRAME_BYTES_MAX: usize = 32 * 1024;
const FRAME_BYTES_MAX_BEFORE_LOGIN: usize = 8 * 1024;

const PROTOCOL: u16 = 1002;
const TOO_BIG: u16 = 1009;
const BACK_OFF: u16 = 4010;
const BAD_LOGIN: u16 = 4500;

/// What has been heard of the gateway.
#[derive(Default)]
struct Heard {
    answers: usize,
    faults: usize,
    bad_login: bool,
    close: Option<u16>,
}

pub fn target() -> impl FnMut(&[u8]) {
    let mut gateway = Gateway::start();
    let sig = sign("ann");
    move |data| {
        let mut input = Bytes::new(data);
        let options = input.byte();
        let (logs_in, piece) = (options & 1 == 1, [usize::MAX, 1, 3, 700][usize::from(options >> 1) % 4]);
        let mut peer = gateway.connect();
        // With what follows in one write now and then: it is read ahead.
        let mut first = HANDSHAKE.to_vec();
        let login = format!("{{\"id\":\"in\",\"cmd\":\"login\",\"userID\":\"ann\",\"userSig\":\"{sig}\"}}");
        if logs_in {
            first.extend(masked(TEXT, login.as_bytes()));
        }
        let bytes = input.rest();
        if options & 8 == 8 {
            first.extend_from_slice(bytes);
        }
        peer.say(&first);
        let response = peer.response().expect("a handshake is answered");
        assert_eq!(response.status, 101);
        let mut heard = Heard::default();
        if logs_in {
            while heard.answers == 0 {
                assert!(heard.hear(&mut peer) && heard.close.is_none(), "a login is answered");
            }
            assert!(!heard.bad_login, "a good UserSig is refused");
        }
        let begun = Begun { logged_in: logs_in, frames: usize::from(logs_in), answers: heard.answers };
        if options & 8 == 0 {
            // Pieces of one byte would take for ever where there are many.
            let piece = piece.max(bytes.len() / 200 + 1);
            let _ = bytes.chunks(piece).all(|piece| peer.say(piece));
        }
        begun.judge(bytes, &mut peer, heard);
    }
}

struct Begun {
    logged_in: bool,
    frames: usize,
    answers: usize,
}

impl Begun {
    fn judge(self, bytes: &[u8], peer: &mut Peer, mut heard: Heard) {
        let max = if self.logged_in { FRAME_BYTES_MAX } else { FRAME_BYTES_MAX_BEFORE_LOGIN };
        let stream = Stream::read(bytes, max);
        let expected = self.answers + stream.texts;
        // A login or a logout on the way changes what is too large.
        let may_be_too_big = stream.largest > FRAME_BYTES_MAX_BEFORE_LOGIN || bytes.len() > 2 * FRAME_BYTES_MAX_BEFORE_LOGIN;
        if stream.end == End::Open {
            // Nothing ends it but what the frames say; all of them are answered.
            while heard.answers < expected && heard.close.is_none() && heard.hear(peer) {}
            if heard.close.is_none() {
                assert_eq!(heard.answers, expected, "a request is not answered");
                peer.say(&masked(CLOSE, b""));
                while heard.close.is_none() && heard.hear(peer) {}
                if heard.close.is_some_and(|code| code == 1000 || code == 1005) {
                    return;
                }
            }
        } else {
            if stream.end == End::Cut {
                peer.end();
            }
            while heard.hear(peer) {}
        }
        assert!(heard.answers <= expected, "{} answers to {expected} requests", heard.answers);
        let frames = self.frames + stream.frames;
        let allowed = |code: u16| match code {
            BACK_OFF => heard.faults == FAULTS_MAX || frames > FRAMES_MAX,
            BAD_LOGIN => heard.bad_login,
            TOO_BIG if may_be_too_big => true,
            _ => false,
        };
        match (stream.end, heard.close) {
            (End::Cut, None) => {}
            (End::Fault(faults), Some(code)) => assert!(faults.contains(&code) || allowed(code), "closed with {code}, not {faults:?}"),
            (End::Closed | End::Cut, Some(code)) => assert!(stream.closes.contains(&code) || allowed(code), "closed with {code}"),
            (end, Some(code)) => assert!(allowed(code), "{end:?} is closed with {code}"),
            (end, None) => panic!("{end:?}, and no close frame"),
        }
    }
}

impl Heard {
    /// Takes the next frame of the gateway. False: there are no more.
    fn hear(&mut self, peer: &mut Peer) -> bool {
        let Some((opcode, payload)) = peer.read(frames::of_server) else { return false };
        assert!(self.close.is_none(), "something follows a close frame");
        match opcode {
            TEXT => self.text(&payload),
            CLOSE => self.close = Some(payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code))),
            _ => {}
        }
        true
    }

    fn text(&mut self, payload: &[u8]) {
        let text = std::str::from_utf8(payload).expect("text is UTF-8");
        let frame: Value = match serde_json::from_str(text) {
            Ok(frame) => frame,
            // An id may be a number that is too large for this reader.
            Err(e) => return assert!(text.starts_with("{\"id\":") && self.take_code(text), "{text}: {e}"),
        };
        if frame.get("event").is_none() {
            assert!(self.take_code(text), "{text}");
        }
    }

    fn take_code(&mut self, text: &str) -> bool {
        let Some((_, rest)) = text.rsplit_once(",\"code\":").or(text.split_once(",\"code\":")) else { return false };
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let Ok(code) = digits.parse::<u32>() else { return false };
        self.answers += 1;
        self.faults += usize::from(matches!(code, 60003 | 10003 | 6014 | 10004));
        self.bad_login |= (70001..=70050).contains(&code);
        assert!(!matches!(code, 10002), "{text}");
        true
    }
}
