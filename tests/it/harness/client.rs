//! A raw client: bytes in, bytes out, each with the deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::DEADLINE;

/// A raw client. Every read and write has the deadline.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Bytes that were read after the last frame.
    pub(crate) unread: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::from_stream(TcpStream::connect_timeout(&address, DEADLINE).unwrap())
    }

    /// A client whose system takes few bytes that it does not read.
    pub(crate) fn with_small_buffer(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect_timeout(&address.into(), DEADLINE).unwrap();
        Client::from_stream(socket.into())
    }

    /// A client that connects from an address of its own, in 127.0.0.0/8.
    pub(crate) fn from(from: Ipv4Addr, address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect_timeout(&address.into(), DEADLINE).unwrap();
        Client::from_stream(socket.into())
    }

    fn from_stream(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client { stream, unread: Vec::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.write(&bytes);
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame; `None` at the end of the stream, whatever was begun. A reset counts as an end.
    pub(crate) fn frame_or_end(&mut self) -> Option<String> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.unread[searched..].iter().position(|&byte| byte == 0) {
                let frame: Vec<u8> = self.unread.drain(..=searched + end).collect();
                return Some(String::from_utf8(frame[..frame.len() - 1].to_vec()).unwrap());
            }
            searched = self.unread.len();
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no frame and no end: {error}; so far {:?}", self.unread.escape_ascii()),
            }
        }
    }

    /// The next frame, which must be there.
    pub(crate) fn frame(&mut self) -> String {
        self.frame_or_end().expect("the connection ended and a frame was expected")
    }

    /// The connection must end, without another byte.
    pub(crate) fn end(&mut self) {
        assert_eq!(self.rest().escape_ascii().to_string(), "", "nothing more was expected");
    }

    /// All bytes up to the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.unread);
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return rest,
                Ok(count) => rest.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("no end: {error}; so far {} bytes", rest.len()),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Makes the system answer with a reset when this client is dropped.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
