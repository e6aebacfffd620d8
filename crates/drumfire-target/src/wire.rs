//! One accepted connection as bytes: plain or TLS, with bytes that were read ahead of their
//! reader put back in front, and with the choice to end in a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use rustls::HandshakeKind;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a client of HTTP/2 with prior knowledge says first.
const HTTP2_PREFACE: &[u8] = b"PRI";

/// A connection.
pub(crate) struct Wire {
    stream: Stream,
    unread: Bytes,
    reset: ResetSwitch,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Makes a connection end with a reset instead of a polite close, even while hyper owns it.
#[derive(Clone, Default)]
pub(crate) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    pub(crate) fn reset_at_end(&self) {
        self.0.store(true, Relaxed);
    }
}

impl Wire {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self::over(Stream::Plain(stream))
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::over(Stream::Tls(Box::new(stream)))
    }

    fn over(stream: Stream) -> Self {
        Self {
            stream,
            unread: Bytes::new(),
            reset: ResetSwitch::default(),
        }
    }

    pub(crate) fn reset_switch(&self) -> ResetSwitch {
        self.reset.clone()
    }

    /// Puts bytes back, to be read first.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        debug_assert!(self.unread.is_empty(), "bytes would be lost");
        self.unread = bytes;
    }

    /// Whether the peer speaks HTTP/2: by ALPN over TLS, else by its first bytes, which stay
    /// readable.
    pub(crate) async fn speaks_http2(&mut self) -> io::Result<bool> {
        if let Stream::Tls(stream) = &self.stream
            && let Some(protocol) = stream.get_ref().1.alpn_protocol()
        {
            return Ok(protocol == b"h2");
        }
        let mut seen = Vec::with_capacity(1024);
        while seen.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&seen) {
            if self.read_buf(&mut seen).await? == 0 {
                break;
            }
        }
        let http2 = seen.starts_with(HTTP2_PREFACE);
        self.put_back(seen.into());
        Ok(http2)
    }

    /// What was agreed on in the handshake, as JSON; null over plain HTTP.
    pub(crate) fn tls_facts(&self) -> Value {
        let Stream::Tls(stream) = &self.stream else {
            return Value::Null;
        };
        let session = stream.get_ref().1;
        let alpn = session.alpn_protocol().map(String::from_utf8_lossy);
        json!({
            "version": session.protocol_version().and_then(|version| version.as_str()),
            "alpn": alpn,
            "server_name": session.server_name(),
            "resumed": session.handshake_kind() == Some(HandshakeKind::Resumed),
            "client_certificate": session.peer_certificates().is_some(),
        })
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.0.load(Relaxed) {
            // Fails only on a socket that is gone already, which is what was asked for.
            self.tcp().set_zero_linger().ok();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let taken = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread[..taken]);
            self.unread.advance(taken);
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
