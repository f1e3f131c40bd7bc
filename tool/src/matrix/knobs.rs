//! How the generator was set, the same for every cell of a matrix. Two results that were set otherwise do not measure
//! the same thing.

use serde::{Deserialize, Serialize};

use crate::load::engine::Plan;
use crate::load::knobs::SendBuffer;
use crate::load::placement::Placement;
use crate::units::bytes;

/// The settings. The default is what documents without them were measured with: it could not be set then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knobs {
    /// Limit of the send queue.
    pub sndbuf: QueueLimit,
    /// That limit in bytes, where it was given as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sndbuf_asked_bytes: Option<u64>,
    /// Pages the buffers were asked to live on: `4k`, `thp`, `hugetlb`.
    pub page: String,
    /// Where file paths read from: `memfd`, or a directory.
    pub source: String,
    /// Parts of one send.
    pub iovecs: u64,
    /// Sends between two looks at the ends of sends; a quarter of the depth when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reap_every: Option<u64>,
    /// `MSG_MORE`.
    pub more: bool,
    /// `TCP_NODELAY`.
    pub nodelay: bool,
    /// Whether `SO_ZEROCOPY` was set where a path needs it.
    pub so_zerocopy: bool,
    /// Sending threads; one for each connection when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// How sending threads were placed: `spread`, `cpus`, `free`, `same_core`, `other_core`.
    pub placement: String,
    /// The CPUs asked for, in the order of threads; absent when none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Vec<u64>>,
}

/// Limit of a connection's send queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueLimit {
    /// Size x depth, and an eighth for headers.
    Depth,
    /// What the kernel tunes it to.
    System,
    /// [`Knobs::sndbuf_asked_bytes`].
    Bytes,
}

impl Default for Knobs {
    fn default() -> Self {
        Self::of(&Plan { sndbuf: SendBuffer::InFlight, ..Plan::default() })
    }
}

impl Knobs {
    /// The settings of a plan that do not depend on the cell.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let (sndbuf, sndbuf_asked_bytes) = match plan.sndbuf {
            SendBuffer::InFlight => (QueueLimit::Depth, None),
            SendBuffer::System => (QueueLimit::System, None),
            SendBuffer::Bytes(bytes) => (QueueLimit::Bytes, Some(bytes)),
        };
        let cpus = match &plan.placement {
            Placement::Cpus(cpus) => Some(cpus.iter().map(|cpu| *cpu as u64).collect()),
            _ => None,
        };
        let setup = &plan.setup;
        Self {
            sndbuf,
            sndbuf_asked_bytes,
            page: setup.pages.name(),
            source: setup.source.name(),
            iovecs: setup.iovecs as u64,
            reap_every: setup.reap_every.map(|n| n as u64),
            more: setup.more,
            nodelay: plan.nodelay,
            so_zerocopy: setup.so_zerocopy,
            threads: plan.threads.map(|n| n as u64),
            placement: plan.placement.name().into(),
            cpus,
        }
    }

    /// Every setting by name, in words. Always all of them, in this order: what must be the same in two results.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("send queue", self.send_queue()),
            ("pages", self.page.clone()),
            ("source", self.source.clone()),
            ("iovecs", self.iovecs.to_string()),
            ("MSG_MORE", on(self.more)),
            ("TCP_NODELAY", on(self.nodelay)),
            ("SO_ZEROCOPY", on(self.so_zerocopy)),
            ("reaping", self.reaping()),
            ("threads", self.threads()),
        ]
    }

    /// Limit of the send queue.
    #[must_use]
    pub fn send_queue(&self) -> String {
        match (self.sndbuf, self.sndbuf_asked_bytes) {
            (QueueLimit::Depth, _) => "at most size x depth".into(),
            (QueueLimit::System, _) => "tuned by the kernel".into(),
            (QueueLimit::Bytes, limit) => format!("at most {}", bytes(limit.unwrap_or_default())),
        }
    }

    /// How each connection sends.
    #[must_use]
    pub fn set(&self) -> String {
        format!(
            "{} iovec{}, MSG_MORE {}, TCP_NODELAY {}, SO_ZEROCOPY {}, ends of sends read {}",
            self.iovecs,
            if self.iovecs == 1 { "" } else { "s" },
            on(self.more),
            on(self.nodelay),
            on(self.so_zerocopy),
            self.reaping()
        )
    }

    /// How many threads send, and where they run.
    #[must_use]
    pub fn threads(&self) -> String {
        let threads = self.threads.map_or_else(|| "one for each stream".into(), |n| n.to_string());
        let cpus = self.cpus.iter().flatten().map(u64::to_string).collect::<Vec<_>>().join(",");
        let place = match self.placement.as_str() {
            "cpus" => format!("on CPUs {cpus} in turn"),
            "spread" => "spread over all CPUs allowed".into(),
            "free" => "not kept on any CPU".into(),
            "same_core" => "each on the CPU of its acknowledgements".into(),
            "other_core" => "each on another CPU than its acknowledgements".into(),
            other => other.to_owned(),
        };
        format!("{threads}, {place}")
    }

    fn reaping(&self) -> String {
        self.reap_every.map_or_else(|| "every quarter of the depth".into(), |n| format!("every {n} sends"))
    }
}

fn on(on: bool) -> String {
    if on { "on".into() } else { "off".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::memory::PageKind;
    use crate::load::paths::Setup;

    /// Everything set otherwise than by default.
    fn other() -> Knobs {
        let setup = Setup {
            pages: PageKind::Thp,
            source: crate::load::paths::Source::Directory("/srv".into()),
            iovecs: 8,
            reap_every: Some(3),
            more: true,
            so_zerocopy: false,
            ..Setup::default()
        };
        Knobs::of(&Plan {
            setup,
            sndbuf: SendBuffer::Bytes(4 << 20),
            nodelay: true,
            threads: Some(2),
            placement: Placement::Cpus(vec![0, 2]),
            ..Plan::default()
        })
    }

    #[test]
    fn every_setting_is_told_and_makes_a_difference() {
        let (usual, other) = (Knobs::default(), other());
        for ((name, usual), (_, other)) in usual.settings().into_iter().zip(other.settings()) {
            assert_ne!(usual, other, "{name}");
        }
        assert_eq!(other.threads(), "2, on CPUs 0,2 in turn");
        assert_eq!(other.send_queue(), "at most 4.00 MiB");
        assert_eq!(
            other.set(),
            "8 iovecs, MSG_MORE on, TCP_NODELAY on, SO_ZEROCOPY off, ends of sends read every 3 sends"
        );
    }

    #[test]
    fn placements_differ() {
        let told = [Placement::Free, Placement::Spread, Placement::SameCore, Placement::OtherCore]
            .map(|placement| Knobs::of(&Plan { placement, ..Plan::default() }).threads());
        assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>().len(), told.len(), "{told:?}");
    }

    #[test]
    fn documents_from_before_had_the_defaults() {
        let mut old = serde_json::to_value(crate::matrix::fixture::cable()).unwrap();
        old.as_object_mut().unwrap().remove("knobs");
        let read: crate::matrix::result::MatrixReport = serde_json::from_value(old).unwrap();
        assert_eq!(read, crate::matrix::fixture::cable());
    }
}
