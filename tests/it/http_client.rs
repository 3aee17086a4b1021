//! What a raw client needs to read HTTP.

use std::io::Read;

use crate::harness::Client;

impl Client {
    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(read @ 1..) => self.unread.extend_from_slice(&bytes[..read]),
                end => panic!("{end:?} and {count} bytes were expected; there are {:?}", self.unread.escape_ascii()),
            }
        }
        self.unread.drain(..count).collect()
    }

    /// The head of an HTTP response, the empty line that ends it included.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.append(&mut self.take(1));
        }
        String::from_utf8(head).unwrap()
    }
}
