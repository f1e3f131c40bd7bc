//! `cargo xtask lab`: runs a command inside a Debian kernel under qemu, on emulated network cards if wanted.
//! Nothing is installed on the host and no privileges are needed; a boot takes a few seconds.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{sh, tools};

mod boot;
mod cpio;
mod initramfs;
mod kernels;
mod modules;

pub(crate) use boot::Sink;

/// Arguments of `lab`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Kernel series of the guest: 6.1 or 6.12.
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// A cable between two emulated network cards: the first is eth0-eth1, the next eth2-eth3.
    #[arg(long = "nic", value_enum)]
    nics: Vec<Nic>,
    /// End the guest after this many seconds.
    #[arg(long, default_value_t = 300, value_name = "SECS")]
    timeout: u64,
    /// The terminal belongs to the command (for the dashboard or a shell).
    #[arg(long, short = 't')]
    interactive: bool,
    /// Another file for the guest; programs come with their libraries. Default place: /usr/bin/NAME.
    #[arg(long = "file", value_name = "HOST[:GUEST]")]
    files: Vec<String>,
    /// A variable for the command.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// A parameter for the guest's kernel, such as `swiotlb=force`.
    #[arg(long = "kernel-parameter", value_name = "NAME[=VALUE]")]
    parameters: Vec<String>,
    /// Do not build and pack zcscope and zcscope-tests.
    #[arg(long)]
    bare: bool,
    /// One processor whose clock counts instructions, 4 ns each: times do not depend on what the host does besides.
    #[arg(long)]
    count_instructions: bool,
    /// Memory of the guest.
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory: u32,
    /// The command and its arguments; a shell if none.
    #[arg(last = true)]
    command: Vec<String>,
}

/// An emulated network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Nic {
    /// Has scatter-gather, checksums and segmentation: true zero-copy.
    Vmxnet3,
    /// On a cable it has none of them: everything is copied, and nobody is told.
    Virtio,
    /// No cable.
    None,
}

impl Nic {
    fn device(self) -> &'static str {
        if self == Self::Virtio { "virtio-net-pci" } else { "vmxnet3" }
    }

    fn module(self) -> &'static str {
        if self == Self::Virtio { "virtio_net" } else { "vmxnet3" }
    }
}

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TerminalSize {
    rows: u16,
    columns: u16,
}

/// A machine to boot.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Kernel series, `6.1` or `6.12`.
    pub(crate) kernel: String,
    /// One cable each: card N connects eth(2N) and eth(2N+1).
    pub(crate) cables: Vec<Nic>,
    /// Files of the host and their places in the guest.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Variables of the command.
    pub(crate) environment: Vec<(String, String)>,
    /// More parameters of the kernel.
    pub(crate) parameters: Vec<String>,
    /// The guest is ended after this time.
    pub(crate) timeout: Duration,
    /// The command gets the terminal of this size instead of a sink.
    pub(crate) terminal: Option<TerminalSize>,
    /// Memory in MiB.
    pub(crate) memory_mib: u32,
    /// Number of processors.
    pub(crate) cpus: u32,
    /// Its clock counts instructions, 4 ns each, so that times there do not depend on what the host does besides.
    pub(crate) counts_instructions: bool,
}

impl Guest {
    /// A guest with two processors, 1 GiB, no cable, five minutes.
    pub(crate) fn new(kernel: &str) -> Self {
        Self {
            kernel: kernel.to_owned(),
            cables: Vec::new(),
            files: Vec::new(),
            environment: Vec::new(),
            parameters: Vec::new(),
            timeout: Duration::from_secs(300),
            terminal: None,
            memory_mib: 1024,
            cpus: 2,
            counts_instructions: false,
        }
    }

    /// Adds the programs under test, which must be built.
    pub(crate) fn with_programs(mut self) -> Self {
        for name in ["zcscope", "zcscope-tests"] {
            self.files.push((sh::workspace().join("target/debug").join(name), format!("/usr/bin/{name}")));
        }
        self
    }

    /// One processor, and a clock that counts its instructions: with several, each one's clock would go on while another
    /// one's turn is emulated.
    pub(crate) fn count_instructions(&mut self) {
        (self.cpus, self.counts_instructions) = (1, true);
        self.environment.push(("ZCSCOPE_CLOCK".into(), "instructions".into()));
    }

    /// Gets everything there is to boot with; worth doing before a long build.
    ///
    /// # Errors
    /// Something is missing, or there is no such kernel.
    pub(crate) fn prepare(&self) -> Result<kernels::Kernel> {
        tools::need(tools::LAB)?;
        kernels::get(&self.kernel)
    }

    /// Boots, runs the command, hands on its output and returns its exit status.
    ///
    /// # Errors
    /// Something is missing to boot with, or the guest ended badly.
    pub(crate) fn run(&self, command: &[String], sink: &mut dyn Sink) -> Result<u8> {
        let kernel = self.prepare()?;
        let dir = RunDir::new()?;
        initramfs::write(&dir.0.join("initramfs"), self, &kernel, command)?;
        boot::boot(self, &kernel, &dir.0, sink)
    }

    /// Like [`Guest::run`], with the output on ours.
    pub(crate) fn run_on_terminal(&self, command: &[String]) -> Result<u8> {
        self.run(command, &mut Terminal)
    }

    /// The cables as the guest is told them in `ZCSCOPE_CABLES`: `vmxnet3:eth0,eth1 virtio:eth2,eth3`.
    fn cables_text(&self) -> String {
        let name = |nic: Nic| if nic == Nic::Virtio { "virtio" } else { "vmxnet3" };
        let cables = self.cables.iter().enumerate();
        let texts: Vec<_> =
            cables.map(|(n, nic)| format!("{}:eth{},eth{}", name(*nic), 2 * n, 2 * n + 1)).collect();
        texts.join(" ")
    }
}

/// The task `lab`.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let mut guest = Guest::new(&args.kernel);
    guest.cables = args.nics.iter().copied().filter(|nic| *nic != Nic::None).collect();
    guest.timeout = Duration::from_secs(args.timeout);
    guest.memory_mib = args.memory;
    guest.files = args.files.iter().map(|text| file(text)).collect::<Result<_>>()?;
    guest.environment = args.environment.iter().map(|text| variable(text)).collect::<Result<_>>()?;
    guest.parameters.clone_from(&args.parameters);
    if args.count_instructions {
        guest.count_instructions();
    }
    if !args.bare {
        sh::run(&mut sh::cargo(&["build", "--quiet", "-p", "zcscope", "-p", "zcscope-tests"]))?;
        guest = guest.with_programs();
    }
    if args.interactive {
        interactive(&mut guest)?;
    }
    let command = if args.command.is_empty() { vec!["ash".to_owned()] } else { args.command.clone() };
    guest.run_on_terminal(&command)
}

/// Gives the guest's command our terminal.
pub(crate) fn interactive(guest: &mut Guest) -> Result<()> {
    let size =
        sh::text("stty", &["-F", "/dev/tty", "size"]).context("an interactive guest needs a terminal")?;
    let (rows, columns) = size.trim().split_once(' ').context("the terminal has no size")?;
    guest.terminal = Some(TerminalSize { rows: rows.parse()?, columns: columns.parse()? });
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm-256color".into());
    guest.environment.push(("TERM".into(), term));
    if let Ok(color) = std::env::var("COLORTERM") {
        guest.environment.push(("COLORTERM".into(), color));
    }
    Ok(())
}

fn file(text: &str) -> Result<(PathBuf, String)> {
    let (host, guest) = text.split_once(':').unwrap_or((text, ""));
    let name = Path::new(host).file_name().with_context(|| format!("--file {text}: no file name"))?;
    let guest =
        if guest.is_empty() { format!("/usr/bin/{}", name.to_string_lossy()) } else { guest.to_owned() };
    Ok((PathBuf::from(host), guest))
}

fn variable(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => bail!("--env {text}: expected NAME=VALUE"),
    }
}

/// Output of a guest on our own output.
struct Terminal;

impl Sink for Terminal {
    fn stdout(&mut self, bytes: &[u8]) {
        write_all(std::io::stdout().lock(), bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        write_all(std::io::stderr().lock(), bytes);
    }
}

/// A closed pipe behind us is not an error of the guest.
fn write_all(mut to: impl Write, bytes: &[u8]) {
    to.write_all(bytes).and_then(|()| to.flush()).ok();
}

/// Makes sure that guests of this kernel can boot here: the programs are installed, the kernel is in the cache.
///
/// # Errors
/// What is missing and cannot be installed.
pub(crate) fn prepare(series: &str) -> Result<()> {
    tools::need(tools::LAB)?;
    kernels::get(series).map(drop)
}

/// A directory of one boot, removed at the end.
struct RunDir(PathBuf);

impl RunDir {
    fn new() -> Result<Self> {
        let base = sh::workspace().join("target/lab");
        fs::create_dir_all(&base)?;
        remove_stale(&base);
        // One process may run several guests: PID.NUMBER.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = base.join(format!("{}.{number}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Removes what runs left that were killed.
fn remove_stale(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('.').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_place_in_the_guest() {
        assert_eq!(file("/a/b").unwrap(), (PathBuf::from("/a/b"), "/usr/bin/b".into()));
        assert_eq!(file("/a/b:/x").unwrap(), (PathBuf::from("/a/b"), "/x".into()));
        assert!(variable("X").is_err());
    }

    #[test]
    fn cables_are_named_in_order() {
        let mut guest = Guest::new("6.12");
        guest.cables = vec![Nic::Vmxnet3, Nic::Virtio];
        assert_eq!(guest.cables_text(), "vmxnet3:eth0,eth1 virtio:eth2,eth3");
    }
}
