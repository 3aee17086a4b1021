//! Defines [`Table`]: what came out, beside the goals.
//!
//! Knows: the goals, what limits say of memory. Must not know: how anything was measured.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use xmlsocket::wire::{CHANNEL_BYTES_MAX, Limits};

use crate::attacks::Attack;
use crate::crowd::Deeds;
use crate::options::Options;
use crate::people::Noticed;

/// What the table on the page begins and ends with.
const BEGIN: &str = "<!-- measured: written by `make torture`, do not edit -->";
const END: &str = "<!-- measured: end -->";

/// How much longer than in quiet 99 of 100 deliveries may take.
const TIMES_MAX: u32 = 2;

/// Within this they always may: the system lets a thread that has work go on for some milliseconds before another one's
/// turn, and one of these is all that it takes to double a delay of a fraction of a millisecond.
const FLOOR: Duration = Duration::from_millis(5);

/// How much longer than `shutdown_seconds_max` a stop may take.
const STOP_EXTRA: Duration = Duration::from_secs(1);

/// MiB of the program itself: code, tables, the allocator's spare memory.
const PROGRAM_MIB: u64 = 32;

/// KiB of a connection beside what the limits bound: its thread's stack, its place in the tables.
const CONNECTION_KIB: u64 = 24;

/// What came of one attack.
pub(crate) struct Row {
    pub(crate) attack: Attack,
    /// What people noticed before it.
    pub(crate) quiet: Noticed,
    /// What people noticed during it.
    pub(crate) attacked: Noticed,
    /// What the attackers came to.
    pub(crate) crowd: Deeds,
    /// How the server ended; `None` by force.
    pub(crate) ended: Option<ExitStatus>,
    /// How long its end took.
    pub(crate) stop: Duration,
    /// The most memory that it held, in MiB.
    pub(crate) memory: u64,
    /// Lines of its log that no attack explains.
    pub(crate) log: Vec<String>,
}

impl Row {
    /// The time within which 99 of 100 deliveries are to come.
    fn delay_max(&self) -> Duration {
        (self.quiet.within(0.99) * TIMES_MAX).max(FLOOR)
    }

    /// The MiB that the limits allow a server with so many connections.
    fn memory_max(&self, people: usize) -> u64 {
        memory_max(people as u64 + self.crowd.most)
    }

    /// What goals it misses, of those that hold in this kind of run.
    fn missed(&self, people: usize, strict: bool) -> Vec<String> {
        let stop_max = Duration::from_secs(Limits::default().shutdown_seconds_max) + STOP_EXTRA;
        let (noticed, mut missed) = (&self.attacked, Vec::new());
        if strict && noticed.within(0.99) > self.delay_max() {
            missed.push(format!("p99 is {} ms, more than {}", ms(noticed.within(0.99)), ms(self.delay_max())));
        }
        if noticed.deliveries() == 0 || self.quiet.deliveries() == 0 {
            missed.push("nothing was delivered".to_owned());
        }
        for (noticed, when) in [(&self.quiet, "in quiet"), (noticed, "while attacked")] {
            if strict && noticed.lost > 0 {
                missed.push(format!("{} deliveries never came {when}", noticed.lost));
            }
            if let Some(wrong) = noticed.wrong.first() {
                missed.push(format!("{} things were wrong {when}, first: {wrong}", noticed.wrong.len()));
            }
        }
        if strict && self.memory > self.memory_max(people) {
            missed.push(format!("{} MiB of memory, more than {}", self.memory, self.memory_max(people)));
        }
        match self.ended {
            Some(status) if status.success() => {}
            Some(status) => missed.push(format!("it ended with {status}")),
            None => missed.push("it had to be ended by force".to_owned()),
        }
        if self.stop > stop_max {
            missed.push(format!("it took {:.1} s to stop, more than {}", self.stop.as_secs_f64(), stop_max.as_secs()));
        }
        if self.attack.connections > 0 && self.crowd.made == 0 {
            missed.push("there was no attack".to_owned());
        }
        missed.extend(self.log.iter().cloned());
        missed.into_iter().map(|sentence| format!("{}: {sentence}", self.attack.name)).collect()
    }

    /// The attack and its attackers' deeds, for who watches.
    pub(crate) fn sentence(&self) -> String {
        let (deeds, noticed) = (&self.crowd, &self.attacked);
        format!(
            "{:<10} p50 {} → {} ms, p99 {} → {} ms, lost {}, wrong {}, {} MiB, stop {:.1} s; \
             attackers: {} at a time, {} came, {} closed, {} MiB written, {} read; generator late p99 {} ms",
            self.attack.name,
            ms(self.quiet.within(0.5)),
            ms(noticed.within(0.5)),
            ms(self.quiet.within(0.99)),
            ms(noticed.within(0.99)),
            noticed.lost,
            noticed.wrong.len(),
            self.memory,
            self.stop.as_secs_f64(),
            deeds.most,
            deeds.made,
            deeds.closed,
            deeds.written >> 20,
            deeds.read >> 20,
            ms(noticed.late(0.99)),
        )
    }
}

/// The MiB that the default limits allow a server with so many connections: what each costs at all, and may have begun to
/// say and not ended; what waits for those who do not read, what waits for the dispatcher, what was said.
fn memory_max(connections: u64) -> u64 {
    let limits = Limits::default();
    let each = (CONNECTION_KIB << 10) + limits.frame_bytes_max;
    let shared = limits.outboxes_bytes_max + CHANNEL_BYTES_MAX as u64 + limits.history_total_bytes_max;
    PROGRAM_MIB + ((connections * each + shared) >> 20)
}

fn ms(duration: Duration) -> String {
    if duration == Duration::MAX { "–".to_owned() } else { format!("{:.2}", duration.as_secs_f64() * 1e3) }
}

/// All that came out.
pub(crate) struct Table {
    rows: Vec<Row>,
    people: usize,
    quiet: Duration,
    seconds: Duration,
    strict: bool,
    processors: usize,
}

impl Table {
    pub(crate) fn new(options: &Options, processors: usize) -> Table {
        let Options { people, quiet, seconds, strict, .. } = *options;
        Table { rows: Vec::new(), people, quiet, seconds, strict, processors }
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// What goals were missed.
    pub(crate) fn missed(&self) -> Vec<String> {
        self.rows.iter().flat_map(|row| row.missed(self.people, self.strict)).collect()
    }

    /// The table, as it stands on the page.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} people, {:.0} s in quiet and then {:.0} s attacked, {} processors{}.\n\n\
             | attackers | quiet p50 ms | quiet p99 | p50 | p99 | goal | late p99 | deliveries | lost | closed or wrong \
             | MiB | goal | SIGTERM s | came | MiB sent |\n|---|{}\n",
            self.people,
            self.quiet.as_secs_f64(),
            self.seconds.as_secs_f64(),
            self.processors,
            if self.processors > 1 { ", one for the server" } else { ", shared with the server" },
            "---:|".repeat(14),
        );
        for row in &self.rows {
            let (noticed, deeds) = (&row.attacked, &row.crowd);
            let _ = writeln!(
                text,
                "| {} {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {} | {} |",
                row.crowd.most,
                row.attack.what,
                ms(row.quiet.within(0.5)),
                ms(row.quiet.within(0.99)),
                ms(noticed.within(0.5)),
                ms(noticed.within(0.99)),
                ms(row.delay_max()),
                ms(noticed.late(0.99)),
                noticed.deliveries(),
                noticed.lost,
                noticed.wrong.len(),
                row.memory,
                row.memory_max(self.people),
                row.stop.as_secs_f64(),
                deeds.made,
                deeds.written >> 20,
            );
        }
        text
    }

    /// Writes the table into the page at `path`, between its marks.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let page = fs::read_to_string(path)?;
        let (Some((before, _)), Some((_, after))) = (page.split_once(BEGIN), page.split_once(END)) else {
            return Err(io::Error::other("the marks around the table are missing"));
        };
        fs::write(path, format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.text()))
    }
}
