//! A Rust toolchain that can build for the kernel: it needs the core library's source and unstable options, and
//! bpf-linker with an LLVM that is at least as new as the compiler's. There are two ways to have one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Tools;
use crate::{sh, tools};

/// The kernel's virtual machine, little endian.
pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// `v3` has atomic operations with a result (Linux 5.12). The registers of kprobes are those of the traced machine,
/// which must not depend on the building one. By default bpf-linker expands no `memset`, and each becomes a call of a
/// loop over bytes: slow to run, and slower to verify.
const RUSTFLAGS: &[&str] = &[
    "-Ctarget-cpu=v3",
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
    "-Clink-arg=--disable-expand-memcpy-in-order",
    "--cfg=bpf_target_arch=\"x86_64\"",
];
const LINKER_VERSION: &str = "0.13.0";
const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library";
/// The compiler with its source, and what linking bpf-linker against LLVM needs.
const DEBIAN_PACKAGES: &[&str] = &[
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22",
    "llvm-22-dev",
    "libpolly-22-dev",
    "libzstd-dev",
    "zlib1g-dev",
];

const BY_HAND: &str = "\
no toolchain for the kernel programs is here. With rustup:
  rustup toolchain install nightly --component rust-src --component llvm-tools
  cargo install bpf-linker --version 0.13.0 --locked
On Debian 12, as root:
  apt-get install rustc-web cargo-web rust-web-src llvm-22 llvm-22-dev libpolly-22-dev libzstd-dev zlib1g-dev
  LLVM_PREFIX=/usr/lib/llvm-22 PATH=/usr/lib/llvm-22/bin:$PATH \\
    cargo install bpf-linker --version 0.13.0 --no-default-features --features llvm-22
(Building and using zcscope does not need this: the object is in the tree.)";

/// Variables of a surrounding cargo or rustup that must not reach the other toolchain.
const LEAKS: &[&str] = &[
    "CARGO",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTUP_TOOLCHAIN",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_MANIFEST_DIR",
    "LD_LIBRARY_PATH",
];

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Debian's rustc-web and its source, with unstable options allowed.
    Debian,
    /// rustup's nightly with the component rust-src.
    Nightly,
}

/// A toolchain that is here.
pub(crate) struct Toolchain {
    kind: Kind,
    linker: PathBuf,
}

impl Toolchain {
    /// The wanted kind, or the first that is here; on a machine with apt what is missing is installed.
    pub(crate) fn find_or_install(wanted: Option<Kind>) -> Result<Self> {
        let here = |kind: Kind| match kind {
            Kind::Debian => debian_is_here(),
            Kind::Nightly => nightly_is_here(),
        };
        let candidates = wanted.map_or_else(|| vec![Kind::Debian, Kind::Nightly], |kind| vec![kind]);
        let kind = match candidates.iter().copied().find(|kind| here(*kind)) {
            Some(kind) => kind,
            None if candidates.contains(&Kind::Debian) && sh::find("apt-get").is_some() => {
                tools::install(DEBIAN_PACKAGES).context(BY_HAND)?;
                Kind::Debian
            }
            None => bail!("{BY_HAND}"),
        };
        Ok(Self { kind, linker: linker(kind)? })
    }

    /// This toolchain's cargo in the package of the kernel programs, free of a surrounding cargo's variables.
    pub(crate) fn cargo(&self, root: &Path, args: &[&str]) -> Command {
        let mut command = match self.kind {
            Kind::Debian => Command::new("/usr/bin/cargo"),
            Kind::Nightly => rustup("cargo"),
        };
        clean(&mut command).args(args).current_dir(root.join("tool-ebpf"));
        if self.kind == Kind::Debian {
            command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
        }
        command
    }

    /// Flags that link with bpf-linker, keep BTF, and keep this machine's paths and kind out of the object.
    pub(crate) fn rustflags(&self, root: &Path) -> Result<Vec<String>> {
        let mut flags: Vec<String> = RUSTFLAGS.iter().map(ToString::to_string).collect();
        flags.push(format!("-Clinker={}", self.linker.display()));
        let mut remap =
            |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        remap(root, ".");
        // Both names of the library's source: as cargo finds it and as the links resolve.
        let library = self.library()?;
        for path in [&library, &fs::canonicalize(&library)?] {
            remap(path, "rust/library");
        }
        for registry in fs::read_dir(cargo_home().join("registry/src")).into_iter().flatten().flatten() {
            remap(&registry.path(), "registry");
        }
        Ok(flags)
    }

    /// The versions that decide the object's bytes.
    pub(crate) fn versions(&self) -> Result<Tools> {
        let verbose = String::from_utf8_lossy(&sh::output(self.rustc().arg("-vV"))?).into_owned();
        let llvm = verbose.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or("unknown");
        Ok(Tools {
            rustc: verbose.lines().next().unwrap_or_default().to_owned(),
            llvm: llvm.to_owned(),
            bpf_linker: sh::text(&self.linker, &["--version"])?.trim().to_owned(),
        })
    }

    /// A strip that knows the kernel's instruction set: binutils' does not.
    pub(crate) fn strip(&self) -> Result<PathBuf> {
        if self.kind == Kind::Debian {
            return Ok(Path::new(DEBIAN_LLVM).join("bin/llvm-strip"));
        }
        let host = self.sysroot()?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/llvm-strip");
        if host.is_file() { Some(host) } else { sh::find("llvm-strip") }
            .context("llvm-strip is missing; run `rustup component add --toolchain nightly llvm-tools`")
    }

    fn rustc(&self) -> Command {
        let mut command = match self.kind {
            Kind::Debian => Command::new("/usr/bin/rustc"),
            Kind::Nightly => rustup("rustc"),
        };
        clean(&mut command);
        command
    }

    fn sysroot(&self) -> Result<PathBuf> {
        let path = sh::output(self.rustc().args(["--print", "sysroot"]))?;
        Ok(PathBuf::from(String::from_utf8_lossy(&path).trim()))
    }

    fn library(&self) -> Result<PathBuf> {
        match self.kind {
            Kind::Debian => Ok(PathBuf::from(DEBIAN_SOURCE)),
            Kind::Nightly => Ok(self.sysroot()?.join("lib/rustlib/src/rust/library")),
        }
    }
}

fn debian_is_here() -> bool {
    ["/usr/bin/cargo", "/usr/bin/rustc", DEBIAN_SOURCE].iter().all(|path| Path::new(path).exists())
        && Path::new(DEBIAN_LLVM).join("bin/llvm-strip").exists()
}

fn nightly_is_here() -> bool {
    let nightly = Toolchain { kind: Kind::Nightly, linker: PathBuf::new() };
    sh::find("rustup").is_some() && nightly.library().is_ok_and(|dir| dir.is_dir())
}

/// A program of rustup's nightly.
fn rustup(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", program]);
    command
}

fn clean(command: &mut Command) -> &mut Command {
    for name in LEAKS {
        command.env_remove(name);
    }
    command
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// bpf-linker in the pinned version, installed if it is not here.
fn linker(kind: Kind) -> Result<PathBuf> {
    let installed = cargo_home().join("bin/bpf-linker");
    let wanted = format!("bpf-linker {LINKER_VERSION}");
    let fits = |path: &PathBuf| sh::text(path, &["--version"]).is_ok_and(|version| version.trim() == wanted);
    if let Some(path) = [Some(installed.clone()), sh::find("bpf-linker")].into_iter().flatten().find(fits) {
        return Ok(path);
    }
    eprintln!("xtask: installing {wanted}");
    let mut install =
        sh::cargo(&["install", "--quiet", "bpf-linker", "--version", LINKER_VERSION, "--force"]);
    if kind == Kind::Debian {
        if !Path::new(DEBIAN_LLVM).join("include").exists() {
            tools::install(DEBIAN_PACKAGES)?;
        }
        let path = std::env::var("PATH").unwrap_or_default();
        install.args(["--no-default-features", "--features", "llvm-22"]);
        install.env("LLVM_PREFIX", DEBIAN_LLVM).env("PATH", format!("{DEBIAN_LLVM}/bin:{path}"));
    }
    sh::run(&mut install).context(BY_HAND)?;
    Ok(installed)
}
