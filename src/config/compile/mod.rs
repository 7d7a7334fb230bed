//! From the configuration as written to the one that runs. What only several options together can get
//! wrong, and what they refer to, is checked here; every step notes its findings and goes on.

use std::path::Path;

use super::file::{File, LimitsSection, ServerSection, TimeoutsSection};
use super::snapshot::{
    Admin, Drain, Limits, ListenAddress, Listener, Log, RouteTable, Server, Snapshot, Timeouts,
};
use crate::schema::finding::{At, Findings};
use crate::schema::world::{Recording, World};

mod access;
mod adaptive;
mod authentication;
mod credentials;
mod grant;
mod listeners;
mod material;
mod memory;
mod origins;
mod outbound;
mod passing;
mod protection;
mod rate_limits;
mod servers;
mod session_key;
mod state;

/// What compiling needs besides the file itself.
pub struct Context<'a> {
    /// Where references lead.
    pub world: &'a dyn World,
    /// What relative file names are relative to.
    pub directory: &'a Path,
}

/// Compiles `file`. The snapshot is whole only if there are no findings.
pub fn compile(file: &File, generation: u64, context: &Context<'_>, findings: &mut Findings) -> Snapshot {
    // Not among the files that are watched: what is read for it is the system's.
    let bodies_bytes_max = memory::bodies_bytes_max(&file.limits.value, context.world, findings);
    let recording = Recording::of(context.world);
    let context = &Context { world: &recording, directory: context.directory };
    let listeners = listeners::compile(file, context, findings);
    let timeouts = timeouts(&file.timeouts.value);
    let origin = protection::origin(file, &listeners);
    let mut servers = servers::compile(file, &timeouts, origin.as_deref(), context, findings);
    check_loops(file, &listeners, &servers, findings);
    let (origins, hosts) = origins::compile(file, &listeners, findings);
    let authn = authentication::compile(file, context, findings);
    let access = access::compile(file, &servers, context, findings);
    protection::check_names(file, &servers, &access, findings);
    adaptive::check_workers(file, findings);
    protection::publish(&mut servers, authn.as_ref(), &access, origin.as_deref());
    Snapshot {
        generation,
        admin: admin(file, &listeners, findings),
        workers: file.workers.value.clone(),
        placement: file.placement.value,
        driver: file.driver.value,
        public_url: file.public_url.as_ref().map(|url| url.value.serialize().into()),
        core_files: file.core_files.value,
        log: Log { format: file.log.value.format.value, level: file.log.value.level.value },
        limits: Limits { bodies_bytes_max, ..limits(&file.limits.value, findings) },
        timeouts,
        drain: Drain { announce: file.drain.value.announce.value },
        origins,
        hosts,
        routes: RouteTable::new(&servers),
        authn,
        access,
        priorities: adaptive::priorities(file, findings),
        outbound: outbound::compile(file, context, findings),
        rate_limits: rate_limits::compile(file, &servers, findings),
        signer: credentials::signer(file, context, findings),
        session_key: session_key::compile(file, context, findings),
        state: state::compile(file, &listeners, context),
        trust: recording.trust(),
        open_secrets: recording.open_secrets(),
        files: recording.files(),
        listeners: listeners.into(),
        servers: servers.into(),
    }
}

fn admin(file: &File, listeners: &[Listener], findings: &mut Findings) -> Admin {
    let section = &file.admin.value;
    let At { value: address, place } = &section.address;
    if let Some(address) = address {
        if !address.ip().is_loopback() && !section.allow_remote.value {
            let fix = "use 127.0.0.1, or permit it with `allow_remote: true` behind a firewall";
            findings.add(place, "can be reached from other machines", fix);
        }
        if let Some(index) =
            listeners.iter().position(|listener| listener.address == ListenAddress::Tcp(*address))
        {
            findings.add(place, format!("is also the address of listeners[{index}]"), "choose another port");
        }
    }
    Admin { address: *address }
}

fn limits(section: &LimitsSection, findings: &mut Findings) -> Limits {
    if section.upstream_idle_max.value > section.upstream_connections_max.value {
        let fix = "make it at most `upstream_connections_max`";
        findings.add(&section.upstream_idle_max.place, "is more than there may be connections", fix);
    }
    if section.uri_bytes_max.value > section.head_bytes_max.value {
        findings.add(
            &section.uri_bytes_max.place,
            "is more than a whole head may have",
            "make it at most `head_bytes_max`",
        );
    }
    Limits {
        head_bytes_max: section.head_bytes_max.value,
        headers_max: section.headers_max.value,
        uri_bytes_max: section.uri_bytes_max.value,
        body_bytes_max: section.body_bytes_max.value,
        bodies_bytes_max: usize::MAX,
        json_depth_max: section.json_depth_max.value,
        batch_max: section.batch_max.value,
        connections_max: section.connections_max.value,
        connections_per_source_max: section.connections_per_source_max.as_ref().map(|most| most.value),
        upstream_connections_max: section.upstream_connections_max.value,
        upstream_idle_max: section.upstream_idle_max.value,
        response_head_bytes_max: section.response_head_bytes_max.value,
        sse_event_bytes_max: section.sse_event_bytes_max.value,
        list_bytes_max: section.list_bytes_max.value,
        expression_steps_max: section.expression_steps_max.value,
        list_items_max: section.list_items_max.value,
        list_steps_max: section.list_steps_max.value,
        list_ttl_max: section.list_ttl_max.value,
        credentials_bytes_max: section.credentials_bytes_max.value,
    }
}

fn timeouts(section: &TimeoutsSection) -> Timeouts {
    Timeouts {
        head: section.head.value,
        body: section.body.value,
        first_request: section.first_request.value.min(section.keep_alive.value),
        keep_alive: section.keep_alive.value,
        connect: section.connect.value,
        first_byte: section.first_byte.value,
        stream_idle: section.stream_idle.value,
        call: section.call.value,
        abandoned: section.abandoned.value,
        write: section.write.value,
        upstream_idle: section.upstream_idle.value,
        upstream_max_age: section.upstream_max_age.value,
        drain: section.drain.value,
    }
}

/// Notes endpoints that are this gateway: each request to them would come back.
fn check_loops(file: &File, listeners: &[Listener], servers: &[Server], findings: &mut Findings) {
    use super::snapshot::Address;
    let listens_at = |address: &Address| {
        listeners.iter().position(|listener| match (&listener.address, address) {
            (ListenAddress::Unix { path, .. }, Address::Unix(socket)) => path == socket,
            (ListenAddress::Tcp(ours), Address::Tcp { host, port }) => {
                let host = if &**host == "localhost" { "127.0.0.1" } else { host };
                let same = host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip == ours.ip() || (ip.is_loopback() && ours.ip().is_unspecified()));
                ours.port() == *port && same
            }
            (ListenAddress::Unix { .. }, Address::Tcp { .. }) | (ListenAddress::Tcp(_), Address::Unix(_)) => {
                false
            }
        })
    };
    for server in servers {
        let looping = server.endpoints.iter().find_map(|endpoint| listens_at(&endpoint.address));
        let Some(index) = looping else { continue };
        let is_it = |section: &&At<ServerSection>| {
            section.value.name.as_ref().is_some_and(|name| *name.value == *server.name)
        };
        if let Some(section) = file.servers.iter().flat_map(|list| &list.value).find(is_it) {
            let what = format!("has an endpoint that is this gateway's own listeners[{index}]");
            findings.add(
                &section.place,
                what,
                "give the address of the MCP server itself, or move the listener",
            );
        }
    }
}
