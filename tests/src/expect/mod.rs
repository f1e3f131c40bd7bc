//! The expectations and how they are checked: pure functions from figures to sentences of complaint.
//!
//! [`wanted`] is what a row of the table says, [`backend`] what a back end can know; the checks are by subject:
//! [`whose`], [`bytes`], [`attach`], [`told`], and [`recv`] for traced sinks.

mod attach;
mod backend;
mod bytes;
pub(crate) mod recv;
mod told;
mod wanted;
mod whose;

pub(crate) use self::backend::{Backend, sources};
pub(crate) use self::wanted::{Amount, Expect, Layout, Refused, ZERO_COPY};
use crate::stat_json::{PathFigures, Stat};
use crate::truth::{Received, SendPath, Sent};

/// Checks the application's own story: without this the scenario proves nothing.
pub(crate) fn truth(expect: &Expect, all: &[Sent], received: Option<Received>) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(Received { bytes, .. }) = received {
        same(&mut wrong, "bytes at the sink", bytes, all.iter().map(|sent| sent.bytes).sum());
        same(&mut wrong, "unacknowledged bytes", all.iter().map(|sent| sent.unacknowledged).sum(), 0);
    }
    let Some(sent) = all.first() else { return vec!["the sender has no counters".into()] };
    same(&mut wrong, "completions read by the application", sent.completions, sent.zerocopy_sends);
    if !expect.told.holds(sent.told_copied, sent.completions) {
        wrong.push(format!(
            "the application was told that {} of {} sends were copied, expected {}",
            sent.told_copied, sent.completions, expect.told
        ));
    }
    if matches!(expect.refused, Refused::Must(_)) && expect.refused.calls(sent) == 0 {
        wrong.push("no call was refused".into());
    }
    wrong.iter().map(|w| format!("the link is not as expected: {w}")).collect()
}

/// Checks zcscope's report against the application's story, told over `device`: a counter line per path of one
/// process, the first for the path the expectation is about.
pub(crate) fn report(
    expect: &Expect,
    all: &[Sent],
    device: &str,
    stat: &Stat,
    backend: Option<Backend>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if stat.schema != "zcscope.stat/1" {
        wrong.push(format!("schema is {:?}", stat.schema));
    }
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    wrong.extend(sources(stat, backend));
    wrong.extend(whose::only_these(stat, all));
    wrong.extend(whose::reads(stat, all));
    let backend = backend.or(Backend::of_report(stat));
    for (number, sent) in all.iter().enumerate() {
        wrong.extend(whose::devices(stat, sent, device));
        let Some(figures) = stat.of_process(sent.pid, sent.path.name()) else {
            wrong.push(format!("process {} has no path {}", sent.pid, sent.path.name()));
            continue;
        };
        wrong.extend(whose::calls(figures, sent));
        if number == 0 {
            wrong.extend(path(expect, figures, sent, stat, backend));
        }
    }
    wrong
}

/// Checks what became of the bytes of one path.
fn path(
    expect: &Expect,
    figures: &PathFigures,
    sent: &Sent,
    stat: &Stat,
    backend: Option<Backend>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if !sent.path.wants_zerocopy() {
        let odd = figures.copies.iter().any(|copies| Some(copies.reason.as_str()) != expect.reason);
        if figures.copied_bytes.unwrap_or(0) > 0 || odd {
            wrong.push(format!("a path that copies by nature has a copy ledger: {:?}", figures.copies));
        }
        return wrong;
    }
    wrong.extend(bytes::ledger(expect, figures, stat));
    if !stat.misses("copy") {
        wrong.extend(bytes::reasons(expect, figures, backend));
    }
    wrong.extend(attach::refusals(expect, figures, sent, stat));
    wrong.extend(attach::attached(expect, figures, stat, backend));
    wrong.extend(attach::layout(expect, figures, sent, stat));
    if sent.path == SendPath::MsgZerocopy {
        wrong.extend(told::ends(figures, sent, stat));
        wrong.extend(bytes::silence(expect, figures, sent));
        wrong.extend(told::disagreements(expect, figures, sent, stat));
    }
    if sent.path.is_uring_zerocopy() {
        wrong.extend(told::ends(figures, sent, stat));
        wrong.extend(bytes::uring_silence(expect, figures, sent));
        wrong.extend(told::uring_disagreements(expect, figures, sent));
    }
    wrong.extend(told::marked(figures, backend));
    wrong
}

/// Complains when two figures are not equal.
pub(crate) fn same(wrong: &mut Vec<String>, what: &str, reported: u64, true_value: u64) {
    if reported != true_value {
        wrong.push(format!("{what}: {reported}, expected {true_value}"));
    }
}

#[cfg(test)]
mod tests;
