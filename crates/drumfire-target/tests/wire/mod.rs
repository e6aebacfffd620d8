//! A client that takes nothing for granted: raw bytes over a blocking socket, with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes; what comes later fails the test instead of hanging it.
const DEADLINE: Duration = Duration::from_secs(20);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it.
    Close,
    /// The peer reset it.
    Reset,
}

/// One connection.
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// One answer, its chunks put together.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Wire {
    /// Connects, to fail a test where an answer takes too long.
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_for(address, DEADLINE)
    }

    /// Connects, to wait for answers no longer than this.
    pub fn connect_for(address: SocketAddr, deadline: Duration) -> Self {
        let stream = TcpStream::connect(address).expect("the target listens");
        stream.set_read_timeout(Some(deadline)).expect("a deadline");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the target reads");
    }

    /// Sends a request and reads its answer; the connection stays open.
    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: target\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.send(&[head.as_bytes(), body].concat());
        self.answer(method)
    }

    /// Sends a GET and reads its answer.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    /// Reads one answer to a request of this method.
    pub fn answer(&mut self, method: &str) -> Answer {
        let head = self.through(b"\r\n\r\n");
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("a status line: {head}"));
        let headers = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if method != "HEAD" {
            answer.body = self.body(&answer);
        }
        answer
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        if answer.status < 200 || matches!(answer.status, 204 | 304) {
            Vec::new()
        } else if let Some(length) = answer.header("content-length") {
            self.exactly(length.parse().expect("a length"))
        } else if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks().concat()
        } else {
            self.rest().0
        }
    }

    fn chunks(&mut self) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        loop {
            let line = self.through(b"\r\n");
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
            let chunk = self.exactly(size + 2);
            if size == 0 {
                return chunks;
            }
            chunks.push(chunk[..size].to_vec());
        }
    }

    /// Reads up to and with these bytes.
    pub fn through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.unread.windows(end.len()).position(|at| at == end);
            if let Some(at) = found {
                return self.unread.drain(..at + end.len()).collect();
            }
            assert!(self.more(), "the connection ended before {end:?}");
        }
    }

    /// Reads so many bytes.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.more(), "the connection ended before {length} bytes");
        }
        self.unread.drain(..length).collect()
    }

    /// Reads everything up to the end of the connection.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.read() {
                Ok(0) => return (std::mem::take(&mut self.unread), End::Close),
                Ok(_) => {}
                Err(ErrorKind::ConnectionReset) => {
                    return (std::mem::take(&mut self.unread), End::Reset);
                }
                Err(kind) => panic!("reading failed: {kind}"),
            }
        }
    }

    fn more(&mut self) -> bool {
        self.read().expect("the target answers in time") > 0
    }

    /// Reads what there is; the number of bytes, or why there are none.
    pub fn read(&mut self) -> Result<usize, ErrorKind> {
        let mut piece = [0; 64 << 10];
        let read = self.stream.read(&mut piece).map_err(|error| error.kind())?;
        self.unread.extend_from_slice(&piece[..read]);
        Ok(read)
    }
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.headers.iter().filter(|(key, _)| key == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
