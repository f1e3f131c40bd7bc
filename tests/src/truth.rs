//! What the reference application counted itself, and the names of its send paths.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A way to hand bytes to TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum SendPath {
    /// `send(2)`.
    Copy,
    /// `send(2)` with `MSG_ZEROCOPY`.
    MsgZerocopy,
    /// `sendfile(2)` from a memory file.
    Sendfile,
    /// `splice(2)` memory file -> pipe -> socket.
    Splice,
}

impl SendPath {
    /// The name of the path, the same as in zcscope's reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            SendPath::Copy => "copy",
            SendPath::MsgZerocopy => "msg_zerocopy",
            SendPath::Sendfile => "sendfile",
            SendPath::Splice => "splice",
        }
    }

    /// True when one system call is exactly one entry into TCP's send function.
    pub(crate) const fn one_entry_per_call(self) -> bool {
        matches!(self, SendPath::Copy | SendPath::MsgZerocopy)
    }

    /// True when the program asks not to copy, so that copied bytes are counted.
    pub(crate) const fn wants_zerocopy(self) -> bool {
        !matches!(self, SendPath::Copy)
    }
}

/// The sender's own counters, printed as one JSON line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Process id.
    pub(crate) pid: u32,
    /// Path used.
    pub(crate) path: SendPath,
    /// System calls made, failed ones included.
    pub(crate) calls: u64,
    /// Bytes the kernel accepted.
    pub(crate) bytes: u64,
    /// Failed calls by errno name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Zero-copy sends that must be completed.
    pub(crate) zerocopy_sends: u64,
    /// Sends covered by the notifications read.
    pub(crate) completions: u64,
    /// Notifications read from the error queue.
    pub(crate) notifications: u64,
    /// Sends covered by notifications that said "copied".
    pub(crate) told_copied: u64,
    /// Bytes the peer had not acknowledged when the socket was closed.
    pub(crate) unacknowledged: u64,
    /// Time from each zero-copy send to its notification being read, ns, in the order of reading.
    #[serde(default)]
    pub(crate) read_ns: Vec<u64>,
}

impl Sent {
    /// Fresh counters of this process.
    pub(crate) fn new(path: SendPath) -> Self {
        Sent {
            pid: std::process::id(),
            path,
            calls: 0,
            bytes: 0,
            errors: BTreeMap::new(),
            zerocopy_sends: 0,
            completions: 0,
            notifications: 0,
            told_copied: 0,
            unacknowledged: 0,
            read_ns: Vec::new(),
        }
    }

    /// Failed calls with this errno.
    pub(crate) fn failed(&self, errno: &str) -> u64 {
        self.errors.get(errno).copied().unwrap_or(0)
    }
}

/// The sink's own counter.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Bytes read until the end of the stream.
    pub(crate) bytes: u64,
}
