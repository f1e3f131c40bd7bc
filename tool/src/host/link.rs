//! A wire with an end in each of two own network namespaces: a veth pair, or two real devices joined by a cable,
//! borrowed and given back. Uses the `ip` and `tc` commands of iproute2, run inside the namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::device::Device;
use super::free;
use super::loan::{self, Loan};
use super::netlink::Netlink;
use super::netns::Namespace;
use super::settings::{self, Settings};

/// Addresses of documentation networks: nobody routes them, and the namespaces are cut off anyway.
const ADDRESSES: [(Ipv4Addr, Ipv6Addr); 2] = [
    (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    (Ipv4Addr::new(192, 0, 2, 2), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
];
/// Names of the two ends of a veth pair.
const VETH: [&str; 2] = ["zc0", "zc1"];
/// How long a real link may take to come up (copper negotiates for some seconds).
const CARRIER_WAIT: Duration = Duration::from_secs(10);

/// One end of the wire. A borrowed device goes back where it came from when this is dropped.
#[derive(Debug)]
pub struct End {
    /// The network namespace it is in.
    pub namespace: Namespace,
    /// Interface name.
    pub device: String,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address; `None` on a kernel without IPv6.
    pub v6: Option<Ipv6Addr>,
    borrowed: Option<Borrowed>,
}

/// Where a borrowed device belongs, and how it was there.
#[derive(Debug)]
struct Borrowed {
    home: Namespace,
    settings: Settings,
    record: Arc<Loan>,
}

impl End {
    /// The address to name on a command line.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.v4.into()
    }

    /// Lets the end send only so much, all flows together, so that a demo leaves the CPUs some air. The device
    /// forgets it when it goes back.
    ///
    /// # Errors
    /// `tc` is missing, or this kernel has neither of the two queueing disciplines.
    pub fn limit_rate(&self, megabit_s: u32, flows: u32) -> io::Result<()> {
        let (device, each) = (&self.device, megabit_s / flows.max(1));
        // Neither cuts packets up: fq never does, tbf not as long as its bucket takes the largest one (64 KiB).
        let fair = format!("qdisc replace dev {device} root fq maxrate {each}mbit");
        let bucket =
            format!("qdisc replace dev {device} root tbf rate {megabit_s}mbit burst 256k latency 20ms");
        run(&self.namespace, "tc", &fair).or_else(|_| run(&self.namespace, "tc", &bucket))
    }

    /// Gives the end its addresses and sets it up.
    fn configure(&self) -> io::Result<()> {
        let (v4, device) = (self.v4, &self.device);
        self.ip("link set dev lo up")?;
        self.ip(&format!("address add {v4}/24 dev {device}"))?;
        if let Some(v6) = self.v6 {
            // nodad: no waiting for an answer from nobody.
            self.ip(&format!("address add {v6}/64 dev {device} nodad"))?;
        }
        self.ip(&format!("link set dev {device} up"))
    }

    fn ip(&self, arguments: &str) -> io::Result<()> {
        run(&self.namespace, "ip", arguments)
    }

    fn wait_for_carrier(&self) -> io::Result<()> {
        let start = Instant::now();
        while !self.namespace.enter(|| Device::load(&self.device))??.running {
            if start.elapsed() > CARRIER_WAIT {
                let device = &self.device;
                let wait = CARRIER_WAIT.as_secs();
                return Err(io::Error::other(format!(
                    "device {device} has no carrier after {wait} s; is the cable between the two devices plugged in?"
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Borrowed {
    /// Gives the device back; what did not work, one sentence each.
    fn return_from(&self, namespace: &Namespace) -> Vec<String> {
        let device = &self.settings.device;
        let moved = namespace.enter(|| move_to(&self.settings, &self.home)).and_then(|moved| moved);
        if let Err(error) = moved {
            return vec![format!("cannot move {device} back: {error}")];
        }
        self.home
            .enter(|| self.settings.restore())
            .unwrap_or_else(|error| vec![format!("cannot enter the network namespace of {device}: {error}")])
    }
}

/// Moves a device from the network namespace of the calling thread, with its old index where that is still free.
fn move_to(settings: &Settings, home: &Namespace) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let mut change = LinkMessage::default();
    change.header.index = settings::link(&mut netlink, &settings.device)?.header.index;
    change.attributes.push(LinkAttribute::NetNsFd(home.raw_fd()));
    let mut exact = change.clone();
    exact.attributes.push(LinkAttribute::NewIfIndex(settings.index.cast_signed()));
    netlink
        .change(RouteNetlinkMessage::SetLink(exact), 0)
        .or_else(|_| netlink.change(RouteNetlinkMessage::SetLink(change), 0))
}

impl Drop for End {
    fn drop(&mut self) {
        let Some(borrowed) = self.borrowed.take() else { return };
        for failure in borrowed.return_from(&self.namespace) {
            // There is nobody to return it to, and it must not go unnoticed.
            eprintln!("zcscope: {failure}; `zcscope load --repair` tries again");
            borrowed.record.keep();
        }
    }
}

/// Joins two fresh namespaces by a veth pair, with addresses and set up.
///
/// # Errors
/// No right to make namespaces, no `ip` command, or a kernel without veth; the text says which.
pub fn veth() -> io::Result<[End; 2]> {
    let ends = ends(VETH.map(str::to_owned))?;
    let [near, far] = &ends;
    let far_space = far.namespace.path();
    near.ip(&format!(
        "link add {} type veth peer name {} netns {}",
        near.device,
        far.device,
        far_space.display()
    ))?;
    ready(ends)
}

/// Borrows two devices that a cable joins from the network namespace of the calling thread. They go back with all
/// their settings when the ends are dropped; should this process be killed, the next one that borrows restores them
/// ([`loan::repair`]), and says so on standard error.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when a device does not exist or somebody would miss it (a default route, a
/// connection, a bridge); else it cannot be moved, has no carrier, or there is no `ip` command. The text says
/// which. Whatever was borrowed is given back.
pub fn borrow(devices: [&str; 2]) -> io::Result<[End; 2]> {
    let home = Namespace::current()?;
    let in_use = repair_and_say();
    for device in devices {
        free::check(device).map_err(|error| match in_use.is_empty() {
            true => error,
            false => io::Error::new(error.kind(), format!("{error} ({})", in_use.join("; "))),
        })?;
    }
    let settings = [Settings::read(devices[0])?, Settings::read(devices[1])?];
    let mut ends = ends(devices.map(str::to_owned))?;
    // On record before anything changes.
    let record = Arc::new(Loan::record(settings.to_vec())?);
    for (end, settings) in ends.iter_mut().zip(settings) {
        let (device, space) = (&end.device, end.namespace.path());
        run(&home, "ip", &format!("link set dev {device} netns {}", space.display()))?;
        end.borrowed = Some(Borrowed { home: home.clone(), settings, record: Arc::clone(&record) });
    }
    ready(ends)
}

/// Restores what a killed process borrowed; returns what is still in use.
fn repair_and_say() -> Vec<String> {
    let repair = loan::repair();
    for line in repair.done.iter().chain(&repair.failed) {
        eprintln!("zcscope: repaired after a run that was killed: {line}");
    }
    repair.left
}

fn ends(devices: [String; 2]) -> io::Result<[End; 2]> {
    let has_v6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
    let [near, far] = devices;
    let end = |device, (v4, v6)| -> io::Result<End> {
        Ok(End { namespace: Namespace::create()?, device, v4, v6: has_v6.then_some(v6), borrowed: None })
    };
    Ok([end(near, ADDRESSES[0])?, end(far, ADDRESSES[1])?])
}

fn ready(ends: [End; 2]) -> io::Result<[End; 2]> {
    ends.iter().try_for_each(End::configure)?;
    ends.iter().try_for_each(End::wait_for_carrier)?;
    Ok(ends)
}

/// Runs a program of iproute2 in a namespace, with arguments separated by blanks.
///
/// # Errors
/// The program is missing or failed; the text has its last words.
pub fn run(namespace: &Namespace, program: &str, arguments: &str) -> io::Result<()> {
    let mut command: Command = namespace.command(program);
    let output = command.args(arguments.split(' ')).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(
            error.kind(),
            format!("the command `{program}` was not found; install the package iproute2"),
        ),
        _ => io::Error::new(error.kind(), format!("cannot run `{program}` in a network namespace: {error}")),
    })?;
    succeeded(program, arguments, &output)
}

fn succeeded(program: &str, arguments: &str, output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let reason = message.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gave no reason");
    Err(io::Error::other(format!("`{program} {arguments}` failed: {reason}")))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::host::device::{Counters, DeviceKind};

    fn no_root() -> bool {
        let skip = !nix::unistd::geteuid().is_root();
        if skip {
            eprintln!("skipped: making a network namespace needs root");
        }
        skip
    }

    /// Waits for what the kernel does in the background.
    fn becomes(what: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if what() {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Whether any process is in this network namespace.
    fn has_process(netns: u64) -> bool {
        use std::os::unix::fs::MetadataExt;
        let mut processes = std::fs::read_dir("/proc").unwrap();
        processes.any(|entry| {
            std::fs::metadata(entry.unwrap().path().join("ns/net")).is_ok_and(|meta| meta.ino() == netns)
        })
    }

    /// Sends 100 kB through the wire from the second end to the first.
    fn talk(to: &End, from: &End, address: IpAddr) {
        let listener = to.namespace.enter(|| TcpListener::bind((address, 0))).unwrap().unwrap();
        let target: SocketAddr = listener.local_addr().unwrap();
        let receiver = thread::spawn(move || {
            let mut received = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
            received.len()
        });
        let connect = || TcpStream::connect_timeout(&target, Duration::from_secs(3));
        let mut stream = from.namespace.enter(connect).unwrap().unwrap();
        stream.write_all(&[7; 100_000]).unwrap();
        drop(stream);
        assert_eq!(receiver.join().unwrap(), 100_000);
    }

    #[test]
    fn tcp_goes_through_and_nothing_is_left_after() {
        if no_root() {
            return;
        }
        let [near, far] = veth().unwrap();
        talk(&far, &near, far.v4.into());
        if let Some(v6) = far.v6 {
            talk(&far, &near, v6.into());
        }
        let device = near.namespace.enter(|| Device::load(&near.device)).unwrap().unwrap();
        assert_eq!((device.kind, device.driver.as_deref()), (DeviceKind::Veth, Some("veth")));
        let counters = near.namespace.enter(|| Counters::read(&near.device)).unwrap().unwrap();
        assert!(counters.tx_bytes > 100_000, "{counters:?}");
        assert!(Device::load(VETH[0]).is_err(), "the host has no such device");

        // The far device lives as long as the near namespace: it is the probe for the near one's end.
        drop(near);
        let gone = || far.namespace.enter(|| Device::load(&far.device)).unwrap().is_err();
        assert!(becomes(gone), "the pair is still there");
    }

    #[test]
    fn a_child_killed_with_sigkill_leaves_nothing() {
        if no_root() {
            return;
        }
        let [near, far] = veth().unwrap();
        let netns = near.namespace.inode().unwrap();
        let mut child = near.namespace.command("sleep").arg("60").spawn().unwrap();
        assert!(has_process(netns));
        drop(near);
        let far_device = || far.namespace.enter(|| Device::load(&far.device)).unwrap();
        assert!(far_device().is_ok(), "the child alone holds the namespace");
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(becomes(|| far_device().is_err() && !has_process(netns)), "something is left");
    }

    #[test]
    fn a_borrowed_pair_goes_back_as_it_was() {
        if no_root() {
            return;
        }
        let home = Namespace::create().unwrap();
        run(&home, "ip", "link add demo0 type veth peer name demo1").unwrap();
        run(&home, "ip", "link set dev demo0 up").unwrap();
        home.enter(|| {
            let up = |name: &str| Device::load(name).map(|device| device.up).ok();
            let [near, far] = borrow(["demo0", "demo1"]).unwrap();
            assert_eq!((up("demo0"), up("demo1")), (None, None));
            talk(&far, &near, far.address());
            drop((near, far));
            assert_eq!((up("demo0"), up("demo1")), (Some(true), Some(false)));
        })
        .unwrap();
    }

    #[test]
    fn a_device_that_would_be_missed_is_not_borrowed() {
        if no_root() {
            return;
        }
        let home = Namespace::create().unwrap();
        run(&home, "ip", "link add demo0 type veth peer name demo1").unwrap();
        let refused = |devices| home.enter(|| borrow(devices).unwrap_err().to_string()).unwrap();
        assert!(refused(["lo", "demo0"]).contains("loopback"));
        assert!(refused(["demo0", "nosuch0"]).contains("nosuch0"));
        assert!(home.enter(|| Device::load("demo0").is_ok()).unwrap());
    }

    #[test]
    fn a_borrowed_pair_with_addresses_has_them_again_after() {
        if no_root() {
            return;
        }
        let home = Namespace::create().unwrap();
        run(&home, "ip", "link add demo0 type veth peer name demo1").unwrap();
        run(&home, "ip", "link set dev demo1 up").unwrap();
        run(&home, "ip", "link set dev demo0 up").unwrap();
        run(&home, "ip", "address add 198.51.100.1/24 dev demo1").unwrap();
        run(&home, "ip", "route add 203.0.113.0/24 via 198.51.100.2").unwrap();
        home.enter(|| {
            let before = [Settings::read("demo0").unwrap(), Settings::read("demo1").unwrap()];
            let [near, far] = borrow(["demo0", "demo1"]).unwrap();
            talk(&far, &near, far.address());
            drop((near, far));
            let after = [Settings::read("demo0").unwrap(), Settings::read("demo1").unwrap()];
            assert!(after[1] == before[1], "{:?}", after[1]);
            assert_eq!(after[0].index, before[0].index);
        })
        .unwrap();
    }

    #[test]
    fn a_missing_command_and_a_failed_one_say_so() {
        if no_root() {
            return;
        }
        let space = Namespace::create().unwrap();
        let missing = run(&space, "zcscope-no-such-command", "link").unwrap_err().to_string();
        assert!(missing.contains("iproute2"), "{missing}");
        let failed = run(&space, "ip", "link set dev nosuch0 up").unwrap_err().to_string();
        assert!(failed.contains("ip link set dev nosuch0 up") && failed.contains("nosuch0"), "{failed}");
    }

    #[test]
    fn the_rate_can_be_limited_or_says_why_not() {
        if no_root() {
            return;
        }
        let [near, _far] = veth().unwrap();
        if let Err(error) = near.limit_rate(800, 1) {
            eprintln!("skipped: {error}");
            return;
        }
        let shown = near.namespace.command("tc").args(["qdisc", "show", "dev", "zc0"]).output().unwrap();
        assert!(String::from_utf8_lossy(&shown.stdout).contains("800Mbit"), "{shown:?}");
    }
}
