//! The two ways as tables.

use super::super::sheet::Sheet;
use super::{Outcome, Row};

/// Programs below this are left out of the table (not out of the sum), ns per send.
const SMALL: f64 = 0.5;

pub(super) fn sheets(outcome: &Outcome) -> Vec<Sheet> {
    let mut sheets = vec![programs(&outcome.rows), sender(&outcome.rows)];
    if let Some(last) = sheets.last_mut() {
        last.notes.push(format!(
            "Medians and ranges of {} rounds of 1 s for each side. The first table counts programs on all CPUs, the \
             second the sender's thread only: it has the trap into the programs and what they push out of its caches, \
             but not what runs on the receiver's CPU. A send on loopback is slower or faster by which CPU its receiver \
             woke up on; that noise is in the second table. Nothing: programs of two instructions at the same \
             tracepoints and no zcscope, which is what this kernel takes for having somebody there.",
            outcome.rounds
        ));
    }
    sheets
}

fn programs(rows: &[Row]) -> Sheet {
    let head = ["program", "traffic", "runs per send", "ns per run, raw", "empty", "net", "net ns per send"];
    let mut sheet = Sheet::new("Kernel statistics", &head);
    for row in rows {
        let traffic = row.traffic.name();
        let shown = row.programs.iter().filter(|program| program.net_ns_per_send.median >= SMALL);
        for program in shown {
            sheet.row([
                program.name.clone(),
                traffic.clone(),
                format!("{:.3}", program.runs_per_send.median),
                program.raw_ns.text(0),
                program.empty_ns.text(0),
                program.net_ns.text(0),
                if program.receives { "-".into() } else { program.net_ns_per_send.text(1) },
            ]);
        }
        let dash = || "-".to_owned();
        sheet.row([
            "all of sending".into(),
            traffic.clone(),
            dash(),
            dash(),
            dash(),
            dash(),
            row.send_ns.text(1),
        ]);
    }
    sheet.notes.push(
        "Net: less what a program of two instructions shows at the same tracepoint in the same run, which is the price \
         of taking the time. The programs of receiving stand per run: one a receive. More than one run of \
         tp_sock_send_length per send means that other processes sent, too."
            .into(),
    );
    sheet
}

fn sender(rows: &[Row]) -> Sheet {
    let head =
        ["traffic", "CPU ns per send", "traced by `stat`", "added", "nothing would add", "statistics say"];
    let mut sheet = Sheet::new("CPU time of the sender", &head);
    for row in rows {
        sheet.row([
            row.traffic.name(),
            row.plain_ns.text(0),
            row.traced_ns.text(0),
            row.added_ns.text(0),
            row.floor_ns.text(0),
            row.send_ns.text(0),
        ]);
    }
    sheet
}
