//! Reads all maps into one [`Sample`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use aya::Ebpf;
use aya::maps::{HashMap as BpfHash, Map, MapData, PerCpuArray, RingBuf};
use zcscope_common::{
    AddrPair, CopyKey, CopyTotals, DevInfo, FlowCounters, FlowKey, Hist, LATENCY_SLOTS, LOST_CAUSES,
    LatencyKind, Path, Site, SockEntry, SocketHist, SpillEntry, Spread, SpreadKind, latency_slot, sock_flags,
    spread_slot,
};

use super::classify;
use super::raw::{self, Batch};
use super::skipped::Programs;
use super::sweep::Sweeper;
use crate::host::symbols::Symbols;
use crate::model::sample::{
    CopyKind, CopySample, LatencySample, Names, Sample, SocketLatency, SocketSample, SpreadSample,
};

const AF_INET6: u16 = 10;

/// A record of the ring.
enum Record {
    Socket(Box<SockEntry>),
    Spill(Box<SpillEntry>),
}

/// All maps of the kernel side, and what is remembered between reads.
pub(super) struct Reader {
    socks: MapData,
    spill: MapData,
    copies: Map,
    devs: MapData,
    latency: PerCpuArray<MapData, Hist>,
    socket_latency: Map,
    spreads: PerCpuArray<MapData, Spread>,
    unattributed: PerCpuArray<MapData, FlowCounters>,
    lost: PerCpuArray<MapData, u64>,
    ended: RingBuf<MapData>,
    symbols: Option<Symbols>,
    sock_batch: Batch<u64, SockEntry>,
    spill_batch: Batch<FlowKey, SpillEntry>,
    copy_batch: Batch<CopyKey, CopyTotals>,
    dev_batch: Batch<u64, DevInfo>,
    socket_latency_batch: Batch<FlowKey, SocketHist>,
    sweeper: Sweeper,
    /// Device facts by address, the last known.
    devices: HashMap<u64, DevInfo>,
    /// Sockets whose end was in the sample before: their copies are handed over once more and removed.
    ended_before: HashSet<u64>,
    /// Callers already looked up.
    callers: HashMap<u64, Option<(String, Option<String>)>>,
    programs: Programs,
    /// Records of the ring that were not understood.
    unreadable: u64,
}

impl Reader {
    /// Takes the maps out of the loaded object.
    ///
    /// # Errors
    /// A map is missing or of another type: the object does not fit this program.
    pub(super) fn new(ebpf: &mut Ebpf, symbols: Option<Symbols>) -> Result<Reader> {
        let data = |map: Map, name: &str| match map {
            Map::HashMap(data) | Map::LruHashMap(data) => Ok(data),
            _ => bail!("map {name} has an unexpected type"),
        };
        let mut take =
            |name: &str| ebpf.take_map(name).with_context(|| format!("the object has no map {name}"));
        Ok(Reader {
            socks: data(take("SOCKS")?, "SOCKS")?,
            spill: data(take("SPILL")?, "SPILL")?,
            copies: take("COPIES")?,
            devs: data(take("DEVS")?, "DEVS")?,
            latency: PerCpuArray::try_from(take("LATENCY")?)?,
            socket_latency: take("SOCKET_LATENCY")?,
            sweeper: Sweeper::new(take("SENDS")?),
            spreads: PerCpuArray::try_from(take("SPREADS")?)?,
            unattributed: PerCpuArray::try_from(take("UNATTRIBUTED")?)?,
            lost: PerCpuArray::try_from(take("LOST")?)?,
            ended: RingBuf::try_from(take("ENDED")?)?,
            symbols,
            sock_batch: Batch::new(),
            spill_batch: Batch::new(),
            copy_batch: Batch::new(),
            dev_batch: Batch::new(),
            socket_latency_batch: Batch::new(),
            devices: HashMap::new(),
            ended_before: HashSet::new(),
            callers: HashMap::new(),
            programs: Programs::of(ebpf),
            unreadable: 0,
        })
    }

    /// Reads everything.
    ///
    /// # Errors
    /// A map can no longer be read.
    pub(super) fn read(&mut self, at_ns: u64) -> Result<Sample> {
        // Sockets before the ring: one that ends in between is in both, and its end wins.
        self.spill_batch.fill(self.spill.fd().as_fd()).context("reading flows")?;
        self.sock_batch.fill(self.socks.fd().as_fd()).context("reading sockets")?;
        let records = self.drain_ring();
        let Map::HashMap(copies) = &self.copies else { bail!("map COPIES has an unexpected type") };
        self.copy_batch.fill(copies.fd().as_fd()).context("reading copies")?;
        // Devices last: whatever was read above names only devices that are in the table by now.
        self.dev_batch.fill(self.devs.fd().as_fd()).context("reading devices")?;
        self.devices.extend(self.dev_batch.iter().map(|(address, info)| (*address, *info)));

        let mut ended = self.ended_sockets(records);
        let stale = self.sweeper.sweep(at_ns, &mut self.socks, &self.sock_batch)?;
        ended.extend(stale.iter().map(|entry| socket_sample(entry, &self.devices)));
        let gone: HashSet<u64> = ended.iter().map(|socket| socket.id).collect();
        let mut sockets = self.live_sockets(&gone);
        self.sweeper.apply(&mut sockets);
        self.sweeper.apply(&mut ended);
        self.sweeper.forget(&self.ended_before);
        let copies = self.copy_samples()?;
        let socket_latency = self.socket_latency_samples()?;
        self.ended_before = gone;
        Ok(Sample {
            at_ns,
            sockets,
            ended,
            unattributed: self.read_unattributed()?,
            copies,
            latency: self.read_latency()?,
            socket_latency,
            spreads: self.read_spreads()?,
            files: Vec::new(),
            file_reads: Vec::new(),
            names: Names::default(),
            lost: self.read_lost()?,
        })
    }

    fn live_sockets(&self, gone: &HashSet<u64>) -> Vec<SocketSample> {
        let mut spilled: HashMap<u64, Vec<(Path, FlowCounters)>> = HashMap::new();
        for (key, entry) in self.spill_batch.iter() {
            if let Some(path) = path_of(key.path) {
                spilled.entry(key.id).or_default().push((path, entry.flow));
            }
        }
        let mut seen = HashSet::new();
        let mut sockets = Vec::new();
        for (_, entry) in self.sock_batch.iter() {
            let counted = entry.id != 0 && entry.flags & sock_flags::IGNORED == 0;
            if !counted || gone.contains(&entry.id) || !seen.insert(entry.id) {
                continue;
            }
            let mut socket = socket_sample(entry, &self.devices);
            socket.flows.extend(spilled.remove(&entry.id).unwrap_or_default());
            sockets.push(socket);
        }
        sockets
    }

    /// Takes everything out of the ring.
    fn drain_ring(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(item) = self.ended.next() {
            if let Some(entry) = raw::value::<SockEntry>(&item) {
                records.push(Record::Socket(Box::new(entry)));
            } else if let Some(spill) = raw::value::<SpillEntry>(&item) {
                records.push(Record::Spill(Box::new(spill)));
            } else {
                self.unreadable += 1;
            }
        }
        records
    }

    /// Sockets that ended: each record of a socket is followed by its spilled flows.
    fn ended_sockets(&mut self, records: Vec<Record>) -> Vec<SocketSample> {
        let mut sockets: Vec<SocketSample> = Vec::new();
        let mut index: HashMap<u64, usize> = HashMap::new();
        for record in records {
            match record {
                Record::Socket(entry) => {
                    index.insert(entry.id, sockets.len());
                    sockets.push(socket_sample(&entry, &self.devices));
                }
                Record::Spill(spill) => match (index.get(&spill.id), path_of(spill.path)) {
                    (Some(at), Some(path)) => sockets[*at].flows.push((path, spill.flow)),
                    _ => self.unreadable += 1,
                },
            }
        }
        sockets
    }

    fn copy_samples(&mut self) -> Result<Vec<CopySample>> {
        let rows: Vec<(CopyKey, CopyTotals)> = self.copy_batch.iter().map(|(k, v)| (*k, *v)).collect();
        let mut map = BpfHash::<_, CopyKey, CopyTotals>::try_from(&mut self.copies)?;
        for (key, _) in rows.iter().filter(|(key, _)| self.ended_before.contains(&key.id)) {
            // Already gone is as good.
            let _ = map.remove(key);
        }
        Ok(rows.iter().filter_map(|(key, totals)| self.copy_sample(key, totals)).collect())
    }

    /// Latencies of single sockets; like their copies, those of ended ones are handed over once more and removed.
    fn socket_latency_samples(&mut self) -> Result<Vec<SocketLatency>> {
        let Map::HashMap(map) = &self.socket_latency else {
            bail!("map SOCKET_LATENCY has an unexpected type")
        };
        self.socket_latency_batch.fill(map.fd().as_fd()).context("reading latencies of sockets")?;
        let mut map = BpfHash::<_, FlowKey, SocketHist>::try_from(&mut self.socket_latency)?;
        let ended = |key: &FlowKey| self.ended_before.contains(&key.id);
        for (key, _) in self.socket_latency_batch.iter().filter(|(key, _)| ended(key)) {
            // Already gone is as good.
            let _ = map.remove(key);
        }
        let sample = |(key, hist): (&FlowKey, &SocketHist)| {
            let path = path_of(key.path)?;
            Some(SocketLatency { socket: key.id, path, hist: Box::new(hist.widen()) })
        };
        Ok(self.socket_latency_batch.iter().filter_map(sample).collect())
    }

    fn copy_sample(&mut self, key: &CopyKey, totals: &CopyTotals) -> Option<CopySample> {
        let (path, site) = (Path::from_u8(key.path)?, Site::from_u8(key.site)?);
        let caller = self.caller(key.caller);
        let dev = self.devices.get(&key.dev);
        let reason = classify::reason(&classify::Event {
            site,
            caller: caller.as_ref().map(|(name, _)| name.as_str()),
            module: caller.as_ref().and_then(|(_, module)| module.as_deref()),
            dev,
            partial: key.partial != 0,
            size: totals.bytes / totals.count.max(1),
        });
        let clone = key.clone != 0;
        let kind = CopyKind {
            reason,
            site: site.name().to_owned(),
            caller: caller.map(|(name, _)| name),
            dev: dev.map(|dev| text(&dev.name)),
            clone,
            told: key.told != 0,
            inferred: key.inferred != 0,
        };
        let socket = (key.id != 0).then_some(key.id);
        Some(CopySample { socket, path, kind, count: totals.count, bytes: totals.bytes })
    }

    /// Name and module of the function a return address lies in.
    fn caller(&mut self, address: u64) -> Option<(String, Option<String>)> {
        if address == 0 {
            return None;
        }
        let symbols = self.symbols.as_ref()?;
        self.callers
            .entry(address)
            .or_insert_with(|| {
                // A call can be a function's last instruction: the return address then lies behind it.
                let symbol = symbols.lookup(address - 1)?;
                Some((symbol.base_name().to_owned(), symbol.module.map(str::to_owned)))
            })
            .clone()
    }

    fn read_unattributed(&self) -> Result<Vec<(Path, FlowCounters)>> {
        let mut flows = Vec::new();
        for path in Path::ALL {
            let per_cpu = self.unattributed.get(&(*path as u32), 0).context("reading totals")?;
            let flow = per_cpu.iter().fold(FlowCounters::default(), |sum, flow| sum + *flow);
            if flow.calls != 0 {
                flows.push((*path, flow));
            }
        }
        Ok(flows)
    }

    fn read_latency(&self) -> Result<Vec<LatencySample>> {
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

    fn read_spreads(&self) -> Result<Vec<SpreadSample>> {
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

    fn read_lost(&self) -> Result<BTreeMap<String, u64>> {
        let mut lost = BTreeMap::new();
        for (index, cause) in LOST_CAUSES.iter().enumerate() {
            let n: u64 = self.lost.get(&(index as u32), 0).context("reading losses")?.iter().sum();
            if n != 0 {
                lost.insert((*cause).to_owned(), n);
            }
        }
        for (cause, n) in [
            ("unreadable_record", self.unreadable),
            ("program_skipped", self.programs.skipped()),
            ("kprobe_missed", self.programs.missed()),
        ] {
            if n != 0 {
                lost.insert(cause.to_owned(), n);
            }
        }
        Ok(lost)
    }
}

fn path_of(number: u64) -> Option<Path> {
    u8::try_from(number).ok().and_then(Path::from_u8)
}

fn socket_sample(entry: &SockEntry, devices: &HashMap<u64, DevInfo>) -> SocketSample {
    let home = path_of(u64::from(entry.home_path));
    SocketSample {
        id: entry.id,
        cookie: (entry.cookie != 0).then_some(entry.cookie),
        pid: entry.tgid,
        comm: text(&entry.comm),
        local: address(&entry.addr, &entry.addr.local, entry.addr.local_port),
        remote: address(&entry.addr, &entry.addr.remote, entry.addr.remote_port),
        dev: devices.get(&entry.dev).map(|dev| text(&dev.name)),
        netns: entry.netns,
        cgroup: entry.cgroup,
        uid: entry.uid,
        gauges: entry.gauges,
        flows: home.map(|path| (path, entry.home)).into_iter().collect(),
    }
}

fn address(pair: &AddrPair, bytes: &[u8; 16], port: u16) -> SocketAddr {
    let ip = if pair.family == AF_INET6 {
        let v6 = Ipv6Addr::from(*bytes);
        v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
    } else {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    };
    SocketAddr::new(ip, port)
}

/// A name in a fixed, zero-terminated field.
fn text(bytes: &[u8; 16]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
