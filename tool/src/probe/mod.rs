//! The only room that knows aya: offsets from BTF, the plan of what to attach, attaching, reading, loss.

mod attach;
mod bounces;
mod btf;
mod canary;
mod changed;
mod classify;
mod ended;
mod facts;
mod files;
#[cfg(test)]
mod limits;
mod live;
mod maps;
mod names;
mod offsets;
mod pipes;
mod plan;
mod programs;
mod raw;
mod read;
mod samples;
mod seen;
mod shares;
mod skipped;
mod sweep;
mod tallies;
mod totals;
#[cfg(test)]
mod weight_tests;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use aya::Ebpf;
use aya::maps::{HashMap as BpfHash, MapData};
use zcscope_common::{Config, Filter as KernelFilter, Path, Range, Source};

use self::btf::Btf;
use self::plan::Kernel;
pub use self::programs::Program;
use crate::host::symbols::Symbols;
use crate::model::sample::{MapSample, ProgramCosts, ProgramSample, Sample};
use crate::model::snapshot::{Missing, Session};
use crate::{host, privilege};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// So many sockets handed over at one reading, with all that is known of each, take a megabyte and more.
const MANY: usize = 1_000;

/// Which tracing back end to use for facts that several can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// Per fact, the first that really attaches: fentry, kprobe, tracepoint.
    #[default]
    Auto,
    /// fentry/fexit trampolines only.
    Fentry,
    /// kprobe/kretprobe only.
    Kprobe,
    /// BTF tracepoints only: for kernels that refuse the other two.
    Tracepoint,
}

impl Backend {
    /// The source it forces, `None` for auto.
    const fn source(self) -> Option<Source> {
        match self {
            Backend::Auto => None,
            Backend::Fentry => Some(Source::Fentry),
            Backend::Kprobe => Some(Source::Kprobe),
            Backend::Tracepoint => Some(Source::Tracepoint),
        }
    }
}

/// What to trace; empty fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these processes.
    pub pids: Vec<u32>,
    /// Also trace every process forked (directly or not) by a traced one or, after
    /// [`Probe::adopt_children`]`(true)`, by zcscope itself.
    pub children: bool,
    /// Only processes with this name.
    pub comm: Option<String>,
    /// Only sockets routed over this device.
    pub dev: Option<String>,
    /// Only sockets with this local or remote port.
    pub port: Option<u16>,
    /// Only these paths.
    pub paths: Vec<Path>,
    /// Only sockets of the network namespace with this inode number.
    pub netns: Option<u32>,
    /// Only sockets of processes in this cgroup or below it, when they first sent.
    pub cgroup: Option<host::cgroup::Cgroup>,
}

impl Filter {
    /// True when anything is left out.
    fn is_set(&self) -> bool {
        let Self { pids, children, comm, dev, port, paths, netns, cgroup } = self;
        *children
            || !pids.is_empty()
            || !paths.is_empty()
            || comm.is_some()
            || dev.is_some()
            || port.is_some()
            || netns.is_some()
            || cgroup.is_some()
    }
}

/// How to trace.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Back end.
    pub backend: Backend,
    /// BTF file to use instead of the running kernel's.
    pub btf: Option<PathBuf>,
    /// What to trace.
    pub filter: Filter,
    /// Have the kernel measure the programs, all of them on this host, which makes each run a little slower.
    pub kernel_stats: bool,
}

/// Why tracing is impossible here: one sentence with what would help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotTrace(pub String);

/// Programs loaded and attached. Dropping it detaches everything; so does the end of the process, however it
/// ends, because nothing is pinned.
pub struct Probe {
    /// Holds the links.
    ebpf: Ebpf,
    reader: read::Reader,
    processes: BpfHash<MapData, u32, u8>,
    session: Session,
    refusals: Vec<Refusal>,
    started: Instant,
    /// The kernel measures as long as this is held, however zcscope ends.
    stats: Option<OwnedFd>,
    /// Not every call on the host is counted.
    filtered: bool,
    /// What the programs had taken when tracing began.
    took_before: Vec<ProgramSample>,
    /// The reading before handed over [`MANY`] sockets or more.
    had_many: bool,
}

/// A better way to know a fact than the one in use, and why it does not hold here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The fact.
    pub fact: &'static str,
    /// Back end of that way.
    pub backend: &'static str,
    /// Why not.
    pub why: String,
}

impl Probe {
    /// Loads and attaches everything the plan finds possible here, and counts from then on.
    ///
    /// # Errors
    /// No rights, no BTF, or no source at all for the fact `send`.
    pub fn start(options: &Options) -> Result<Probe, CannotTrace> {
        let mut probe = Self::prepare(options)?;
        probe.begin()?;
        Ok(probe)
    }

    /// Counts from now on, everything from zero. A send that is on its way at this moment is counted in part.
    ///
    /// # Errors
    /// The switch cannot be written.
    pub fn begin(&mut self) -> Result<(), CannotTrace> {
        self.started = Instant::now();
        self.took_before = if self.stats.is_some() { programs::costs(&self.ebpf) } else { Vec::new() };
        attach::activate(&mut self.ebpf).map_err(CannotTrace)
    }

    /// Loads and attaches like [`Probe::start`], but counts nothing before [`Probe::begin`].
    ///
    /// # Errors
    /// See [`Probe::start`].
    pub fn prepare(options: &Options) -> Result<Probe, CannotTrace> {
        privilege::can_trace().map_err(CannotTrace)?;
        // Both take tens of milliseconds, most of them the kernel's own: side by side.
        let (types, symbols) = std::thread::scope(|scope| {
            let symbols = scope.spawn(|| Symbols::load().ok());
            (read_btf(options), symbols.join().unwrap_or_default())
        });
        let types = types?;
        let tries_fentry = matches!(options.backend, Backend::Auto | Backend::Fentry);
        let kernel = Kernel {
            btf: &types.ours,
            symbols: symbols.as_ref(),
            paths: &options.filter.paths,
            fentry_refused: tries_fentry.then(|| canary::fentry_refused(&types.ours)).flatten(),
        };
        let config = configure(&kernel, &options.filter)?;
        let attached = attach::attach(&kernel, &types.ayas, &config, options).map_err(CannotTrace)?;
        let session = session(&attached, &kernel);
        let (mut ebpf, refusals) = (attached.ebpf, attached.refusals);
        let processes = ebpf
            .take_map("PROCS")
            .context("the object has no map PROCS")
            .and_then(|map| Ok(BpfHash::try_from(map)?))
            .map_err(|error| CannotTrace(format!("{error:#}")))?;
        let reader = read::Reader::new(&mut ebpf, symbols, &session)
            .map_err(|error| CannotTrace(format!("{error:#}")))?;
        // The kernel's types go first.
        drop(types);
        host::heap::trim();
        let stats = options.kernel_stats.then(measure_programs).transpose()?;
        let (started, took_before) = (Instant::now(), Vec::new());
        let filtered = options.filter.is_set();
        Ok(Probe {
            ebpf,
            reader,
            processes,
            session,
            refusals,
            started,
            stats,
            filtered,
            took_before,
            had_many: false,
        })
    }

    /// Host, kernel, back end, sources of every fact and what is missing.
    #[must_use]
    pub fn session(&self) -> Session {
        self.session.clone()
    }

    /// Better ways to know what is known, and why they do not hold here.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Reads all counters.
    ///
    /// # Errors
    /// A map can no longer be read.
    pub fn read(&mut self) -> anyhow::Result<Sample> {
        let at_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut sample = self.reader.read(at_ns)?;
        self.give_back(sample.sockets.len() + sample.ended.len());
        sample.programs = self.stats.as_ref().map(|_| ProgramCosts {
            programs: programs::since(&self.took_before, &self.ebpf),
            filtered: self.filtered,
        });
        Ok(sample)
    }

    /// Gives memory back to the kernel when a time is over in which thousands of sockets were handed over at once: whole
    /// ones take megabytes until the model has taken them in.
    fn give_back(&mut self, handed_over: usize) {
        if handed_over >= MANY {
            self.had_many = true;
        } else if std::mem::take(&mut self.had_many) {
            host::heap::trim();
        }
    }

    /// How full the kernel's maps are and what memory they take. Walks the maps: for the end, not for every tick.
    #[must_use]
    pub fn maps(&self) -> Vec<MapSample> {
        self.reader.maps()
    }

    /// The programs that are loaded, as the kernel describes them.
    #[must_use]
    pub fn programs(&self) -> Vec<Program> {
        programs::programs(&self.ebpf)
    }

    /// From now on (or no longer) a process forked by zcscope itself is traced. Only with [`Filter::children`].
    ///
    /// # Errors
    /// The process table cannot be written.
    pub fn adopt_children(&mut self, on: bool) -> anyhow::Result<()> {
        let own = std::process::id();
        if on {
            return self.add_process(own);
        }
        self.processes.remove(&own).context("taking zcscope itself out of the process table")
    }

    /// Adds one process to the traced ones (only when [`Filter::pids`] or [`Filter::children`] restricts).
    ///
    /// # Errors
    /// The process table cannot be written.
    pub fn add_process(&mut self, pid: u32) -> anyhow::Result<()> {
        self.processes
            .insert(pid, 1, 0)
            .with_context(|| format!("putting process {pid} into the process table"))
    }
}

/// The same types twice: ours for offsets, aya's for loading.
struct Types {
    ours: Btf,
    ayas: aya::Btf,
}

/// Switches the kernel's run-time statistics on for as long as the descriptor is held (Linux 5.8 and later).
fn measure_programs() -> Result<OwnedFd, CannotTrace> {
    aya::sys::enable_stats(aya::sys::Stats::RunTime).map_err(|error| {
        CannotTrace(format!(
            "the kernel does not measure BPF programs ({error}); start without --kernel-stats"
        ))
    })
}

fn read_btf(options: &Options) -> Result<Types, CannotTrace> {
    let path = options.btf.clone().unwrap_or_else(|| PathBuf::from(VMLINUX));
    let shown = path.display();
    let help = "zcscope needs the kernel's type information (CONFIG_DEBUG_INFO_BTF)";
    let data = std::fs::read(&path).map_err(|error| {
        CannotTrace(format!("the kernel types in {shown} cannot be read ({error}); {help}"))
    })?;
    let bad = |why: String| CannotTrace(format!("{shown} holds no usable kernel types ({why}); {help}"));
    let ayas = aya::Btf::parse(&data, aya_obj_endianness()).map_err(|error| bad(error.to_string()));
    let ours = Btf::parse(data).map_err(bad)?;
    Ok(Types { ours, ayas: ayas? })
}

/// Byte order of this machine, as aya spells it.
const fn aya_obj_endianness() -> aya::Endianness {
    if cfg!(target_endian = "little") { aya::Endianness::Little } else { aya::Endianness::Big }
}

/// Everything the kernel programs must know before load, but where facts come from.
fn configure(kernel: &Kernel<'_>, filter: &Filter) -> Result<Config, CannotTrace> {
    let unknown = |what: String| {
        CannotTrace(format!(
            "this kernel is laid out in a way zcscope does not know ({what}); please report it"
        ))
    };
    let mut config = Config { off: offsets::resolve(kernel.btf).map_err(unknown)?, ..Config::default() };
    config.mode.splice_pages = u32::from(kernel.splice_pages());
    config.mode.send_has_tp = u32::from(kernel.send_tracepoint());
    config.mode.uring_cqe = u32::from(kernel.uring_cqe());
    config.mode.consume_has_location = u32::from(kernel.consume_location());
    let bit = |name: &str| {
        let bit = kernel.btf.enumerator(name).and_then(|bit| u32::try_from(bit).ok());
        bit.ok_or_else(|| unknown(format!("no enumerator {name}")))
    };
    config.sock_zerocopy_bit = bit("SOCK_ZEROCOPY")?;
    config.sock_dead_bit = bit("SOCK_DEAD")?;
    let range = |name: &str| {
        let range = kernel.symbols.and_then(|symbols| symbols.range_of(name));
        range.map_or(Range::default(), |(start, end)| Range { start, end })
    };
    config.zerocopy_callback = range("__msg_zerocopy_callback");
    config.copy_ubufs = range("skb_copy_ubufs");
    config.pull_tail = range("__pskb_pull_tail");
    config.segment = range("skb_segment");
    config.transmit = range("dev_hard_start_xmit");
    config.tap = range("dev_queue_xmit_nit");
    config.downgrade_managed = range("__skb_zcopy_downgrade_managed");
    config.zerocopy_from_iter = range("__zerocopy_sg_from_iter");
    config.pp_cow = range("skb_pp_cow_data");
    config.copy_bits = range("skb_copy_bits");
    config.through = zcscope_common::THROUGH.map(range);
    config.detours = zcscope_common::DETOURS.map(range);
    config.veth_xdp = range("veth_convert_skb_to_xdp_buff");
    if config.veth_xdp == Range::default() {
        config.veth_xdp = range("veth_xdp_rcv_skb");
    }
    config.io_sg_from_iter =
        kernel.symbols.and_then(|symbols| symbols.address_of("io_sg_from_iter")).unwrap_or_default();
    config.copy_splice_read =
        kernel.symbols.and_then(|symbols| symbols.address_of("copy_splice_read")).unwrap_or_default();
    config.filter = KernelFilter {
        by_process: u32::from(filter.children || !filter.pids.is_empty()),
        port: filter.port.map_or(0, u32::from),
        path_mask: filter.paths.iter().fold(0, |mask, path| mask | 1 << *path as u32),
        netns: filter.netns.unwrap_or_default(),
        cgroup: filter.cgroup.map_or(0, |cgroup| cgroup.id),
        cgroup_level: filter.cgroup.map_or(0, |cgroup| cgroup.level),
        pad: 0,
        comm: fixed(filter.comm.as_deref()),
        dev: fixed(filter.dev.as_deref()),
    };
    Ok(config)
}

/// A name as the kernel keeps it: 15 bytes and a zero.
fn fixed(name: Option<&str>) -> [u8; 16] {
    let mut field = [0; 16];
    for (to, from) in field.iter_mut().take(15).zip(name.unwrap_or_default().bytes()) {
        *to = from;
    }
    field
}

/// Why events may have passed unseen that `lost` cannot count.
fn uncounted_skips(kprobes: bool) -> Option<Missing> {
    const KPROBES: &str = "the kernel skips a kprobe that hits while another one is being handled on the same CPU, and \
        before Linux 6.7 it does not tell how often: a few sends or copies may be missing; use --backend fentry where it \
        works";
    const GUARDED: &str = "not even root may look at this machine's init process; kernels that guard it so run no kernel \
        program while one of its threads is on a CPU, and tell nobody: packets that an interrupt handles then pass \
        unseen, and bytes copied can be too few by them; compare runs on a machine with a kernel of a distribution";
    let reasons = [(kprobes, KPROBES), (host::guard::init_is_guarded(), GUARDED)];
    let reasons: Vec<_> = reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, why)| why).collect();
    let why = reasons.join("; ");
    (!why.is_empty()).then(|| Missing { fact: "skipped_events".into(), why })
}

fn session(attached: &attach::Attached, kernel: &Kernel<'_>) -> Session {
    let identity = host::identity::identity();
    let mut missing = attached.missing.clone();
    if !kernel.splice_pages() && attached.sources.contains_key("frags") {
        missing.push(Missing {
            fact: "splice_frags".into(),
            why: "before Linux 6.5 sendfile, splice and vmsplice add one page a call and merge it into the frag before, \
                  where it cannot be seen"
                .into(),
        });
    }
    if attached.sources.get("recv").is_some_and(|source| !source.starts_with("tracepoint:")) {
        missing.push(Missing {
            fact: "ktls_recv".into(),
            why: "where kernel TLS decrypts, reads do not pass tcp_recvmsg, and what they receive is not counted"
                .into(),
        });
    }
    missing.push(Missing {
        fact: "orphan_copy".into(),
        why: "file pages (sendfile, splice) have no completion to know them by: once a packet has left its socket, \
              copies of it (XDP on the far end of a veth, the device below a tunnel) cannot be told to be anybody's"
            .into(),
    });
    if !kernel.splice_pages() {
        missing.push(Missing {
            fact: "splice_file".into(),
            why:
                "before Linux 6.5 splice hands TCP one page a call, and which file it is of is not looked at"
                    .into(),
        });
    }
    if host::cgroup::mount().is_none() {
        missing.push(Missing {
            fact: "cgroup".into(),
            why: "no cgroup2 hierarchy is mounted here, so cgroups have no path; mount one to see containers"
                .into(),
        });
    }
    missing.extend(uncounted_skips(attached.kprobes && !skipped::tells_missed()));
    Session {
        host: identity.host,
        kernel: identity.kernel,
        backend: attached.backend.clone(),
        sources: attached.sources.clone(),
        missing,
        page_bytes: host::limits::page_bytes(),
    }
}
