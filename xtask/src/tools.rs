//! Installing what a task needs: on Debian and Ubuntu through apt, elsewhere by naming it.

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

const fn program(name: &'static str, package: &'static str) -> Program {
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
