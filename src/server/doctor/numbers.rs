//! The small notations of `/proc` and `/sys`.

use super::facts::{Kernel, Limit};

/// A CPU list such as `0-3,8`. `None` if it is not one; an empty text is an empty list.
pub fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if last < first || last > CPU_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Whether a CPU mask such as `00000000,0000000f` names any CPU.
pub fn mask_is_set(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_hexdigit() && byte != b'0')
}

/// A row of `/proc/<pid>/limits`, for example `Max open files   1024   524288   files`.
pub fn limit(table: &str, name: &str) -> Option<Limit> {
    let row = table.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = row.split_whitespace();
    Some(Limit { soft: bound(words.next()?)?, hard: bound(words.next()?)? })
}

/// A field of `/proc/<pid>/status`, for example `Seccomp:\t2`.
pub fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A kernel release: `6.1.0-18-amd64` is version 6.1.
pub fn kernel(release: &str) -> Option<Kernel> {
    let release = release.trim();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let version = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(Kernel { version, release: release.to_owned() })
}

/// The quota of a cgroup v2 `cpu.max` (`150000 100000` is 1.5 CPUs); `None` for `max`.
pub fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota.parse().ok()?, period.parse().ok()?)
}

/// Quota over period, both in microseconds; `None` if the quota is not positive (no limit).
pub fn ratio(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The word in brackets: `always [madvise] never`.
pub fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// A CPU list as the kernel writes it: `0-3,8`.
pub fn list_text(cpus: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == cpu => run.1 = cpu,
            _ => runs.push((cpu, cpu)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .map(|&(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    texts.join(",")
}

/// A number, or `unlimited` as `Some(None)`.
fn bound(word: &str) -> Option<Option<u64>> {
    if word == "unlimited" { Some(None) } else { word.parse().ok().map(Some) }
}

/// Linux is built for at most 8192 CPUs; a larger number in a list is a damaged file.
const CPU_MAX: usize = 8191;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cpu_lists_are_read_and_written() {
        for text in ["", "0", "0-3", "0-3,8", "1,3,5-6"] {
            assert_eq!(list_text(&cpu_list(text).unwrap()), text);
        }
        for text in ["x", "3-1", "0-99999999999", "1-", "-1"] {
            assert_eq!(cpu_list(text), None, "{text}");
        }
    }

    #[test]
    fn masks_limits_and_fields() {
        assert!(!mask_is_set("00000000,00000000\n"));
        assert!(mask_is_set("00000000,0000000f\n"));
        let table = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024  524288  files\n\
                     Max locked memory  unlimited  unlimited  bytes\n";
        assert_eq!(limit(table, "Max open files"), Some(Limit { soft: Some(1024), hard: Some(524_288) }));
        assert_eq!(limit(table, "Max locked memory"), Some(Limit { soft: None, hard: None }));
        assert_eq!(limit(table, "Max pending signals"), None);
        assert_eq!(status_field("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n", "Seccomp"), Some("2"));
    }

    #[test]
    fn releases_and_quotas() {
        assert_eq!(kernel("6.1.0-18-amd64\n").unwrap().version, (6, 1));
        assert_eq!(kernel("5.15-rc3").unwrap().version, (5, 15));
        assert_eq!(kernel("linux"), None);
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(ratio(-1.0, 100_000.0), None);
        assert_eq!(chosen("always [madvise] never\n").unwrap(), "madvise");
    }
}
