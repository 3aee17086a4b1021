//! The program `xmlsocket`.

fn main() {}
