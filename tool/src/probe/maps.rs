//! How full the kernel's maps are and what memory they take, from `/proc/self/fdinfo`.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use aya::Ebpf;
use aya::maps::{Map, MapData};

use super::raw;
use crate::model::sample::MapSample;

/// All maps of the object.
pub(super) struct Maps(BTreeMap<String, (RawFd, bool)>);

impl Maps {
    /// Notes every map; valid as long as the object and those who took maps out of it are.
    pub(super) fn of(ebpf: &Ebpf) -> Maps {
        let named = ebpf.maps().filter_map(|(name, map)| {
            let (data, counted) = data(map)?;
            Some((name.to_owned(), (data.fd().as_fd().as_raw_fd(), counted)))
        });
        Maps(named.collect())
    }

    /// Every map with its memory and, where elements come and go, how many there are: as `told`, or else by walking it,
    /// a call into the kernel for each.
    pub(super) fn sample(&self, told: impl Fn(&str) -> Option<u64>) -> Vec<MapSample> {
        self.0
            .iter()
            .filter_map(|(name, (fd, counted))| {
                let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
                Some(MapSample {
                    name: name.clone(),
                    entries: told(name)
                        .or_else(|| counted.then(|| raw::count(*fd, number(&info, "key_size:")?)).flatten()),
                    max_entries: number(&info, "max_entries:")?,
                    bytes: number(&info, "memlock:")?,
                })
            })
            .collect()
    }
}

/// The map's data, and whether its elements can be counted.
fn data(map: &Map) -> Option<(&MapData, bool)> {
    match map {
        Map::HashMap(data) | Map::LruHashMap(data) | Map::PerCpuHashMap(data) => Some((data, true)),
        Map::Array(data) | Map::PerCpuArray(data) | Map::RingBuf(data) => Some((data, false)),
        _ => None,
    }
}

fn number(fdinfo: &str, key: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_name() {
        let info = "pos:\t0\nmap_type:\t1\nkey_size:\t8\nvalue_size:\t4\nmax_entries:\t64\nmemlock:\t9216\n";
        assert_eq!((number(info, "key_size:"), number(info, "memlock:")), (Some(8), Some(9216)));
        assert_eq!(number(info, "frozen:"), None);
    }
}
