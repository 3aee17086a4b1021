//! Any bytes at any listener: the connection ends when the client has said all, nothing panics, and as many frames come
//! back as reached the application.
//!
//! The first byte of the input names the listener, the second how often the bytes are cut.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use xmlsocket::edge::http::{Gate, Site};
use xmlsocket::edge::websocket::WebSocket;
use xmlsocket::policy::{DomainPattern, PolicyFile, PortList};
use xmlsocket::server::{Frames, Framing, ListenerSettings};
use xmlsocket_fuzz::{Running, number};

static RUNNING: LazyLock<Running> = LazyLock::new(|| {
    let policy = || PolicyFile::granting([DomainPattern::any()], &PortList::of([1024]).expect("a port"));
    let listener = |frames, framing| {
        let mut settings = ListenerSettings::default();
        (settings.frames, settings.framing) = (frames, framing);
        settings
    };
    let mut all = listener(Frames::Xml, Framing::Nul);
    all.policy = Some(Arc::new(move |_| policy()));
    all.http = Some(Arc::new(Site::new(Gate::new([])).route(WebSocket)));
    let mut proxied = all.clone();
    proxied.proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    let settings = vec![
        listener(Frames::Xml, Framing::Nul),
        listener(Frames::Any, Framing::Nul),
        listener(Frames::Xml, Framing::Line),
        listener(Frames::Any, Framing::Line),
        listener(Frames::Xml, Framing::Stream),
        all,
        proxied,
    ];
    Running::start(settings, 512)
});

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let (listener, cuts) = (number(&mut input, 7), 1 + number(&mut input, 8));
    let pieces: Vec<&[u8]> = input.chunks(input.len().div_ceil(cuts).max(1)).collect();
    let heard = RUNNING.converse(listener, &pieces);
    RUNNING.forget();
    match listener {
        // A listener that reads anything writes no frame of its own: what comes back is what was sent.
        1 if !heard.starts_with(b"HTTP/1.1 ") => {
            let whole = input.iter().rposition(|byte| *byte == 0).map_or(0, |end| end + 1);
            assert!(input[..whole].starts_with(&heard), "{}", heard.escape_ascii());
            assert!(heard.last().is_none_or(|last| *last == 0));
        }
        // Where frames are XML, so is every answer.
        0 if !heard.starts_with(b"HTTP/1.1 ") => {
            let text = String::from_utf8(heard).expect("text");
            assert!(text.is_empty() || text.ends_with('\0'), "{text}");
            for frame in text.split_terminator('\0') {
                let frame = xmlsocket::wire::Frame::try_from(frame).expect("a frame");
                assert!(xmlsocket::wire::Document::parse(frame, 9_999).is_ok(), "{text}");
            }
        }
        _ => {}
    }
});
