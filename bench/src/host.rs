//! What a record must say of the machine and the moment it was made on.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Lines that describe the machine: CPU, kernel, and the settings that move the numbers.
pub fn describe() -> Vec<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, |count| count.get());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("").trim().to_string();
    let virtual_machine = cpuinfo.contains(" hypervisor");
    vec![
        format!("cpu: {model}, {cores} cores{}", if virtual_machine { ", virtual machine" } else { "" }),
        format!("memory: {memory}"),
        format!("kernel: {}", line_of("/proc/sys/kernel/osrelease")),
        format!("governor: {}", line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        format!("autogroup: {}", line_of("/proc/sys/kernel/sched_autogroup_enabled")),
        format!("tcp congestion control: {}", line_of("/proc/sys/net/ipv4/tcp_congestion_control")),
        format!("load average at the start: {}", line_of("/proc/loadavg")),
        format!("rustc: {}", output_of("rustc", &["--version"])),
        format!("commit: {}", output_of("git", &["describe", "--always", "--dirty"])),
    ]
}

/// A short name for the machine, usable as a directory: `intel-xeon-2`.
pub fn slug() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, |count| count.get());
    slug_of(model.map_or("unknown", |(_, name)| name), cores)
}

fn slug_of(model: &str, cores: usize) -> String {
    let plain = model.to_lowercase().replace("(r)", " ").replace("(tm)", " ");
    let noise = ["cpu", "processor", "@", "core"];
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty() && !noise.contains(word)).take(4).collect();
    format!("{}-{cores}", words.join("-"))
}

/// Today and now in UTC: `2026-11-22` and `09:15:00`.
pub fn date_and_time() -> (String, String) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Days since 1970-01-01 as a date of the Gregorian calendar.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

fn line_of(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|_| "not available".to_string());
    text.lines().next().unwrap_or("").to_string()
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        _ => "not available".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{civil_date, slug_of};

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(59), (1970, 3, 1));
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(20_779), (2026, 11, 22));
        assert_eq!(civil_date(20_818), (2026, 12, 31));
        assert_eq!(civil_date(20_819), (2027, 1, 1));
    }

    #[test]
    fn a_model_name_becomes_a_directory_name() {
        assert_eq!(slug_of("Intel(R) Xeon(R) Processor", 2), "intel-xeon-2");
        assert_eq!(slug_of("AMD EPYC 7763 64-Core Processor", 8), "amd-epyc-7763-64-8");
    }
}
