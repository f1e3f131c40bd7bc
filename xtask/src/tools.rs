//! Installing what a task needs: on Debian and Ubuntu through apt, elsewhere by naming it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::sh;

/// A program and the Debian package that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// The file looked for in PATH.
    pub(crate) name: &'static str,
    /// The Debian package.
    pub(crate) package: &'static str,
}

/// A program and its package.
pub(crate) const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

/// What a guest is made of and runs on.
pub(crate) const LAB: &[Program] = &[
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("busybox", "busybox-static"),
    program("dash", "dash"),
    program("ip", "iproute2"),
    program("ethtool", "ethtool"),
    program("strip", "binutils"),
    program("xz", "xz-utils"),
    program("dpkg-deb", "dpkg"),
];

/// What the scenarios and checks use on this kernel.
pub(crate) const TEST: &[Program] = &[
    program("cc", "gcc"),
    program("ip", "iproute2"),
    program("tc", "iproute2"),
    program("ethtool", "ethtool"),
    program("bpftool", "bpftool"),
    program("iperf3", "iperf3"),
    program("tmux", "tmux"),
    program("python3", "python3"),
];

/// What the generator is compared with, and where.
pub(crate) const PEERS: &[Program] =
    &[program("iperf3", "iperf3"), program("ip", "iproute2"), program("unshare", "util-linux")];

const TYPOS_VERSION: &str = "1.52.0";
const CARGO_DENY_VERSION: &str = "0.20.2";

/// Installs the programs that are missing. Where there is no apt, the error names them.
pub(crate) fn need(programs: &[Program]) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|p| sh::find(p.name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|p| p.package).collect();
    if sh::find("apt-get").is_none() {
        let names: Vec<_> = missing.iter().map(|p| p.name).collect();
        bail!("these programs are needed and not installed: {}; install them and try again", names.join(" "));
    }
    install(&packages)
}

/// Installs Debian packages, with a fresh package list if the one here is too old for them.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    eprintln!("xtask: installing {}", packages.join(" "));
    if sh::run(&mut apt_install(packages)).is_ok() {
        return Ok(());
    }
    update()?;
    sh::run(&mut apt_install(packages))
}

/// Renews the package lists.
pub(crate) fn update() -> Result<()> {
    let mut command = sh::as_root("apt-get");
    sh::run(command.args(["-qq", "update"]).stdout(Stdio::null()))
}

/// The spelling checker, from the Python package index, where it comes built: into a virtual environment of its own.
pub(crate) fn typos() -> Result<PathBuf> {
    let venv = sh::cache_dir("tools")?.join(format!("typos-{TYPOS_VERSION}"));
    let program = venv.join("bin/typos");
    if program.is_file() {
        return Ok(program);
    }
    if sh::output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_err() {
        install(&["python3-venv"])?;
    }
    sh::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let package = format!("typos=={TYPOS_VERSION}");
    sh::output(Command::new(venv.join("bin/pip")).args(["install", "--quiet", &package]))?;
    Ok(program)
}

/// The checker of dependencies. Built without optimization: that takes a minute instead of five, and it runs a second.
/// Without default features: those are for advisories, which need a network.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let wanted = format!("cargo-deny {CARGO_DENY_VERSION}");
    let fits = |path: &PathBuf| sh::text(path, &["--version"]).is_ok_and(|version| version.trim() == wanted);
    let root = sh::cache_dir("tools")?.join(format!("cargo-deny-{CARGO_DENY_VERSION}"));
    let program = root.join("bin/cargo-deny");
    if let Some(path) = [Some(program.clone()), sh::find("cargo-deny")].into_iter().flatten().find(fits) {
        return Ok(path);
    }
    let package = format!("cargo-deny@{CARGO_DENY_VERSION}");
    let mut build =
        sh::cargo(&["install", "--quiet", "--locked", "--debug", "--no-default-features", &package]);
    sh::output(build.arg("--root").arg(&root))?;
    Ok(program)
}

fn apt_install(packages: &[&str]) -> Command {
    let mut command = sh::as_root("env");
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-y",
        "--no-install-recommends",
        "install",
    ]);
    command.args(packages).stdout(Stdio::null());
    command
}
