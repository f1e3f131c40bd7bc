//! Nothing but the traced program is in the report, and all of its calls, reads and sockets are.

use super::same;
use crate::stat_json::{PathFigures, Stat};
use crate::truth::{SendPath, Sent};

/// Only the traced program is in the report, and its parts add up.
pub(super) fn only_these(stat: &Stat, all: &[Sent]) -> Vec<String> {
    let mut wrong = Vec::new();
    for other in stat.processes.iter().filter(|p| all.iter().all(|sent| sent.pid != p.pid)) {
        let bytes: u64 = other.paths.iter().map(|f| f.bytes).sum();
        wrong.push(format!(
            "process {} {} with {bytes} bytes is none of the traced ones",
            other.pid, other.comm
        ));
    }
    for sent in all {
        let name = sent.path.name();
        let on_path = |f: &&PathFigures| f.path == name;
        let total: u64 = stat.paths.iter().filter(on_path).map(|f| f.bytes).sum();
        same(&mut wrong, &format!("bytes of {name} over all processes"), total, sent.bytes);
        let sockets = stat.sockets.iter().filter(|s| s.pid == sent.pid);
        let total: u64 = sockets.flat_map(|s| &s.paths).filter(on_path).map(|f| f.bytes).sum();
        same(&mut wrong, &format!("bytes of {name} over the sockets"), total, sent.bytes);
    }
    for other in stat.paths.iter().filter(|f| f.bytes > 0 && all.iter().all(|s| s.path.name() != f.path)) {
        wrong.push(format!("{} bytes stand under the path {}", other.bytes, other.path));
    }
    wrong
}

/// The program's few plain reads are known, and exact. Those of MPTCP do not pass TCP's receive function.
pub(super) fn reads(stat: &Stat, all: &[Sent]) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(sent) = all.first().filter(|_| !stat.misses("recv")) else { return wrong };
    let (calls, bytes) =
        stat.of_process(sent.pid, "recv").map_or((0, 0), |figures| (figures.calls, figures.bytes));
    let of_tcp = || all.iter().filter(|sent| sent.path != SendPath::Mptcp);
    same(&mut wrong, "plain reads", calls, of_tcp().map(|sent| sent.reads).sum());
    same(&mut wrong, "bytes of plain reads", bytes, of_tcp().map(|sent| sent.read_bytes).sum());
    wrong
}

/// Every socket of the program goes over the one device.
pub(super) fn devices(stat: &Stat, sent: &Sent, device: &str) -> Vec<String> {
    let sockets = stat.sockets.iter().filter(|s| s.pid == sent.pid && s.dev.as_deref() != Some(device));
    sockets.map(|s| format!("the socket {} goes over {device}, not {:?}", s.local, s.dev)).collect()
}

pub(super) fn calls(figures: &PathFigures, sent: &Sent) -> Vec<String> {
    let mut wrong = Vec::new();
    same(&mut wrong, "bytes", figures.bytes, sent.bytes);
    if sent.path.one_entry_per_call() {
        same(&mut wrong, "calls", figures.calls, sent.calls);
        for errno in ["ENOBUFS", "EAGAIN", "EPIPE", "ECONNRESET", "EOPNOTSUPP", "EINVAL", "EFAULT", "ENOMEM"]
        {
            let failed = figures.errors.get(errno).copied().unwrap_or(0);
            same(&mut wrong, &format!("calls failed with {errno}"), failed, sent.failed(errno));
        }
    }
    wrong
}
