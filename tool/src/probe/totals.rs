//! Figures kept once per CPU: histograms, distributions, what found no room in the tables, and losses.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};
use zcscope_common::{
    FlowCounters, Hist, LATENCY_SLOTS, LOST_CAUSES, LatencyKind, Path, Spread, SpreadKind, latency_slot,
    spread_slot,
};

use crate::model::sample::{LatencySample, SpreadSample};

/// The per-CPU arrays of the kernel side.
pub(super) struct Totals {
    latency: PerCpuArray<MapData, Hist>,
    spreads: PerCpuArray<MapData, Spread>,
    unattributed: PerCpuArray<MapData, FlowCounters>,
    lost: PerCpuArray<MapData, u64>,
}

impl Totals {
    /// Takes the arrays out of the loaded object.
    ///
    /// # Errors
    /// One is missing or of another type: the object does not fit this program.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Totals> {
        let mut take =
            |name: &str| ebpf.take_map(name).with_context(|| format!("the object has no map {name}"));
        Ok(Totals {
            latency: PerCpuArray::try_from(take("LATENCY")?)?,
            spreads: PerCpuArray::try_from(take("SPREADS")?)?,
            unattributed: PerCpuArray::try_from(take("UNATTRIBUTED")?)?,
            lost: PerCpuArray::try_from(take("LOST")?)?,
        })
    }

    /// What sockets without room in the table sent and received, by path.
    pub(super) fn unattributed(&self) -> Result<Vec<(Path, FlowCounters)>> {
        let mut flows = Vec::new();
        for path in Path::ALL {
            let per_cpu = self.unattributed.get(&(*path as u32), 0).context("reading totals")?;
            let flow = per_cpu.iter().fold(FlowCounters::default(), |sum, flow| sum + *flow);
            if flow != FlowCounters::default() {
                flows.push((*path, flow));
            }
        }
        Ok(flows)
    }

    /// Histograms that have entries, by kind and path.
    pub(super) fn latency(&self) -> Result<Vec<LatencySample>> {
        let mut all = Vec::new();
        for (kind, path) in
            LatencyKind::ALL.into_iter().flat_map(|kind| Path::ALL.iter().map(move |p| (kind, *p)))
        {
            let slot = latency_slot(kind, path as u32);
            if slot == LATENCY_SLOTS {
                continue;
            }
            let mut hist = Box::<Hist>::default();
            let per_cpu = self.latency.get(&(slot as u32), 0).context("reading latencies")?;
            per_cpu.iter().for_each(|one| hist.merge(one));
            if hist.count != 0 {
                all.push(LatencySample { path, kind, hist });
            }
        }
        Ok(all)
    }

    /// Distributions that have entries, by kind and path.
    pub(super) fn spreads(&self) -> Result<Vec<SpreadSample>> {
        let mut all = Vec::new();
        for (kind, path) in
            SpreadKind::ALL.into_iter().flat_map(|kind| Path::ALL.iter().map(move |p| (kind, *p)))
        {
            let mut spread = Box::<Spread>::default();
            let per_cpu =
                self.spreads.get(&spread_slot(kind, path as u32), 0).context("reading distributions")?;
            per_cpu.iter().for_each(|one| spread.merge(one));
            if spread.count != 0 {
                all.push(SpreadSample { path, kind, spread });
            }
        }
        Ok(all)
    }

    /// What the kernel side could not take, by cause.
    pub(super) fn lost(&self) -> Result<BTreeMap<String, u64>> {
        let mut lost = BTreeMap::new();
        for (index, cause) in LOST_CAUSES.iter().enumerate() {
            let n: u64 = self.lost.get(&(index as u32), 0).context("reading losses")?.iter().sum();
            if n != 0 {
                lost.insert((*cause).to_owned(), n);
            }
        }
        Ok(lost)
    }
}
