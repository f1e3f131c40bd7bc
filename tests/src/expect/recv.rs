//! The expectations of receive scenarios and how they are checked: pure functions from figures to complaints.

use super::{Amount, Backend, same, sources};
use crate::stat_json::{PathFigures, Stat};
use crate::truth::{Count, Received, Sent};

/// What must come out of a receive scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// Of all bytes, how many are mapped.
    pub(crate) mapped: Amount,
    /// The reason that must keep bytes from being mapped.
    pub(crate) reason: Option<&'static str>,
    /// Other reasons that may.
    pub(crate) tolerated: &'static [&'static str],
}

/// Checks the sink's own story.
pub(crate) fn truth(expect: &Expect, sent: &Sent, received: &Received) -> Vec<String> {
    let mut wrong = Vec::new();
    same(&mut wrong, "bytes at the sink", received.bytes, sent.bytes);
    if !expect.mapped.holds(received.zerocopy.mapped, received.bytes) {
        let (mapped, bytes) = (received.zerocopy.mapped, received.bytes);
        wrong.push(format!("{mapped} of {bytes} bytes were mapped, expected {}", expect.mapped));
    }
    wrong.iter().map(|w| format!("the link is not as expected: {w}")).collect()
}

/// Checks the report about a traced sink against the sink's story.
pub(crate) fn report(
    expect: &Expect,
    received: &Received,
    stat: &Stat,
    forced: Option<Backend>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    wrong.extend(sources(stat, forced));
    for other in stat.processes.iter().filter(|process| process.pid != received.pid) {
        wrong.push(format!("process {} {} is not the traced sink", other.pid, other.comm));
    }
    let plain = [
        ("recv", "recv", received.recv),
        ("recv_splice", "recv_splice", received.splice),
        ("uring_recv", "recv", received.uring),
    ];
    for (path, fact, count) in plain {
        if stat.misses(fact) {
            wrong.extend(absent(stat, path, fact));
        } else {
            wrong.extend(counted(stat, received.pid, path, count));
        }
    }
    if stat.misses("recv_zerocopy") {
        wrong.extend(absent(stat, "recv_zerocopy", "recv_zerocopy"));
    } else {
        wrong.extend(mapped(expect, received, stat));
    }
    for figures in stat.paths.iter().filter(|figures| !figures.path.contains("recv")) {
        wrong.push(format!("a sink has {} calls of the path {}", figures.calls, figures.path));
    }
    wrong
}

/// What is listed as missing must not have figures.
fn absent(stat: &Stat, path: &str, fact: &str) -> Option<String> {
    let figures = stat.paths.iter().find(|figures| figures.path == path)?;
    Some(format!("`{fact}` is listed as missing, but {path} has {} bytes", figures.bytes))
}

/// Calls and bytes of a path, in total, of the process and over its sockets, are exactly these.
fn counted(stat: &Stat, pid: u32, path: &str, count: Count) -> Vec<String> {
    let mut wrong = Vec::new();
    let on_path = |figures: &&PathFigures| figures.path == path;
    // A ring tries first and waits when there is nothing: the failed try is a call of the kernel's, not of the program's.
    let calls = |figures: &PathFigures| figures.calls - figures.errors.get("EAGAIN").copied().unwrap_or(0);
    let sockets = stat.sockets.iter().filter(|socket| socket.pid == pid).flat_map(|socket| &socket.paths);
    for (what, figures) in [
        ("over all processes", stat.paths.iter().filter(on_path).collect::<Vec<_>>()),
        ("of the process", stat.of_process(pid, path).into_iter().collect()),
        ("over its sockets", sockets.filter(on_path).collect()),
    ] {
        let bytes = figures.iter().map(|figures| figures.bytes).sum();
        same(&mut wrong, &format!("bytes of {path} {what}"), bytes, count.bytes);
        let calls = figures.iter().map(|figures| calls(figures)).sum();
        same(&mut wrong, &format!("calls of {path} {what}"), calls, count.calls);
    }
    wrong
}

/// What was mapped, copied and left to a read is what the sink was told, and each has its reason.
fn mapped(expect: &Expect, received: &Received, stat: &Stat) -> Vec<String> {
    let truth = &received.zerocopy;
    let count = Count { calls: truth.calls, bytes: truth.mapped + truth.copied };
    let mut wrong = counted(stat, received.pid, "recv_zerocopy", count);
    let Some(figures) = stat.of_process(received.pid, "recv_zerocopy") else { return wrong };
    same(&mut wrong, "failed calls", figures.errors.values().sum(), truth.failed);
    for (what, ours, theirs) in [
        ("mapped bytes", figures.zerocopied_bytes, truth.mapped),
        ("copied bytes", figures.copied_bytes, truth.copied),
    ] {
        match ours {
            Some(ours) => same(&mut wrong, what, ours, theirs),
            None => wrong.push(format!("{what} are not known")),
        }
    }
    for (site, theirs) in [("tcp_zerocopy_receive", truth.copied), ("recv_skip_hint", truth.hint)] {
        let bytes =
            figures.copies.iter().filter(|copies| copies.site == site).map(|copies| copies.bytes).sum();
        same(&mut wrong, &format!("bytes with a reason at {site}"), bytes, theirs);
    }
    let with = |reason: &str| figures.copies.iter().any(|copies| copies.reason == reason && copies.bytes > 0);
    if let Some(reason) = expect.reason.filter(|reason| !with(reason)) {
        wrong.push(format!("nothing was kept from being mapped by {reason}: {:?}", figures.copies));
    }
    for copies in &figures.copies {
        let reason = copies.reason.as_str();
        if expect.reason != Some(reason) && !expect.tolerated.contains(&reason) {
            wrong.push(format!("{} bytes were not mapped for an unexpected reason, {reason}", copies.bytes));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Mapped;

    const EXPECT: Expect = Expect { mapped: Amount::Some, reason: Some("rx_unaligned"), tolerated: &[] };

    fn received() -> Received {
        let zerocopy = Mapped { calls: 3, failed: 1, mapped: 8192, copied: 100, hint: 50 };
        Received { pid: 7, bytes: 8342, zerocopy, recv: Count { calls: 2, bytes: 50 }, ..Received::default() }
    }

    fn stat() -> Stat {
        let paths = r#"[
            {"path":"recv","calls":2,"bytes":50},
            {"path":"recv_zerocopy","calls":3,"bytes":8292,"errors":{"other":1},"zerocopied_bytes":8192,
             "copied_bytes":100,"copies":[
                {"reason":"rx_unaligned","site":"tcp_zerocopy_receive","bytes":100},
                {"reason":"rx_unaligned","site":"recv_skip_hint","bytes":50}]}]"#;
        let text = format!(
            r#"{{"schema":"zcscope.stat/1","lost":{{"total":0}},"sources":{{"send":"fentry:tcp_sendmsg_locked"}},
                "missing":[{{"fact":"ktls_recv","why":"another function"}}],
                "paths":{paths},"processes":[{{"pid":7,"comm":"sink","paths":{paths}}}],
                "sockets":[{{"pid":7,"local":"127.0.0.1:1","paths":{paths}}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_true_report_passes() {
        assert_eq!(report(&EXPECT, &received(), &stat(), None), Vec::<String>::new());
    }

    #[test]
    fn every_wrong_figure_is_found() {
        let wrong = |change: fn(&mut Stat)| {
            let mut stat = stat();
            change(&mut stat);
            report(&EXPECT, &received(), &stat, None)
        };
        assert_eq!(wrong(|stat| stat.paths[0].bytes += 1).len(), 1);
        assert_eq!(wrong(|stat| stat.processes[0].paths[1].calls += 1).len(), 1);
        assert_eq!(wrong(|stat| stat.processes[0].paths[1].copied_bytes = None).len(), 1);
        assert_eq!(wrong(|stat| stat.processes[0].paths[1].copies[1].bytes = 49).len(), 1);
        assert_eq!(
            wrong(|stat| stat.processes[0].paths[1].copies[1].reason = "rx_small_queue".into()).len(),
            1
        );
        assert_eq!(wrong(|stat| stat.sockets.clear()).len(), 4);
        assert_eq!(wrong(|stat| stat.lost.total = 1).len(), 1);
    }

    #[test]
    fn a_sink_that_maps_less_than_the_link_promises_is_no_truth() {
        let sent = Sent { bytes: 8342, ..Sent::new(crate::truth::SendPath::Copy) };
        assert_eq!(truth(&EXPECT, &sent, &received()), Vec::<String>::new());
        let all = Expect { mapped: Amount::All, ..EXPECT };
        assert_eq!(truth(&all, &sent, &received()).len(), 1);
    }
}
