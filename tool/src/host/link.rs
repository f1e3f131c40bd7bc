//! A wire with an end in each of two own network namespaces: a veth pair, or two real devices joined by a cable,
//! borrowed and given back. Uses the `ip` and `tc` commands of iproute2, run inside the namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use std::{io, thread};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use super::device::{Device, DeviceKind};
use super::netns::Namespace;

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
    loan: Option<Loan>,
}

/// Where a borrowed device belongs.
#[derive(Debug)]
struct Loan {
    home: Namespace,
    was_up: bool,
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

impl Drop for End {
    fn drop(&mut self) {
        let Some(Loan { home, was_up }) = self.loan.take() else { return };
        let device = &self.device;
        // Without this the kernel would give it back too, but set down and to the first namespace.
        let returned = self.ip(&format!("link set dev {device} netns {}", home.path().display()));
        if returned.is_ok() && was_up {
            let _ = run(&home, "ip", &format!("link set dev {device} up"));
        }
    }
}

/// Joins two fresh namespaces by a veth pair, with addresses and set up.
///
/// # Errors
/// No right to make namespaces, no `ip` command, or a kernel without veth; the text says which.
pub fn veth() -> io::Result<[End; 2]> {
    let ends = ends(VETH.map(|name| (name.to_owned(), None)))?;
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

/// Borrows two devices that a cable joins from the namespace of the calling thread.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when a device does not exist or is in use (has addresses, or belongs to a bridge
/// or bond); else it cannot be moved, has no carrier, or there is no `ip` command. The text says which. Whatever was
/// borrowed is given back.
pub fn borrow(devices: [&str; 2]) -> io::Result<[End; 2]> {
    let home = Namespace::current()?;
    let was_up = [check_free(devices[0])?, check_free(devices[1])?];
    let loan = |index: usize| Some(Loan { home: home.clone(), was_up: was_up[index] });
    let mut ends = ends([(devices[0].to_owned(), None), (devices[1].to_owned(), None)])?;
    for (index, end) in ends.iter_mut().enumerate() {
        let (device, space) = (&end.device, end.namespace.path());
        run(&home, "ip", &format!("link set dev {device} netns {}", space.display()))?;
        end.loan = loan(index);
    }
    ready(ends)
}

fn ends(devices: [(String, Option<Loan>); 2]) -> io::Result<[End; 2]> {
    let has_v6 = std::path::Path::new("/proc/sys/net/ipv6").exists();
    let [near, far] = devices;
    let end = |(device, loan), (v4, v6)| -> io::Result<End> {
        Ok(End { namespace: Namespace::create()?, device, v4, v6: has_v6.then_some(v6), loan })
    };
    Ok([end(near, ADDRESSES[0])?, end(far, ADDRESSES[1])?])
}

fn ready(ends: [End; 2]) -> io::Result<[End; 2]> {
    ends.iter().try_for_each(End::configure)?;
    ends.iter().try_for_each(End::wait_for_carrier)?;
    Ok(ends)
}

/// Refuses a device that someone uses; returns whether it was up.
fn check_free(name: &str) -> io::Result<bool> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let device = Device::load(name).map_err(|error| invalid(error.to_string()))?;
    let refuse = |why: &str| {
        Err(invalid(format!(
            "device {name} {why}; it would be moved away from its users, so choose a free one"
        )))
    };
    if device.kind == DeviceKind::Loopback {
        return refuse("is the loopback device");
    }
    if std::path::Path::new(&format!("/sys/class/net/{name}/master")).exists() {
        return refuse("belongs to a bridge or bond");
    }
    let in_use =
        getifaddrs()?.any(|entry| entry.interface_name == name && entry.address.is_some_and(is_used));
    if in_use { refuse("has an address") } else { Ok(device.up) }
}

/// An address somebody gave the device; IPv6 link-local ones come by themselves.
#[allow(clippy::needless_pass_by_value, reason = "what getifaddrs yields")]
fn is_used(address: SockaddrStorage) -> bool {
    if address.as_sockaddr_in().is_some() {
        return true;
    }
    address.as_sockaddr_in6().is_some_and(|v6| !v6.ip().is_unicast_link_local())
}

/// Runs one command inside a namespace; its own message is part of the error.
fn run(namespace: &Namespace, program: &str, arguments: &str) -> io::Result<()> {
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
    use crate::host::device::Counters;

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
    fn a_device_in_use_is_not_borrowed() {
        if no_root() {
            return;
        }
        let home = Namespace::create().unwrap();
        run(&home, "ip", "link add demo0 type veth peer name demo1").unwrap();
        run(&home, "ip", "address add 198.51.100.1/24 dev demo1").unwrap();
        let refused = |devices| home.enter(|| borrow(devices).unwrap_err().to_string()).unwrap();
        let used = refused(["demo0", "demo1"]);
        assert!(used.contains("demo1 has an address"), "{used}");
        assert!(refused(["lo", "demo0"]).contains("loopback"));
        assert!(refused(["demo0", "nosuch0"]).contains("nosuch0"));
        assert!(home.enter(|| Device::load("demo0").is_ok()).unwrap());
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
