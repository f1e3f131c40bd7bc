//! Guest kernels: Debian's cloud kernel packages, downloaded and unpacked into the cache, never installed.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{sh, tools};

/// An unpacked kernel package.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The image qemu boots.
    pub(crate) image: PathBuf,
    /// `lib/modules/RELEASE`.
    pub(crate) modules: PathBuf,
}

/// The kernel of a series such as `6.12`: from the cache, else the newest package of this Debian release.
///
/// # Errors
/// No apt, no such package, or no network.
pub(crate) fn get(series: &str) -> Result<Kernel> {
    let cache = sh::cache_dir("kernels")?.join(series);
    if let Some(kernel) = unpacked(&cache) {
        return Ok(kernel);
    }
    download(series, &cache).with_context(|| format!("no guest kernel {series}"))?;
    unpacked(&cache)
        .with_context(|| format!("{} has no kernel image in it; remove it and try again", cache.display()))
}

/// Looks for `boot/vmlinuz-RELEASE` in an unpacked package.
fn unpacked(root: &Path) -> Option<Kernel> {
    let image =
        fs::read_dir(root.join("boot")).ok()?.flatten().map(|entry| entry.path()).find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })?;
    let release = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_owned();
    let modules = ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir).join(&release));
    let modules = modules.into_iter().find(|dir| dir.is_dir())?;
    Some(Kernel { image, modules })
}

/// Downloads and unpacks beside the final place and moves it there whole, so that a half-done one is never used.
fn download(series: &str, cache: &Path) -> Result<()> {
    if sh::find("apt-get").is_none() || sh::find("apt-cache").is_none() {
        bail!("guest kernels come from Debian packages, and this machine has no apt");
    }
    let package = newest(series)?;
    eprintln!("xtask: fetching guest kernel {package}");
    let parent = cache.parent().context("the cache has no parent directory")?;
    let work = parent.join(format!(".{series}.{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let result = unpack(&package, &work, cache);
    fs::remove_dir_all(&work).ok();
    result
}

fn unpack(package: &str, work: &Path, cache: &Path) -> Result<()> {
    fetch(package, work).or_else(|_| tools::update().and_then(|()| fetch(package, work)))?;
    let deb = fs::read_dir(work)?
        .flatten()
        .map(|entry| entry.path())
        .find(|p| p.extension().is_some_and(|e| e == "deb"));
    let deb = deb.with_context(|| format!("apt-get downloaded no .deb of {package}"))?;
    let tree = work.join("tree");
    sh::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&tree))?;
    match fs::rename(&tree, cache) {
        Err(_) if cache.is_dir() => Ok(()), // somebody else was faster
        other => other.with_context(|| format!("cannot move the kernel to {}", cache.display())),
    }
}

fn fetch(package: &str, dir: &Path) -> Result<()> {
    sh::output(Command::new("apt-get").args(["-qq", "download", package]).current_dir(dir)).map(drop)
}

/// The newest cloud kernel package of a series; the package lists are renewed when they know none.
fn newest(series: &str) -> Result<String> {
    if let Some(package) = pick(series, &search(series)?) {
        return Ok(package);
    }
    tools::update()?;
    pick(series, &search(series)?)
        .with_context(|| format!("this Debian release has no package linux-image-{series}*-cloud-amd64"))
}

fn search(series: &str) -> Result<String> {
    let pattern = format!("^linux-image-{}[.0-9].*cloud-amd64", series.replace('.', r"\."));
    sh::text("apt-cache", &["search", "--names-only", &pattern])
}

/// Of the lines `NAME - TITLE`, the name with the highest version; signed before unsigned (the same code).
fn pick(series: &str, listing: &str) -> Option<String> {
    let prefix = format!("linux-image-{series}");
    let names = listing.lines().filter_map(|line| line.split_whitespace().next());
    let kernels = names.filter(|name| {
        let rest = name.strip_prefix(&prefix).unwrap_or_default();
        rest.starts_with('.') && (rest.ends_with("-cloud-amd64") || rest.ends_with("-cloud-amd64-unsigned"))
    });
    let signed = |name: &str| !name.ends_with("-unsigned");
    kernels.max_by(|a, b| by_version(a, b).then(signed(a).cmp(&signed(b)))).map(str::to_owned)
}

/// Compares the numbers in two names, in order.
fn by_version(a: &str, b: &str) -> Ordering {
    let numbers = |name: &str| -> Vec<u64> {
        let parts = name.split(|c: char| !c.is_ascii_digit());
        parts.filter_map(|digits| digits.parse().ok()).collect()
    };
    numbers(a).cmp(&numbers(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
linux-image-6.1.0-9-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.1.0-56-cloud-amd64-dbg - Debug symbols
linux-image-6.1.0-56-cloud-amd64-unsigned - Linux 6.1 for x86-64 cloud
linux-image-6.1.0-56-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.12.99+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.117+deb12-cloud-amd64-unsigned - Linux 6.12 for x86-64 cloud
";

    #[test]
    fn the_newest_kernel_of_the_series_is_picked() {
        assert_eq!(pick("6.1", LISTING).unwrap(), "linux-image-6.1.0-56-cloud-amd64");
        assert_eq!(pick("6.12", LISTING).unwrap(), "linux-image-6.12.117+deb12-cloud-amd64-unsigned");
        assert_eq!(pick("6.6", LISTING), None);
    }
}
