use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Sends the head of a POST together with the beginning of its body, which the library sends one after the other: one
/// packet and one call less for each request.
///
/// It also looks once, not twice, whether a connection is still open between two requests: the library does when an answer has
/// been read and again before the next request, and what the first would see the second sees too.
///
/// Over TLS heads go alone: there the handshake takes place when the head is sent, and nothing of the body may have been
/// taken before it has succeeded.
#[derive(Debug)]
pub(super) struct HeadWithBody;

impl<In: Transport> Connector<In> for HeadWithBody {
    type Out = Joining<In>;

    fn connect(&self, _details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Joining { inner, head: Vec::new(), was_read: false }))
    }
}

/// Is a connection that keeps a head back until the body comes, or until an answer is waited for.
#[derive(Debug)]
pub(super) struct Joining<T> {
    inner: T,
    head: Vec<u8>,
    /// An answer was read, and it was not looked since whether the connection is open.
    was_read: bool,
}

impl<T: Transport> Joining<T> {
    /// Sends what was kept back, by itself.
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let head = std::mem::take(&mut self.head);
        let output = self.inner.buffers().output();
        output[..head.len()].copy_from_slice(&head);
        self.inner.transmit_output(head.len(), timeout)
    }
}

impl<T: Transport> Transport for Joining<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let kept = self.head.len();
        let is_tls = self.inner.is_tls();
        let output = self.inner.buffers().output();
        if kept == 0 {
            let bytes = &output[..amount];
            if !is_tls && bytes.starts_with(b"POST ") && bytes.ends_with(b"\r\n\r\n") {
                self.head.extend_from_slice(bytes);
                return Ok(());
            }
            return self.inner.transmit_output(amount, timeout);
        }
        if kept + amount <= output.len() {
            output.copy_within(..amount, kept);
            output[..kept].copy_from_slice(&self.head);
            self.head.clear();
            return self.inner.transmit_output(kept + amount, timeout);
        }
        // Both do not fit into the buffer: one after the other, as without this.
        let body = output[..amount].to_vec();
        self.flush(timeout)?;
        self.inner.buffers().output()[..amount].copy_from_slice(&body);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.head.is_empty() {
            self.flush(timeout)?;
        }
        self.was_read = true;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        std::mem::take(&mut self.was_read) || self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
