//! What `drumfire target` can be asked for.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::delay::Delay;
use crate::faults::{StallSchedule, parse_rate};

/// The options of the sample service; a command line flattens them.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetOptions {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Serve HTTPS (HTTP/1.1 and HTTP/2 by ALPN) with a self-made certificate for localhost
    #[arg(long)]
    pub tls: bool,

    /// Serve HTTPS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Ask clients for a certificate signed by this authority (PEM); implies --tls
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Write the authority of the self-made certificate here (PEM), for clients to trust
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    pub tls_write_ca: Option<PathBuf>,

    /// Stall all answers on a schedule counted from the start, as STALL/PERIOD (1s/5s)
    #[arg(long, value_name = "STALL/PERIOD")]
    pub stall: Option<StallSchedule>,

    /// Hold every answer back: fixed:100ms, uniform:10ms..50ms, normal:100ms,20ms,
    /// exponential:50ms or lognormal:50ms,0.5
    #[arg(long, value_name = "SPEC")]
    pub delay: Option<Delay>,

    /// Answer this part of the requests with status 500
    #[arg(long, value_name = "0..1", default_value = "0", value_parser = parse_rate)]
    pub error_rate: f64,

    /// Reset the connection instead of answering this part of the requests
    #[arg(long, value_name = "0..1", default_value = "0", value_parser = parse_rate)]
    pub reset_rate: f64,

    /// Threads that serve; all cores unless said otherwise (one with --fast)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// Seed of everything that happens by chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Answer every request with one prepared response, as cheaply as can be (HTTP/1.1 GET only,
    /// no routes but /stats and /stats/reset)
    #[arg(
        long,
        conflicts_with_all = ["tls", "tls_cert", "tls_key", "tls_client_ca", "tls_write_ca", "stall", "delay", "error_rate", "reset_rate"]
    )]
    pub fast: bool,

    /// Size of the body that --fast answers with
    #[arg(long, value_name = "BYTES", default_value_t = 27, requires = "fast",
          value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub fast_body_bytes: u32,
}

impl Default for TargetOptions {
    /// What an empty command line gives.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: false,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_write_ca: None,
            stall: None,
            delay: None,
            error_rate: 0.0,
            reset_rate: 0.0,
            workers: None,
            seed: 1,
            fast: false,
            fast_body_bytes: 27,
        }
    }
}

impl TargetOptions {
    /// Whether any option asks for HTTPS.
    pub fn wants_tls(&self) -> bool {
        self.tls
            || self.tls_cert.is_some()
            || self.tls_client_ca.is_some()
            || self.tls_write_ca.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        options: TargetOptions,
    }

    #[test]
    fn an_empty_command_line_is_the_default() {
        let parsed = Command::parse_from(["target"]).options;
        assert_eq!(
            format!("{parsed:?}"),
            format!("{:?}", TargetOptions::default())
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let table: [&[&str]; 6] = [
            &["--fast", "--tls"],
            &["--fast", "--stall", "1s/5s"],
            &["--tls-cert", "a.pem"],
            &["--fast-body-bytes", "5"],
            &["--error-rate", "2"],
            &["--workers", "0"],
        ];
        for arguments in table {
            let line = ["target"].iter().chain(arguments);
            assert!(Command::try_parse_from(line).is_err(), "{arguments:?}");
        }
    }
}
