//! PROXY headers: a header is not whole before its last byte, and what follows does not change what it says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xmlsocket::server::fuzzing::proxy_header;

/// The longest header that is accepted: version 2 with all the extensions it may have.
const BYTES_MAX: usize = 16 + 4_096;

fuzz_target!(|input: &[u8]| {
    match proxy_header(input) {
        Ok(Some((said, length))) => {
            assert!(length <= input.len() && length <= BYTES_MAX);
            for end in 0..length {
                assert_eq!(proxy_header(&input[..end]), Ok(None), "{end} of {length} bytes");
            }
            assert_eq!(proxy_header(&input[..length]), Ok(Some((said, length))));
            if let Some((source, destination)) = said {
                assert_eq!(source.is_ipv4(), destination.is_ipv4());
            }
        }
        Ok(None) => {
            assert!(input.len() < BYTES_MAX, "it can never be whole, and is waited for");
            (0..input.len()).for_each(|end| assert_eq!(proxy_header(&input[..end]), Ok(None)));
        }
        // What is broken stays broken, whatever follows.
        Err(begins) => assert_eq!(proxy_header(&[input, b"\r\n"].concat()), Err(begins)),
    }
});
