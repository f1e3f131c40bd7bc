//! Frames on the control connection: four bytes of length, then as many bytes. Pure.

/// Most bytes of a frame before the peer has proved that it knows the token, and after.
pub(super) const SMALL: usize = 1024;
pub(super) const LARGE: usize = 1 << 20;

/// The peer announced a longer frame than it may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// `payload` as a frame.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), payload].concat()
}

/// Cuts frames out of what comes in.
#[derive(Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    /// Takes bytes as they came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    pub(super) fn next(&mut self, limit: usize) -> Result<Option<Vec<u8>>, TooLong> {
        let Some((length, rest)) = self.buffer.split_first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > limit {
            return Err(TooLong);
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let payload = payload.to_vec();
        self.buffer.drain(..4 + length);
        Ok(Some(payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let sent = [frame(b"hello"), frame(b""), frame(b"world")].concat();
        let mut frames = Frames::default();
        let mut got = Vec::new();
        for byte in sent {
            frames.push(&[byte]);
            while let Some(payload) = frames.next(SMALL).unwrap() {
                got.push(payload);
            }
        }
        assert_eq!(got, [&b"hello"[..], b"", b"world"]);
    }

    #[test]
    fn a_long_frame_is_refused_by_its_length_alone() {
        let mut frames = Frames::default();
        frames.push(b"GET / HTTP/1.1\r\n");
        assert_eq!(frames.next(SMALL), Err(TooLong));
    }
}
