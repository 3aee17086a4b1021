//! Models of where a server's threads meet: the files of the server that decide there, as they are, with `shuttle` in the
//! place of the locks, and stubs in the place of their neighbours. A scenario is run under many orders of its threads'
//! steps; one that waits for ever, loses something or mixes something up fails with a schedule that repeats it.

// What the server's files call by this name.
pub use xmlsocket::wire;

pub mod server;
