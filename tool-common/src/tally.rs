//! Tallies: one cache line for each socket and direction, where plain calls are counted as long as nothing about the
//! socket is new. Finding it is arithmetic, no call; user space has the table mapped and sees what moved without
//! reading the sockets themselves.
//!
//! A tally counts besides its socket's entry: the calls and bytes of the entry's own path are those of both together.

/// What plain calls on one socket count, in one direction, and by what they are known to be like the one before.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Address of the `struct sock`, [`Tally::RECEIVES`] more for its receiving side; 0 while the slot is free or being
    /// taken.
    pub key: u64,
    /// Number of the entry this counts for (`SockEntry::id`, `RecvEntry::id`); 0 while that is not known.
    pub id: u64,
    /// Calls that ended here.
    pub calls: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Address of the cached route (`sk_dst_cache`) of the call before; 0 on the receiving side.
    pub dst: u64,
    /// Address of the socket's protocol operations (`sk_prot`) then: TLS and sockmap change them; 0 likewise.
    pub prot: u64,
    /// Process (thread group) that made it.
    pub tgid: u32,
    /// How often calls went to the entry after some had ended here: whoever has read the entry reads it again.
    pub touched: u32,
    /// [`tally_state`].
    pub state: u64,
}

/// Values of [`Tally::state`].
pub mod tally_state {
    /// The next call looks at the entry, and may change it.
    pub const ENTRY: u64 = 0;
    /// A plain call of the same process, like the one before, is counted here and nowhere else.
    pub const PLAIN: u64 = 1;
    /// The filter does not want the socket: such a call is not counted at all.
    pub const IGNORED: u64 = 2;
}

impl Tally {
    /// Added to the address in `key`; addresses of a `struct sock` are even.
    pub const RECEIVES: u64 = 1;
    /// Slots of the table, a power of two: three times as many as there can be entries.
    pub const SLOTS: u32 = 1 << 16;
    /// A tally stands at most so many slots behind its first choice.
    pub const WINDOW: u32 = 32;
    /// Words of the bitmap of slots in use; behind them stands how many entries found no slot.
    pub const USED_WORDS: u32 = Self::SLOTS / 64;

    /// Words of an element of the table.
    pub const WORDS: usize = size_of::<Self>() / 8;

    /// A tally out of the words of its element.
    #[must_use]
    pub const fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [key, id, calls, bytes, dst, prot, pair, state] = words;
        let [a, b, c, d, e, f, g, h] = pair.to_ne_bytes();
        let (tgid, touched) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]));
        Self { key, id, calls, bytes, dst, prot, tgid, touched, state }
    }

    /// Slot of first choice of a key with this low half: the high bits of a product (multiplicative hashing).
    #[inline(always)]
    #[must_use]
    pub const fn first_slot(low: u32) -> u32 {
        low.wrapping_mul(0x9E37_79B1) >> (32 - Self::SLOTS.trailing_zeros())
    }
}

const _: () = assert!(size_of::<Tally>() == 64 && Tally::SLOTS.is_power_of_two());
