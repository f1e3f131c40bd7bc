//! How a load was set, as text.

use std::fmt::Write;

use super::result::LoadReport;
use crate::units::{bit_rate, bytes, counted};

/// Everything that was set, in lines.
pub(super) fn knobs(report: &LoadReport) -> String {
    let k = &report.knobs;
    let on = |on: bool| if on { "on" } else { "off" };
    let sndbuf = match (k.sndbuf_asked_bytes, k.sndbuf_bytes) {
        (None, Some(now)) => format!("tuned by the kernel (now {})", bytes(now)),
        (Some(asked), Some(now)) if now < asked => {
            format!("{} ({} asked for; net.core.wmem_max allows no more)", bytes(now), bytes(asked))
        }
        (_, Some(now)) => bytes(now),
        (_, None) => "not known".into(),
    };
    let mut text = format!(
        "in flight at most {}, send queue {sndbuf}\nworking set {} a stream on {} pages, source {}, {} iovec{}\n\
         MSG_MORE {}, TCP_NODELAY {}, {} {}",
        bytes(k.in_flight_bytes),
        bytes(k.working_set_bytes),
        k.page,
        k.source,
        k.iovecs,
        if k.iovecs == 1 { "" } else { "s" },
        on(k.more),
        on(k.nodelay),
        threads(report),
        placement(report)
    );
    if let Some(rate) = k.pacing_bit_s {
        let _ = write!(text, ", paced to {}", bit_rate(rate as f64));
    }
    text
}

/// `8 streams`, and on how many threads, when those are fewer.
pub(super) fn streams(report: &LoadReport) -> String {
    let streams = counted(report.streams, "stream");
    match report.threads {
        Some(few) if few < report.streams => format!("{streams} on {}", threads(report)),
        _ => streams,
    }
}

fn threads(report: &LoadReport) -> String {
    report.threads.map_or_else(|| "threads".into(), |threads| counted(threads, "thread"))
}

fn placement(report: &LoadReport) -> String {
    let pairs: Vec<String> = report
        .per_stream
        .iter()
        .map(|stream| {
            let name = |cpu: Option<u64>| cpu.map_or_else(|| "any".into(), |cpu| cpu.to_string());
            format!("{} (acks on {})", name(stream.cpu), name(stream.incoming_cpu))
        })
        .collect();
    match &pairs[..] {
        [] => report.knobs.placement.clone(),
        [one] => format!("{}: CPU {one}", report.knobs.placement),
        [first, .., last] => format!("{}: CPU {first} to CPU {last}", report.knobs.placement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_where_they_are_set_and_where_they_are_few() {
        let report = |streams, threads| LoadReport { streams, threads, ..LoadReport::default() };
        for (streams_of, threads, heading, set) in [
            (1, Some(1), "1 stream", ", 1 thread "),
            (8, Some(8), "8 streams", ", 8 threads "),
            (1000, Some(2), "1,000 streams on 2 threads", ", 2 threads "),
            (8, None, "8 streams", ", threads "),
        ] {
            let report = report(streams_of, threads);
            assert_eq!(streams(&report), heading);
            assert!(knobs(&report).contains(set), "{}", knobs(&report));
        }
    }
}
