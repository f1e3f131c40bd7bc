//! What the kernel programs cost while traffic runs, from the kernel's own statistics (`BPF_ENABLE_STATS`, held by a
//! descriptor: they end with this process). `cargo xtask bench` asks it: each line on standard input is answered by
//! one line of JSON, the counters of every program so far. With `--empty` a program of two instructions stands at
//! every tracepoint used, so that what taking the time costs is known from the same run. With `--floor` those stand there
//! alone and nothing is measured: what any tracer at these tracepoints costs at least.
#![allow(unsafe_code, reason = "bpf(2): loading the empty programs")]

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::Context;
use serde_json::{Value, json};
use zcscope::probe::{Options, Probe};

/// `BPF_PROG_LOAD`, `BPF_RAW_TRACEPOINT_OPEN` of bpf(2).
const PROG_LOAD: libc::c_long = 5;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
const RAW_TRACEPOINT: u32 = 17;
/// `r0 = 0; exit`.
const NOTHING: [u64; 2] = [0xb7, 0x95];
/// How the programs at tracepoints are named.
const PREFIX: &str = "tp_";
/// How the empty ones are.
const EMPTY: &str = "empty";

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` uses, up to the name.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log: [u64; 2],
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The part of it that `BPF_RAW_TRACEPOINT_OPEN` uses.
#[repr(C)]
struct OpenAttr {
    name: u64,
    prog_fd: u32,
    pad: u32,
}

/// Programs that do nothing, one a tracepoint; they go with their descriptors.
struct Empties {
    _held: Vec<[OwnedFd; 2]>,
    /// Tracepoint by the name of the program.
    names: HashMap<String, String>,
}

fn main() -> anyhow::Result<()> {
    let asked = |name: &str| std::env::args().any(|argument| argument == name);
    let probe = Probe::start(&Options::default())?;
    if asked("--floor") {
        let programs = probe.programs();
        drop(probe);
        return stand(&Empties::load(programs)?);
    }
    let empties = Empties::load(if asked("--empty") { probe.programs() } else { Vec::new() })?;
    let _stats = aya::sys::enable_stats(aya::sys::Stats::RunTime).context("switching statistics on")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        line?;
        writeln!(out, "{}", counters(&probe, &empties)?)?;
        out.flush()?;
    }
    Ok(())
}

/// Says so, and keeps them until standard input ends.
fn stand(_held: &Empties) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "ready")?;
    std::io::stdin().lock().lines().try_for_each(|line| line.map(drop))?;
    Ok(())
}

/// Runs and nanoseconds of every program.
fn counters(probe: &Probe, empties: &Empties) -> anyhow::Result<Value> {
    let own = probe.programs();
    let programs = own.iter().map(|program| {
        json!({"name": program.name, "runs": program.runs, "ns": program.run_time.as_nanos() as u64})
    });
    let mut empty = Vec::new();
    if !empties.names.is_empty() {
        for program in aya::programs::loaded_programs() {
            let program = program?;
            if let Some(name) = program.name_as_str().and_then(|name| empties.names.get(name)) {
                let ns = program.run_time().as_nanos() as u64;
                empty.push(json!({"name": name, "runs": program.run_count(), "ns": ns}));
            }
        }
    }
    Ok(json!({"programs": programs.collect::<Vec<_>>(), "empty": empty}))
}

impl Empties {
    /// One at the tracepoint of each of these programs that has one.
    fn load(programs: Vec<zcscope::probe::Program>) -> anyhow::Result<Self> {
        let (mut held, mut names) = (Vec::new(), HashMap::new());
        for program in programs {
            let Some(tracepoint) = program.name.strip_prefix(PREFIX) else { continue };
            // Names of programs are short and must not be another process's.
            let name = format!("{EMPTY}{}_{}", names.len(), std::process::id() % 100_000);
            held.push(empty(&name, tracepoint).with_context(|| format!("empty program at {tracepoint}"))?);
            names.insert(name, program.name);
        }
        Ok(Self { _held: held, names })
    }
}

/// Loads and attaches one.
fn empty(name: &str, tracepoint: &str) -> anyhow::Result<[OwnedFd; 2]> {
    let mut attr = LoadAttr {
        prog_type: RAW_TRACEPOINT,
        insn_cnt: NOTHING.len() as u32,
        insns: NOTHING.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        ..LoadAttr::default()
    };
    // The last byte stays zero.
    for (to, from) in attr.prog_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    let program = bpf(PROG_LOAD, &attr)?;
    let tracepoint = std::ffi::CString::new(tracepoint)?;
    let attr =
        OpenAttr { name: tracepoint.as_ptr() as u64, prog_fd: program.as_raw_fd().cast_unsigned(), pad: 0 };
    let link = bpf(RAW_TRACEPOINT_OPEN, &attr)?;
    Ok([program, link])
}

/// Makes a call that returns a descriptor.
fn bpf<T>(command: libc::c_long, attr: &T) -> std::io::Result<OwnedFd> {
    // SAFETY: `attr` is a valid bpf_attr for this command, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    match i32::try_from(fd) {
        // SAFETY: a new descriptor nobody else owns.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(std::io::Error::last_os_error()),
    }
}
