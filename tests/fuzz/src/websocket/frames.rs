//! RFC 6455 as a server must read it, in the plainest way.

use super::{PROTOCOL, TOO_BIG};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const BINARY_MESSAGE: u16 = 1003;
const NOT_UTF8: u16 = 1007;

/// How a client's bytes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Between two frames; more may follow.
    Open,
    /// In a frame.
    Cut,
    /// With a close frame.
    Closed,
    /// With something that must be answered by one of these close codes.
    Fault(&'static [u16]),
}

/// What a client's bytes are.
pub struct Stream {
    pub end: End,
    /// Whole text messages before the end.
    pub texts: usize,
    /// Frames begun, all of them: the gateway may have looked ahead.
    pub frames: usize,
    /// Bytes of the largest message, or of what was announced.
    pub largest: usize,
    /// What a close frame, or a frame that is not whole, may be answered with.
    pub closes: Vec<u16>,
}

impl Stream {
    pub fn read(bytes: &[u8], max: usize) -> Self {
        let mut stream = Self { end: End::Open, texts: 0, frames: 0, largest: 0, closes: Vec::new() };
        let (mut rest, mut message) = (bytes, None::<(u8, Vec<u8>)>);
        while !rest.is_empty() {
            let Some(head) = Head::read(rest) else {
                // A fault may show before a head is whole.
                stream.end = End::Cut;
                stream.closes.extend((rest[0] & 0x70 != 0).then_some(PROTOCOL));
                break;
            };
            stream.frames += 1;
            if let Some(fault) = head.fault(message.is_some()) {
                let is_whole = rest.len() - head.bytes >= head.length;
                stream.end = if is_whole { End::Fault(fault) } else { End::Cut };
                stream.closes.extend(fault);
                break;
            }
            let so_far = message.as_ref().filter(|_| head.opcode < CLOSE).map_or(0, |(_, message)| message.len());
            let size = so_far.saturating_add(head.length);
            stream.largest = stream.largest.max(size);
            if size > max && head.opcode < CLOSE {
                stream.end = End::Fault(&[TOO_BIG]);
                break;
            }
            let Some(payload) = rest.get(head.bytes..head.bytes + head.length) else {
                stream.end = End::Cut;
                break;
            };
            let payload: Vec<u8> = payload.iter().zip(head.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            rest = &rest[head.bytes + head.length..];
            if let Some(end) = stream.take(&head, payload, &mut message) {
                stream.end = end;
                break;
            }
        }
        // The gateway counts what it has read, though it may not look at it any more.
        while let Some(head) = Head::read(rest).filter(|_| stream.frames < bytes.len()) {
            stream.frames += 1;
            rest = rest.get(head.bytes.saturating_add(head.length)..).unwrap_or_default();
        }
        if stream.end == End::Open && message.is_some() && stream.largest > max {
            stream.end = End::Cut;
        }
        stream
    }

    /// A whole frame; the end, where it is one.
    fn take(&mut self, head: &Head, payload: Vec<u8>, message: &mut Option<(u8, Vec<u8>)>) -> Option<End> {
        match head.opcode {
            PING | PONG => return None,
            CLOSE => {
                if payload.len() > 2 && std::str::from_utf8(&payload[2..]).is_err() {
                    return Some(End::Fault(&[NOT_UTF8, PROTOCOL]));
                }
                match payload.first_chunk::<2>() {
                    None if payload.is_empty() => self.closes = vec![1000, 1005],
                    None => return Some(End::Fault(&[PROTOCOL])),
                    Some(code) => self.closes = vec![u16::from_be_bytes(*code), PROTOCOL],
                }
                return Some(End::Closed);
            }
            CONTINUATION => message.as_mut().expect("it was begun").1.extend(payload),
            opcode => *message = Some((opcode, payload)),
        }
        let (opcode, text) = message.as_ref().expect("it was begun");
        let wrong = match std::str::from_utf8(text) {
            Ok(_) => false,
            Err(e) => head.is_last || e.error_len().is_some(),
        };
        if *opcode == TEXT && wrong {
            return Some(End::Fault(&[NOT_UTF8]));
        }
        if !head.is_last {
            return None;
        }
        let (opcode, _) = message.take().expect("it was begun");
        if opcode == BINARY {
            return Some(End::Fault(&[BINARY_MESSAGE]));
        }
        self.texts += 1;
        None
    }
}

struct Head {
    is_last: bool,
    reserved: bool,
    opcode: u8,
    masked: bool,
    mask: [u8; 4],
    length: usize,
    bytes: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (extra, length) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let masked = second & 0x80 != 0;
        let mask = if masked { *bytes.get(2 + extra..)?.first_chunk()? } else { [0; 4] };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = 2 + extra + if masked { 4 } else { 0 };
        Some(Self { is_last: first & 0x80 != 0, reserved: first & 0x70 != 0, opcode: first & 0x0f, masked, mask, length, bytes })
    }

    fn fault(&self, in_message: bool) -> Option<&'static [u16]> {
        let control = self.opcode >= CLOSE;
        let wrong = self.reserved
            || !matches!(self.opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG)
            || (control && (!self.is_last || self.length > 125))
            || (!control && in_message != (self.opcode == CONTINUATION))
            || !self.masked;
        // Which of two faults is told is the reader's choice.
        wrong.then_some(if self.length > 8192 { &[PROTOCOL, TOO_BIG] } else { &[PROTOCOL] })
    }
}

/// A client's frame. The mask is 0, so that a fuzzer sees the text.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).expect("a short text").to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The first whole frame of a server, and its bytes; a server's frames are never masked or in pieces.
pub fn of_server(bytes: &[u8]) -> Option<((u8, Vec<u8>), usize)> {
    let head = Head::read(bytes)?;
    assert!(head.is_last && !head.reserved && !head.masked, "a frame that no server may send");
    let payload = bytes.get(head.bytes..head.bytes + head.length)?;
    Some(((head.opcode, payload.to_vec()), head.bytes + head.length))
}
