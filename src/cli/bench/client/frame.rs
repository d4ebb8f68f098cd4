//! WebSocket frames as a client sees them: masked ones go out, whole ones of the server come in. It never looks into a payload.

/// Opcodes of RFC 6455, as the first byte of a whole frame.
pub const TEXT: u8 = 0x81;
/// The last frame of a connection.
pub const CLOSE: u8 = 0x88;
/// To be answered by a pong with the same payload.
pub const PING: u8 = 0x89;
/// The answer to a ping.
pub const PONG: u8 = 0x8a;

/// The longest frame of a server that is taken, in bytes. The gateway's own are far shorter.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// A buffer that is empty is given back above this size: many sockets are idle at most times.
const KEPT_BYTES_MAX: usize = 512;

/// The server sent what a server must not send, or what this client does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame;

/// Adds a whole frame as a client sends it. Payloads of up to 64 KiB: no request is longer.
pub fn put_frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match u16::try_from(payload.len()).expect("a request is shorter than 64 KiB") {
        short @ 0..=125 => out.push(0x80 | short as u8),
        length => {
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    let mask = fastrand::u32(..).to_ne_bytes();
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// What one connection is still to say.
#[derive(Default)]
pub struct Outbound(Vec<u8>);

impl Outbound {
    /// Adds a text frame.
    pub fn say(&mut self, text: &[u8]) {
        put_frame(&mut self.0, TEXT, text);
    }

    /// Answers a ping with this payload.
    pub fn pong(&mut self, payload: &[u8]) {
        put_frame(&mut self.0, PONG, payload);
    }

    /// Adds bytes that are no frame: the handshake.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// What is still to be sent.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets the first so many bytes: they are on their way.
    pub fn sent(&mut self, bytes: usize) {
        forget(&mut self.0, bytes);
    }
}

/// What has come in and is not a whole frame yet.
#[derive(Default)]
pub struct Inbound(Vec<u8>);

impl Inbound {
    /// Takes bytes and hands out every whole frame: its first byte, and its payload. Fails at the first frame that is masked,
    /// a fragment, or longer than 1 MiB; what was handed out until then was good.
    pub fn take(&mut self, bytes: &[u8], mut heard: impl FnMut(u8, &[u8])) -> Result<(), BadFrame> {
        if self.0.is_empty() {
            let rest = split(bytes, &mut heard)?;
            self.0.extend_from_slice(rest);
            return Ok(());
        }
        self.0.extend_from_slice(bytes);
        let left = split(&self.0, &mut heard)?.len();
        let used = self.0.len() - left;
        forget(&mut self.0, used);
        Ok(())
    }

    /// The bytes that are no whole frame yet: before the handshake is done, the head of its answer.
    pub(super) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

fn forget(buffer: &mut Vec<u8>, bytes: usize) {
    buffer.drain(..bytes);
    if buffer.is_empty() && buffer.capacity() > KEPT_BYTES_MAX {
        *buffer = Vec::new();
    }
}

/// Hands out whole frames; the rest comes back.
fn split<'a>(mut bytes: &'a [u8], heard: &mut impl FnMut(u8, &[u8])) -> Result<&'a [u8], BadFrame> {
    loop {
        let (head, length) = match bytes {
            [_, length @ 0..=125, ..] => (2, usize::from(*length)),
            [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            [_, 127, 0, 0, 0, 0, a, b, c, d, ..] => (10, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
            [_, second, ..] if *second > 127 => return Err(BadFrame),
            _ if bytes.len() >= 10 => return Err(BadFrame),
            _ => return Ok(bytes),
        };
        if !matches!(bytes[0], TEXT | CLOSE | PING | PONG) || length > FRAME_BYTES_MAX {
            return Err(BadFrame);
        }
        let Some(payload) = bytes.get(head..head + length) else { return Ok(bytes) };
        heard(bytes[0], payload);
        bytes = &bytes[head + length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(short as u8),
            middle @ 126..=0xffff => {
                frame.push(126);
                frame.extend_from_slice(&(middle as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn frames_come_whole_however_the_bytes_are_cut() {
        let payloads = [b"".to_vec(), b"short".to_vec(), vec![b'm'; 126], vec![b'l'; 70_000]];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| server_frame(TEXT, payload)).collect();
        for cut in [1, 2, 3, 7, 100, 4096, stream.len()] {
            let (mut inbound, mut heard) = (Inbound::default(), Vec::new());
            for bytes in stream.chunks(cut) {
                inbound.take(bytes, |first, payload| heard.push((first, payload.to_vec()))).unwrap();
            }
            assert!(heard.iter().map(|(_, payload)| payload).eq(&payloads), "cut by {cut}");
            assert!(inbound.0.is_empty() && heard.iter().all(|(first, _)| *first == TEXT));
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        let masked = [TEXT, 0x81, 1, 2, 3, 4, 5];
        let fragment = server_frame(0x01, b"part");
        let reserved = server_frame(0xc1, b"x");
        let huge = [TEXT, 127, 0, 0, 0, 1, 0, 0, 0, 0];
        let long = [TEXT, 127, 0, 0, 0, 0, 0, 0x10, 0, 1];
        for bytes in [&masked[..], &fragment, &reserved, &huge, &long] {
            assert_eq!(Inbound::default().take(bytes, |_, _| panic!("handed out")), Err(BadFrame), "{bytes:x?}");
        }
    }

    #[test]
    fn a_clients_frame_is_masked_and_can_be_unmasked() {
        for payload in [&b"hello"[..], &[b'x'; 300]] {
            let mut frame = Vec::new();
            put_frame(&mut frame, TEXT, payload);
            let head = if payload.len() < 126 { 2 } else { 4 };
            assert!(frame[0] == TEXT && frame[1] & 0x80 != 0 && frame.len() == head + 4 + payload.len());
            let plain: Vec<u8> = frame[head + 4..].iter().zip(frame[head..head + 4].iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(plain, payload);
        }
    }
}
