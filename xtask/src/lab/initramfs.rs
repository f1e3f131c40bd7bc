//! What a guest finds in its root: busybox, a few tools, the programs under test with their libraries, modules.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Guest, cpio, kernels, modules};
use crate::sh;

type Archive = cpio::Archive<BufWriter<fs::File>>;

/// Tools beside busybox; one that the host lacks is left out. The shell is dash, because busybox's own shell
/// prefers the small built-in `ip` and others to the real ones.
const TOOLS: &[(&str, &str)] = &[
    ("busybox", "/bin/busybox"),
    ("dash", "/bin/sh"),
    ("ip", "/usr/sbin/ip"),
    ("tc", "/usr/sbin/tc"),
    ("ss", "/usr/bin/ss"),
    ("ethtool", "/usr/sbin/ethtool"),
    ("prlimit", "/usr/bin/prlimit"),
    ("nsenter", "/usr/bin/nsenter"),
    ("bpftool", "/usr/sbin/bpftool"),
    ("iperf3", "/usr/bin/iperf3"),
    ("mkfs.ext4", "/usr/sbin/mkfs.ext4"),
];

/// Small files that libraries look for.
const CONFIG: &[(&str, &str)] = &[
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
    ("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost guest\n::1 localhost\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
];

const DIRECTORIES: &[&str] =
    &["/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/bin", "/sbin", "/lab/modules"];

/// Writes the initramfs of one boot.
///
/// # Errors
/// A file to pack cannot be read, or the archive cannot be written.
pub(crate) fn write(path: &Path, guest: &Guest, kernel: &kernels::Kernel, command: &[String]) -> Result<()> {
    let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::with_capacity(1 << 20, file));
    for dir in DIRECTORIES {
        archive.dir(dir)?;
    }
    archive.device("/dev/console", 5, 1)?;
    archive.device("/dev/null", 1, 3)?;
    for (path, text) in CONFIG {
        archive.file(path, 0o644, text.as_bytes())?;
    }
    add_modules(&mut archive, guest, kernel)?;
    add_programs(&mut archive, guest)?;
    archive.file("/lab/environment", 0o644, environment(guest).as_bytes())?;
    archive.file("/lab/command", 0o644, script(command).as_bytes())?;
    archive.file("/init", 0o755, include_bytes!("init.sh"))?;
    archive.finish()?;
    Ok(())
}

fn add_modules(archive: &mut Archive, guest: &Guest, kernel: &kernels::Kernel) -> Result<()> {
    let drivers: Vec<_> = guest.cables.iter().map(|nic| nic.module()).collect();
    let mut list = String::new();
    for module in modules::collect(&kernel.modules, &drivers)? {
        list.push_str(&format!("{} {}\n", module.name, module.parameters));
        archive.file(&format!("/lab/modules/{}.ko", module.name), 0o644, &module.object)?;
    }
    archive.file("/lab/modules.list", 0o644, list.as_bytes())?;
    Ok(())
}

fn add_programs(archive: &mut Archive, guest: &Guest) -> Result<()> {
    for (name, path) in TOOLS {
        if let Some(program) = sh::find(name) {
            add_program(archive, &program, path)?;
        }
    }
    for (host, path) in &guest.files {
        add_program(archive, host, path)?;
    }
    Ok(())
}

/// Adds a file, and for a program its libraries too. Debug information stays behind: it would fill the guest's memory.
fn add_program(archive: &mut Archive, host: &Path, path: &str) -> Result<()> {
    let content = fs::read(host).with_context(|| format!("cannot read {} for the guest", host.display()))?;
    if !is_program(&content) {
        return Ok(archive.file(path, 0o755, &content)?);
    }
    archive.file(path, 0o755, &stripped(host).unwrap_or(content))?;
    for library in libraries(host)? {
        let name = library.to_string_lossy();
        if !archive.has(&name) {
            let content = fs::read(&library).with_context(|| format!("cannot read the library {name}"))?;
            archive.file(&name, 0o755, &content)?;
        }
    }
    Ok(())
}

/// An ELF executable or library (not, for example, an object with eBPF programs).
fn is_program(content: &[u8]) -> bool {
    const EXECUTABLE: u8 = 2;
    const SHARED: u8 = 3;
    content.starts_with(b"\x7fELF") && matches!(content.get(16), Some(&(EXECUTABLE | SHARED)))
}

fn stripped(host: &Path) -> Option<Vec<u8>> {
    sh::output(Command::new("strip").args(["--strip-debug", "-o", "/dev/stdout"]).arg(host))
        .ok()
        .filter(|content| is_program(content))
}

/// The libraries a program loads, with the loader itself, as `ldd` finds them. None for a static program.
fn libraries(host: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(host).output().context("cannot run ldd")?;
    Ok(library_paths(&String::from_utf8_lossy(&output.stdout)))
}

fn library_paths(listing: &str) -> Vec<PathBuf> {
    let words = listing.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.filter(|word| !word.ends_with(':')).map(PathBuf::from).collect()
}

/// Variables of the command, and what /init needs to know, as shell assignments.
fn environment(guest: &Guest) -> String {
    let mut lines = String::from("export HOME=/root USER=root LANG=C.UTF-8\n");
    let mut set = |name: &str, value: &str| lines.push_str(&format!("export {name}={}\n", sh::quote(value)));
    set("ZCSCOPE_CABLES", &guest.cables_text());
    for (name, value) in &guest.environment {
        set(name, value);
    }
    if let Some(size) = guest.terminal {
        set("LAB_TERMINAL", "/dev/ttyS1");
        set("LAB_ROWS", &size.rows.to_string());
        set("LAB_COLUMNS", &size.columns.to_string());
    }
    lines
}

fn script(command: &[String]) -> String {
    let words: Vec<_> = command.iter().map(|word| sh::quote(word)).collect();
    format!("exec {}\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_output_names_libraries_and_the_loader() {
        let listing = "\tlinux-vdso.so.1 (0x0)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7)\n\t\
                       /lib64/ld-linux-x86-64.so.2 (0x7)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(library_paths(listing), expected);
        assert!(library_paths("\tstatically linked\n").is_empty());
    }

    #[test]
    fn a_command_keeps_its_words() {
        let words = ["sh", "-c", "uname -r; exit 7"].map(String::from);
        assert_eq!(script(&words), "exec sh -c 'uname -r; exit 7'\n");
    }
}
