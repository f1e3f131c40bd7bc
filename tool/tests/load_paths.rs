//! Every send path over loopback, byte by byte: what arrives is the stream, and a buffer used too early is caught.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use zcscope::load::engine::{Plan, run};
use zcscope::load::memory::PageKind;
use zcscope::load::paths::{Class, PATHS, PathEntry, Setup, Source};
use zcscope::load::pattern::{self, Mismatch, Poison};
use zcscope::load::result::{EndedBy, LoadReport};

const BYTES: u64 = 64 << 20;

/// What a receiver found.
struct Received {
    bytes: u64,
    mismatch: Option<Mismatch>,
}

/// Takes one connection, waits a little, and compares every byte with the stream.
fn start_checker(pause: Duration, decrypt: bool) -> (SocketAddr, JoinHandle<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = move || {
        let (mut stream, _) = listener.accept().unwrap();
        if decrypt {
            zcscope::load::receive_tls(&stream).unwrap();
        }
        std::thread::sleep(pause);
        let mut part = vec![0; 1 << 18];
        let mut received = Received { bytes: 0, mismatch: None };
        loop {
            // The peer may break off; what came until then counts.
            let n = stream.read(&mut part).unwrap_or(0);
            if n == 0 {
                return received;
            }
            if received.mismatch.is_none() {
                received.mismatch = pattern::check(&part[..n], received.bytes);
            }
            received.bytes += n as u64;
        }
    };
    (address, std::thread::spawn(body))
}

/// The paths this kernel has.
fn available() -> impl Iterator<Item = &'static PathEntry> {
    PATHS.iter().filter(|entry| match (entry.available)() {
        Ok(()) => true,
        Err(why) => {
            println!("without {}: {why}", entry.name);
            false
        }
    })
}

fn send(path: &'static PathEntry, setup: Setup, pause: Duration) -> (LoadReport, Received) {
    send_bytes(path, setup, pause, BYTES)
}

fn send_bytes(path: &'static PathEntry, setup: Setup, pause: Duration, bytes: u64) -> (LoadReport, Received) {
    let (target, checker) = start_checker(pause, path.name.starts_with("ktls"));
    let plan = Plan {
        path,
        targets: vec![target],
        setup,
        duration: Duration::from_secs(60),
        bytes: Some(bytes),
        ..Plan::default()
    };
    let report = run(&plan, None, |_| {}).unwrap();
    (report, checker.join().unwrap())
}

/// All bytes arrived right, and every end was told.
fn assert_right(path: &PathEntry, what: &str, report: &LoadReport, received: &Received) {
    let name = format!("{} {what}", path.name);
    assert_eq!(report.error, None, "{name}");
    assert_eq!(report.ended_by, EndedBy::Bytes, "{name}");
    assert_eq!(received.mismatch, None, "{name}");
    assert_eq!(received.bytes, report.bytes, "{name}: received = sent");
    if path.class == Class::Told {
        let c = report.completions.as_ref().unwrap();
        assert_eq!((c.sends, c.bytes, c.outstanding), (report.calls, report.bytes, 0), "{name}");
        assert_eq!((c.unexpected, c.latency_ns.count), (0, c.sends), "{name}");
        assert_eq!(
            (c.told_copied, c.told_copied_bytes),
            (c.sends, c.bytes),
            "{name}: loopback copies everything"
        );
    }
}

#[test]
fn every_path_carries_the_stream() {
    for path in available() {
        let setup = Setup { verify: Some(Poison::AfterEnd), ..Setup::default() };
        let (report, received) = send(path, setup, Duration::ZERO);
        assert_right(path, "64K", &report, &received);
        assert_eq!(report.bytes, BYTES);
    }
}

#[test]
fn odd_sizes_parts_and_large_working_sets_carry_it_too() {
    for path in available() {
        let odd = Setup {
            size: 70_001,
            depth: 5,
            working_set: 3 << 20,
            iovecs: 7,
            verify: Some(Poison::AfterEnd),
            ..Setup::default()
        };
        // Past the end of the period of the pattern.
        let (report, received) = send_bytes(path, odd, Duration::ZERO, BYTES + 12_345_678);
        assert_right(path, "odd", &report, &received);
        let small = Setup {
            size: 1000,
            depth: 300,
            iovecs: 3,
            more: true,
            reap_every: Some(50),
            verify: Some(Poison::AfterEnd),
            ..Setup::default()
        };
        let (report, received) = send_bytes(path, small, Duration::ZERO, 5_000_003);
        assert_right(path, "small", &report, &received);
        let large = Setup { size: 3 << 20, depth: 2, verify: Some(Poison::AfterEnd), ..Setup::default() };
        let (report, received) = send(path, large, Duration::from_millis(100));
        assert_right(path, "large", &report, &received);
    }
}

#[test]
fn a_buffer_used_too_early_is_caught() {
    for path in available().filter(|path| path.class == Class::Told) {
        let setup = Setup { verify: Some(Poison::TooEarly), ..Setup::default() };
        // While nobody reads, sends wait in the socket.
        let (report, received) = send(path, setup, Duration::from_millis(200));
        assert_eq!(report.error, None, "{}", path.name);
        let wrong = received.mismatch.unwrap_or_else(|| panic!("{}: nothing found", path.name));
        assert_eq!(wrong.found, pattern::POISON, "{}: {wrong:?}", path.name);
    }
}

/// Free pages of the hugetlb pool.
fn free_huge_pages() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("HugePages_Free:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn kinds_of_pages_are_what_was_asked_for_or_refused() {
    for path in available() {
        for pages in [PageKind::Thp, PageKind::Hugetlb] {
            let setup = Setup { pages, depth: 4, verify: Some(Poison::AfterEnd), ..Setup::default() };
            let (report, received) = send_bytes(path, setup, Duration::ZERO, 4 << 20);
            if pages == PageKind::Hugetlb && free_huge_pages() > 4 {
                assert_eq!(report.error, None, "{}: there are free huge pages", path.name);
            }
            match &report.error {
                None => assert_right(path, "huge", &report, &received),
                Some(error) => assert!(error.contains("huge pages"), "{}: {error}", path.name),
            }
        }
    }
}

#[test]
fn file_paths_send_files_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["read_write", "mmap_write", "sendfile", "splice", "vmsplice"] {
        let path = PathEntry::from_name(name).unwrap();
        let source = Source::Directory(directory.path().into());
        let setup = Setup { source, verify: Some(Poison::AfterEnd), ..Setup::default() };
        let (report, received) = send(path, setup, Duration::ZERO);
        assert_right(path, "file", &report, &received);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_directory_that_cannot_hold_the_file_is_one_sentence() {
    let source = Source::Directory("/proc".into());
    let setup = Setup { source, ..Setup::default() };
    let (report, received) = send(PathEntry::from_name("sendfile").unwrap(), setup, Duration::ZERO);
    let error = report.error.unwrap();
    assert!(error.contains("cannot make the file to send in /proc"), "{error}");
    assert_eq!((report.bytes, received.bytes), (0, 0));
}
