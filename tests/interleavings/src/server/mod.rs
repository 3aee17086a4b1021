//! The server as its model has it: in `sync`, `link`, `framing` and `closing` stand stubs.

// The server's own files.
#[allow(dead_code, reason = "the scenarios need a part of it")]
#[path = "../../../../src/server/batch.rs"]
mod batch;
#[allow(dead_code, reason = "the scenarios need a part of it")]
#[path = "../../../../src/server/budget.rs"]
mod budget;
#[allow(dead_code, reason = "the scenarios need a part of it")]
#[path = "../../../../src/server/outbox.rs"]
mod outbox;
#[allow(dead_code, reason = "the scenarios need a part of it")]
#[path = "../../../../src/server/waiting.rs"]
mod waiting;

// In the place of their neighbours.
mod arrival;
mod closing;
mod framing;
mod link;
mod sync;

// What is tried.
pub mod handing_over;
pub mod stopping;
