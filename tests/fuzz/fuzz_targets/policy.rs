//! Policy files: whatever is read is written so that it reads the same, and serving it on a port opens no more.
//!
//! The first two bytes of the input are a port.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xmlsocket::policy::{Origin, PolicyFile};

fuzz_target!(|input: &[u8]| {
    let [high, low, text @ ..] = input else { return };
    let port = u16::from_be_bytes([*high, *low]);
    let Ok(text) = str::from_utf8(text) else { return };
    let _ = PolicyFile::parse_of_web_server(text);
    let (file, warnings) = match PolicyFile::parse(text) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(warnings.iter().all(|warning| !warning.to_string().is_empty()));

    let written = file.to_string();
    let (again, warnings) = PolicyFile::parse(&written).expect("what is written can be read");
    assert_eq!(again, file, "{written}");
    assert!(warnings.is_empty(), "{written}: {warnings:?}");

    let (served, _) = file.restricted_to_serving_port(port);
    let origins = ["www.example.com", "example.com", "192.0.2.7", "localhost"];
    for origin in origins.map(|host| host.parse::<Origin>().expect("a host")) {
        let grants = |file: &PolicyFile, port: u16| {
            file.grants.iter().any(|grant| grant.domain.matches(&origin) && grant.ports.contains(port))
        };
        for asked in [1, port.saturating_sub(1), port, 1023, 1024, u16::MAX] {
            assert!(grants(&file, asked) || !grants(&served, asked), "{origin:?} to {asked} by way of {port}");
            assert!(port < 1024 || asked >= 1024 || !grants(&served, asked), "{port} opens {asked}");
        }
    }
});
