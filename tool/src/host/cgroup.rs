//! Cgroups (version 2): the path of an id, the id of a path, and the container a path belongs to.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A cgroup to filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id: the inode number of its directory.
    pub id: u64,
    /// How deep it lies; the root is 0.
    pub level: u32,
}

/// Directories walked at most: a bound against hosts gone mad, far above any sane one.
const MOST: usize = 100_000;

/// Where the cgroup2 hierarchy is mounted.
#[must_use]
pub fn mount() -> Option<PathBuf> {
    mount_in(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Columns: id, parent, device, root, mount point, options, optional fields, `-`, type, source, options.
fn mount_in(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let is_ours = right.split(' ').next() == Some("cgroup2");
        is_ours.then(|| left.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// The cgroup at a path: below the mount (`/system.slice/x.service`), or of the filesystem.
///
/// # Errors
/// One sentence: there is no such cgroup, or no cgroup2 hierarchy.
pub fn find(path: &str) -> Result<Cgroup, String> {
    let mount = mount().ok_or("no cgroup2 hierarchy is mounted here, so --cgroup cannot name one")?;
    let absolute = Path::new(path);
    let dir = if absolute.starts_with(&mount) {
        absolute.to_owned()
    } else {
        mount.join(path.trim_start_matches('/'))
    };
    let below = dir.strip_prefix(&mount).map_err(|_| format!("{path:?} is not below {}", mount.display()))?;
    let plain = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let meta = fs::metadata(&dir).ok().filter(|meta| meta.is_dir() && plain);
    let meta = meta.ok_or_else(|| {
        format!("there is no cgroup {path:?} below {}; `systemd-cgls` or `find` lists them", mount.display())
    })?;
    Ok(Cgroup { id: meta.ino(), level: below.components().count() as u32 })
}

/// Paths of all cgroups below the mount, by id; the root is `/`.
///
/// # Errors
/// The hierarchy cannot be read.
pub fn paths(mount: &Path) -> io::Result<HashMap<u64, String>> {
    let mut found = HashMap::from([(fs::metadata(mount)?.ino(), "/".to_owned())]);
    let mut todo = vec![(mount.to_owned(), String::new())];
    while let Some((dir, path)) = todo.pop() {
        // A cgroup can vanish while we walk.
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && found.len() < MOST {
                let path = format!("{path}/{}", entry.file_name().to_string_lossy());
                if let Ok(meta) = entry.metadata() {
                    found.insert(meta.ino(), path.clone());
                }
                todo.push((entry.path(), path));
            }
        }
    }
    Ok(found)
}

/// Prefix of a directory's name, and the runtime that makes such names; the container's id follows.
const RUNTIMES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "nerdctl"),
    ("crio-", "crio"),
    ("libpod-", "podman"),
    ("lxc.payload.", "lxc"),
    ("machine-", "machine"),
];
/// Parents whose children are named by a container's id alone.
const PARENTS: &[(&str, &str)] = &[("docker", "docker"), ("lxc", "lxc"), ("libpod_parent", "podman")];

/// The container a cgroup belongs to, as `runtime:id`, or the pod as `pod:uid`; the innermost one.
#[must_use]
pub fn container(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    (0..parts.len()).rev().find_map(|at| by_name(parts[at], at.checked_sub(1).map(|up| parts[up])))
}

fn by_name(name: &str, parent: Option<&str>) -> Option<String> {
    let stem = name.strip_suffix(".scope").or_else(|| name.strip_suffix(".slice")).unwrap_or(name);
    for (prefix, runtime) in RUNTIMES {
        if let Some(id) = stem.strip_prefix(prefix).filter(|id| !id.is_empty() && !id.starts_with("conmon-"))
        {
            return Some(format!("{runtime}:{}", short(id)));
        }
    }
    let parent = parent.unwrap_or_default();
    if let Some((_, runtime)) = PARENTS.iter().find(|(name, _)| *name == parent) {
        return Some(format!("{runtime}:{}", short(name)));
    }
    if let Some(at) = stem.rfind("-pod").filter(|_| stem.starts_with("kubepods")) {
        return Some(format!("pod:{}", stem[at + 4..].replace('_', "-")));
    }
    // The cgroupfs driver: /kubepods/burstable/podUID/CONTAINER.
    let pod = |name: &str| name.strip_prefix("pod").filter(|uid| uid.len() == 36).map(str::to_owned);
    if pod(parent).is_some() && is_id(stem) {
        return Some(format!("cri:{}", short(stem)));
    }
    pod(stem).map(|uid| format!("pod:{uid}"))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Long hexadecimal ids are cut to the 12 digits the runtimes show.
fn short(id: &str) -> &str {
    if is_id(id) { &id[..12] } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_mount_is_found_beside_others() {
        let text = "24 1 0:22 / /sys rw - sysfs sysfs rw\n\
                    30 24 0:26 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_in(text), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_in("24 1 0:22 / /sys rw - sysfs sysfs rw\n"), None);
    }

    #[test]
    fn containers_are_named_by_their_runtime() {
        let cases = [
            (format!("/system.slice/docker-{ID}.scope"), Some("docker:0123456789ab")),
            (format!("/docker/{ID}"), Some("docker:0123456789ab")),
            (format!("/docker/{ID}/init"), Some("docker:0123456789ab")),
            (format!("/machine.slice/libpod-{ID}.scope/container"), Some("podman:0123456789ab")),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{ID}.scope"
                ),
                Some("containerd:0123456789ab"),
            ),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice".into(),
                Some("pod:1-2"),
            ),
            (
                format!("/kubepods/burstable/pod01234567-89ab-cdef-0123-456789abcdef/{ID}"),
                Some("cri:0123456789ab"),
            ),
            ("/lxc.payload.web".into(), Some("lxc:web")),
            ("/machine.slice/machine-deb.scope".into(), Some("machine:deb")),
            ("/machine.slice/libpod-conmon-1.scope".into(), None),
            ("/system.slice/nginx.service".into(), None),
            ("/".into(), None),
        ];
        for (path, expected) in cases {
            assert_eq!(container(&path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_cgroup_is_found_by_path_and_id() {
        let Some(mount) = mount() else { return };
        let root = find("/").unwrap();
        assert_eq!(root.level, 0);
        assert_eq!(paths(&mount).unwrap().get(&root.id).map(String::as_str), Some("/"));
        assert_eq!(find(&mount.display().to_string()).unwrap(), root);
        assert!(find("/no/such/cgroup").unwrap_err().contains("/no/such/cgroup"));
        assert!(find("../..").is_err());
    }
}
