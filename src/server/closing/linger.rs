//! How a thread takes leave of a peer that no outbox writes to: it says why, and lets the peer close first.
//!
//! Closing a socket with bytes unread makes the system throw away what the peer was to get last; so what a peer that
//! was told to go still sends is read and dropped, for a short time.
//!
//! Knows: the link, what it speaks. Must not know: the application.

use std::time::{Duration, Instant};

use super::super::arrival::no_seat::NoSeat;
use super::super::arrival::sniff::{Speaks, speaks};
use super::super::framing::{self, Encoder};
use super::super::link::Link;
use super::super::settings::{Frames, ListenerSettings};
use super::refusal;
use crate::wire::{Element, Encode};

/// How long a peer has to take what a client's thread writes, and to close after it was told why.
pub(in crate::server) const LINGER: Duration = Duration::from_secs(2);

/// How long a refused connection has to show what it speaks before it is told in XML.
const REFUSED_SNIFF: Duration = Duration::from_millis(250);

/// Tells a connection that gets no seat why, and takes leave of it.
pub(in crate::server) fn refuse(settings: &ListenerSettings, link: &Link, no_seat: NoSeat) {
    if tell_no_seat(settings, link, no_seat, Vec::new()) {
        link.finish();
        linger(link);
    }
}

/// Tells a connection that gets no seat why, in what it speaks. `first` is what has been read of it.
/// `false` when it speaks nothing in which that could be said.
pub(in crate::server) fn tell_no_seat(
    settings: &ListenerSettings,
    link: &Link,
    no_seat: NoSeat,
    mut first: Vec<u8>,
) -> bool {
    if first.is_empty() {
        first.resize(256, 0);
        let _ = link.set_read_timeout(Some(REFUSED_SNIFF));
        let length = link.read(&mut first).unwrap_or(0);
        first.truncate(length);
    }
    match speaks(&first) {
        Some(Speaks::Tls) => return false,
        Some(Speaks::Http) => {
            let _ = link.send_all(&refusal::http_unavailable(no_seat.text()), LINGER);
        }
        Some(Speaks::Frames) | None if settings.frames == Frames::Xml && !settings.policy_only => {
            let error = Element::new("error").attribute("code", no_seat.code()).text(no_seat.text());
            send_frame(link, &error, &*settings.encoder());
        }
        _ => return false,
    }
    true
}

/// Writes one frame in one piece, as `encoder` writes it.
pub(in crate::server) fn send_frame(link: &Link, frame: &impl Encode, encoder: &dyn Encoder) {
    let _ = link.send_all(&framing::encode_one(encoder, frame), LINGER);
}

/// Reads and drops what a peer that was told to go still sends, for a short time.
#[inline(never)]
pub(in crate::server) fn linger(link: &Link) {
    let deadline = Instant::now() + LINGER;
    let mut scrap = [0; 512];
    while !link.is_dead() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || link.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match link.read(&mut scrap) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
