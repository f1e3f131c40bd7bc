//! What must come out of a scenario, in words a row of the table can use.

use std::fmt;

use crate::truth::Sent;

/// How much of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Not foreseeable.
    Any,
    /// Nothing.
    None,
    /// More than nothing.
    Some,
    /// Exactly everything.
    All,
    /// So many percent or more.
    AtLeast(u64),
    /// More than nothing is allowed, but less than so many percent.
    Below(u64),
}

impl Amount {
    /// True when `part` of `whole` is this amount.
    pub(crate) const fn holds(self, part: u64, whole: u64) -> bool {
        match self {
            Amount::Any => true,
            Amount::None => part == 0,
            Amount::Some => part > 0,
            Amount::All => part == whole,
            Amount::AtLeast(percent) => part * 100 >= whole * percent,
            Amount::Below(percent) => part == 0 || part * 100 < whole * percent,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Any => write!(f, "anything"),
            Amount::None => write!(f, "none"),
            Amount::Some => write!(f, "more than none"),
            Amount::All => write!(f, "all"),
            Amount::AtLeast(percent) => write!(f, "at least {percent} %"),
            Amount::Below(percent) => write!(f, "less than {percent} %"),
        }
    }
}

/// What the kernel must have done with the bytes of one scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// Of the sends completed, how many the application is told were copied. Checks the link itself.
    pub(crate) told: Amount,
    /// Of the bytes requested, how many went out as a copy.
    pub(crate) copied: Amount,
    /// Of the bytes requested, how many were copied without the application being told.
    pub(crate) silent: Amount,
    /// Of the bytes requested, how many a second consumer got a copy of.
    pub(crate) clone: Amount,
    /// Of the bytes requested, how many are put into packets by reference.
    pub(crate) attached: Amount,
    /// The reason of the wire copies.
    pub(crate) reason: Option<&'static str>,
    /// The reason of the copies for a second consumer.
    pub(crate) clone_reason: Option<&'static str>,
    /// Other reasons that may occur.
    pub(crate) tolerated: &'static [&'static str],
    /// Whether calls are refused.
    pub(crate) refused: Refused,
    /// What is worth telling, no copy.
    pub(crate) notes: &'static [&'static str],
    /// How the pages of each call lie in packets.
    pub(crate) layout: Option<Layout>,
}

/// How the pages of one call lie in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Pages of one call, at least and at most.
    pub(crate) pages: (u64, u64),
    /// Frags of one call, at least and at most.
    pub(crate) frags: (u64, u64),
}

/// Whether calls are refused, and for which reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Some are.
    Must(&'static str),
    /// Some may be: default limits are small on old kernels, and the sender tries again.
    May(&'static str),
}

impl Refused {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Refused::Must(reason) | Refused::May(reason) => reason,
        }
    }

    /// Calls that failed with an errno of that reason.
    pub(super) fn calls(self, sent: &Sent) -> u64 {
        let errnos: &[&str] = match self.reason() {
            "unsupported" => &["EOPNOTSUPP"],
            "uring_memlock" => &["ENOMEM"],
            "bad_buffer" => &["EFAULT"],
            "aborted" => &["EAGAIN", "EPIPE"],
            _ => &["ENOBUFS"],
        };
        errnos.iter().map(|errno| sent.failed(errno)).sum()
    }
}

/// True zero-copy; the other expectations are made from this one.
pub(crate) const ZERO_COPY: Expect = Expect {
    told: Amount::None,
    copied: Amount::None,
    silent: Amount::None,
    clone: Amount::None,
    attached: Amount::All,
    reason: None,
    clone_reason: None,
    tolerated: &[],
    refused: Refused::May("optmem"),
    notes: &[],
    layout: None,
};
