//! The report of `zcscope stat --json` (schema `zcscope.stat/1`), read independently of zcscope's own types.
//! What may be absent is an `Option`: absent means "not known here".

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole report.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Stat {
    pub(crate) schema: String,
    #[serde(default)]
    pub(crate) sources: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) missing: Vec<Missing>,
    pub(crate) lost: Lost,
    pub(crate) paths: Vec<PathFigures>,
    pub(crate) processes: Vec<Process>,
    pub(crate) sockets: Vec<Socket>,
    #[serde(default)]
    pub(crate) files: Vec<File>,
    #[serde(default)]
    pub(crate) file_reads: Vec<FileReads>,
    #[serde(default)]
    pub(crate) maps: Vec<Map>,
    #[serde(default)]
    pub(crate) findings: Vec<Finding>,
}

/// What zcscope concludes.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Finding {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) evidence: Vec<String>,
    #[serde(default)]
    pub(crate) fix: Vec<String>,
}

/// The places of the processes in a report.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Places {
    pub(crate) processes: Vec<Place>,
}

/// The place of one process.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Place {
    pub(crate) pid: u32,
    pub(crate) netns_name: Option<String>,
    pub(crate) cgroup: Option<String>,
    pub(crate) container: Option<String>,
}

/// One file sent by one process.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct File {
    pub(crate) pid: u32,
    pub(crate) path: String,
    pub(crate) file: String,
    pub(crate) filesystem: String,
    pub(crate) inode: u64,
    pub(crate) calls: Option<u64>,
    pub(crate) bytes: u64,
    pub(crate) cache_miss_bytes: Option<u64>,
    pub(crate) copy_read_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) direct: bool,
}

/// What one process read from files.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct FileReads {
    pub(crate) pid: u32,
    pub(crate) bytes: u64,
}

/// One of the kernel's tables at the end.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Map {
    pub(crate) name: String,
    pub(crate) entries: Option<u64>,
    pub(crate) bytes: u64,
}

/// A fact that cannot be known here.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Missing {
    pub(crate) fact: String,
    pub(crate) why: String,
}

/// What the tool could not take.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Lost {
    pub(crate) total: u64,
    #[serde(default)]
    pub(crate) by_cause: BTreeMap<String, u64>,
}

/// One process.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) comm: String,
    pub(crate) paths: Vec<PathFigures>,
}

/// One socket.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Socket {
    pub(crate) pid: u32,
    pub(crate) local: String,
    #[serde(default)]
    pub(crate) remote: String,
    pub(crate) dev: Option<String>,
    pub(crate) paths: Vec<PathFigures>,
}

/// The ledger of one path.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PathFigures {
    pub(crate) path: String,
    pub(crate) calls: u64,
    #[serde(default)]
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) bytes: u64,
    pub(crate) attached_bytes: Option<u64>,
    pub(crate) frags: Option<u64>,
    pub(crate) pages: Option<u64>,
    pub(crate) frags_per_skb: Option<Spread>,
    pub(crate) bytes_per_frag: Option<Spread>,
    #[serde(default)]
    pub(crate) notes: Vec<Refused>,
    pub(crate) requested_bytes: Option<u64>,
    pub(crate) zerocopied_bytes: Option<u64>,
    pub(crate) copied_bytes: Option<u64>,
    pub(crate) clone_copied_bytes: Option<u64>,
    pub(crate) silent_copied_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) copies: Vec<Copies>,
    #[serde(default)]
    pub(crate) refused: Vec<Refused>,
    pub(crate) completions: Option<Completions>,
    pub(crate) in_flight: Option<InFlight>,
    /// Bytes TCP had not sent when the connection ended.
    pub(crate) unsent_bytes: Option<u64>,
}

/// A distribution of small numbers.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) max: u64,
}

/// Copy events of one kind.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Copies {
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) site: String,
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) clone: bool,
    #[serde(default)]
    pub(crate) inferred: bool,
}

/// Calls refused, or something worth telling.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

/// Ends of zero-copy sends.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Completions {
    pub(crate) sends: u64,
    pub(crate) units: Option<u64>,
    pub(crate) kernel_copied: Option<u64>,
    pub(crate) notifications: Option<u64>,
    pub(crate) told_sends: Option<u64>,
    pub(crate) told_copied: Option<u64>,
    #[serde(default)]
    pub(crate) before_attach: u64,
    pub(crate) delayed_acks: Option<u64>,
    pub(crate) latency_ns: Option<Percentiles>,
    pub(crate) app_read_latency_ns: Option<Percentiles>,
    #[serde(default)]
    pub(crate) disagreements: Option<Vec<Disagreement>>,
}

/// Durations in ns.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: Option<u64>,
}

/// Sends the application was told something wrong about.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Disagreement {
    pub(crate) kind: String,
    pub(crate) sends: u64,
    #[serde(default)]
    pub(crate) inferred: bool,
}

/// Sends not released yet.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct InFlight {
    pub(crate) sends: u64,
    pub(crate) bytes: u64,
}

impl Stat {
    /// True when this is among the findings.
    pub(crate) fn finds(&self, id: &str) -> bool {
        self.findings.iter().any(|finding| finding.id == id)
    }

    /// True when the report says that it cannot know this fact.
    pub(crate) fn misses(&self, fact: &str) -> bool {
        self.missing.iter().any(|missing| missing.fact == fact)
    }

    /// The figures of one process on one path.
    pub(crate) fn of_process(&self, pid: u32, path: &str) -> Option<&PathFigures> {
        let process = self.processes.iter().find(|process| process.pid == pid)?;
        process.paths.iter().find(|figures| figures.path == path)
    }
}
