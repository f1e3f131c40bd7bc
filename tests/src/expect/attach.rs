//! How bytes were put into packets: refused calls, bytes by reference, pages and frags.

use super::wanted::Expect;
use super::{Backend, same};
use crate::stat_json::{PathFigures, Stat};
use crate::truth::{SendPath, Sent};

pub(super) fn refusals(expect: &Expect, figures: &PathFigures, sent: &Sent, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    // Only sends with an id can be aborted; of file pages a failed call is an error and nothing more.
    let counted = sent.path == SendPath::MsgZerocopy || expect.refused.reason() != "aborted";
    let reason = expect.refused.reason();
    for refused in figures.refused.iter().filter(|r| r.count > 0 && r.reason != reason) {
        wrong.push(format!("{} calls were refused for {}", refused.count, refused.reason));
    }
    if counted && !stat.misses("refused") {
        let count: u64 = figures.refused.iter().filter(|r| r.reason == reason).map(|r| r.count).sum();
        same(&mut wrong, &format!("calls refused for {reason}"), count, expect.refused.calls(sent));
    }
    wrong
}

/// How the pages of the calls lie in packets, and what the kernel had to do for it.
pub(super) fn layout(expect: &Expect, figures: &PathFigures, sent: &Sent, stat: &Stat) -> Vec<String> {
    let mut wrong = Vec::new();
    for reason in expect.notes {
        let count: u64 =
            figures.notes.iter().filter(|note| note.reason == *reason).map(|note| note.count).sum();
        let fact = if *reason == "frag_limit" { "frags" } else { reason };
        match (stat.misses(fact), count) {
            (true, 0) => {}
            (true, _) => wrong.push(format!("{fact} is listed as missing, but {reason} is counted")),
            (false, 0) => wrong.push(format!("{reason} is not told")),
            (false, _) => {}
        }
    }
    if stat.misses("frags") {
        if figures.pages.is_some() {
            wrong.push("frags are listed as missing, but pages are counted".into());
        }
        return wrong;
    }
    let Some(layout) = expect.layout else { return wrong };
    let calls = sent.calls - expect.refused.calls(sent);
    let frags = figures.frags.unwrap_or(0);
    for (what, number, (least, most)) in
        [("pages", figures.pages.unwrap_or(0), layout.pages), ("frags", frags, layout.frags)]
    {
        if number < calls * least || number > calls * most {
            wrong.push(format!("{number} {what} for {calls} calls, expected {least} to {most} each"));
        }
    }
    // Distributions are kept per path only.
    let Some(total) = stat.paths.iter().find(|path| path.path == figures.path) else { return wrong };
    same(&mut wrong, "frags measured", total.bytes_per_frag.as_ref().map_or(0, |s| s.count), frags);
    if total.frags_per_skb.as_ref().is_none_or(|s| s.max == 0 || s.max > frags) {
        wrong.push(format!("frags per packet: {:?} of {frags} frags", total.frags_per_skb));
    }
    wrong
}

pub(super) fn attached(
    expect: &Expect,
    figures: &PathFigures,
    stat: &Stat,
    backend: Option<Backend>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    match figures.attached_bytes {
        Some(bytes) if !expect.attached.holds(bytes, figures.bytes) => wrong.push(format!(
            "{bytes} of {} bytes were attached by reference, expected {}",
            figures.bytes, expect.attached
        )),
        _ => {}
    }
    let file = [SendPath::Sendfile, SendPath::Splice, SendPath::Vmsplice]
        .iter()
        .any(|path| path.name() == figures.path);
    match (backend, figures.frags) {
        (Some(Backend::Tracepoint), Some(frags)) => {
            wrong.push(format!("tracepoints cannot count frags, but the report has {frags}"));
        }
        (Some(Backend::Fentry | Backend::Kprobe), None) if file && stat.misses("splice_frags") => {}
        (Some(Backend::Fentry | Backend::Kprobe), None) => wrong.push("frags are not known".into()),
        (Some(Backend::Fentry | Backend::Kprobe), Some(0)) if figures.attached_bytes.unwrap_or(0) > 0 => {
            wrong.push("bytes were attached without a frag".into());
        }
        _ => {}
    }
    wrong
}
