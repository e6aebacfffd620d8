//! Control messages as JSON that a person can read: `{"v":1,"kind":"heartbeat","body":{…}}`.
//!
//! The version rule: a reader takes version 1 alone and refuses any other by name. Within a version fields may be
//! added, which older readers pass over; whatever changes the meaning of a field raises the version.
//! The structs in here are the format; the machines' own types may change without it.

mod command;
mod directive;
mod fact;
mod heartbeat;
mod invitation;
mod latest;
mod lease;

use crate::lease::Lease;
use crate::member::{Digest, Member};
use crate::messages::{Command, Directive, Heartbeat, Invitation, Reply};
use crate::record::{Fact, LatestRun};
use crate::signing;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of all control messages.
pub const WIRE_VERSION: u32 = 1;

/// The largest control message, in bytes: a directive with many epochs of many weights.
pub const MAX_MESSAGE_BYTES: usize = 1_000_000;

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not JSON, or not with the fields of its kind.
    #[error("read a {kind}")]
    Json {
        /// What was expected.
        kind: &'static str,
        /// Where and what.
        #[source]
        error: serde_json::Error,
    },
    /// Of a version that is not known here.
    #[error(
        "read a {kind}: version {found} is unknown, this is version {WIRE_VERSION}\nhint: run the same version of drumfire everywhere"
    )]
    Version {
        /// What was expected.
        kind: &'static str,
        /// Its version.
        found: u32,
    },
    /// Another kind of message.
    #[error("read a {kind}: it is a {found}")]
    Kind {
        /// What was expected.
        kind: &'static str,
        /// What it is.
        found: String,
    },
    /// A field whose value cannot be.
    #[error("read a {kind}: {field} cannot be {found}")]
    Value {
        /// What was expected.
        kind: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
    },
    /// More than [`MAX_MESSAGE_BYTES`].
    #[error("read a {kind}: {bytes} bytes are more than {MAX_MESSAGE_BYTES}")]
    TooLarge {
        /// What was expected.
        kind: &'static str,
        /// Its size.
        bytes: usize,
    },
}

/// An invitation as JSON.
pub fn write_invitation(invitation: &Invitation) -> Vec<u8> {
    write("invitation", invitation::Body::from(invitation))
}

/// Reads [`write_invitation`].
///
/// # Errors
/// When it is not an invitation of this version.
pub fn read_invitation(bytes: &[u8]) -> Result<Invitation, WireError> {
    Ok(read::<invitation::Body>("invitation", bytes)?.into())
}

/// A heartbeat as JSON.
pub fn write_heartbeat(heartbeat: &Heartbeat) -> Vec<u8> {
    write("heartbeat", heartbeat::Body::from(heartbeat))
}

/// Reads [`write_heartbeat`].
///
/// # Errors
/// When it is not a heartbeat of this version.
pub fn read_heartbeat(bytes: &[u8]) -> Result<Heartbeat, WireError> {
    Ok(read::<heartbeat::Body>("heartbeat", bytes)?.into())
}

/// A directive as JSON.
pub fn write_directive(directive: &Directive) -> Vec<u8> {
    write("directive", directive::Body::from(directive))
}

/// Reads [`write_directive`].
///
/// # Errors
/// When it is not a directive of this version, or a value in it cannot be.
pub fn read_directive(bytes: &[u8]) -> Result<Directive, WireError> {
    read::<directive::Body>("directive", bytes)?.into_directive()
}

/// A command as JSON.
pub fn write_command(command: &Command) -> Vec<u8> {
    write("command", command::CommandBody::from(command))
}

/// Reads [`write_command`].
///
/// # Errors
/// When it is not a command of this version.
pub fn read_command(bytes: &[u8]) -> Result<Command, WireError> {
    Ok(read::<command::CommandBody>("command", bytes)?.into())
}

/// A reply as JSON.
pub fn write_reply(reply: &Reply) -> Vec<u8> {
    write("reply", command::ReplyBody::from(reply))
}

/// Reads [`write_reply`].
///
/// # Errors
/// When it is not a reply of this version, or a value in it cannot be.
pub fn read_reply(bytes: &[u8]) -> Result<Reply, WireError> {
    read::<command::ReplyBody>("reply", bytes)?.into_reply()
}

/// A fact as JSON; none for a snapshot, which is binary and kept elsewhere.
pub fn write_fact(fact: &Fact) -> Option<Vec<u8>> {
    Some(write("fact", fact::Body::of(fact)?))
}

/// Reads [`write_fact`].
///
/// # Errors
/// When it is not a fact of this version.
pub fn read_fact(bytes: &[u8]) -> Result<Fact, WireError> {
    Ok(read::<fact::Body>("fact", bytes)?.into())
}

/// The latest run as JSON.
pub fn write_latest_run(latest: &LatestRun) -> Vec<u8> {
    write("latest run", latest::Body::from(latest))
}

/// Reads [`write_latest_run`].
///
/// # Errors
/// When it is not a latest run of this version, or its digest cannot be.
pub fn read_latest_run(bytes: &[u8]) -> Result<LatestRun, WireError> {
    read::<latest::Body>("latest run", bytes)?.into_latest()
}

/// A lease as JSON.
pub(crate) fn write_lease(lease: Lease) -> Vec<u8> {
    write("lease", lease::Body::from(lease))
}

/// Reads [`write_lease`].
///
/// # Errors
/// When it is not a lease of this version.
pub(crate) fn read_lease(bytes: &[u8]) -> Result<Lease, WireError> {
    Ok(read::<lease::Body>("lease", bytes)?.into())
}

#[derive(Serialize)]
struct Written<B> {
    v: u32,
    kind: &'static str,
    body: B,
}

#[derive(Deserialize)]
struct Tag {
    v: u32,
    kind: String,
}

#[derive(Deserialize)]
struct Read<B> {
    body: B,
}

fn write(kind: &'static str, body: impl Serialize) -> Vec<u8> {
    let v = WIRE_VERSION;
    serde_json::to_vec(&Written { v, kind, body })
        .expect("maps have text for keys and numbers are finite")
}

fn read<B: DeserializeOwned>(kind: &'static str, bytes: &[u8]) -> Result<B, WireError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        let bytes = bytes.len();
        return Err(WireError::TooLarge { kind, bytes });
    }
    let json = |error| WireError::Json { kind, error };
    let tag: Tag = serde_json::from_slice(bytes).map_err(json)?;
    if tag.v != WIRE_VERSION {
        let found = tag.v;
        return Err(WireError::Version { kind, found });
    }
    if tag.kind != kind {
        let found = tag.kind;
        return Err(WireError::Kind { kind, found });
    }
    Ok(serde_json::from_slice::<Read<B>>(bytes).map_err(json)?.body)
}

/// A member: its agent's name and its incarnation.
#[derive(Serialize, Deserialize)]
struct WireMember {
    agent: String,
    incarnation: u64,
}

impl From<&Member> for WireMember {
    fn from(member: &Member) -> Self {
        Self {
            agent: member.agent.to_string(),
            incarnation: member.incarnation,
        }
    }
}

impl From<WireMember> for Member {
    fn from(member: WireMember) -> Self {
        Self::new(&member.agent, member.incarnation)
    }
}

fn read_digest(kind: &'static str, field: &'static str, text: &str) -> Result<Digest, WireError> {
    let bytes = signing::bytes(text).and_then(|bytes| bytes.try_into().ok());
    bytes.map(Digest).ok_or_else(|| WireError::Value {
        kind,
        field,
        found: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (text, message) in [
            (
                "{\"v\":2,\"kind\":\"command\",\"body\":{}}",
                "read a command: version 2 is unknown, this is version 1\nhint: run the same version of drumfire everywhere",
            ),
            (
                "{\"v\":1,\"kind\":\"reply\",\"body\":{}}",
                "read a command: it is a reply",
            ),
            (
                "{\"v\":1,\"kind\":\"command\",\"body\":{\"do\":\"dance\"}}",
                "read a command: unknown variant `dance`, expected one of `stop`, `resume`, `scale`, `status` at line 1 column 44",
            ),
            (
                "{\"kind\":\"command\"}",
                "read a command: missing field `v` at line 1 column 18",
            ),
            ("stop", "read a command: expected value at line 1 column 1"),
        ] {
            let error = read_command(text.as_bytes()).expect_err("not a command");
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            let found = format!("{error}{}", source.unwrap_or_default());
            assert_eq!(found, message);
        }
        let large = vec![b' '; MAX_MESSAGE_BYTES + 1];
        assert!(matches!(
            read_command(&large),
            Err(WireError::TooLarge { .. })
        ));
    }

    #[test]
    fn commands_are_plain_to_read() {
        for (command, text) in [
            (
                Command::Stop {
                    reason: "enough".to_owned(),
                },
                r#"{"do":"stop","reason":"enough"}"#,
            ),
            (Command::Resume, r#"{"do":"resume"}"#),
            (
                Command::Scale { permille: 1_500 },
                r#"{"do":"scale","permille":1500}"#,
            ),
            (Command::Status, r#"{"do":"status"}"#),
        ] {
            let expected = format!(r#"{{"v":1,"kind":"command","body":{text}}}"#);
            let written = write_command(&command);
            assert_eq!(String::from_utf8_lossy(&written), expected);
            assert_eq!(read_command(&written).ok(), Some(command));
        }
    }
}
