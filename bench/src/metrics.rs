//! The metrics of a running gateway, as its admin listener shows them.

use std::io::{Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The page of metrics.
pub fn page(admin: SocketAddr) -> Result<String, String> {
    let read = || {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    };
    read().map_err(|error: Error| format!("no metrics at {admin}: {error}"))
}

/// The sum of a metric over the labels that contain `label`.
pub fn sum(page: &str, name: &str, label: &str) -> u64 {
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let values = page.lines().filter(of_name).filter(|line| line.contains(label));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let page = "# HELP x y\nx{limit=\"a\",mode=\"enforce\"} 3\nx{limit=\"b\",mode=\"enforce\"} 4\nx{limit=\"a\",mode=\"report\"} 9\n";
        assert_eq!((sum(page, "x", "mode=\"enforce\""), sum(page, "z", "")), (7, 0));
    }
}
