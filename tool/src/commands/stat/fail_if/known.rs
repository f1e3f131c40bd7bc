//! Whether a reason or a finding that was not seen could have been seen here: silence of who cannot see is no verdict.

use zcscope_common::Reason;

use crate::model::reason::{ReasonKind, info};
use crate::model::snapshot::Snapshot;

/// The facts without which a reason of copies cannot be told from others.
const PLACES: &[(Reason, &str)] = &[
    (Reason::DriverLimit, "copy_site"),
    (Reason::Xfrm, "copy_site"),
    (Reason::TcBpfPull, "copy_site"),
    (Reason::HeaderPull, "copy_site"),
    (Reason::ZerocopyMerge, "copy_site"),
    (Reason::XdpVeth, "xdp_copy"),
    (Reason::XdpGeneric, "xdp_copy"),
    (Reason::Fastopen, "fastopen"),
    (Reason::SpliceCopyRead, "copy_read"),
    (Reason::DmaBounce, "dma_bounce"),
    (Reason::FragLimit, "frags"),
    (Reason::MixedSocket, "mixed_socket"),
    (Reason::ZcrxCopyFallback, "uring_zcrx"),
];

/// What findings that are no reasons rest on.
const FINDINGS: &[(&str, &[&str])] = &[
    ("silent_copies", &["copy", "completion"]),
    ("told_zerocopy_but_copied", &["copy", "told"]),
    ("told_copied_but_not", &["copy", "told"]),
    ("told_more_than_copied", &["copy", "told"]),
    ("merged_range", &["copy", "told"]),
    ("told_disagrees", &["copy", "told"]),
    ("failed_send", &["told"]),
    ("linked_false_positive", &["copy", "uring_told"]),
    ("enobufs", &["refused"]),
    ("optmem_near", &["gauges"]),
    ("memlock_near", &["locked_pages"]),
    ("delayed_ack", &["completion"]),
    ("depth_small", &["completion"]),
    ("slow_reader", &["completion", "told"]),
    ("lost_ends", &["completion"]),
    ("frag_limit", &["frags"]),
    ("mixed_socket", &["mixed_socket"]),
    ("sendfile_possible", &["file_reads"]),
    ("page_cache_miss", &["page_cache"]),
];

/// Why this session could not have seen this reason; `None` when it could.
pub(super) fn reason_hidden(snapshot: &Snapshot, reason: Reason) -> Option<String> {
    let kind = info(reason).kind;
    let general = match kind {
        ReasonKind::Copied | ReasonKind::CopiedFromStart => Some("copy"),
        ReasonKind::Refused => Some("refused"),
        ReasonKind::Receive => Some("recv_zerocopy"),
        ReasonKind::Note => None,
    };
    let special = PLACES.iter().find(|(of, _)| *of == reason).map(|(_, fact)| *fact);
    missing(snapshot, general.into_iter().chain(special)).or_else(|| {
        let nameless = kind == ReasonKind::Copied && reason != Reason::UnknownCaller;
        nameless.then(|| unnamed(snapshot)).flatten()
    })
}

/// Why this session could not have found this; `None` when it could.
pub(super) fn finding_hidden(snapshot: &Snapshot, id: &str) -> Option<String> {
    if let Some(reason) = Reason::from_name(id) {
        return reason_hidden(snapshot, reason);
    }
    let facts = FINDINGS.iter().find(|(of, _)| *of == id).map_or(&[][..], |(_, facts)| facts);
    missing(snapshot, facts.iter().copied())
}

fn missing<'a>(snapshot: &Snapshot, mut facts: impl Iterator<Item = &'a str>) -> Option<String> {
    facts.find_map(|fact| {
        let missing = snapshot.session.missing.iter().find(|missing| missing.fact == fact)?;
        Some(missing.why.clone())
    })
}

/// Copies whose reason this back end could not name may have had any.
fn unnamed(snapshot: &Snapshot) -> Option<String> {
    let why = missing(snapshot, ["copy_site"].into_iter())?;
    let copies = snapshot.paths.iter().flat_map(|path| &path.copies);
    let any = copies.into_iter().any(|copy| copy.kind.reason == Reason::UnknownCaller && copy.bytes > 0);
    any.then(|| format!("bytes were copied for a reason that cannot be named here: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::rules::rule_of;
    use crate::model::snapshot::{Missing, Session};

    #[test]
    fn every_finding_named_here_exists() {
        for (id, _) in FINDINGS {
            assert!(rule_of(id).is_some(), "{id}");
        }
    }

    #[test]
    fn what_a_session_cannot_see_it_does_not_acquit() {
        let missing = |fact: &str| Missing { fact: fact.into(), why: format!("no {fact}") };
        let session =
            Session { missing: vec![missing("copy_site"), missing("gauges")], ..Session::default() };
        let snapshot = Snapshot { session, ..Snapshot::default() };
        assert!(reason_hidden(&snapshot, Reason::HeaderPull).unwrap().contains("no copy_site"));
        assert_eq!(reason_hidden(&snapshot, Reason::NoScatterGather), None);
        assert!(finding_hidden(&snapshot, "optmem_near").unwrap().contains("no gauges"));
        assert!(finding_hidden(&snapshot, "tc_bpf_pull").is_some(), "a finding that is a reason");
        assert_eq!(finding_hidden(&snapshot, "sniffer"), None);
    }
}
