//! Who may be believed: messages are signed with the run key and verified, and what is refused is counted by reason and told,
//! at most one line a second.
//!
//! Where the broker is trusted ([`NatsOptions::trust_broker`]), members without a key take part beside those who have one: they
//! read what is signed without checking it, and what they report is taken unsigned. Commands and directives never are, by
//! anyone who has the key.

use super::options::NatsOptions;
use crate::signing::{Refusal, Signer, Verifier, unverified};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// What two hosts' wall clocks may differ by, in milliseconds, before signed messages are refused.
pub const CLOCK_ERROR_MS: u64 = 5_000;

/// Between two lines about refused messages.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Signs what one end says, verifies what it hears, each message once, and counts what it refuses.
#[derive(Debug)]
pub(super) struct Guard {
    keyed: Option<(Signer, Verifier)>,
    trusts: bool,
    wall_ms: fn() -> u64,
    pub(super) refused: Refused,
}

impl Guard {
    pub(super) fn new(options: &NatsOptions) -> Self {
        let keyed = options.key.as_ref().map(|key| {
            let signer = Signer::new(key.clone(), (options.chance)());
            (signer, Verifier::new(key.clone(), CLOCK_ERROR_MS))
        });
        Self {
            keyed,
            trusts: options.trust_broker,
            wall_ms: options.wall_ms,
            refused: Refused::default(),
        }
    }

    /// A message as it goes out.
    pub(super) fn signed(&mut self, subject: &str, body: Vec<u8>) -> Vec<u8> {
        match &mut self.keyed {
            Some((signer, _)) => signer.sign(subject, &body, (self.wall_ms)()),
            None => body,
        }
    }

    /// What a message says, when it is signed as it should be and can be read.
    pub(super) fn read<T, E: std::error::Error>(
        &mut self,
        subject: &str,
        message: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Option<T> {
        let body = self.body(subject, message);
        self.understood(body, read)
    }

    /// The same of what an agent reports, which may be unsigned where the broker is trusted; with it, whether it is signed.
    pub(super) fn read_report<T, E: std::error::Error>(
        &mut self,
        subject: &str,
        message: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Option<(T, bool)> {
        let (body, signed) = match self.body(subject, message) {
            Err(Refusal::Unsigned) if self.trusts => (Ok(message), false),
            body => (body, self.keyed.is_some()),
        };
        Some((self.understood(body, read)?, signed))
    }

    /// Whether messages are signed here, and those who have no key are worked with all the same.
    pub(super) fn takes_unsigned_reports(&self) -> bool {
        self.keyed.is_some() && self.trusts
    }

    fn body<'a>(&mut self, subject: &str, message: &'a [u8]) -> Result<&'a [u8], Refusal> {
        match &mut self.keyed {
            None if self.trusts => Ok(unverified(message)),
            None => Ok(message),
            Some((_, verifier)) => verifier.verify(subject, message, (self.wall_ms)()),
        }
    }

    fn understood<T, E: std::error::Error>(
        &mut self,
        body: Result<&[u8], Refusal>,
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Option<T> {
        let body = match body {
            Ok(body) => body,
            Err(refusal) => {
                self.refused.count(word(&refusal), &refusal.to_string());
                return None;
            }
        };
        match read(body) {
            Ok(said) => Some(said),
            Err(error) => {
                self.refused.count("not readable", &chain(&error));
                None
            }
        }
    }
}

fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unsigned => "not signed",
        Refusal::Version(_) => "of another version",
        Refusal::Signature => "with a wrong signature",
        Refusal::Expired(_) => "expired",
        Refusal::FarFuture(_) => "from the future",
        Refusal::Replayed => "replayed",
        Refusal::ShortKey(_) => "with a short key",
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What was refused, by reason.
#[derive(Debug, Default)]
pub(super) struct Refused {
    counts: BTreeMap<&'static str, u64>,
    untold: BTreeMap<&'static str, u64>,
    example: String,
    told_at: Option<Instant>,
}

impl Refused {
    pub(super) fn count(&mut self, reason: &'static str, example: &str) {
        *self.counts.entry(reason).or_default() += 1;
        *self.untold.entry(reason).or_default() += 1;
        example.clone_into(&mut self.example);
    }

    pub(super) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The next line for the log, when there is something to tell. May be dropped before it is ready.
    pub(super) async fn line(&mut self) -> String {
        if self.untold.is_empty() {
            std::future::pending::<()>().await;
        }
        if let Some(told_at) = self.told_at {
            tokio::time::sleep_until(told_at + LINE_INTERVAL).await;
        }
        self.told_at = Some(Instant::now());
        let untold = std::mem::take(&mut self.untold).into_iter();
        let untold = untold.map(|(reason, n)| format!("{n} {reason}"));
        let untold = untold.collect::<Vec<_>>().join(", ");
        format!("messages refused: {untold}; the last: {}", self.example)
    }
}
