//! A request as bytes. What is sent by HTTP/1.1 is exactly what the caller
//! built, whole and in one piece, so that a prepared request costs one system
//! call and no copy; HTTP/2 takes the same bytes apart again.

use crate::Failure;

/// The bytes of one HTTP/1.1 request: request line, headers, empty line, body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    wire: &'a [u8],
}

impl<'a> Request<'a> {
    /// A request from bytes that a [`RequestBytes`] built, now or earlier.
    pub fn from_wire(wire: &'a [u8]) -> Request<'a> {
        Request { wire }
    }

    /// The bytes as sent.
    pub fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Whether the answer has no body whatever its head says.
    pub fn is_head(&self) -> bool {
        self.wire.starts_with(b"HEAD ")
    }
}

/// A buffer in which requests are built, one after another.
///
/// Method, target and headers are checked as Node checks them, so that no
/// value from a script or a data file can break out of its line.
///
/// ```
/// # use drumfire_protocols::{Failure, RequestBytes};
/// let mut bytes = RequestBytes::default();
/// bytes.start("POST", "/orders")?;
/// bytes.header("host", b"example.org")?;
/// bytes.header("content-length", b"2")?;
/// bytes.finish(b"{}");
/// assert_eq!(
///     bytes.request().wire(),
///     b"POST /orders HTTP/1.1\r\nhost: example.org\r\ncontent-length: 2\r\n\r\n{}",
/// );
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestBytes {
    bytes: Vec<u8>,
}

impl RequestBytes {
    /// Begins a request, forgetting the one before.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidToken`] and [`Failure::InvalidTarget`] for bytes that
    /// a method or a target cannot have.
    pub fn start(&mut self, method: &str, target: &str) -> Result<(), Failure> {
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(Failure::InvalidToken);
        }
        if target.is_empty() || !target.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            return Err(Failure::InvalidTarget);
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(method.as_bytes());
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(target.as_bytes());
        self.bytes.extend_from_slice(b" HTTP/1.1\r\n");
        Ok(())
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidToken`] and [`Failure::InvalidHeaderValue`] for bytes
    /// that a name or a value cannot have.
    pub fn header(&mut self, name: &str, value: &[u8]) -> Result<(), Failure> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Failure::InvalidToken);
        }
        // Without an early end the loop is done many bytes at a time.
        if !value.iter().fold(true, |fine, byte| fine & is_value(*byte)) {
            return Err(Failure::InvalidHeaderValue);
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Adds header lines that were checked before, each with its line end.
    pub fn checked_lines(&mut self, lines: &[u8]) {
        self.bytes.extend_from_slice(lines);
    }

    /// Ends the head and adds the body.
    pub fn finish(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(body);
    }

    /// The request built last.
    pub fn request(&self) -> Request<'_> {
        Request { wire: &self.bytes }
    }

    /// Its bytes, to keep.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The bytes that RFC 9110 allows in a method or a header's name.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// By byte, for a name is checked whenever it is sent.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let symbols = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < symbols.len() {
        table[symbols[index] as usize] = true;
        index += 1;
    }
    let mut byte = 0;
    while byte < 128 {
        table[byte] |= (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

/// The bytes that a header's value may have.
pub(crate) fn is_value(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let mut bytes = RequestBytes::default();
        for (method, target, failure) in [
            ("GET", "/a b", Failure::InvalidTarget),
            ("GET", "/a\r\nx: y", Failure::InvalidTarget),
            ("GET", "", Failure::InvalidTarget),
            ("GET\n", "/", Failure::InvalidToken),
            ("", "/", Failure::InvalidToken),
        ] {
            assert_eq!(
                bytes.start(method, target),
                Err(failure),
                "{method:?} {target:?}"
            );
        }
        for (name, value, failure) in [
            ("a b", "x", Failure::InvalidToken),
            ("", "x", Failure::InvalidToken),
            ("a:", "x", Failure::InvalidToken),
            ("a", "x\r\ny: z", Failure::InvalidHeaderValue),
            ("a", "\0", Failure::InvalidHeaderValue),
        ] {
            assert_eq!(
                bytes.header(name, value.as_bytes()),
                Err(failure),
                "{name:?} {value:?}"
            );
        }
        assert_eq!(bytes.header("a", "ü\t".as_bytes()), Ok(()));
    }

    #[test]
    fn the_buffer_is_used_again() {
        let mut bytes = RequestBytes::default();
        for (target, wire) in [
            ("/long", "HEAD /long HTTP/1.1\r\n\r\n"),
            ("/", "HEAD / HTTP/1.1\r\n\r\n"),
        ] {
            assert_eq!(bytes.start("HEAD", target), Ok(()));
            bytes.finish(b"");
            assert_eq!(bytes.request().wire(), wire.as_bytes());
            assert!(bytes.request().is_head());
        }
    }
}
