//! The agent that all threads share, and whom it trusts.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector};

use super::socket::Opener;

/// Where systems keep the certificates that they trust.
const SYSTEM_CERTIFICATES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How many idle connections are kept, in all and to one server.
const KEPT: usize = 64;
const KEPT_TO_ONE: usize = 32;

/// The agent of this process.
pub fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT_TO_ONE)
            .user_agent(concat!("orch/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(trusted()).build())
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default()).chain(Opener::default()).chain(RustlsConnector::default());
        Agent::with_parts(config, connector, DefaultResolver::default())
    })
}

/// The file that SSL_CERT_FILE names, else the system's; where there is none, Mozilla's list, which is part of orch.
fn trusted() -> RootCerts {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let files = named.map_or_else(|| SYSTEM_CERTIFICATES.iter().map(PathBuf::from).collect(), |file| vec![file]);
    for file in files {
        let Ok(text) = fs::read(file) else {
            continue;
        };
        let certificates: Vec<_> = parse_pem(&text)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if !certificates.is_empty() {
            return RootCerts::new_with_certs(&certificates);
        }
    }
    RootCerts::WebPki
}
