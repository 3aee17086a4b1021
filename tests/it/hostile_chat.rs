//! People who mean no good to a chat: what they ask for costs others nothing.

use std::time::Duration;

use xmlsocket::chat::{Chat, Settings};

use crate::harness::{Running, Setup};

/// A chat with the default limits, but for how fast frames come.
fn chat() -> Running {
    let mut sessions = 0_u64;
    let random = move |bytes: &mut [u8]| {
        sessions += 1;
        bytes[..8].copy_from_slice(&sessions.to_le_bytes());
    };
    Setup::new().quiet().serve_service(Chat::new(Settings::default(), Box::new(random)))
}

#[test]
fn no_name_is_so_long_that_others_wait_for_it() {
    let running = chat();
    let (mut mallory, mut ann) = (running.connect(), running.connect());
    ann.send("<ping/>");
    assert_eq!(ann.frame(), "<pong/>");
    // To compare these as names took three seconds each: what one letter allows was looked up for each of the others.
    let name = "・".repeat(20_000) + "ア";
    let frames = ["rooms after", "login nick", "message room", "message to"];
    for frame in frames.iter().cycle().take(24) {
        mallory.send(&format!("<{frame}=\"{name}\"/>"));
    }
    ann.send("<ping/>");
    assert_eq!(ann.frame(), "<pong/>");
    for _ in 0..24 {
        let answer = mallory.frame();
        assert!(answer.starts_with("<error code=\"too-long\"") || answer.contains("not-logged-in"), "{answer}");
    }
    assert!(running.stop() < Duration::from_secs(5));
}
