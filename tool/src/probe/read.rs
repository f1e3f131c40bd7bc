//! Reads all maps into one [`Sample`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};
use aya::Ebpf;
use aya::maps::{HashMap as BpfHash, Map, MapData, RingBuf};
use zcscope_common::{
    CopyKey, CopyTotals, DevInfo, FlowCounters, FlowKey, ForwardKey, OwnerKey, Path, RecvEntry, Site,
    SockEntry, SocketHist, SpillEntry, Unit, sock_flags,
};

use super::bounces::Bounces;
use super::changed::Changed;
use super::classify;
use super::ended::{Ended, Record};
use super::files::Files;
use super::live::Live;
use super::maps::Maps;
use super::names::Namer;
use super::raw::Batch;
use super::samples::{path_of, receiver_sample, socket_sample, text};
use super::shares::{Parts, Shares};
use super::skipped::Programs;
use super::sweep::Sweeper;
use super::tallies::Tallies;
use super::totals::Totals;
use crate::host::symbols::Symbols;
use crate::model::hash::FastSet;
use crate::model::sample::{
    CopyKind, CopySample, MapSample, PlainSample, Sample, SocketLatency, SocketSample,
};
use crate::model::snapshot::Session;

/// The table of tallies, an array whose elements come and go.
const TALLIES: &str = "TALLIES";
/// The tables of sockets that send and that receive: how many are in them is known from reading.
const SENDERS: &str = "SOCKS";
const RECEIVERS: &str = "RECVS";
/// Readings between two looks for completion units left behind.
const SWEEP: u64 = 16;

/// All maps of the kernel side, and what is remembered between reads.
pub(super) struct Reader {
    tallies: Tallies,
    senders: Live<SockEntry>,
    receivers: Live<RecvEntry>,
    spill: Map,
    copies: Map,
    devs: MapData,
    forwards: MapData,
    totals: Totals,
    socket_latency: Map,
    ended: Ended,
    symbols: Option<Symbols>,
    spill_batch: Batch<FlowKey, SpillEntry>,
    copy_batch: Batch<CopyKey, CopyTotals>,
    dev_batch: Batch<u64, DevInfo>,
    forward_batch: Batch<ForwardKey, u64>,
    socket_latency_batch: Batch<FlowKey, SocketHist>,
    sweeper: Sweeper,
    /// Device facts by address, the last known.
    devices: HashMap<u64, DevInfo>,
    shares: Shares,
    changed: Changed,
    /// Sockets whose end was in the sample before: their copies are handed over once more and removed.
    ended_before: HashSet<u64>,
    /// Callers already looked up.
    callers: HashMap<u64, Option<(String, Option<String>)>>,
    programs: Programs,
    maps: Maps,
    files: Files,
    bounces: Bounces,
    namer: Namer,
    parked: Map,
    parked_batch: Batch<OwnerKey, SockEntry>,
    /// Their other paths, to be taken out.
    orphan_spills: Vec<FlowKey>,
    /// Parked owners whose socket was gone in the reading before: their counters are final.
    orphans: HashSet<u64>,
    units: Map,
    unit_batch: Batch<u64, Unit>,
    /// Units whose socket was gone when they were looked at last.
    stale: HashSet<u64>,
    readings: u64,
    /// Records of the ring that were not understood.
    unknown_records: u64,
    /// Flows of the ring without their socket.
    unreadable: u64,
}

impl Reader {
    /// Takes the maps out of the loaded object.
    ///
    /// # Errors
    /// A map is missing or of another type: the object does not fit this program.
    pub(super) fn new(ebpf: &mut Ebpf, symbols: Option<Symbols>, session: &Session) -> Result<Reader> {
        let maps = Maps::of(ebpf);
        let totals = Totals::new(ebpf)?;
        let data = |map: Map, name: &str| match map {
            Map::HashMap(data) | Map::LruHashMap(data) => Ok(data),
            _ => bail!("map {name} has an unexpected type"),
        };
        let array = |map: Map| match map {
            Map::Array(data) => Ok(data),
            _ => bail!("the maps of tallies have an unexpected type"),
        };
        let mut take =
            |name: &str| ebpf.take_map(name).with_context(|| format!("the object has no map {name}"));
        let files = Files::new(data(take("FILES")?, "FILES")?, data(take("READERS")?, "READERS")?, session);
        let bounces = Bounces::new(data(take("BOUNCES")?, "BOUNCES")?);
        let (parked, units) = (take("PARKED")?, take("UNITS")?);
        Ok(Reader {
            tallies: Tallies::map(array(take(TALLIES)?)?, array(take("TALLIES_USED")?)?)
                .context("mapping the tallies")?,
            senders: Live::new(data(take(SENDERS)?, SENDERS)?),
            receivers: Live::new(data(take(RECEIVERS)?, RECEIVERS)?),
            spill: take("SPILL")?,
            copies: take("COPIES")?,
            devs: data(take("DEVS")?, "DEVS")?,
            forwards: data(take("FORWARDS")?, "FORWARDS")?,
            socket_latency: take("SOCKET_LATENCY")?,
            sweeper: Sweeper::new(take("SENDS")?),
            ended: Ended::new(RingBuf::try_from(take("ENDED")?)?)?,
            // Where tracepoints tell of copies nobody sees who called: five megabytes for nothing.
            symbols: symbols.filter(|_| session.sources.contains_key("copy") && !session.infers("copy")),
            spill_batch: Batch::new(),
            copy_batch: Batch::new(),
            dev_batch: Batch::new(),
            forward_batch: Batch::new(),
            socket_latency_batch: Batch::new(),
            devices: HashMap::new(),
            shares: Shares::default(),
            changed: Changed::default(),
            ended_before: HashSet::new(),
            callers: HashMap::new(),
            totals,
            programs: Programs::of(ebpf),
            maps,
            files,
            bounces,
            namer: Namer::new(),
            parked,
            parked_batch: Batch::new(),
            orphans: HashSet::new(),
            orphan_spills: Vec::new(),
            units,
            unit_batch: Batch::new(),
            stale: HashSet::new(),
            readings: 0,
            unknown_records: 0,
            unreadable: 0,
        })
    }

    /// Reads everything; living sockets only when they are not what they were in the reading before.
    ///
    /// # Errors
    /// A map can no longer be read.
    pub(super) fn read(&mut self, at_ns: u64) -> Result<Sample> {
        // Sockets before the ring: one that ends in between is in both, and its end wins.
        let Map::HashMap(spill) = &self.spill else { bail!("map SPILL has an unexpected type") };
        self.spill_batch.fill(spill.fd().as_fd()).context("reading flows")?;
        self.read_sockets().context("reading sockets")?;
        let Map::HashMap(parked) = &self.parked else { bail!("map PARKED has an unexpected type") };
        self.parked_batch.fill(parked.fd().as_fd()).context("reading owners")?;
        let (records, unreadable) = self.ended.take();
        self.unknown_records = unreadable;
        self.readings += 1;
        if self.readings.is_multiple_of(SWEEP) {
            self.sweep_units()?;
        }
        let Map::HashMap(copies) = &self.copies else { bail!("map COPIES has an unexpected type") };
        self.copy_batch.fill(copies.fd().as_fd()).context("reading copies")?;
        // After the copies: a packet is copied first and forwarded then.
        self.forward_batch.fill(self.forwards.fd().as_fd()).context("reading forwarders")?;
        // Devices last: whatever was read above names only devices that are in the table by now.
        self.dev_batch.fill(self.devs.fd().as_fd()).context("reading devices")?;
        self.devices.extend(self.dev_batch.iter().map(|(address, info)| (*address, *info)));

        let (mut ended_senders, ended_receivers) = self.ended_sockets(records);
        self.end_orphans(&mut ended_senders)?;
        let stale = self.sweeper.sweep(at_ns, &mut self.senders, &self.tallies)?;
        ended_senders.extend(stale.iter().map(|entry| socket_sample(entry, &self.devices)));
        self.note_parts();
        let moved: FastSet<u64> = self.senders.changed().chain(self.receivers.changed()).collect();
        let is_changed = |id| moved.contains(&id) || self.changed.is_changed(id);
        let wanted = |id| is_changed(id) || self.sweeper.has(id) || self.shares.has(id);
        let ending: HashSet<u64> = ended_senders.iter().chain(&ended_receivers).map(|s| s.id).collect();
        let whole = |id| ending.contains(&id) || wanted(id);
        let (senders, receivers) = self.live_sockets(whole).context("reading sockets")?;
        // Whoever is handed over as a whole has these counters, too.
        let plain = self.senders.plain().chain(self.receivers.plain());
        let plain: Vec<PlainSample> = plain.filter(|plain| !whole(plain.socket)).collect();
        let parts = Parts { senders, receivers, ended_senders, ended_receivers };
        let (mut sockets, mut ended) = self.shares.join(parts);
        self.changed.turn();
        self.sweeper.apply(&mut sockets);
        self.sweeper.apply(&mut ended);
        self.sweeper.forget(&self.ended_before);
        let copies = self.copy_samples()?;
        let socket_latency = self.socket_latency_samples()?;
        self.ended_before = ended.iter().map(|socket| socket.id).collect();
        let names = self.namer.of(sockets.iter().chain(&ended));
        Ok(Sample {
            at_ns,
            sockets,
            plain,
            ended,
            unattributed: self.totals.unattributed()?,
            copies,
            latency: self.totals.latency()?,
            socket_latency,
            spreads: self.totals.spreads()?,
            files: self.files.sent()?,
            file_reads: self.files.reads()?,
            bounces: self.bounces.read()?,
            names,
            maps: Vec::new(),
            programs: None,
            lost: self.lost()?,
        })
    }

    /// Reads what is new of living sockets.
    fn read_sockets(&mut self) -> std::io::Result<()> {
        let Self { tallies, senders, receivers, .. } = self;
        senders.begin();
        receivers.begin();
        for (slot, tally) in tallies.iter() {
            senders.look(slot, tally)?;
            receivers.look(slot, tally)?;
        }
        senders.end(tallies)?;
        receivers.end(tallies)
    }

    /// Notes the parts of sockets that stand in other tables.
    fn note_parts(&mut self) {
        let Self { changed, spill_batch, parked_batch, .. } = self;
        let is_counted = |id: u64, flags: u32| id != 0 && flags & sock_flags::IGNORED == 0;
        let parked = parked_batch.iter().map(|(_, entry)| entry);
        parked.filter(|e| is_counted(e.id, e.flags)).for_each(|entry| changed.note(entry.id, entry));
        spill_batch.iter().for_each(|(key, entry)| changed.note(key.id, entry));
    }

    /// Living sockets with a wanted id: as senders, and as receivers.
    fn live_sockets(
        &self,
        wanted: impl Fn(u64) -> bool,
    ) -> std::io::Result<(Vec<SocketSample>, Vec<SocketSample>)> {
        let mut spilled: HashMap<(u64, bool), Vec<(Path, FlowCounters)>> = HashMap::new();
        for (key, entry) in self.spill_batch.iter().filter(|(key, _)| wanted(key.id)) {
            if let Some(path) = path_of(key.path) {
                spilled.entry((key.id, path.receives())).or_default().push((path, entry.flow));
            }
        }
        let parked = self.parked_batch.iter().map(|(_, entry)| entry);
        let parked = parked.filter(|e| e.id != 0 && e.flags & sock_flags::IGNORED == 0 && wanted(e.id));
        let mut seen = HashSet::new();
        let mut senders = Vec::new();
        for entry in
            self.senders.wanted(&wanted)?.into_iter().chain(parked.copied()).filter(|e| seen.insert(e.id))
        {
            let mut socket = socket_sample(&entry, &self.devices);
            socket.flows.extend(spilled.remove(&(entry.id, false)).unwrap_or_default());
            senders.push(socket);
        }
        seen.clear();
        let mut receivers = Vec::new();
        for entry in self.receivers.wanted(&wanted)?.into_iter().filter(|e| seen.insert(e.id)) {
            let mut socket = receiver_sample(&entry, &self.devices);
            socket.flows.extend(spilled.remove(&(entry.id, true)).unwrap_or_default());
            receivers.push(socket);
        }
        Ok((senders, receivers))
    }

    /// Owners that were parked when their socket ended: handed over once, and taken out. One reading later than the
    /// end is seen, so that their other paths, which are read first, are final too.
    fn end_orphans(&mut self, ended: &mut Vec<SocketSample>) -> Result<()> {
        if self.orphans.is_empty() && self.parked_batch.iter().next().is_none() {
            return Ok(());
        }
        let mut orphans: Vec<(OwnerKey, SockEntry)> = Vec::new();
        for (key, entry) in self.parked_batch.iter() {
            let socket = self.senders.entry(key.sk).context("reading a socket")?;
            if socket.is_none_or(|socket| socket.root != entry.root) {
                orphans.push((*key, *entry));
            }
        }
        let before = std::mem::replace(&mut self.orphans, orphans.iter().map(|(_, e)| e.id).collect());
        let mut parked = BpfHash::<_, OwnerKey, SockEntry>::try_from(&mut self.parked)?;
        for (key, entry) in orphans.iter().filter(|(_, entry)| before.contains(&entry.id)) {
            // Already gone is as good.
            let _ = parked.remove(key);
            let mut socket = socket_sample(entry, &self.devices);
            for (spill, flow) in self.spill_batch.iter().filter(|(spill, _)| spill.id == entry.id) {
                socket.flows.extend(path_of(spill.path).map(|path| (path, flow.flow)));
                self.orphan_spills.push(*spill);
            }
            ended.push(socket);
        }
        let mut spill = BpfHash::<_, FlowKey, SpillEntry>::try_from(&mut self.spill)?;
        for key in self.orphan_spills.drain(..) {
            let _ = spill.remove(&key);
        }
        Ok(())
    }

    /// Takes out completion units whose socket is long gone: their end was not seen.
    fn sweep_units(&mut self) -> Result<()> {
        let Map::HashMap(units) = &self.units else { bail!("map UNITS has an unexpected type") };
        self.unit_batch.fill(units.fd().as_fd()).context("reading units")?;
        let alive: HashSet<u64> = self.senders.addresses().collect();
        let stale: HashSet<u64> = self
            .unit_batch
            .iter()
            .filter(|(_, unit)| !alive.contains(&unit.sk))
            .map(|(key, _)| *key)
            .collect();
        let mut map = BpfHash::<_, u64, Unit>::try_from(&mut self.units)?;
        for key in stale.intersection(&self.stale) {
            let _ = map.remove(key);
        }
        self.stale = stale;
        Ok(())
    }

    /// Everything that was lost, by cause: in the kernel, on the way here, and programs the kernel did not run.
    fn lost(&self) -> Result<BTreeMap<String, u64>> {
        let mut lost = self.totals.lost()?;
        let here = [
            ("unreadable_record", self.unreadable + self.unknown_records),
            ("program_skipped", self.programs.skipped()),
            ("kprobe_missed", self.programs.missed()),
        ];
        lost.extend(here.into_iter().filter(|(_, n)| *n != 0).map(|(cause, n)| (cause.to_owned(), n)));
        Ok(lost)
    }

    /// How full the maps are, those of sockets as of the last reading. Walks most of the others: not for every tick.
    pub(super) fn maps(&self) -> Vec<MapSample> {
        self.maps.sample(|name| match name {
            TALLIES => Some(self.tallies.iter().count() as u64),
            SENDERS => Some(self.senders.len() as u64),
            RECEIVERS => Some(self.receivers.len() as u64),
            _ => None,
        })
    }

    /// Sockets that ended, as senders and as receivers: each record of one is followed by its spilled flows.
    fn ended_sockets(&mut self, records: Vec<Record>) -> (Vec<SocketSample>, Vec<SocketSample>) {
        let (mut senders, mut receivers): (Vec<SocketSample>, Vec<SocketSample>) = (Vec::new(), Vec::new());
        let mut index: HashMap<(u64, bool), usize> = HashMap::new();
        for record in records {
            match record {
                Record::Socket(entry) => {
                    index.insert((entry.id, false), senders.len());
                    senders.push(socket_sample(&entry, &self.devices));
                }
                Record::Receiver(entry) => {
                    index.insert((entry.id, true), receivers.len());
                    receivers.push(receiver_sample(&entry, &self.devices));
                }
                Record::Spill(spill) => {
                    let path = path_of(spill.path);
                    let receives = path.is_some_and(Path::receives);
                    let list = if receives { &mut receivers } else { &mut senders };
                    let socket = index.get(&(spill.id, receives)).and_then(|at| list.get_mut(*at));
                    match (socket, path) {
                        (Some(socket), Some(path)) => socket.flows.push((path, spill.flow)),
                        _ => self.unreadable += 1,
                    }
                }
            }
        }
        (senders, receivers)
    }

    fn copy_samples(&mut self) -> Result<Vec<CopySample>> {
        let forwards: HashSet<ForwardKey> = self.forward_batch.iter().map(|(key, _)| *key).collect();
        let rows: Vec<(CopyKey, CopyTotals)> = self.copy_batch.iter().map(|(k, v)| (*k, *v)).collect();
        let mut map = BpfHash::<_, CopyKey, CopyTotals>::try_from(&mut self.copies)?;
        for (key, _) in rows.iter().filter(|(key, _)| self.ended_before.contains(&key.id)) {
            // Already gone is as good.
            let _ = map.remove(key);
        }
        Ok(rows.iter().filter_map(|(key, totals)| self.copy_sample(key, totals, &forwards)).collect())
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

    fn copy_sample(
        &mut self,
        key: &CopyKey,
        totals: &CopyTotals,
        forwards: &HashSet<ForwardKey>,
    ) -> Option<CopySample> {
        let (path, site) = (Path::from_u8(key.path)?, Site::from_u8(key.site)?);
        let received = classify::receive_reason(site, key.caller);
        let caller = if received.is_some() { None } else { self.caller(key.caller) };
        let dev = self.devices.get(&key.dev);
        let sent = || {
            classify::reason(&classify::Event {
                site,
                caller: caller.as_ref().map(|(name, _)| name.as_str()),
                module: caller.as_ref().and_then(|(_, module)| module.as_deref()),
                dev,
                partial: key.partial != 0,
                forwarded: forwards.contains(&ForwardKey { id: key.id, dev: key.dev }),
                size: totals.bytes / totals.count.max(1),
            })
        };
        let reason = received.unwrap_or_else(sent);
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
}
