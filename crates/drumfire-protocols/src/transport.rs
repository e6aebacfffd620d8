//! The bytes under an exchange: a socket of the reactor, with or without TLS.

use drumfire_reactor::{TcpStream, scratch};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// One open connection.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Sends what can be sent now.
    #[inline]
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => stream.poll_send(context, bytes),
            Transport::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    /// Sends what was taken and still waits in this process.
    #[inline]
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(_) => Poll::Ready(Ok(())),
            Transport::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    /// Receives into the reactor's shared buffer and lends what came; an empty
    /// slice means that the peer has closed.
    #[inline]
    pub(crate) fn poll_recv<T>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        scratch(|buffer| match self {
            Transport::Plain(stream) => {
                let received = ready!(stream.poll_recv(context, buffer))?;
                Poll::Ready(Ok(take(&buffer[..received])))
            }
            Transport::Tls(stream) => {
                let mut buffer = ReadBuf::new(buffer);
                match ready!(Pin::new(&mut **stream).poll_read(context, &mut buffer)) {
                    // Closed without TLS's farewell, as many servers do.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                    received => received?,
                }
                Poll::Ready(Ok(take(buffer.filled())))
            }
        })
    }

    /// Whether an idle connection is of no use any more: the peer has closed
    /// it, or has sent what nobody asked for. TLS sends messages of its own
    /// (session tickets, key updates) and may hold bytes already decrypted:
    /// only reading tells these apart, which costs no system call where nothing came.
    #[inline]
    pub(crate) fn is_spent(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Transport::Plain(stream) => stream.is_readable(),
            Transport::Tls(_) => self.poll_recv(context, |_| ()).is_ready(),
        }
    }
}
