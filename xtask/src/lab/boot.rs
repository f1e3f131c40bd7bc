//! One run of qemu: the command line, the output as it comes, the exit status, the time limit.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Guest, kernels};

/// How often new output is looked for.
const TICK: Duration = Duration::from_millis(10);
/// Console lines quoted when a guest ended badly.
const LAST_LINES: usize = 40;

/// Where a command's output goes.
pub(crate) trait Sink {
    /// Bytes of the command's standard output.
    fn stdout(&mut self, bytes: &[u8]);
    /// Bytes of the command's standard error.
    fn stderr(&mut self, bytes: &[u8]);
}

/// Boots the guest, hands its output to `sink` as it comes, and returns the command's exit status.
///
/// # Errors
/// qemu does not start, the kernel panics, or the time is over; with the last lines of the console.
pub(crate) fn boot(guest: &Guest, kernel: &kernels::Kernel, dir: &Path, sink: &mut dyn Sink) -> Result<u8> {
    for name in ["out", "err", "status", "console", "qemu"] {
        fs::write(dir.join(name), "")?;
    }
    let mut command = qemu(guest, kernel, dir);
    command.stderr(fs::File::create(dir.join("qemu"))?);
    let child = command.spawn().context("cannot start qemu-system-x86_64 (package qemu-system-x86)")?;
    let mut child = Running(child);
    let mut out = fs::File::open(dir.join("out"))?;
    let mut err = fs::File::open(dir.join("err"))?;
    let deadline = Instant::now() + guest.timeout;
    loop {
        let ended = child.0.try_wait()?;
        // After the end there may be output that came since the last look, so look once more.
        pass_on(&mut out, &mut |bytes| sink.stdout(bytes))?;
        pass_on(&mut err, &mut |bytes| sink.stderr(bytes))?;
        if ended.is_some() {
            break;
        }
        if Instant::now() > deadline {
            bail!("the guest was ended after {} s{}", guest.timeout.as_secs(), console(dir));
        }
        std::thread::sleep(TICK);
    }
    let status = fs::read_to_string(dir.join("status"))?;
    let Ok(status) = status.trim().parse() else {
        bail!("the guest ended without an exit status{}", console(dir))
    };
    Ok(status)
}

/// qemu must not outlive us when we return early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn pass_on(file: &mut fs::File, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut bytes = Vec::new();
    if file.read_to_end(&mut bytes)? > 0 {
        sink(&bytes);
    }
    Ok(())
}

/// The end of what qemu and the guest's console said, as part of an error message.
fn console(dir: &Path) -> String {
    let [qemu, console] = ["qemu", "console"].map(|name| fs::read(dir.join(name)).unwrap_or_default());
    let text = [String::from_utf8_lossy(&qemu), String::from_utf8_lossy(&console)].join("\n");
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    format!(
        "; the last lines of its console:\n  {}",
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ")
    )
}

/// Paths are relative to `dir`, where qemu runs: a comma in a directory name would end a path in qemu's options.
fn qemu(guest: &Guest, kernel: &kernels::Kernel, dir: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.current_dir(dir).args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    command.args([
        "-accel",
        // One thread for all processors: with several, qemu can miss that one processor patches the code another
        // one is executing, and attaching a probe to busy code hangs the guest.
        "tcg,thread=single",
        "-cpu",
        "max",
        "-smp",
        &guest.cpus.to_string(),
        "-m",
        &guest.memory_mib.to_string(),
    ]);
    if guest.counts_instructions {
        command.args(["-icount", "shift=2,sleep=off"]);
    }
    command.arg("-kernel").arg(&kernel.image).args(["-initrd", "initramfs"]);
    // On a busy host the emulated timer can tick too late for the kernel's check at boot, which panics then.
    let mut parameters = vec!["console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off no_timer_check"];
    parameters.extend(guest.parameters.iter().map(String::as_str));
    command.args(["-append", &parameters.join(" ")]);
    command.args(["-chardev", "file,id=console,path=console", "-serial", "chardev:console"]);
    command.args(["-device", "virtio-serial-pci"]);
    port(&mut command, "status", 1);
    if guest.terminal.is_some() {
        // signal=off: the control characters are for the guest.
        command.args(["-chardev", "stdio,id=terminal,signal=off", "-serial", "chardev:terminal"]);
    } else {
        port(&mut command, "out", 2);
        port(&mut command, "err", 3);
        command.stdin(Stdio::null());
    }
    for (cable, nic) in guest.cables.iter().enumerate() {
        for end in 0..2 {
            let id = format!("cable{cable}end{end}");
            command.args(["-netdev", &format!("hubport,id={id},hubid={cable}")]);
            let device = format!("{},netdev={id},mac=02:00:00:00:0{cable}:0{end},romfile=", nic.device());
            command.args(["-device", &device]);
        }
    }
    command
}

fn port(command: &mut Command, name: &str, number: u8) {
    command.args(["-chardev", &format!("file,id={name},path={name}")]);
    command.args(["-device", &format!("virtserialport,nr={number},chardev={name},name=lab.{name}")]);
}
