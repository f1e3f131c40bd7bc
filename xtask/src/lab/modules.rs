//! Kernel modules of a guest: which ones are wanted, in which order they load, and their contents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::sh;

/// What every guest loads, with parameters. What a kernel has built in, or does not have, is passed over:
/// a scenario that needs it says so itself.
const WANTED: &[(&str, &str)] = &[
    // How the lab talks to the guest.
    ("virtio_pci", ""),
    ("virtio_console", ""),
    // Devices and tunnels. Those that would make a device by themselves are told not to.
    ("veth", ""),
    ("tun", ""),
    ("bridge", ""),
    ("dummy", "numdummies=0"),
    ("ifb", "numifbs=0"),
    ("macvlan", ""),
    ("ipvlan", ""),
    ("8021q", ""),
    ("vxlan", ""),
    ("bonding", "max_bonds=0"),
    ("vrf", ""),
    ("netkit", ""),
    ("af_packet", ""),
    // Queueing, filters, congestion control.
    ("sch_fq", ""),
    ("sch_fq_codel", ""),
    ("sch_netem", ""),
    ("sch_tbf", ""),
    ("sch_prio", ""),
    ("sch_ingress", ""),
    ("cls_bpf", ""),
    ("cls_u32", ""),
    ("cls_matchall", ""),
    ("act_mirred", ""),
    ("act_bpf", ""),
    ("act_gact", ""),
    ("tcp_bbr", ""),
    ("tcp_dctcp", ""),
    // Protocols on top of or beside TCP.
    ("tls", ""),
    ("inet_diag", ""),
    ("tcp_diag", ""),
    ("mptcp_diag", ""),
    ("netlink_diag", ""),
    ("unix_diag", ""),
    ("nf_tables", ""),
    ("nft_chain_nat", ""),
    // IPsec with software ciphers.
    ("xfrm_user", ""),
    ("esp4", ""),
    ("authenc", ""),
    ("ctr", ""),
    ("ghash_generic", ""),
    ("seqiv", ""),
    ("gcm", ""),
    ("aesni_intel", ""),
    // Files to send.
    ("loop", ""),
    ("xfs", ""),
    // A disk over TCP: the kernel itself sends pages.
    ("configfs", ""),
    ("nvmet_tcp", ""),
    ("nvme_tcp", ""),
];

/// A module ready to load.
#[derive(Debug)]
pub(crate) struct Module {
    /// File name without `.ko`.
    pub(crate) name: String,
    /// Parameters given at loading.
    pub(crate) parameters: &'static str,
    /// The uncompressed object.
    pub(crate) object: Vec<u8>,
}

/// All wanted modules, and the extra ones (network drivers) after them, each after what it depends on.
///
/// # Errors
/// A module file cannot be read or decompressed.
pub(crate) fn collect(root: &Path, extra: &[&'static str]) -> Result<Vec<Module>> {
    let mut tree = Tree { files: index(root), loaded: Vec::new() };
    let extra = extra.iter().map(|name| (*name, ""));
    for (name, parameters) in WANTED.iter().copied().chain(extra) {
        tree.load(name, parameters)?;
    }
    Ok(tree.loaded)
}

struct Tree {
    files: BTreeMap<String, PathBuf>,
    loaded: Vec<Module>,
}

impl Tree {
    fn load(&mut self, name: &str, parameters: &'static str) -> Result<()> {
        // Taken out: a module is loaded once, and built-in ones were never here.
        let Some(path) = self.files.remove(name) else { return Ok(()) };
        let object =
            read(&path).with_context(|| format!("cannot read the kernel module {}", path.display()))?;
        for dependency in depends(&object) {
            self.load(&dependency, "")?;
        }
        self.loaded.push(Module { name: name.to_owned(), parameters, object });
        Ok(())
    }
}

/// Every module below `root`, by its name (dashes are underscores).
fn index(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.join("kernel")];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
                found.insert(name.replace('-', "_"), path);
            }
        }
    }
    found
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return Ok(fs::read(path)?),
    };
    sh::output(Command::new(tool).arg("-dc").arg(path))
}

/// The `depends=a,b` string of the module's `.modinfo`: what `modules.dep` would be made from, without needing depmod.
fn depends(object: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = object.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = object[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_once() {
        let dir = std::env::temp_dir().join(format!("zcscope-modules-{}", std::process::id()));
        fs::create_dir_all(dir.join("kernel/net")).unwrap();
        let module = |name: &str, info: &str| fs::write(dir.join("kernel/net").join(name), info).unwrap();
        module("bridge.ko", "license=GPL\0depends=stp,llc\0");
        module("stp.ko", "x\0depends=llc\0");
        module("llc.ko", "x\0depends=\0");
        module("unwanted.ko", "x\0depends=\0");
        let names: Vec<_> = collect(&dir, &[]).unwrap().into_iter().map(|module| module.name).collect();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(names, ["llc", "stp", "bridge"]);
    }
}
