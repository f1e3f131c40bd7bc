//! One row per finding: the scenarios that make it, what zcscope must be able to see for it, how its fix is shown to
//! work, or why it cannot be made here. A finding without a row fails a test.

use std::fmt::Write as _;

use crate::kernel::{self, Since};
use crate::stat_json::Stat;

/// How a fix is shown to work: afterwards the finding is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// The command that the finding prints is run as it stands there, in this live scenario.
    Printed(&'static str),
    /// What the finding says is done by this scenario, which must not have the finding then.
    Done(&'static str),
    /// There is nothing to mend, and why.
    Nothing(&'static str),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// The finding.
    pub(crate) id: &'static str,
    /// Scenarios whose report must have it.
    pub(crate) made: &'static [&'static str],
    /// Scenarios in which it is seen most of the time: how packets are cut decides.
    often: &'static [&'static str],
    /// Facts of a back end without which nobody can find it.
    needs: &'static [&'static str],
    /// A fact that hides it: who knows this says something better.
    hidden_by: Option<&'static str>,
    /// Kernels that have this do not make it any more.
    until: Option<Since>,
    /// How its fix is shown to work.
    pub(crate) cure: Cure,
}

impl Proof {
    /// True when what this report is made of can tell the finding.
    pub(crate) fn is_known(&self, stat: &Stat) -> bool {
        !self.needs.iter().any(|fact| stat.misses(fact))
            && self.hidden_by.is_none_or(|fact| stat.misses(fact))
            && !self.until.is_some_and(kernel::has)
    }

    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Proof { needs, ..self }
    }

    const fn often(self, often: &'static [&'static str]) -> Self {
        Proof { often, ..self }
    }

    const fn unless(self, fact: &'static str) -> Self {
        Proof { hidden_by: Some(fact), ..self }
    }

    const fn until(self, behaviour: Since) -> Self {
        Proof { until: Some(behaviour), ..self }
    }
}

const fn made(id: &'static str, made: &'static [&'static str], cure: Cure) -> Proof {
    Proof { id, made, often: &[], needs: &[], hidden_by: None, until: None, cure }
}

/// No kernel here can make it: a sample of the unit tests stands for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The finding.
    pub(crate) id: &'static str,
    /// What would be needed.
    pub(crate) why: &'static str,
}

const BY_DESIGN: Cure = Cure::Nothing("by design: the advice is not to ask for zero-copy there");
const A_QUIRK: Cure = Cure::Nothing("a quirk of the kernel: the advice is not to trust the flag");
const COPY: &[&str] = &["copy"];

/// The rows.
#[rustfmt::skip]
pub(crate) const PROOFS: &[Proof] = &[
    // Facts of the host.
    made("device_features",       &["finding_sg_off", "finding_tx_off", "veth_sg_off_sendfile", "virtio_sendfile"], Cure::Printed("finding_sg_off")),
    made("sniffer",               &["finding_tap", "veth_msg_zerocopy_tap"],           Cure::Printed("finding_tap")),
    made("local_peer",            &["finding_loopback", "lo_msg_zerocopy"],            Cure::Done("finding_loopback")),
    // Copied after being accepted.
    made("loopback",              &["finding_loopback", "lo_msg_zerocopy"],            Cure::Done("finding_loopback")).needs(COPY),
    made("local_delivery",        &["finding_local_delivery", "veth_msg_zerocopy"],    Cure::Done("finding_local_delivery")).needs(COPY),
    made("netns_forward",         &["routed_msg_zerocopy"],                            BY_DESIGN).needs(COPY).until(Since::CopyOnDelivery),
    made("tun_tap",               &["finding_tun", "tun_msg_zerocopy"],                Cure::Done("finding_tun")).needs(COPY),
    made("packet_tap",            &["finding_tap", "veth_msg_zerocopy_tap"],           Cure::Printed("finding_tap")).needs(COPY),
    made("packet_tap_rx",         &["hole_tap_at_sink"],                               Cure::Done("hole_msg_zerocopy")).needs(COPY),
    made("no_scatter_gather",     &["finding_sg_off", "veth_sg_off_sendfile", "virtio_sendfile"], Cure::Printed("finding_sg_off")).needs(COPY),
    made("no_tx_checksum",        &["finding_tx_off", "veth_tx_off_msg_zerocopy"],     Cure::Printed("finding_tx_off")).needs(COPY),
    made("driver_limit",          &["vxlan_on_vmxnet3"],                               Cure::Done("vmxnet3_msg_zerocopy")).needs(COPY),
    made("xfrm",                  &["veth_esp", "veth_esp_sendfile"],                  Cure::Done("veth_msg_zerocopy")).needs(&["copy_site"]),
    made("xdp_veth",              &["veth_xdp_native"],                                Cure::Done("veth_msg_zerocopy")).needs(&["xdp_copy"]),
    made("xdp_generic",           &["finding_xdp", "veth_xdp_generic"],                Cure::Done("finding_xdp")).needs(COPY),
    made("tc_bpf_pull",           &["finding_tc_pull", "veth_tc_pull", "veth_tc_pull_sendfile"], Cure::Done("finding_tc_pull")).needs(&["copy_site"]),
    made("dma_bounce",            &["dma_bounce"],                                                 Cure::Done("vmxnet3_msg_zerocopy")),
    made("unknown_caller",        &["finding_tc_pull", "veth_tc_pull"],                Cure::Nothing("the caller must be looked up")).needs(COPY).unless("copy_site"),
    // Copied from the start.
    made("so_zerocopy_unset",     &["finding_so_zerocopy_unset", "lo_so_zerocopy_unset"], Cure::Done("finding_so_zerocopy_unset")).needs(COPY),
    made("fastopen",              &["lo_fastopen", "veth_fastopen"],                   Cure::Done("lo_msg_zerocopy")).needs(COPY),
    made("sockmap",               &["finding_sockmap", "lo_sockmap_asked"],            Cure::Done("finding_sockmap")).needs(&["copy", "sockmap"]),
    made("mptcp",                 &["lo_mptcp_asked"],                                 Cure::Done("lo_msg_zerocopy")).needs(&["copy", "mptcp"]),
    made("ktls",                  &["lo_ktls", "lo_ktls_sendfile"],                    Cure::Nothing("the fix is a card that encrypts")).needs(&["ktls"]),
    made("splice_copy_read",      &["finding_splice_copy", "file_sendfile_direct"],    Cure::Done("finding_splice_copy")),
    // Refused.
    made("optmem",                &["finding_optmem", "lo_optmem"],                    Cure::Printed("finding_optmem")).needs(&["refused"]),
    made("memlock",               &["finding_memlock", "lo_memlock"],                  Cure::Printed("finding_memlock")).needs(&["refused"]),
    made("uring_memlock",         &["finding_uring_memlock", "uring_lo_memlock"],      Cure::Printed("finding_uring_memlock")).needs(&["uring_completion"]),
    made("unsupported",           &["lo_ktls_msg_zerocopy", "uring_lo_tls"],           Cure::Done("lo_msg_zerocopy")).needs(&["refused"]),
    made("bad_buffer",            &["finding_bad_buffer", "lo_bad_buffer"],            Cure::Done("finding_bad_buffer")).needs(&["refused"]),
    made("aborted",               &["lo_shut"],                                        Cure::Done("lo_msg_zerocopy")).needs(&["refused"]),
    made("optmem_near",           &["finding_optmem_near"],                            Cure::Printed("finding_optmem_near")).needs(&["attach"]),
    made("memlock_near",          &["finding_memlock_near"],                           Cure::Printed("finding_memlock_near")).needs(&["attach"]),
    // What the application is told.
    made("silent_copies",         &["finding_tx_off", "veth_sg_off_sendfile"],         Cure::Printed("finding_tx_off")).needs(COPY),
    made("told_zerocopy_but_copied", &["notices_merged"],                              Cure::Done("finding_sg_off")).needs(COPY),
    made("merged_range",          &["notices_merged"],                                 Cure::Done("finding_sg_off")).needs(COPY),
    made("told_copied_but_not",   &["hole_tap"],                                       Cure::Done("hole_msg_zerocopy")).needs(COPY),
    made("failed_send",           &["finding_uring_memlock", "uring_lo_memlock"],      A_QUIRK).needs(&["uring_completion"]),
    made("linked_false_positive", &["uring_hole_batch"],                               A_QUIRK).needs(&["uring_told"]),
    // Time.
    made("slow_reader",           &["finding_slow_reader", "ends_read_late"],          Cure::Done("finding_slow_reader")).needs(&["completion", "told"]),
    made("depth_small",           &["finding_depth_small", "finding_delayed_ack"],     Cure::Done("finding_depth_small")).needs(&["completion", "told"]),
    made("delayed_ack",           &["finding_delayed_ack", "notices_acks_late"],       Cure::Done("finding_delayed_ack")).needs(&["completion"]),
    made("swept_retransmit",      &["finding_lossy"],                                  Cure::Done("finding_lossy")),
    made("pacing",                &["finding_pacing"],                                 Cure::Done("finding_pacing")),
    // Cost.
    made("small_send",            &["finding_small_send", "lo_msg_zerocopy_many"],     Cure::Done("finding_small_send")),
    made("frag_limit",            &["lo_scattered", "veth_scattered"],                 Cure::Done("lo_msg_zerocopy")).needs(&["frags"]),
    made("mixed_socket",          &["lo_more_mixed"],                                  Cure::Done("lo_msg_zerocopy")).needs(&["mixed_socket"]),
    made("splice_small",          &["finding_splice_small"],                           Cure::Done("finding_splice_small")).needs(&["splice_frags"]),
    // Files.
    made("sendfile_possible",     &["file_read_and_send"],                             Cure::Done("file_sendfile_warm")).needs(&["file_reads"]),
    made("page_cache_miss",       &["finding_cache_miss", "file_sendfile_cold"],       Cure::Done("finding_cache_miss")),
    // Receiving.
    made("rx_mapped_page",        &["recv_map_lo_copy", "recv_map_veth_copy"],         Cure::Nothing("measure with a sender on another host")).needs(&["recv_zerocopy"]),
    made("rx_small_queue",        &["recv_map_lo_small", "recv_map_lo_tiny"],          Cure::Done("recv_map_lo_msg_zerocopy")).needs(&["recv_zerocopy"]),
    made("rx_unaligned",          &[],                                                 Cure::Nothing("an MTU and a card of another kind")).often(&["recv_map_veth_msg_zerocopy"]),
    made("rx_header_split_missing", &[],                                               Cure::Nothing("a card that splits headers")).often(&["recv_map_lo_msg_zerocopy"]),
];

/// The findings that no kernel here can make.
#[rustfmt::skip]
pub(crate) const SAMPLES: &[Sample] = &[
    Sample { id: "wrong_node",            why: "a machine with two NUMA nodes, and a card on one of them" },
    Sample { id: "zerocopy_merge",        why: "Open vSwitch, and packets of two sends that meet in an upcall" },
    Sample { id: "header_pull",           why: "a card that pulls more than 1 % of the bytes: below that it is none" },
    Sample { id: "route_no_sg",           why: "a kernel that does not take scatter-gather for granted on TCP sockets" },
    Sample { id: "repair",                why: "a checkpoint of a connection (CRIU)" },
    Sample { id: "invalid",               why: "a request that the kernel takes to TCP and refuses there as invalid" },
    Sample { id: "devmem_binding",        why: "a card whose memory can be bound (devmem TCP)" },
    Sample { id: "enobufs",               why: "a back end that sees results and not what refused: none does here" },
    Sample { id: "told_disagrees",        why: "a back end that sees flags and not copies: none does here" },
    Sample { id: "told_more_than_copied", why: "the same, and a card that flags without copying" },
    Sample { id: "zcrx_copy_fallback",    why: "a card with io_uring zero-copy receive" },
    Sample { id: "rx_map_full",           why: "a receiver that maps less than is queued and gives a copy buffer" },
    Sample { id: "lost",                  why: "more of everything than the tables hold; a run that loses is repeated" },
    Sample { id: "lost_ends",             why: "the same" },
];

/// The table in words.
pub(crate) fn text() -> String {
    let mut out = String::new();
    for proof in PROOFS {
        let cure = match proof.cure {
            Cure::Printed(name) => format!("gone after the printed commands in {name}"),
            Cure::Done(name) => format!("gone in {name}"),
            Cure::Nothing(why) => why.to_owned(),
        };
        let by: Vec<&str> = proof.made.iter().chain(proof.often).copied().collect();
        let _ = writeln!(out, "{:<26} made by {}; {cure}", proof.id, by.join(", "));
    }
    for sample in SAMPLES {
        let _ = writeln!(out, "{:<26} a sample only; it would need {}", sample.id, sample.why);
    }
    out
}

/// The proofs of which this scenario is one.
pub(crate) fn made_by(name: &str) -> impl Iterator<Item = &'static Proof> {
    PROOFS.iter().filter(move |proof| proof.made.contains(&name))
}

/// The proof of a finding.
pub(crate) fn proof_of(id: &str) -> Option<&'static Proof> {
    PROOFS.iter().find(|proof| proof.id == id)
}

/// Findings that may stand beside those of a procedure.
#[rustfmt::skip]
const BESIDE: &[(&str, &[&str])] = &[
    ("notices_acks_late",       &["loopback", "depth_small"]),
    ("notices_acks_at_once",    &["loopback", "depth_small"]),
    ("notices_merged",          &["no_scatter_gather", "silent_copies", "slow_reader"]),
    ("notices_merged_told_first", &["slow_reader", "no_scatter_gather", "silent_copies", "merged_range", "told_zerocopy_but_copied"]),
    ("file_sendfile_direct",    &["silent_copies"]),
    ("socket_handed_over",      &["loopback", "local_peer"]),
    ("ends_read_late",          &["loopback"]),
    ("ends_closed_at_once",     &["loopback"]),
    ("load_msg_zerocopy",       &["loopback", "local_peer"]),
    ("uring_lo_bundles",        &[]),
];

/// What may stand beside what this procedure makes.
pub(crate) fn beside(name: &str) -> &'static [&'static str] {
    BESIDE.iter().find(|(of, _)| *of == name).map_or(&[], |(_, ids)| ids)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::findings::live_table::{self, Fix};
    use crate::scenario;

    /// The rules of zcscope itself: the one place where these tests look into it.
    fn rules() -> impl Iterator<Item = &'static str> {
        zcscope::diagnose::rules::RULES.iter().map(|rule| rule.id)
    }

    #[test]
    fn every_finding_is_made_or_says_why_not() {
        for id in rules() {
            let made = PROOFS.iter().filter(|proof| proof.id == id).count();
            let not = SAMPLES.iter().filter(|sample| sample.id == id).count();
            assert_eq!(made + not, 1, "{id} has {made} proofs and {not} samples");
        }
        let ids: BTreeSet<_> = rules().collect();
        let known = PROOFS.iter().map(|proof| proof.id).chain(SAMPLES.iter().map(|sample| sample.id));
        known.for_each(|id| assert!(ids.contains(id), "{id} is no finding"));
        assert!(SAMPLES.iter().all(|sample| sample.why.len() > 5));
    }

    #[test]
    fn every_scenario_named_is_one() {
        let names: BTreeSet<_> = scenario::names().collect();
        for proof in PROOFS {
            let cure = match proof.cure {
                Cure::Printed(name) | Cure::Done(name) => Some(name),
                Cure::Nothing(why) => {
                    assert!(why.len() > 10, "{}", proof.id);
                    None
                }
            };
            let by = || proof.made.iter().chain(proof.often).copied();
            assert!(by().next().is_some(), "nothing makes {}", proof.id);
            for name in by().chain(cure) {
                assert!(names.contains(name), "{}: {name} is no scenario", proof.id);
            }
        }
        BESIDE.iter().for_each(|(name, _)| assert!(names.contains(name), "{name} is no scenario"));
    }

    #[test]
    fn a_live_row_proves_what_it_is_said_to_and_prints_what_it_runs() {
        for row in live_table::ROWS {
            for id in row.proves() {
                assert!(proof_of(id).is_some(), "{}: {id} has no proof", row.name);
            }
            for proof in made_by(row.name) {
                let said = row.proves().contains(&proof.id) || row.may.contains(&proof.id);
                assert!(said, "{} does not make {}", row.name, proof.id);
            }
        }
        for proof in PROOFS {
            let Cure::Printed(name) = proof.cure else { continue };
            let row = live_table::ROWS.iter().find(|row| row.name == name);
            assert!(row.is_some_and(|row| matches!(row.fix, Fix::Printed(_))), "{}: {name}", proof.id);
        }
    }
}
