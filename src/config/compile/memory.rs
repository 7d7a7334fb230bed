//! Memory that this process may use, for bounds that nobody set.

use std::path::{Path, PathBuf};

use crate::config::file::LimitsSection;
use crate::schema::finding::Findings;
use crate::schema::units::show_size;
use crate::schema::world::World;

/// Least for all bodies together, whatever the host has.
const BODIES_BYTES_MIN: usize = 64 << 20;
/// Where nothing says how much memory there is.
const MEMORY_UNKNOWN: usize = 1 << 30;

/// Bytes of all bodies together: as set, or a quarter of the memory that the process may use.
pub fn bodies_bytes_max(section: &LimitsSection, world: &dyn World, findings: &mut Findings) -> usize {
    let largest =
        section.body_bytes_max.value.max(section.list_bytes_max.value).max(section.sse_event_bytes_max.value);
    let least = largest.saturating_mul(2);
    let Some(set) = &section.bodies_bytes_max else {
        return (available(world).unwrap_or(MEMORY_UNKNOWN) / 4).max(BODIES_BYTES_MIN).max(least);
    };
    if set.value < least {
        let what =
            "is less than two bodies of `body_bytes_max`, `list_bytes_max` or `sse_event_bytes_max` take";
        findings.add(&set.place, what, format!("make it at least {}, or those less", show_size(least)));
    }
    set.value
}

/// Bytes that the process may use: those of the host, or fewer where a cgroup says so. What else runs there is not looked at.
fn available(world: &dyn World) -> Option<usize> {
    let host = number_behind(&world.read(Path::new("/proc/meminfo")).ok()?, "MemTotal:")?.checked_mul(1024);
    host.into_iter().chain(cgroup(world)).chain(cgroup_v1(world)).min()
}

/// The bound of version 1 of cgroups, which say what is no bound by a number that no host has.
fn cgroup_v1(world: &dyn World) -> Option<usize> {
    let own = String::from_utf8(world.read(Path::new("/proc/self/cgroup")).ok()?).ok()?;
    let path = own.lines().find_map(|line| line.split_once(":memory:/"))?.1;
    let root = Path::new("/sys/fs/cgroup/memory");
    // In a container its own part is seen as the root.
    [root.join(path), root.to_owned()].iter().find_map(|directory| {
        let bound = world.read(&directory.join("memory.limit_in_bytes")).ok()?;
        String::from_utf8(bound).ok()?.trim().parse().ok()
    })
}

/// Least of the bounds of this process's cgroup (version 2) and those around it.
fn cgroup(world: &dyn World) -> Option<usize> {
    let own = world.read(Path::new("/proc/self/cgroup")).ok()?;
    let own = String::from_utf8(own).ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let own: PathBuf = root.join(path);
    own.ancestors()
        .take_while(|directory| directory.starts_with(root))
        .filter_map(|directory| {
            let bound = world.read(&directory.join("memory.max")).ok()?;
            String::from_utf8(bound).ok()?.trim().parse().ok()
        })
        .min()
}

/// The number that follows this word.
fn number_behind(text: &[u8], word: &str) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(word))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::world::fake::Fake;

    #[test]
    fn the_least_bound_of_host_and_cgroups_counts() {
        let host = ("/proc/meminfo", "MemFree: 7 kB\nMemTotal:       16384 kB\n");
        let own = ("/proc/self/cgroup", "1:cpu:/x\n0::/a/b\n");
        let older = ("/proc/self/cgroup", "5:cpu:/z\n4:memory:/x/y\n0::/\n");
        for (files, expected) in [
            (vec![], None),
            (vec![host], Some(16 << 20)),
            (vec![host, own], Some(16 << 20)),
            (vec![host, own, ("/sys/fs/cgroup/a/b/memory.max", "max\n")], Some(16 << 20)),
            (vec![host, own, ("/sys/fs/cgroup/a/b/memory.max", "4096\n")], Some(4096)),
            (vec![host, own, ("/sys/fs/cgroup/a/memory.max", "4096\n")], Some(4096)),
            (vec![host, own, ("/sys/fs/cgroup/memory.max", "99999999999\n")], Some(16 << 20)),
            (vec![host, own, ("/sys/fs/memory.max", "1\n")], Some(16 << 20)),
            (vec![host, older, ("/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "4096\n")], Some(4096)),
            (vec![host, older, ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n")], Some(8192)),
            (
                vec![host, older, ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")],
                Some(16 << 20),
            ),
        ] {
            let files = files.iter().map(|&(path, text)| (path, text.into())).collect();
            let world = Fake { variables: Vec::new(), files };
            assert_eq!(available(&world), expected, "{:?}", world.files.len());
        }
    }
}
