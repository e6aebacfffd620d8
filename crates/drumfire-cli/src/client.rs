//! How a script's requests reach their target: its `config.http` and
//! `config.tls` as settings of the protocol clients.

use crate::args::LoadArguments;
use drumfire_artillery::script::{Script, Step, StepKind, TlsConfig};
use drumfire_protocols::{ClientConfig, ClientIdentity, Http2, Tls, TlsError, TlsOptions};

/// Clients for `script`.
///
/// # Errors
/// A certificate or key of the script is none.
pub fn config(
    script: &Script,
    load: &LoadArguments,
    http2: Http2,
) -> Result<ClientConfig, TlsError> {
    let http = &script.config.http;
    Ok(ClientConfig {
        tls: Tls::new(&tls(&script.config.tls))?,
        user_sockets: http.max_sockets as usize,
        pool_sockets: http.pool.map(|sockets| sockets as usize),
        local_ips: load.local_ip.clone(),
        http2,
        ..ClientConfig::default()
    })
}

/// HTTP/2 when the command line or one request of the script asks for it.
pub fn http2_of(script: &Script, asked: bool) -> Http2 {
    let target = script.config.target.as_deref().unwrap_or_default();
    let by_script = || {
        script
            .scenarios
            .iter()
            .any(|scenario| any_http2(&scenario.flow))
    };
    match asked {
        true => http2_to(target),
        false if by_script() => Http2::Alpn,
        false => Http2::Off,
    }
}

/// Over TLS the target is asked whether it speaks HTTP/2; over plain TCP there
/// is no way to ask.
pub fn http2_to(url: &str) -> Http2 {
    match url.starts_with("http://") {
        true => Http2::PriorKnowledge,
        false => Http2::Alpn,
    }
}

fn any_http2(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.kind {
        StepKind::Request(request) => request.http2,
        StepKind::Loop(spec) => any_http2(&spec.steps),
        StepKind::Parallel(spec) => any_http2(&spec.steps),
        StepKind::Think(_) | StepKind::Log(_) => false,
    })
}

fn tls(config: &TlsConfig) -> TlsOptions {
    let identity = config.cert.as_ref().zip(config.key.as_ref());
    TlsOptions {
        ca: config
            .ca
            .iter()
            .map(|pem| pem.as_bytes().to_vec())
            .collect(),
        client: identity.map(|(chain, key)| ClientIdentity {
            chain: chain.as_bytes().to_vec(),
            key: key.as_bytes().to_vec(),
        }),
        insecure: config.insecure,
        server_name: config.server_name.clone(),
        ..TlsOptions::default()
    }
}
