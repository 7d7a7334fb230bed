//! What a configuration refers to, tried out: servers, the keys of issuers, certificates, descriptors. Nothing is sent to a
//! server but a TLS handshake.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::facts::Plan;
use super::report::{Finding, Level};
use crate::config::check;
use crate::config::snapshot::{Address as Configured, Driver, Endpoint, Server, Snapshot, Workers};
use crate::control::{deploy::deploy, keys};
use crate::io::tls::TlsClient;
use crate::io::{Address, Net, process, tls, uring::UringNet};
use crate::link::Deployment;
use crate::policy::authn::KeySource;
use crate::server::runtime::event_loop;

/// A try of a server takes at most so long, whatever its `timeouts.connect`.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether all tries have ended.
const LOOK: Duration = Duration::from_millis(10);

/// The workers that the configuration plans, and what was found. Without a configuration nothing is tried.
///
/// # Errors
/// The configuration is not good, in words.
pub fn findings(config: Option<&Path>, wall: u64) -> Result<(Plan, Vec<Finding>), String> {
    let Some(path) = config else { return Ok((Plan::Auto, Vec::new())) };
    let snapshot = check::load(path, 1).map_err(|findings| findings.to_string())?;
    let plan = match &snapshot.workers {
        Workers::Auto => Plan::Auto,
        Workers::Count(count) => Plan::Count(usize::from(count.get())),
        Workers::Cpus(cpus) => Plan::Cpus(cpus.iter().map(|&cpu| usize::from(cpu)).collect()),
    };
    let deployment = deploy(snapshot, None)?;
    let mut all = servers(&deployment)?;
    all.extend(issuers(&deployment.snapshot));
    all.extend(certificates(&deployment.snapshot, wall));
    all.push(descriptors(&deployment.snapshot, &plan));
    let warnings = check::warnings(&deployment.snapshot, wall);
    all.extend(warnings.into_iter().map(|warning| Finding::new(Level::Warn, "configuration", warning)));
    Ok((plan, all))
}

/// Connects to each endpoint, all at the same time.
fn servers(deployment: &Deployment) -> Result<Vec<Finding>, String> {
    let explain = |error: &dyn Display| format!("the servers cannot be tried: {error}");
    let (event_loop, _) = event_loop(Driver::Epoll).map_err(|error| explain(&error))?;
    let net: Rc<dyn Net> = Rc::new(UringNet::new(Instant::now()));
    event_loop.block_on(async {
        let done: Rc<RefCell<Vec<(usize, Finding)>>> = Rc::default();
        let mut count = 0;
        for server in &deployment.snapshot.servers {
            for endpoint in &server.endpoints {
                let found = try_endpoint(deployment, server, endpoint, net.clone());
                let (done, at) = (done.clone(), count);
                net.spawn(Box::pin(async move {
                    let finding = found.await;
                    done.borrow_mut().push((at, finding));
                }));
                count += 1;
            }
        }
        while done.borrow().len() < count {
            net.sleep(LOOK).await;
        }
        let mut all = std::mem::take(&mut *done.borrow_mut());
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, finding)| finding).collect())
    })
}

/// Connects to one endpoint, and speaks TLS where it is to be spoken.
fn try_endpoint(
    deployment: &Deployment,
    server: &Server,
    endpoint: &Endpoint,
    net: Rc<dyn Net>,
) -> impl Future<Output = Finding> + 'static {
    let at = usize::from(endpoint.id.0);
    let addresses: Vec<Address> = match &endpoint.address {
        Configured::Unix(path) => vec![Address::Unix(path.clone())],
        Configured::Tcp { .. } => {
            deployment.addresses.get(at).into_iter().flatten().copied().map(Address::Tcp).collect()
        }
    };
    let client = deployment.endpoint_tls.get(at).cloned().flatten();
    let set_up = client.zip(endpoint.tls.as_ref().map(|tls| tls.server_name.clone()));
    let name = format!("{} at {}", server.name, endpoint.authority);
    let patience = server.timeouts.connect.min(PATIENCE);
    async move {
        let fail = |what: String, fix: &str| {
            Finding::new(Level::Fail, "server", format!("{name}: {what}"))
                .cost("calls of it get 502 or 504")
                .fix(fix)
        };
        if addresses.is_empty() {
            return fail("its name does not resolve".into(), "mend the name in `url`, or DNS");
        }
        let connecting = async {
            let mut how = String::new();
            for address in &addresses {
                how = try_address(&*net, address, set_up.as_ref()).await?;
            }
            Ok(how)
        };
        let (mut connecting, mut end) = (pin!(connecting), net.sleep(patience));
        let connected = poll_fn(|cx| match connecting.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => end.as_mut().poll(cx).map(|()| None),
        });
        match connected.await {
            Some(Ok(how)) => Finding::new(Level::Ok, "server", format!("{name}: connects{how}")),
            Some(Err((what, fix))) => fail(what, fix),
            None => fail(
                format!("no connection within {patience:?}"),
                "a firewall, a host that is down, or a server that accepts nobody",
            ),
        }
    }
}

/// Connects to one address, and says how; or what is wrong, and what to do.
async fn try_address(
    net: &dyn Net,
    address: &Address,
    set_up: Option<&(TlsClient, Box<str>)>,
) -> Result<String, (String, &'static str)> {
    let at = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => path.display().to_string(),
    };
    let conn = net
        .dial(address)
        .await
        .map_err(|error| (format!("{at}: {error}"), "is it up, and is its `url` right?"))?;
    let Some((client, server_name)) = set_up else { return Ok(String::new()) };
    let (_, info) = tls::connect(client, conn, server_name).await.map_err(|error| {
        (
            format!("{at}: {error}"),
            "see `tls.ca` and `tls.server_name`, and what the server's certificate is for",
        )
    })?;
    Ok(format!(", {} {}", info.version, info.cipher))
}

/// Fetches the keys of each issuer once.
fn issuers(snapshot: &Snapshot) -> Vec<Finding> {
    let issuers = snapshot.authn.iter().flat_map(|authn| &authn.issuers);
    let fetched = issuers.filter(|issuer| !matches!(issuer.source, KeySource::Given(_)));
    fetched
        .map(|issuer| match keys::fetch_once(snapshot, issuer) {
            Ok(keys) => {
                let dropped = keys.dropped();
                let level = if dropped.is_usual() { Level::Ok } else { Level::Note };
                let unused =
                    if dropped.is_usual() { String::new() } else { format!("; keys are not used: {dropped}") };
                Finding::new(level, "issuer", format!("{}: its keys were fetched{unused}", issuer.name))
            }
            Err(fault) => Finding::new(Level::Fail, "issuer", format!("{}: {fault}", issuer.name))
                .cost("its tokens cannot be verified: 503")
                .fix("see that this host reaches it, `outbound` and `ca`, and that the issuer is spelled as in `iss`"),
        })
        .collect()
}

/// When the certificates of listeners end, that have not ended nearly: of the others `check` warns.
fn certificates(snapshot: &Snapshot, wall: u64) -> impl Iterator<Item = Finding> {
    let listeners = snapshot.listeners.iter().enumerate();
    listeners.flat_map(move |(index, listener)| {
        let identities = listener.tls.iter().flat_map(|tls| &tls.identities);
        let days =
            identities.filter_map(|own| own.ends?.checked_sub(wall)).map(|left| left / (24 * 60 * 60)).min();
        days.map(|days| {
            Finding::new(
                Level::Ok,
                "certificate",
                format!("of listeners[{index}]: good for {days} days more"),
            )
        })
    })
}

/// Descriptors against the connections that may come.
fn descriptors(snapshot: &Snapshot, plan: &Plan) -> Finding {
    let workers = match plan {
        Plan::Auto => std::thread::available_parallelism().map_or(1, usize::from),
        Plan::Count(count) => *count,
        Plan::Cpus(cpus) => cpus.len(),
    };
    let clients = snapshot.limits.connections_max.saturating_mul(workers);
    let Some(descriptors) = process::raise_descriptors() else {
        return Finding::new(Level::Note, "descriptors", "the kernel does not say how many there are");
    };
    let room = descriptors / 4 * 3;
    let what =
        format!("{descriptors}, of which clients get {room}; limits.connections_max permits {clients}");
    if room >= clients as u64 {
        return Finding::new(Level::Ok, "descriptors", what);
    }
    Finding::new(Level::Warn, "descriptors", what)
        .cost("connections past that get 503")
        .fix("LimitNOFILE=1048576 in the unit, or a lower `limits.connections_max`")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The findings of a configuration with this text, as `topic: what`.
    fn found(text: &str) -> Vec<(Level, String)> {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("ringgate-tries-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("f.yaml");
        std::fs::write(&path, text).unwrap();
        let found = findings(Some(&path), 1_800_000_000);
        std::fs::remove_dir_all(&directory).unwrap();
        found.unwrap().1.into_iter().map(|one| (one.level, format!("{}: {}", one.topic, one.what))).collect()
    }

    #[test]
    fn each_server_is_tried_and_said_of() {
        let up = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = up.local_addr().unwrap().port();
        let text = format!(
            "servers:\n- {{name: up, url: 'http://127.0.0.1:{port}/mcp'}}\n- {{name: down, url: 'http://127.0.0.1:1/mcp'}}\n\
             - {{name: lost, url: 'http://name.invalid/mcp'}}\n- {{name: gone, url: 'unix:/nonexistent/s'}}\n\
             - {{name: plain, url: 'https://127.0.0.1:{port}/mcp', timeouts: {{connect: 200ms}}}}\n"
        );
        let found = found(&text);
        let levels: Vec<Level> = found.iter().take(5).map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::Ok, Level::Fail, Level::Fail, Level::Fail, Level::Fail], "{found:?}");
        assert!(found[0].1.starts_with("server: up at 127.0.0.1"), "{found:?}");
        assert!(found[2].1.contains("does not resolve"), "{found:?}");
        assert!(found[4].1.contains("no connection within 200ms"), "{found:?}");
        assert!(found.iter().any(|(_, what)| what.starts_with("descriptors: ")), "{found:?}");
    }

    #[test]
    fn an_issuer_whose_keys_cannot_be_fetched_fails() {
        let found = found(
            "public_url: http://127.0.0.1:8080\nservers: [{name: a, url: 'http://127.0.0.1:1/'}]\n\
             outbound: {allow_http: true, allow_private: true, timeout: 200ms}\n\
             authentication: {issuers: [{issuer: 'http://127.0.0.1:1/realm'}]}\n",
        );
        let issuer =
            found.iter().find(|(_, what)| what.starts_with("issuer: http://127.0.0.1:1/realm")).unwrap();
        assert_eq!(issuer.0, Level::Fail);
    }

    #[test]
    fn a_configuration_that_is_not_good_is_told() {
        assert!(findings(Some(Path::new("/nonexistent.yaml")), 0).is_err());
        assert_eq!(findings(None, 0).unwrap().1.len(), 0);
    }
}
