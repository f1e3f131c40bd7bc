//! Proofs and seals: HMAC-SHA256 with the token, or with a key derived from it for one direction of one connection.
//! Pure.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of a MAC.
pub(super) const MAC: usize = 32;

/// A message authentication code, or a derived key.
pub(super) type Tag = [u8; MAC];

/// HMAC-SHA256 of `parts`, each with its length before it, so that no two lists of parts are alike.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key of any length is taken; the fallback cannot happen.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

/// The tag of `parts` under `key`.
pub(super) fn tag(key: &[u8], parts: &[&[u8]]) -> Tag {
    hmac(key, parts).finalize().into_bytes().into()
}

/// Whether `tag` is that of `parts` under `key`, in a time that does not depend on where it differs.
pub(super) fn is_tag(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    hmac(key, parts).verify_slice(tag).is_ok()
}

/// Seals the messages of one direction.
pub(super) struct Sealer {
    key: Tag,
    next: u64,
}

impl Sealer {
    pub(super) fn new(key: Tag) -> Self {
        Self { key, next: 0 }
    }

    /// The message with its tag behind it.
    pub(super) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let tag = tag(&self.key, &[&self.next.to_be_bytes(), message]);
        self.next += 1;
        [message, &tag].concat()
    }
}

/// Opens the messages of one direction, in the order they were sealed.
pub(super) struct Opener {
    key: Tag,
    next: u64,
}

impl Opener {
    pub(super) fn new(key: Tag) -> Self {
        Self { key, next: 0 }
    }

    /// The message, when its tag is right and it is the next one.
    pub(super) fn open<'a>(&mut self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (message, tag) = sealed.split_at_checked(sealed.len().checked_sub(MAC)?)?;
        if !is_tag(&self.key, &[&self.next.to_be_bytes(), message], tag) {
            return None;
        }
        self.next += 1;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_once_in_order_and_unaltered() {
        let (mut sealer, mut opener) = (Sealer::new([1; 32]), Opener::new([1; 32]));
        let (one, two, three) = (sealer.seal(b"one"), sealer.seal(b"two"), sealer.seal(b"three"));
        assert_eq!(opener.open(&one), Some(&b"one"[..]));
        assert_eq!(opener.open(&one), None, "a message repeated");
        assert_eq!(opener.open(&three), None, "a message left out");
        let mut altered = two.clone();
        altered[0] ^= 1;
        assert_eq!(opener.open(&altered), None);
        assert_eq!(opener.open(&two[..MAC - 1]), None, "shorter than a tag");
        assert_eq!(opener.open(&two), Some(&b"two"[..]));
        assert_eq!(Opener::new([2; 32]).open(&one), None, "another key");
    }

    #[test]
    fn parts_cannot_be_moved_into_each_other() {
        assert_ne!(tag(b"key", &[b"ab", b"c"]), tag(b"key", &[b"a", b"bc"]));
    }

    #[test]
    fn the_function_is_hmac_sha256() {
        // RFC 4231, test case 2; without the lengths that `hmac` puts before parts.
        let mut mac = hmac(b"Jefe", &[]);
        mac.update(b"what do ya want for nothing?");
        let tag: Tag = mac.finalize().into_bytes().into();
        assert_eq!(tag[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(tag[28..], [0x64, 0xec, 0x38, 0x43]);
    }
}
