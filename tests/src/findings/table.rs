//! One row per finding: the scenarios that make it, what zcscope must be able to see for it, how its fix is shown to
//! work, or why it cannot be made here. A finding without a row fails a test.

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
    /// Facts of a back end without which nobody can find it.
    needs: &'static [&'static str],
    /// How its fix is shown to work.
    pub(crate) cure: Cure,
}

impl Proof {
    /// True when what this report is made of can tell the finding.
    pub(crate) fn is_known(&self, stat: &Stat) -> bool {
        !self.needs.iter().any(|fact| stat.misses(fact))
    }

    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Proof { needs, ..self }
    }
}

const fn made(id: &'static str, made: &'static [&'static str], cure: Cure) -> Proof {
    Proof { id, made, needs: &[], cure }
}

/// No kernel here can make it: a sample of the unit tests stands for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The finding.
    pub(crate) id: &'static str,
    /// What would be needed.
    pub(crate) why: &'static str,
}

const BY_DESIGN: Cure = Cure::Nothing("by design: the advice is to use another path");

/// The rows.
#[rustfmt::skip]
pub(crate) const PROOFS: &[Proof] = &[
    // Facts of the host.
    made("device_features",       &["finding_sg_off", "finding_tx_off", "veth_sg_off_msg_zerocopy"], Cure::Printed("finding_sg_off")),
    made("sniffer",               &["finding_tap", "veth_msg_zerocopy_tap"],  Cure::Printed("finding_tap")),
    made("local_peer",            &["finding_loopback", "lo_msg_zerocopy"],   Cure::Done("finding_loopback")),
    // Copied after being accepted.
    made("loopback",              &["finding_loopback", "lo_msg_zerocopy"],   Cure::Done("finding_loopback")).needs(&["copy"]),
    made("local_delivery",        &["finding_local_delivery", "veth_msg_zerocopy"], Cure::Done("finding_local_delivery")).needs(&["copy"]),
    made("tun_tap",               &["tun_msg_zerocopy"],                      BY_DESIGN).needs(&["copy"]),
    made("packet_tap",            &["finding_tap", "veth_msg_zerocopy_tap"],  Cure::Printed("finding_tap")).needs(&["copy"]),
    made("packet_tap_rx",         &["hole_tap_at_sink"],                      Cure::Done("hole_msg_zerocopy")).needs(&["copy"]),
    made("no_scatter_gather",     &["finding_sg_off", "veth_sg_off_sendfile"], Cure::Printed("finding_sg_off")).needs(&["copy"]),
    made("no_tx_checksum",        &["finding_tx_off", "veth_tx_off_msg_zerocopy"], Cure::Printed("finding_tx_off")).needs(&["copy"]),
    made("driver_limit",          &["vxlan_on_vmxnet3"],                      Cure::Done("vmxnet3_msg_zerocopy")).needs(&["copy"]),
    made("xfrm",                  &["veth_esp"],                              Cure::Done("veth_msg_zerocopy")).needs(&["copy_site"]),
    made("xdp_veth",              &["veth_xdp_native"],                       Cure::Done("veth_msg_zerocopy")).needs(&["xdp_copy"]),
    made("xdp_generic",           &["veth_xdp_generic"],                      Cure::Done("veth_msg_zerocopy")).needs(&["copy"]),
    made("tc_bpf_pull",           &["veth_tc_pull"],                          Cure::Done("veth_msg_zerocopy")).needs(&["copy_site"]),
    made("dma_bounce",            &["dma_bounce"],                            Cure::Done("vmxnet3_msg_zerocopy")).needs(&["forced bounces"]),
    made("unknown_caller",        &[],                                        Cure::Nothing("what the caller is must be looked up")),
];

/// The findings that no kernel here can make.
pub(crate) const SAMPLES: &[Sample] = &[];

/// The proofs of which this scenario is one.
pub(crate) fn made_by(name: &str) -> impl Iterator<Item = &'static Proof> {
    PROOFS.iter().filter(move |proof| proof.made.contains(&name))
}

/// The proof of a finding.
pub(crate) fn proof_of(id: &str) -> Option<&'static Proof> {
    PROOFS.iter().find(|proof| proof.id == id)
}

/// Findings that may stand beside those of a procedure.
const BESIDE: &[(&str, &[&str])] = &[];

/// What may stand beside what this procedure makes.
pub(crate) fn beside(name: &str) -> &'static [&'static str] {
    BESIDE.iter().find(|(of, _)| *of == name).map_or(&[], |(_, ids)| ids)
}
