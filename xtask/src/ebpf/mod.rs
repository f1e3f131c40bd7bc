//! `cargo xtask ebpf`: builds the kernel programs into `tool/bpf/`, or checks that what is there fits the sources.
//! The object is kept in the tree so that building zcscope needs stable Rust only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sh;

mod toolchain;

use toolchain::Toolchain;

/// The packages whose sources make the object.
const SOURCES: &[&str] = &["tool-ebpf", "tool-common"];
const OBJECT: &str = "tool/bpf/zcscope.bpf.o";
const MANIFEST: &str = "tool/bpf/manifest.json";
/// Debug information would be ten times the code; `.BTF` and `.BTF.ext` are not part of it and stay.
const STRIP: &[&str] = &["-g", "-o"];

/// Arguments of `ebpf`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// Build nothing: fail when the object in the tree does not match its sources.
    #[arg(long)]
    check: bool,
    /// Which toolchain; by default the first that is here, else Debian's is installed where apt is.
    #[arg(long, value_enum)]
    toolchain: Option<toolchain::Kind>,
}

/// What the object was made from and with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// sha256 over the paths and contents of all sources.
    source_sha256: String,
    /// sha256 of the object.
    object_sha256: String,
    /// Versions of the tools that made it.
    tools: Tools,
}

/// The same tools and the same sources give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tools {
    /// `rustc --version`.
    rustc: String,
    /// The LLVM of that rustc.
    llvm: String,
    /// `bpf-linker --version`.
    bpf_linker: String,
}

/// The task `ebpf`.
pub(crate) fn run(args: Args) -> Result<u8> {
    if args.check {
        println!("{}", check()?);
    } else {
        println!("{}", build(args.toolchain)?);
    }
    Ok(0)
}

/// Fails when the sources or the object are not those of the manifest; else says what was compared.
pub(crate) fn check() -> Result<String> {
    let root = sh::workspace();
    let manifest = read_manifest(&root)?;
    let object = fs::read(root.join(OBJECT))
        .with_context(|| format!("{OBJECT} is missing; run `cargo xtask ebpf`"))?;
    if hash(&object) != manifest.object_sha256 {
        bail!("{OBJECT} is not the one that {MANIFEST} describes; run `cargo xtask ebpf` and commit both");
    }
    if source_hash(&root)? != manifest.source_sha256 {
        bail!(
            "{} changed since {OBJECT} was built; run `cargo xtask ebpf` and commit the object",
            SOURCES.join(" or ")
        );
    }
    Ok(format!("{OBJECT} matches its sources ({} bytes)", object.len()))
}

/// Builds the object and its manifest. When the manifest in the tree names the same sources and tools, the bytes
/// must be the same: an object that its sources do not give is an error, and is left in place for comparison.
pub(crate) fn build(kind: Option<toolchain::Kind>) -> Result<String> {
    let root = sh::workspace();
    let toolchain = Toolchain::find_or_install(kind)?;
    let before = read_manifest(&root).ok();
    let object = compile(&root, &toolchain)?;
    let tools = toolchain.versions()?;
    let after = Manifest { source_sha256: source_hash(&root)?, object_sha256: hash(&object), tools };
    if let Some(before) =
        before.filter(|before| before.source_sha256 == after.source_sha256 && before.tools == after.tools)
        && before.object_sha256 != after.object_sha256
    {
        bail!(
            "the same sources and tools gave an object other than {OBJECT} in the tree: it was not built from these \
             sources, or the build is not reproducible; delete {MANIFEST} to build it anew"
        );
    }
    fs::create_dir_all(root.join("tool/bpf"))?;
    fs::write(root.join(OBJECT), &object)?;
    let text = serde_json::to_string_pretty(&after)?;
    fs::write(root.join(MANIFEST), text + "\n")?;
    Ok(format!("{OBJECT}: {} bytes, by {}", object.len(), after.tools.rustc))
}

fn compile(root: &Path, toolchain: &Toolchain) -> Result<Vec<u8>> {
    let dir = root.join("target/ebpf");
    sh::run(&mut toolchain.cargo(root, &["fetch", "--target", toolchain::TARGET]))?;
    let mut build = toolchain.cargo(root, &["build", "--quiet", "--release", "-Z", "build-std=core"]);
    build.args(["--target", toolchain::TARGET, "--target-dir"]).arg(&dir);
    build.env("RUSTC_WRAPPER", wrapper(&dir)?);
    build.env("CARGO_ENCODED_RUSTFLAGS", toolchain.rustflags(root)?.join("\x1f"));
    sh::run(&mut build).context("the kernel programs did not build")?;
    let full = dir.join(toolchain::TARGET).join("release/zcscope");
    let small = dir.join("zcscope.bpf.o");
    sh::output(Command::new(toolchain.strip()?).args(STRIP).arg(&small).arg(&full))?;
    Ok(fs::read(small)?)
}

/// Writes the script that stands before rustc; see there for why.
fn wrapper(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("rustc.sh");
    fs::create_dir_all(dir)?;
    fs::write(&path, include_bytes!("rustc.sh"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn read_manifest(root: &Path) -> Result<Manifest> {
    let text = fs::read_to_string(root.join(MANIFEST))
        .with_context(|| format!("{MANIFEST} is missing; run `cargo xtask ebpf`"))?;
    serde_json::from_str(&text).with_context(|| format!("{MANIFEST} is not valid; run `cargo xtask ebpf`"))
}

/// One hash over all sources: their paths, lengths and contents, in the order of the paths.
fn source_hash(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for package in SOURCES {
        list(&root.join(package), &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for path in files {
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        hasher.update(format!("{name}\0{}\0", content.len()));
        hasher.update(content);
    }
    Ok(hex(&hasher.finalize()))
}

/// Rust files, manifests and lock files below a package, without its build output.
fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" {
                list(&path, files)?;
            }
        } else if name.ends_with(".rs") || name == "Cargo.toml" || name == "Cargo.lock" {
            files.push(path);
        }
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source tree of its own for one test.
    fn tree(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("zcscope-ebpf-{name}-{}", std::process::id()));
        for package in SOURCES {
            fs::create_dir_all(root.join(package).join("src")).unwrap();
            fs::write(root.join(package).join("src/lib.rs"), "// empty\n").unwrap();
        }
        root
    }

    #[test]
    fn the_source_hash_sees_contents_and_names_but_no_build_output() {
        let root = tree("hash");
        let first = source_hash(&root).unwrap();
        fs::create_dir_all(root.join("tool-ebpf/target")).unwrap();
        fs::write(root.join("tool-ebpf/target/x.rs"), "x").unwrap();
        fs::write(root.join("tool-ebpf/src/lib.rs~"), "x").unwrap();
        assert_eq!(source_hash(&root).unwrap(), first);
        fs::rename(root.join("tool-ebpf/src/lib.rs"), root.join("tool-ebpf/src/main.rs")).unwrap();
        let renamed = source_hash(&root).unwrap();
        assert_ne!(renamed, first);
        fs::write(root.join("tool-common/src/lib.rs"), "// other\n").unwrap();
        assert_ne!(source_hash(&root).unwrap(), renamed);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn sha256_is_the_usual_one() {
        assert_eq!(hash(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
