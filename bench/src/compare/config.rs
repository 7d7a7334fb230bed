//! Configurations of the peers: each as its makers would set it up for this work on one core, with
//! access logs off, keep-alive on both sides, and buffers large enough for the bodies of the bench.

use super::peer::Addresses;
use crate::sys;
use std::net::SocketAddr;
use std::path::Path;

/// ringgate: one worker, and room for the streams of `bench footprint`; the rest as it is by default.
pub fn ringgate(addresses: &Addresses, upstream: &str) -> String {
    let Addresses { proxy, admin, .. } = addresses;
    format!(
        "workers: 1
listeners: [{{ address: \"{proxy}\" }}]
admin: {{ address: \"{admin}\" }}
limits: {{ upstream_connections_max: 16000 }}
servers: [{{ name: bench, url: \"{upstream}\" }}]
"
    )
}

/// nginx: one worker. `upstream` is an address or `unix:/path`.
pub fn nginx(listen: SocketAddr, upstream: &str, directory: &Path) -> String {
    let dir = directory.display();
    // Without it root's nginx serves as nobody, who may not write to the directory.
    let user = if sys::is_root() { "user root;" } else { "" };
    format!(
        "{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {dir}; proxy_temp_path {dir};
  fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  tcp_nodelay on;
  client_body_buffer_size 256k;
  client_max_body_size 4m;
  upstream mock {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen {listen} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_read_timeout 3600s;
    }}
  }}
}}
"
    )
}

/// HAProxy: one thread, `mode` tcp or http.
///
/// It refuses to start with a `maxconn` of more connections than there are descriptors for.
pub fn haproxy(listen: SocketAddr, upstream: &str, mode: &str) -> String {
    let connections = (sys::raise_open_files().saturating_sub(200) / 2).clamp(100, 60_000);
    let reuse = if mode == "http" { "http-reuse always" } else { "" };
    format!(
        "global
  nbthread 1
  maxconn {connections}
defaults
  mode {mode}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend front
  bind {listen} backlog 4096
  default_backend mock
backend mock
  {reuse}
  server mock {upstream}
"
    )
}

/// Envoy: a listener, the router, one static cluster.
pub fn envoy(addresses: &Addresses) -> String {
    let Addresses { upstream, proxy, .. } = addresses;
    let socket = |address: &SocketAddr| {
        format!("{{ socket_address: {{ address: {}, port_value: {} }} }}", address.ip(), address.port())
    };
    let (proxy, upstream) = (socket(proxy), socket(upstream));
    format!(
        r#"static_resources:
  listeners:
  - name: front
    address: {proxy}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: HTTP1
          generate_request_id: false
          route_config:
            name: all
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: mock, timeout: 0s }} }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
  - name: mock
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{{ max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 }}]
    load_assignment:
      cluster_name: mock
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {upstream} }} }}] }}]
"#
    )
}

/// mcp-proxy: one HTTP backend, everything optional off.
pub fn mcp_proxy(addresses: &Addresses) -> String {
    let Addresses { upstream, proxy, .. } = addresses;
    let (host, port) = (proxy.ip(), proxy.port());
    format!(
        r#"[proxy]
name = "bench"

[proxy.listen]
host = "{host}"
port = {port}

[[backends]]
name = "bench"
transport = "http"
url = "http://{upstream}/mcp"

[observability]
audit = false
log_level = "warn"
"#
    )
}
