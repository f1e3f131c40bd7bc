//! Constructed matrices for the tests of this room and of the reports.

use super::document::{cell, conclude};
use super::knobs::Knobs;
use super::plan::{Depth, Key, cells};
use super::result::{
    CellReport, Class, Copied, DeviceFacts, MATRIX_SCHEMA, MatrixReport, Repetition, Setting, Unavailable,
};

const SEED: u64 = 42;

/// How one path behaves at one size: Gbit/s and machine s/GB, scatter of both, copied part.
#[derive(Clone, Copy)]
pub(crate) struct Behaviour {
    pub(crate) gbit_s: f64,
    pub(crate) machine: f64,
    pub(crate) scatter: f64,
    pub(crate) copied: f64,
}

/// Five runs (or `n`) of a cell that behaves like this.
pub(crate) fn made(path: &str, class: Class, size: u64, b: Behaviour, n: u64) -> CellReport {
    let key = Key::sibling(path, size, (1, Some(16)));
    let runs = (0..n).map(|round| run(round, class, b)).collect();
    let copied = Copied { requested_bytes: 1_000_000, copied_bytes: (b.copied * 1e6) as u64 };
    // Tracing makes it slower.
    let traced = run(0, class, Behaviour { machine: b.machine * 2.0, ..b });
    let proof = (class != Class::Copies).then_some(Repetition { kernel: Some(copied), ..traced });
    cell(key, class, runs, proof, SEED)
}

fn run(round: u64, class: Class, b: Behaviour) -> Repetition {
    // 0, +1, -1, +2, -2 ... of the scatter.
    let step = if round % 2 == 1 { (round + 1) as f64 / 2.0 } else { -(round as f64) / 2.0 };
    let factor = 1.0 + b.scatter * step;
    let told = class == Class::Told;
    let copied = Copied { requested_bytes: 1_000_000, copied_bytes: (b.copied * 1e6) as u64 };
    Repetition {
        round,
        place: 0,
        error: None,
        acked_bytes: 100_000_000_000,
        duration_ns: 2_000_000_000,
        gbit_s: b.gbit_s / factor,
        machine_s_per_gb: Some(b.machine * factor),
        thread_s_per_gb: Some(b.machine * factor / 2.0),
        sink_s_per_gb: Some(b.machine * factor / 4.0),
        switches_per_gb: Some(1200.0),
        syscalls_per_gb: Some(15_500.0),
        latency_p50_ns: told.then_some(80_000),
        latency_p99_ns: told.then_some(170_000),
        latency_p999_ns: told.then_some(900_000),
        told: told.then_some(copied),
        kernel: None,
        kernel_missing: None,
        enobufs: told.then_some(0),
    }
}

const PATHS: [(&str, Class); 3] =
    [("copy", Class::Copies), ("msg_zerocopy", Class::Told), ("sendfile", Class::Untold)];

/// A quiet cable: zero-copy is dear for small sends and cheap for large ones.
pub(crate) fn cable() -> MatrixReport {
    let names = PATHS.map(|(name, _)| name);
    let of = |key: &Key| {
        let class = PATHS.iter().find(|(name, _)| *name == key.path).map_or(Class::Copies, |path| path.1);
        let kib = key.size as f64 / 1024.0;
        let machine = match class {
            Class::Copies => 0.20 + 0.4 / kib,
            Class::Told => 0.08 + 2.0 / kib,
            Class::Untold => 0.10 + 0.6 / kib,
        };
        let b = Behaviour { gbit_s: 2.0 / machine, machine, scatter: 0.01, copied: 0.0 };
        made(&key.path, class, key.size, b, 5)
    };
    let cells = cells(&names, &[4 << 10, 16 << 10, 64 << 10, 256 << 10], &[1], &[Depth::Fixed(16)])
        .iter()
        .map(of)
        .collect();
    report(cells)
}

/// A cable whose device copies everything without a word.
pub(crate) fn copying() -> MatrixReport {
    let b = Behaviour { gbit_s: 9.0, machine: 0.3, scatter: 0.01, copied: 1.0 };
    let cells = [64 << 10, 256 << 10].into_iter().flat_map(|size| PATHS.map(|(p, c)| made(p, c, size, b, 5)));
    let mut report = report(cells.collect());
    for cell in &mut report.cells {
        // Told zero-copy, copied all the same.
        cell.told = cell.told.map(|told| Copied { copied_bytes: 0, ..told });
    }
    report.setting.device = Some(DeviceFacts {
        name: "eth2".into(),
        driver: Some("virtio_net".into()),
        mtu: 1500,
        ..DeviceFacts::default()
    });
    report
}

/// A document around cells.
pub(crate) fn report(cells: Vec<CellReport>) -> MatrixReport {
    let mut report = MatrixReport {
        schema: MATRIX_SCHEMA.into(),
        version: "0.1.0".into(),
        command: ["zcscope", "matrix", "--to", "10.0.0.2:9000"].map(str::to_owned).into(),
        seed: SEED,
        partial: None,
        setting: Setting {
            host: "guest".into(),
            kernel: "6.12.0".into(),
            cpus: 2,
            link: "network".into(),
            target: Some("10.0.0.2:9000".into()),
            functional_only: None,
            device: Some(DeviceFacts {
                name: "eth0".into(),
                driver: Some("vmxnet3".into()),
                mtu: 1500,
                scatter_gather: Some(true),
                tx_checksum: Some(true),
                tso: Some(true),
            }),
            sink: Some("recv".into()),
            cc: Some("cubic".into()),
            traced: Some("fentry".into()),
            not_traced: None,
            other_load: Some(0.01),
            steal: Some(0.0),
        },
        repeat: 5,
        cell_duration_ns: 2_000_000_000,
        cell_bytes: None,
        warm_up_ns: 200_000_000,
        working_set_bytes: 16 << 20,
        knobs: Knobs::default(),
        duration_ns: 132_000_000_000,
        cells,
        unavailable: vec![Unavailable {
            path: "uring_send_zc".into(),
            why: "this kernel refuses io_uring_setup (EPERM)".into(),
        }],
        break_even: Vec::new(),
    };
    conclude(&mut report);
    report
}
