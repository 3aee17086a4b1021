//! Any frame: it is given back as it came, or its content can be relayed in another element and means the same there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xmlsocket::wire::{Document, Element, Frame, Node};

/// Everything that a node says to a program that reads it.
fn meaning(node: Node<'_, '_>) -> String {
    let attributes = node.attributes().map(|a| format!("{:?} {} {}", a.namespace(), a.name(), a.value()));
    let attributes: Vec<String> = attributes.collect();
    format!("{:?} {:?} {:?} {attributes:?}", node.node_type(), node.tag_name(), node.text())
}

fuzz_target!(|input: &[u8]| {
    // A zero byte ended the frame; what came after it is the text of an element.
    let (frame, text) = match input.iter().position(|byte| *byte == 0) {
        Some(end) => (&input[..end], String::from_utf8_lossy(&input[end..]).into_owned()),
        None => (input, String::new()),
    };
    let frame = Frame::new(frame).expect("there is no zero byte");
    match Document::parse(frame.clone(), 4096) {
        Ok(document) => {
            let element = Element::new("copy").attribute("a", &text).content_of(&document).text(&text);
            let copy = Document::parse(element.to_frame(), 4097).expect("what is relayed is a document");
            assert!(copy.content().starts_with(document.content()));
            let child = |document: &Document| document.root().first_element_child().map(meaning);
            assert_eq!(child(&copy), child(&document));
            // However often: what a relay sends on, the next one admits and sends on the same.
            let again =
                Document::parse(Element::new("copy").content_of(&copy).to_frame(), 4097).expect("admitted again");
            assert_eq!(again.content(), copy.content());
            assert!(again.declarations().eq(document.declarations()));
            assert_eq!(document.into_frame(), frame);
        }
        Err((given_back, error)) => {
            assert_eq!(given_back, frame);
            assert!(error.byte_offset <= frame.len());
            assert!(!error.reason.is_empty() && error.reason.len() < 220 && !error.reason.contains(char::is_control));
            if let Ok(text) = frame.text() {
                let before = &text[..error.byte_offset];
                assert_eq!(error.line as usize, before.matches('\n').count() + 1);
            }
        }
    }
});
