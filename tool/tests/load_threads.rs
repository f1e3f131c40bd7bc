//! Loads whose threads serve several streams: nobody waits for a stream that is stuck, nobody spins, and what is a
//! thread's is never shown as a stream's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use zcscope::load::engine::{Plan, run};
use zcscope::load::paths::{PATHS, PathEntry, Setup};
use zcscope::load::placement::Placement;
use zcscope::load::result::{EndedBy, LoadReport};
use zcscope::load::warmup::WarmUp;

/// Long before this, a test has ended or failed.
const LIMIT: Duration = Duration::from_secs(20);
const EACH: u64 = 8 << 20;

fn plan(path: &'static PathEntry, target: SocketAddr, streams: usize, threads: usize) -> Plan {
    Plan {
        path,
        targets: vec![target],
        streams,
        threads: Some(threads),
        placement: Placement::Free,
        duration: LIMIT,
        bytes: Some(EACH * streams as u64),
        warm_up: WarmUp::None,
        ..Plan::default()
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads to the end of the stream; tells when `mark` bytes have come.
fn drain(mut stream: TcpStream, mark: u64, reached: Option<&Sender<()>>) -> u64 {
    let (mut buffer, mut sum) = (vec![0; 256 << 10], 0);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let before = sum;
        sum += n as u64;
        if let Some(reached) = reached.filter(|_| before < mark && sum >= mark) {
            let _ = reached.send(());
        }
    }
    sum
}

/// Takes `streams` connections, and does not read the first one until all others have had everything. Returns what came.
fn receive_last_one_first(listener: &TcpListener, streams: usize) -> u64 {
    let (reached, told) = channel();
    let stuck = listener.accept().unwrap().0;
    let others: Vec<_> = (1..streams)
        .map(|_| {
            let (stream, reached) = (listener.accept().unwrap().0, reached.clone());
            std::thread::spawn(move || drain(stream, EACH, Some(&reached)))
        })
        .collect();
    let in_time = (1..streams).all(|_| told.recv_timeout(LIMIT * 2).is_ok());
    let stuck = if in_time { drain(stuck, 0, None) } else { 0 };
    stuck + others.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
}

fn available() -> impl Iterator<Item = &'static PathEntry> {
    PATHS.iter().filter(|entry| (entry.available)().is_ok())
}

#[test]
fn a_stream_that_is_stuck_holds_up_no_other() {
    const STREAMS: usize = 4;
    for path in available() {
        let (listener, target) = listen();
        let sink = std::thread::spawn(move || receive_last_one_first(&listener, STREAMS));
        // So many sends that a tenth of a second each time would never end.
        let setup = Setup { size: 16 << 10, ..Setup::default() };
        let report = run(&Plan { setup, ..plan(path, target, STREAMS, 1) }, None, |_| {}).unwrap();
        let received = sink.join().unwrap();
        let name = path.name;
        assert_eq!((report.ended_by, &report.error), (EndedBy::Bytes, &None), "{name}");
        assert_eq!((report.bytes, report.acked_bytes), (EACH * 4, EACH * 4), "{name}");
        assert!(report.per_stream.iter().all(|stream| stream.bytes == EACH), "{name}");
        // Encrypted bytes are more.
        assert!(received == report.bytes || name.starts_with("ktls"), "{name}: {received}");
        if let Some(ends) = report.completions {
            assert_eq!((ends.sends, ends.bytes), (report.calls, report.bytes), "{name}");
            assert_eq!((ends.outstanding, ends.unexpected), (0, 0), "{name}");
        }
    }
}

fn nobody_reads(path: &'static PathEntry) -> LoadReport {
    let (listener, target) = listen();
    let plan = Plan { bytes: None, duration: Duration::from_millis(500), ..plan(path, target, 4, 2) };
    let report = run(&plan, None, |_| {}).unwrap();
    drop(listener);
    report
}

#[test]
fn blocked_streams_are_waited_for_and_not_asked_all_the_time() {
    let waiting: Vec<_> = available().map(|path| std::thread::spawn(move || nobody_reads(path))).collect();
    for report in waiting.into_iter().map(|thread| thread.join().unwrap()) {
        let (name, syscalls) = (&report.path, report.syscalls.unwrap().count);
        assert!(report.bytes > 0 && report.acked_bytes < report.bytes, "{name}");
        // Nothing is sent that the kernel cannot hold, and a loop that does not sleep would make millions.
        assert!(
            syscalls < 20 * report.calls + 5000,
            "{name}: {syscalls} system calls, {} sends",
            report.calls
        );
    }
}

/// Reads everything from all of them.
fn drain_all(listener: TcpListener, streams: usize) -> Receiver<u64> {
    let (sender, sums) = channel();
    std::thread::spawn(move || {
        for _ in 0..streams {
            let (stream, sender) = (listener.accept().unwrap().0, sender.clone());
            std::thread::spawn(move || sender.send(drain(stream, 0, None)));
        }
    });
    sums
}

#[test]
fn laps_of_shared_threads_are_kept_apart_and_small_windows_are_no_trouble() {
    for path in available().filter(|path| !path.name.starts_with("ktls")) {
        let (listener, target) = listen();
        let sums = drain_all(listener, 5);
        let setup = Setup { size: 24 << 10, depth: 3, ..Setup::default() };
        let plan = Plan {
            setup,
            bytes: Some(10_000_001),
            sndbuf: zcscope::load::knobs::SendBuffer::InFlight,
            warm_up: WarmUp::For(Duration::from_millis(100)),
            ..plan(path, target, 5, 2)
        };
        let report = run(&plan, None, |_| {}).unwrap();
        let (name, warm) = (path.name, report.warm_up.unwrap());
        assert_eq!((report.bytes, report.acked_bytes), (10_000_001, 10_000_001), "{name}");
        assert_eq!((report.ended_by, warm.left_bytes), (EndedBy::Bytes, 0), "{name}");
        assert!(warm.bytes > 0);
        assert_eq!(sums.iter().sum::<u64>(), report.bytes + warm.bytes, "{name}");
        if let Some(ends) = report.completions {
            assert_eq!((ends.sends, ends.bytes, ends.outstanding), (report.calls, report.bytes, 0), "{name}");
        }
    }
}

#[test]
fn what_a_thread_used_is_counted_once_and_shown_as_a_stream_s_only_if_it_is() {
    let copy = PathEntry::from_name("copy").unwrap();
    for (threads, own) in [(3, [true; 3]), (2, [true, false, false]), (1, [false; 3])] {
        let (listener, target) = listen();
        let sums = drain_all(listener, 3);
        let report = run(&plan(copy, target, 3, threads), None, |_| {}).unwrap();
        assert_eq!(sums.iter().sum::<u64>(), EACH * 3);
        assert_eq!(report.threads, Some(threads as u64));
        assert_eq!(report.per_stream.iter().map(|s| s.thread_ns.is_some()).collect::<Vec<_>>(), own);
        let of_streams: u64 = report.per_stream.iter().filter_map(|stream| stream.thread_ns).sum();
        assert!(report.cpu.thread_ns > 0 && of_streams <= report.cpu.thread_ns, "{threads} threads");
        assert_eq!(of_streams == report.cpu.thread_ns, threads == 3, "{threads} threads");
    }
}

#[test]
fn a_connection_that_is_closed_ends_the_run_with_its_reason() {
    for name in ["copy", "msg_zerocopy", "sendfile", "uring_send", "uring_send_zc"] {
        let path = PathEntry::from_name(name).unwrap();
        if (path.available)().is_err() {
            continue;
        }
        let (listener, target) = listen();
        let sink = std::thread::spawn(move || {
            let mut first = listener.accept().unwrap().0;
            let others: Vec<_> = (1..4).map(|_| listener.accept().unwrap().0).collect();
            first.read_exact(&mut vec![0; 1 << 20]).unwrap();
            // Unread bytes make it a reset.
            drop(first);
            others.into_iter().map(|stream| drain(stream, 0, None)).sum::<u64>()
        });
        let plan = Plan { bytes: None, ..plan(path, target, 4, 2) };
        let report = run(&plan, None, |_| {}).unwrap();
        assert_eq!(report.ended_by, EndedBy::Error, "{name}");
        let error = report.error.unwrap();
        assert!(error.contains("closed the connection"), "{name}: {error}");
        assert!(sink.join().unwrap() > 0 && report.bytes >= 1 << 20, "{name}");
    }
}

#[test]
fn threads_that_share_a_cpu_are_told_to_have_waited_for_it() {
    if !std::fs::read_to_string("/proc/thread-self/schedstat").is_ok_and(|text| text.trim() != "0 0 0") {
        return; // this kernel does not count it
    }
    let copy = PathEntry::from_name("copy").unwrap();
    let cpu = zcscope::load::placement::allowed()[0];
    let (listener, target) = listen();
    let sums = drain_all(listener, 8);
    let all_on_one = Plan { placement: Placement::Cpus(vec![cpu]), ..plan(copy, target, 8, 8) };
    let begin = std::time::Instant::now();
    let report = run(&all_on_one, None, |_| {}).unwrap();
    let passed = u64::try_from(begin.elapsed().as_nanos()).unwrap();
    assert_eq!(sums.iter().sum::<u64>(), EACH * 8);
    // While one of them ran, the others that were ready did not: CPU time of one is run delay of others.
    let delay = report.cpu.run_delay_ns.unwrap();
    assert!(delay > report.cpu.thread_ns / 2, "{delay} ns waited, {} ns run", report.cpu.thread_ns);
    assert!(delay <= 8 * passed, "{delay} ns waited by 8 threads in {passed} ns");
}
