//! What settings name: targets that an agent may be aimed at, and forms and names of reports.

use super::error::Reason;
use drumfire_protocols::{AllowedHost, AllowedTarget, Origin};
use std::net::IpAddr;

/// Reads `host`, `host:port`, an address or a network such as `10.0.0.0/8`; IPv6 with a port stands in brackets.
///
/// # Errors
/// It is none of these.
pub fn allowed_target(text: &str) -> Result<AllowedTarget, Reason> {
    let wrong = || {
        Reason::hint(
            format!("'{text}' is no target"),
            "a target is a host, host:port, an address, or a network such as 10.0.0.0/8",
        )
    };
    if let Some((address, bits)) = text.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix_bits: u8 = bits.parse().map_err(|_| wrong())?;
        return match prefix_bits <= bits_of(address) {
            true => Ok(network(address, prefix_bits, None)),
            false => Err(wrong()),
        };
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(network(address, bits_of(address), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port_of(port).ok_or_else(wrong)?)),
        None => (text, None),
    };
    // A host is what it is in a URL: one spelling of letters, one of addresses.
    match Origin::parse(&format!("http://{host}")) {
        Ok(origin) if is_host(host) => Ok(match origin.ip() {
            Some(address) => network(address, bits_of(address), port),
            None => AllowedTarget {
                host: AllowedHost::Named(origin.host().to_owned()),
                port,
            },
        }),
        _ => Err(wrong()),
    }
}

fn network(address: IpAddr, prefix_bits: u8, port: Option<u16>) -> AllowedTarget {
    AllowedTarget {
        host: AllowedHost::Network {
            address,
            prefix_bits,
        },
        port,
    }
}

fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Whether a text is a name or an address in brackets, and no more of a URL.
fn is_host(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    bare.is_some() || text.chars().all(is_letter)
}

/// Whether a text names a file without a folder.
pub fn is_file_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && !text.contains(['/', '\\'])
        && !text.chars().any(char::is_control)
}

/// A form of the reports in the report folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// The whole result.
    Json,
    /// A page with charts.
    Html,
    /// Timeline and endpoints.
    Csv,
    /// Checks and errors.
    Junit,
    /// Artillery's JSON.
    Artillery,
}

impl ReportFormat {
    /// All, in the order of their names.
    const ALL: [ReportFormat; 5] = [
        ReportFormat::Json,
        ReportFormat::Html,
        ReportFormat::Csv,
        ReportFormat::Junit,
        ReportFormat::Artillery,
    ];
    /// What they are called.
    pub const NAMES: [&str; 5] = ["json", "html", "csv", "junit", "artillery"];

    /// The form of this name.
    pub fn named(name: &str) -> Option<Self> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        Some(Self::ALL[index])
    }
}

/// What the names of files begin with; `{time}` in it stands for when the run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportName(String);

impl ReportName {
    /// This pattern.
    pub fn new(pattern: String) -> Self {
        ReportName(pattern)
    }

    /// The beginning of names of a run that began at `began`.
    pub fn at(&self, began: &jiff::Zoned) -> String {
        let time = began.strftime("%Y%m%d_%H%M%S").to_string();
        self.0.replace("{time}", &time)
    }
}
