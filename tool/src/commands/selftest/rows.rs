//! The table of what is sent, and what must come of it. Measured behaviour of Linux 6.1, 6.12 and 6.18.

use zcscope_common::Reason;

use super::stage::Cannot;
use crate::load::paths::PathEntry;

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What it shows, in a few words.
    pub(super) about: &'static str,
    pub(super) link: Link,
    pub(super) setup: &'static [Setup],
    /// Name of the generator's path.
    pub(super) path: &'static str,
    /// Sends, and bytes of each.
    pub(super) amount: (usize, usize),
    pub(super) expect: Expect,
}

/// What joins sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Loopback of one namespace.
    Loopback,
    /// A veth pair between two.
    Veth,
}

/// What is different from plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// The sending device has no scatter-gather.
    ScatterGatherOff,
    /// After the connection stands, frames carry a hardware address nobody owns: nothing is delivered, so nothing is
    /// copied, and nothing is acknowledged.
    BlackHole,
    /// A packet capture listens in the sender's namespace.
    Capture,
    /// A packet capture listens in the receiver's namespace.
    CaptureAtReceiver,
    /// Option memory for one notification at a time.
    TinyOptmem,
    /// `MSG_ZEROCOPY` without `SO_ZEROCOPY`.
    SoZerocopyUnset,
}

/// What must come of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expect {
    pub(super) fate: Fate,
    pub(super) told: Told,
    /// Copied for a second consumer besides, and why.
    pub(super) clone: Option<Reason>,
    /// Sends are refused on the way (and sent again), and why.
    pub(super) refused: Option<Reason>,
}

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Never asked for zero-copy.
    Plain,
    /// None of them copied on the way out.
    ZeroCopy,
    /// All of them copied, for this reason.
    Copied(Reason),
}

/// Of how many sends the application is told that they were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Of all.
    All,
    /// Of none.
    None,
    /// Depends on how packets were cut.
    Some,
}

const PLAIN: Expect = Expect { fate: Fate::Plain, told: Told::None, clone: None, refused: None };
const ZERO_COPY: Expect = Expect { fate: Fate::ZeroCopy, ..PLAIN };

const fn told(reason: Reason) -> Expect {
    Expect { fate: Fate::Copied(reason), told: Told::All, ..PLAIN }
}

const fn untold(reason: Reason) -> Expect {
    Expect { fate: Fate::Copied(reason), ..PLAIN }
}

const CUT_UP: Expect = Expect { told: Told::Some, ..told(Reason::NoScatterGather) };
const TAPPED: Expect = Expect { told: Told::All, clone: Some(Reason::PacketTap), ..ZERO_COPY };
const REFUSED: Expect = Expect { refused: Some(Reason::Optmem), ..told(Reason::Loopback) };

/// Much.
const M4: (usize, usize) = (64, 64 << 10);
/// What fits into the first window of a connection, so that all of it leaves before an answer comes.
const WINDOW: (usize, usize) = (4, 2 << 10);
const SMALL: (usize, usize) = (64, 4 << 10);

use Link::{Loopback, Veth};
use Setup::{BlackHole, Capture, CaptureAtReceiver, ScatterGatherOff, SoZerocopyUnset, TinyOptmem};

const fn row(
    name: &'static str,
    (link, setup): (Link, &'static [Setup]),
    path: &'static str,
    amount: (usize, usize),
    expect: Expect,
    about: &'static str,
) -> Row {
    Row { name, about, link, setup, path, amount, expect }
}

/// Every row, simple ones first.
#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row("copy",               (Loopback, &[]),                 "copy",         M4,     PLAIN,     "a plain send never asks"),
    row("zerocopy_lo",        (Loopback, &[]),                 "msg_zerocopy", M4,     told(Reason::Loopback), "loopback copies, and tells"),
    row("zerocopy_veth",      (Veth, &[]),                     "msg_zerocopy", M4,     told(Reason::LocalDelivery), "a peer on this host: copied, and told"),
    row("zerocopy_true",      (Veth, &[BlackHole]),            "msg_zerocopy", WINDOW, ZERO_COPY, "nothing is delivered, so nothing copied"),
    row("zerocopy_no_sg",     (Veth, &[ScatterGatherOff]),     "msg_zerocopy", M4,     CUT_UP,    "no scatter-gather: copied while cut up"),
    row("zerocopy_capture",   (Veth, &[BlackHole, Capture]),   "msg_zerocopy", WINDOW, TAPPED,    "copied for a capture, not for the wire"),
    row("zerocopy_capture_rx", (Veth, &[BlackHole, CaptureAtReceiver]), "msg_zerocopy", WINDOW, told(Reason::PacketTapRx), "copied for a capture at the receiver"),
    row("zerocopy_refused",   (Loopback, &[TinyOptmem]),       "msg_zerocopy", SMALL,  REFUSED,   "ENOBUFS for option memory, sent again"),
    row("zerocopy_unset",     (Loopback, &[SoZerocopyUnset]),  "msg_zerocopy", M4, untold(Reason::SoZerocopyUnset), "copied in the call, and never told"),
    row("sendfile_lo",        (Loopback, &[]),                 "sendfile",     M4,     ZERO_COPY, "file pages survive local delivery"),
    row("sendfile_no_sg",     (Veth, &[ScatterGatherOff]),     "sendfile",     M4,     untold(Reason::NoScatterGather), "file pages copied, nobody is told"),
    row("splice_lo",          (Loopback, &[]),                 "splice",       M4,     ZERO_COPY, "file pages by way of a pipe"),
    row("uring_lo",           (Loopback, &[]),                 "uring_send_zc", M4,    told(Reason::Loopback), "io_uring: copied, and told"),
    row("uring_true",         (Veth, &[BlackHole]),            "uring_send_zc", WINDOW, ZERO_COPY, "io_uring: nothing delivered, nothing copied"),
];

impl Row {
    pub(super) fn has(&self, setup: Setup) -> bool {
        self.setup.contains(&setup)
    }

    /// Nothing arrives.
    pub(super) fn is_hole(&self) -> bool {
        self.has(BlackHole)
    }

    /// The generator's path, if this kernel has it.
    pub(super) fn entry(&self) -> Result<&'static PathEntry, Cannot> {
        let entry = PathEntry::from_name(self.path).map_err(Cannot::Failed)?;
        (entry.available)().map_err(Cannot::Here)?;
        Ok(entry)
    }

    /// Why this kernel cannot show it.
    pub(super) fn impossible(&self) -> Option<String> {
        let kernel = procfs::KernelVersion::current().ok()?;
        (self.is_hole() && kernel < procfs::KernelVersion::new(6, 17, 0)).then(|| {
            "before Linux 6.17 a veth pair copies what it transmits, so a true zero-copy cannot be shown without a \
             network card"
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_path_exists() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
            let found = PathEntry::from_name(row.path);
            assert!(found.is_ok(), "{}", row.name);
            assert!(row.name.len() <= 20 && row.about.len() <= 44, "{}: too wide for the table", row.name);
            let (sends, size) = row.amount;
            // Ten segments of an Ethernet frame are the first window.
            assert!(!row.is_hole() || sends * size <= 10 * 1448, "{}: not all of it leaves", row.name);
        }
    }
}
