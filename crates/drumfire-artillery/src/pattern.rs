//! JavaScript regular expressions, compiled once. Only the first match counts, so the flags that
//! deal with further ones (`g`, `y` and `d`) change nothing here but where `y` may match.

use regress::{Flags, Match, Regex};

/// The longest expression, in bytes.
pub const LENGTH_LIMIT: usize = 16_384;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    sticky: bool,
}

impl Pattern {
    /// Compiles `expression` with JavaScript's `flags`.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression or a flag, in one line.
    pub fn compile(expression: &str, flags: &str) -> Result<Pattern, String> {
        if expression.len() > LENGTH_LIMIT {
            return Err(format!(
                "regular expression longer than {LENGTH_LIMIT} bytes"
            ));
        }
        if let Some(unknown) = flags.chars().find(|flag| !"dgimsuvy".contains(*flag)) {
            return Err(format!("unknown regular expression flag {unknown:?}"));
        }
        let regex = Regex::with_flags(expression, Flags::from(flags))
            .map_err(|error| format!("invalid regular expression: {}", error.text))?;
        Ok(Pattern {
            regex,
            sticky: flags.contains('y'),
        })
    }

    /// Whether the expression matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// The first match in `text`.
    pub fn find(&self, text: &str) -> Option<Match> {
        self.regex
            .find(text)
            .filter(|found| !self.sticky || found.start() == 0)
    }
}
