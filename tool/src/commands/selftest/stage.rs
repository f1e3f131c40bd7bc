//! The two ends of a row, and what is different from plain about them. Everything is in namespaces without a name,
//! held by this process only.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::time::Duration;
use std::{fs, io};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::rows::{Link, Row, Setup};
use crate::host::device;
use crate::host::link::{self, End};
use crate::host::netns::Namespace;
use crate::load::engine::Watcher;
use crate::load::place::SinkChild;
use crate::load::sink::Rules;

/// A hardware address nobody owns: who gets the frame drops it before it is delivered.
const NOBODYS_MAC: &str = "02:00:00:00:77:77";
const OPTMEM: &str = "/proc/sys/net/core/optmem_max";
/// Room for the notification of one send.
const ONE_NOTIFICATION: &str = "1000";
/// How long the sink lives, should nobody end it.
const SINK_LIMIT: Duration = Duration::from_secs(30);

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Cannot {
    /// This kernel or host does not have what the row needs.
    Here(String),
    /// Something went wrong that should not.
    Failed(String),
}

/// What stands around one row; gone when dropped.
pub(super) struct Stage {
    near: Namespace,
    far: Namespace,
    /// Device of the sender.
    device: String,
    /// Address of the receiver.
    address: IpAddr,
    _ends: Option<[End; 2]>,
    _capture: Option<OwnedFd>,
}

impl Stage {
    /// Sets it up.
    pub(super) fn set(row: &Row) -> Result<Self, Cannot> {
        let cannot = |error: io::Error| Cannot::Here(format!("the link cannot be made: {error}"));
        let mut stage = match row.link {
            Link::Loopback => Self::loopback(),
            Link::Veth => link::veth().map(Self::veth),
        }
        .map_err(cannot)?;
        for setup in row.setup {
            stage.change(*setup)?;
        }
        Ok(stage)
    }

    fn loopback() -> io::Result<Self> {
        let space = Namespace::create()?;
        link::run(&space, "ip", "link set dev lo up")?;
        Ok(Self {
            near: space.clone(),
            far: space,
            device: "lo".into(),
            address: Ipv4Addr::LOCALHOST.into(),
            _ends: None,
            _capture: None,
        })
    }

    fn veth(ends: [End; 2]) -> Self {
        let [near, far] = &ends;
        Self {
            near: near.namespace.clone(),
            far: far.namespace.clone(),
            device: near.device.clone(),
            address: far.address(),
            _ends: Some(ends),
            _capture: None,
        }
    }

    fn change(&mut self, setup: Setup) -> Result<(), Cannot> {
        let failed = |what: &str, error: io::Error| Cannot::Here(format!("{what}: {error}"));
        match setup {
            Setup::ScatterGatherOff => self
                .near
                .enter(|| device::set_scatter_gather(&self.device, false))
                .and_then(|done| done)
                .map_err(|error| failed("scatter-gather cannot be switched off", error)),
            Setup::TinyOptmem => match self.near.enter(|| fs::write(OPTMEM, ONE_NOTIFICATION)) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(Cannot::Here(
                    "before Linux 6.8 net.core.optmem_max is the whole host's, and nothing of that is changed".into(),
                )),
                Ok(Err(error)) | Err(error) => Err(failed("net.core.optmem_max cannot be set", error)),
            },
            Setup::Capture => self.capture(&self.near.clone()),
            Setup::CaptureAtReceiver => self.capture(&self.far.clone()),
            // Once the connection stands; and a matter of the generator.
            Setup::BlackHole | Setup::SoZerocopyUnset => Ok(()),
        }
    }

    /// Listens for every packet of a namespace, as a packet capture does.
    fn capture(&mut self, space: &Namespace) -> Result<(), Cannot> {
        let listen = || {
            let all = Some(SockProtocol::EthAll);
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all)
        };
        let capture = space.enter(listen).and_then(|made| Ok(made?));
        self._capture =
            Some(capture.map_err(|error| Cannot::Here(format!("packets cannot be captured: {error}")))?);
        Ok(())
    }

    /// Starts a sink at the far end.
    pub(super) fn start_sink(&self) -> Result<SinkChild, Cannot> {
        let failed = |error: anyhow::Error| Cannot::Failed(format!("the sink did not start: {error:#}"));
        let program = std::env::current_exe().map_err(|error| failed(error.into()))?;
        SinkChild::start(self.far.command(program), self.address, Rules::default(), SINK_LIMIT)
            .map_err(failed)
    }

    /// Runs `work` at the near end.
    pub(super) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Cannot> {
        self.near
            .enter(work)
            .map_err(|error| Cannot::Failed(format!("cannot enter a network namespace: {error}")))
    }

    /// What happens between the handshake and the first send.
    pub(super) fn start(&self, row: &Row) -> Start {
        let line =
            format!("neigh replace {} lladdr {NOBODYS_MAC} dev {} nud permanent", self.address, self.device);
        Start { space: self.near.clone(), line: row.is_hole().then_some(line), error: None }
    }
}

/// Makes the link a black hole when the connection stands.
pub(super) struct Start {
    space: Namespace,
    line: Option<String>,
    error: Option<io::Error>,
}

impl Start {
    /// Whether that went well.
    pub(super) fn result(self) -> Result<(), Cannot> {
        self.error.map_or(Ok(()), |error| Err(Cannot::Here(format!("there can be no black hole: {error}"))))
    }
}

impl Watcher for Start {
    fn measuring(&mut self) {
        self.error = self.line.as_ref().and_then(|line| link::run(&self.space, "ip", line).err());
    }
}
