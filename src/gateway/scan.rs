//! Looks at the heads of frames as their bytes come in. The WebSocket library tells of whole messages only; a peer that sends
//! fragments without end, or announces a control frame that cannot be, is to be noticed before.

/// Where in the stream of frames a connection is.
#[derive(Debug, Default)]
pub struct Scan {
    /// Bytes of the present frame's payload still to come.
    payload_left: u64,
    head: [u8; HEAD_MAX],
    head_len: u8,
    /// Frames begun so far.
    pub frames: u64,
    /// A control frame was announced that is longer than any may be (RFC 6455, 5.5).
    pub has_long_control: bool,
}

const HEAD_MAX: usize = 14;
const CONTROL_BYTES_MAX: u64 = 125;

impl Scan {
    /// Takes bytes in the order in which they came.
    pub fn eat(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = self.payload_left.min(bytes.len() as u64);
            self.payload_left -= skipped;
            bytes = &bytes[skipped as usize..];
            let Some((first, rest)) = bytes.split_first() else { return };
            self.head[self.head_len as usize] = *first;
            self.head_len += 1;
            bytes = rest;
            if let Some(length) = self.announced() {
                self.frames += 1;
                self.has_long_control |= self.head[0] & 0x08 != 0 && length > CONTROL_BYTES_MAX;
                (self.payload_left, self.head_len) = (length, 0);
            }
        }
    }

    /// The payload's length, once the head is complete.
    fn announced(&self) -> Option<u64> {
        let head = &self.head[..self.head_len as usize];
        let second = *head.get(1)?;
        let mask = if second & 0x80 != 0 { 4 } else { 0 };
        let (extra, length) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?))),
            127 => (8, u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)),
            short => (0, u64::from(short)),
        };
        (head.len() == 2 + extra + mask).then_some(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, masked: bool, length: usize) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        let mask = if masked { 0x80 } else { 0 };
        match length {
            0..=125 => frame.push(mask | length as u8),
            126..=0xffff => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0xff, length + if masked { 4 } else { 0 }));
        frame
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_their_bytes_are_cut(
            lengths in prop::collection::vec(prop_oneof![0usize..200, Just(65_536)], 1..20),
            masked: bool,
            step in 1usize..3000,
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| frame(1, masked, *length)).collect();
            let mut scan = Scan::default();
            bytes.chunks(step).for_each(|chunk| scan.eat(chunk));
            prop_assert_eq!(scan.frames, lengths.len() as u64);
            prop_assert!(!scan.has_long_control);
        }
    }

    #[test]
    fn a_long_control_frame_is_noticed_by_its_head() {
        let mut scan = Scan::default();
        scan.eat(&frame(9, true, 125));
        assert!(!scan.has_long_control);
        scan.eat(&frame(9, true, 126)[..8]);
        assert!(scan.has_long_control);
    }
}
