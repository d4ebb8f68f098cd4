//! The server's side of RFC 6455 framing: whole, unmasked, unfragmented frames.

/// Appends a text frame with this payload.
pub fn put_text(out: &mut Vec<u8>, payload: &[u8]) {
    put(out, 0x81, payload);
}

/// Appends a ping without a payload.
pub fn put_ping(out: &mut Vec<u8>) {
    put(out, 0x89, b"");
}

/// Appends a close frame; the reason is cut so that the frame stays within the 125 bytes of a control frame.
pub fn put_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(123)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    put(out, 0x88, &payload);
}

fn put(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        n @ 0..=125 => out.push(n as u8),
        n @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (n, head) in [(0usize, 2usize), (125, 2), (126, 4), (0xffff, 4), (0x10000, 10)] {
            let mut out = Vec::new();
            put_text(&mut out, &vec![b'x'; n]);
            assert_eq!(out.len(), n + head);
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        put_close(&mut out, 4000, &"é".repeat(100));
        assert_eq!(out[1], 124);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }
}
