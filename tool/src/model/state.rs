//! The state: takes samples in, gives snapshots out. Totals, processes and devices are kept as running sums of
//! what changed, so an idle socket costs one comparison, and a socket whose detail is let go leaves its bytes behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use zcscope_common::{FlowCounters, Gauges, Hist, LatencyKind, Path, Spread, SpreadKind};

use super::account::{Account, View};
use super::copies::{self, Kinds, Row};
use super::distributions::{delayed_acks, percentiles, spread_figures};
use super::files::Files;
use super::gauges::{self, SocketGauges};
use super::groups::Groups;
use super::hash::ById;
use super::known::Known;
use super::ledger::{self, Sums};
use super::places::{PlaceIds, Places};
use super::sample::{
    BounceSample, CopySample, MapSample, PlainSample, ProgramCosts, Sample, SocketLatency, SocketSample,
};
use super::snapshot::{
    DeviceFigures, LatencyFigures, Limit, Lost, PathFigures, ProcessFigures, Session, Snapshot,
};
use super::sockets::{Socket, Sockets};

/// Processes, and devices, kept in detail; those with living sockets always are.
const MAX_GROUPS: usize = 1_000;

/// Everything known so far.
#[derive(Clone, Debug)]
pub struct Model {
    session: Session,
    known: Known,
    /// Number of samples taken in.
    tick: u64,
    at_ns: u64,
    interval_ns: u64,
    total: Account,
    processes: Groups<u32>,
    devices: Groups<String>,
    sockets: Sockets,
    /// What no socket could be found for, per path.
    unattributed: Account,
    kinds: Kinds,
    /// Copy rows whose source knows no socket.
    nobodys: Vec<Row>,
    /// Copy rows of sockets not seen yet (or lost), with the sample they were last in.
    strangers: ById<(u64, Vec<Row>)>,
    latency: BTreeMap<(Path, LatencyKind), Arc<Hist>>,
    spreads: BTreeMap<(Path, SpreadKind), Box<Spread>>,
    files: Files,
    bounces: Vec<BounceSample>,
    places: Places,
    lost: Lost,
    active_ns: BTreeMap<Path, u64>,
    maps: Vec<MapSample>,
    programs: Option<ProgramCosts>,
}

impl Model {
    /// A model of nothing yet. The session says which facts will never come.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            known: Known::of(&session),
            session,
            tick: 0,
            at_ns: 0,
            interval_ns: 0,
            total: Account::default(),
            processes: Groups::new(MAX_GROUPS),
            devices: Groups::new(MAX_GROUPS),
            sockets: Sockets::default(),
            unattributed: Account::default(),
            kinds: Kinds::default(),
            nobodys: Vec::new(),
            strangers: ById::default(),
            latency: BTreeMap::new(),
            spreads: BTreeMap::new(),
            files: Files::default(),
            bounces: Vec::new(),
            places: Places::default(),
            lost: Lost::default(),
            active_ns: BTreeMap::new(),
            maps: Vec::new(),
            programs: None,
        }
    }

    /// Takes the next sample in. Samples come in the order of their time.
    pub fn absorb(&mut self, sample: Sample) {
        self.tick += 1;
        self.interval_ns = sample.at_ns.saturating_sub(self.at_ns);
        self.at_ns = self.at_ns.max(sample.at_ns);
        if self.places.learn(&sample.names) {
            self.rename();
        }
        for socket in &sample.sockets {
            self.absorb_socket(socket, true);
        }
        for plain in &sample.plain {
            self.absorb_plain(plain);
        }
        for socket in &sample.ended {
            self.absorb_socket(socket, false);
            self.end_socket(socket.id);
            self.sockets.fold(self.tick);
        }
        for (pid, limit) in &sample.names.memlock {
            if let Some(process) = self.processes.get_mut(pid) {
                process.memlock = Some(limit.map_or(Limit::Unlimited, Limit::Bytes));
            }
        }
        for (path, counters) in &sample.unattributed {
            self.absorb_unattributed(*path, counters);
        }
        for copy in &sample.copies {
            self.absorb_copy(copy);
        }
        for latency in sample.latency {
            self.latency.insert((latency.path, latency.kind), latency.hist.into());
        }
        for spread in sample.spreads {
            self.spreads.insert((spread.path, spread.kind), spread.spread);
        }
        for latency in &sample.socket_latency {
            self.absorb_socket_latency(latency);
        }
        self.files.absorb(sample.files, sample.file_reads);
        self.bounces = sample.bounces;
        self.bounces.sort_by(|a, b| (b.bytes, &a.device).cmp(&(a.bytes, &b.device)));
        self.programs = sample.programs;
        if let Some(costs) = &mut self.programs {
            costs.programs.sort_by(|a, b| (b.run_ns, &a.name).cmp(&(a.run_ns, &b.name)));
        }
        if !sample.maps.is_empty() {
            self.maps = sample.maps;
        }
        self.lost = Lost { total: sample.lost.values().sum(), by_cause: sample.lost };
        self.forget_old();
        self.add_active();
    }

    /// `alive`: this is not the socket's last sample.
    fn absorb_socket(&mut self, sample: &SocketSample, alive: bool) {
        let known = self
            .sockets
            .get_mut(sample.id)
            .map(|socket| (socket.alive(), socket.dev() == sample.dev.as_deref()));
        match known {
            None => self.add_socket(sample),
            Some((false, _)) => return,
            Some((true, false)) if sample.dev.is_some() => self.move_socket(sample),
            Some((true, _)) => {}
        }
        let Self { sockets, processes, devices, total, places, tick, .. } = self;
        let Some(socket) = sockets.get_mut(sample.id) else { return };
        socket.learn(sample, *tick);
        let place = PlaceIds::of(sample);
        if socket.place != place {
            socket.settle(place, places.of(place), *tick);
            if let Some(process) = processes.get_mut(&sample.pid) {
                process.place = place;
            }
        }
        for (path, counters) in &sample.flows {
            let old = socket.account.sums(*path).unwrap_or_default();
            let pages = if alive { pages_of(sample, *path, counters) } else { Some(0) };
            if old.c == *counters && old == old.holding(pages) {
                continue;
            }
            let new = Sums::of_socket(*path, &ledger::never_back(&old.c, counters)).holding(pages);
            let spread = |account: &mut Account| account.flow(*tick, *path, &old, &new);
            for_each_account(*tick, socket, processes, devices, total, spread);
        }
        if let Some(seen) = SocketGauges::of(sample) {
            absorb_gauges(socket, processes, &seen, alive, *tick);
        }
    }

    fn absorb_plain(&mut self, sample: &PlainSample) {
        let Self { sockets, processes, devices, total, tick, .. } = self;
        let Some(socket) = sockets.get_mut(sample.socket).filter(|socket| socket.alive()) else { return };
        let before = socket.account.calls_and_bytes(sample.path);
        let grown = (sample.calls.saturating_sub(before.0), sample.bytes.saturating_sub(before.1));
        if grown != (0, 0) {
            let spread = |account: &mut Account| account.plain(*tick, sample.path, grown.0, grown.1);
            for_each_account(*tick, socket, processes, devices, total, spread);
        }
    }

    fn absorb_socket_latency(&mut self, sample: &SocketLatency) {
        let Some(socket) = self.sockets.get_mut(sample.socket) else { return };
        if socket.releases(sample.path) != sample.hist.count {
            socket.released(sample.path, &sample.hist, self.tick);
        }
    }

    /// Names were learnt: the sockets that were waiting for them get them.
    fn rename(&mut self) {
        let Self { sockets, places, tick, .. } = self;
        for socket in sockets.iter_mut() {
            let ids = socket.place;
            socket.settle(ids, places.of(ids), *tick);
        }
    }

    fn add_socket(&mut self, sample: &SocketSample) {
        self.processes.join(&sample.pid, &sample.comm, self.tick);
        if let Some(dev) = &sample.dev {
            self.devices.join(dev, "", self.tick);
        }
        let rows = self.strangers.remove(&sample.id).map(|(_, rows)| rows).unwrap_or_default();
        let Some(socket) = self.sockets.add(sample) else { return };
        // Its copies were told before the socket itself: the totals have them already.
        let mut elsewhere = Account::default();
        for row in &rows {
            let spread = |account: &mut Account| account.copied(self.tick, row.whole());
            for_each_account(
                self.tick,
                socket,
                &mut self.processes,
                &mut self.devices,
                &mut elsewhere,
                spread,
            );
        }
        socket.rows = rows;
        socket.touch(self.tick);
    }

    /// The socket's route goes over another device now. What it sent before stays with the device that took it;
    /// what it sent while the device was not known goes to the first one known.
    fn move_socket(&mut self, sample: &SocketSample) {
        let Self { sockets, devices, tick, .. } = self;
        let Some(socket) = sockets.get_mut(sample.id) else { return };
        let Some(dev) = &sample.dev else { return };
        let account = &mut devices.join(dev, "", *tick).account;
        match socket.dev() {
            Some(old) => {
                let old = old.to_owned();
                devices.leave(&old, *tick);
            }
            None => {
                for (path, sums) in socket.account.flows() {
                    account.flow(*tick, path, &Sums::default(), &sums);
                }
                socket.rows.iter().for_each(|row| account.copied(*tick, row.whole()));
            }
        }
        socket.move_to(Some(dev.clone()), *tick);
    }

    fn end_socket(&mut self, id: u64) {
        if !self.sockets.end(id, self.tick) {
            return;
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            self.processes.leave(&socket.pid(), self.tick);
            if let Some(dev) = socket.dev() {
                self.devices.leave(dev, self.tick);
            }
        }
    }

    fn absorb_unattributed(&mut self, path: Path, counters: &FlowCounters) {
        let old = self.unattributed.sums(path).unwrap_or_default();
        let new = Sums::of_socket(path, &ledger::never_back(&old.c, counters));
        if old != new {
            self.unattributed.flow(self.tick, path, &old, &new);
            self.total.flow(self.tick, path, &old, &new);
        }
    }

    fn absorb_copy(&mut self, sample: &CopySample) {
        let Self { sockets, processes, devices, total, kinds, tick, at_ns, .. } = self;
        let Some(id) = sample.socket else {
            if let Some(growth) = copies::take(&mut self.nobodys, kinds, sample, *at_ns) {
                total.copied(*tick, growth);
            }
            return;
        };
        if let Some(socket) = sockets.get_mut(id) {
            if let Some(growth) = copies::take(&mut socket.rows, kinds, sample, *at_ns) {
                let spread = |account: &mut Account| account.copied(*tick, growth);
                for_each_account(*tick, socket, processes, devices, total, spread);
            }
            return;
        }
        let (seen, rows) = self.strangers.entry(id).or_default();
        *seen = *tick;
        if let Some(growth) = copies::take(rows, kinds, sample, *at_ns) {
            total.copied(*tick, growth);
        }
    }

    fn forget_old(&mut self) {
        self.sockets.fold(self.tick);
        self.sockets.tidy();
        self.processes.fold();
        self.devices.fold();
        let tick = self.tick;
        self.strangers.retain(|_, (seen, _)| *seen == tick);
    }

    fn view(&self) -> View<'_> {
        View { known: &self.known, kinds: &self.kinds, tick: self.tick, interval_ns: self.interval_ns }
    }

    /// Adds the last interval to the time of every path that moved bytes in it.
    fn add_active(&mut self) {
        let view =
            View { known: &self.known, kinds: &self.kinds, tick: self.tick, interval_ns: self.interval_ns };
        for (path, _) in self.total.rates(&view).filter(|(_, bytes_per_s)| *bytes_per_s > 0) {
            *self.active_ns.entry(path).or_default() += self.interval_ns;
        }
    }

    /// The state as of the last sample.
    pub fn snapshot(&mut self) -> Snapshot {
        let view = self.view();
        let mut paths = self.total.figures(&view);
        paths.iter_mut().for_each(|figures| self.fill_distributions(figures));
        let processes = self.processes.by_bytes().into_iter().map(|(pid, group)| ProcessFigures {
            pid: *pid,
            comm: group.name.clone(),
            place: self.places.of(group.place),
            gauges: group.gauges.figures(&self.known),
            memlock_limit: group.memlock,
            paths: group.account.figures(&view),
        });
        let processes = processes.collect();
        let devices = self
            .devices
            .by_bytes()
            .into_iter()
            .map(|(dev, group)| DeviceFigures { dev: dev.clone(), paths: group.account.figures(&view) });
        let devices = devices.collect();
        // Not `self.view()`: the sockets keep the figures they build.
        let view =
            View { known: &self.known, kinds: &self.kinds, tick: self.tick, interval_ns: self.interval_ns };
        let sockets = self.sockets.figures(&view);
        Snapshot {
            session: self.session.clone(),
            duration_ns: self.at_ns,
            interval_ns: self.interval_ns,
            lost: self.lost.clone(),
            paths,
            processes,
            sockets,
            devices,
            files: self.files.sent(&self.known),
            file_reads: self.files.read(&self.known),
            bounces: self.known.dma_bounce.then(|| self.bounces.clone()),
            active_ns: self.active_ns.clone(),
            maps: self.maps.clone(),
            programs: self.programs.clone(),
            latency: self.latencies(),
            host: Arc::default(),
        }
    }

    /// True when durations of this kind are known on this path.
    fn measures(&self, path: Path, kind: LatencyKind) -> bool {
        let known = &self.known;
        match kind {
            LatencyKind::SendCall => known.send_time,
            LatencyKind::Release => known.releases_of(path),
            LatencyKind::Queue => known.releases_of(path) && known.queue_latency,
            LatencyKind::Read => known.told && known.read_latency,
            LatencyKind::AppRead => known.told && known.app_read_latency,
        }
    }

    fn latencies(&self) -> Vec<LatencyFigures> {
        let known =
            self.latency.iter().filter(|((path, kind), hist)| hist.count > 0 && self.measures(*path, *kind));
        known
            .map(|((path, kind), hist)| LatencyFigures { path: *path, kind: *kind, hist: hist.clone() })
            .collect()
    }

    /// What is kept per path only: latencies and distributions.
    fn fill_distributions(&self, figures: &mut PathFigures) {
        let (path, known) = (figures.path, &self.known);
        let hist =
            |kind| self.latency.get(&(path, kind)).map(Arc::as_ref).filter(|_| self.measures(path, kind));
        let latency = |kind| hist(kind).and_then(percentiles);
        let spread = |known: bool, kind| {
            self.spreads.get(&(path, kind)).filter(|_| known).and_then(|spread| spread_figures(spread))
        };
        figures.frags_per_skb = spread(known.frags_of(path), SpreadKind::FragsPerSkb).map(Box::new);
        figures.bytes_per_frag = spread(known.frags_of(path), SpreadKind::BytesPerFrag).map(Box::new);
        figures.send_ns = latency(LatencyKind::SendCall).map(Box::new);
        if let Some(c) = &mut figures.completions {
            c.latency = latency(LatencyKind::Release);
            c.delayed_acks = hist(LatencyKind::Release).map(delayed_acks);
            c.queue_latency = latency(LatencyKind::Queue);
            c.read_latency = latency(LatencyKind::Read);
            c.app_read_latency = latency(LatencyKind::AppRead);
            c.range_length = spread(known.told, SpreadKind::RangeLength);
        }
    }
}

/// Pages the sends in flight of one path hold; `None` when several paths of the socket may hold them.
fn pages_of(sample: &SocketSample, path: Path, counters: &FlowCounters) -> Option<u64> {
    let holds = |path: Path, c: &FlowCounters| gauges::counts(path) && c.zc_sends > 0;
    if sample.gauges.pages_in_flight == 0 || !holds(path, counters) {
        return Some(0);
    }
    let alone = sample.flows.iter().filter(|(path, c)| holds(*path, c)).count() == 1;
    alone.then_some(sample.gauges.pages_in_flight)
}

/// A socket's gauges as seen now, `alive` or at its end.
fn absorb_gauges(socket: &mut Socket, processes: &mut Groups<u32>, seen: &Gauges, alive: bool, tick: u64) {
    let old = socket.gauges.map(|gauges| *gauges.now());
    if alive && old.as_ref() == Some(seen) {
        return;
    }
    socket.gauges.get_or_insert_default().update(*seen);
    socket.touch(tick);
    if let Some(process) = processes.get_mut(&socket.pid()) {
        process.gauges.replace(&old.unwrap_or_default(), seen);
        if !alive {
            process.gauges.replace(seen, &Gauges::default());
        }
    }
}

/// Does the same to the accounts of a socket, its process, its device and the total.
fn for_each_account(
    tick: u64,
    socket: &mut Socket,
    processes: &mut Groups<u32>,
    devices: &mut Groups<String>,
    total: &mut Account,
    change: impl Fn(&mut Account),
) {
    change(&mut socket.account);
    socket.touch(tick);
    if let Some(process) = processes.get_mut(&socket.pid()) {
        change(&mut process.account);
    }
    if let Some(device) = socket.dev().and_then(|dev| devices.get_mut(dev)) {
        change(&mut device.account);
    }
    change(total);
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
