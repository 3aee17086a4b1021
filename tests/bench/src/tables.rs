//! Defines the tables of the page: which figure of which measure stands where, and what is to be reached.
//!
//! Knows: titles, columns, goals. Must not know: the results.

/// A table: a row for each server.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// What is to be known to read it.
    pub(crate) note: &'static str,
    /// What the numbers are.
    pub(crate) unit: &'static str,
    pub(crate) columns: &'static [Column],
    /// Rows of what is to be reached.
    pub(crate) goals: &'static [(&'static str, &'static [&'static str])],
    /// Whether our servers are shown as parts of the others.
    pub(crate) ratios: bool,
}

/// A column.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    /// Which measure it is from, and which of its figures.
    pub(crate) measure: &'static str,
    pub(crate) figure: &'static str,
    /// What the figure is divided by.
    pub(crate) scale: f64,
    pub(crate) digits: usize,
}

const fn column(
    heading: &'static str,
    measure: &'static str,
    figure: &'static str,
    scale: f64,
    digits: usize,
) -> Column {
    Column { heading, measure, figure, scale, digits }
}

const fn deliveries(heading: &'static str, measure: &'static str) -> Column {
    column(heading, measure, "deliveries_per_second", 1e6, 2)
}

/// All tables.
pub(crate) const TABLES: &[Table] = &[
    Table {
        title: "Deliveries",
        note: "128-byte payloads from four senders, 64 messages in flight; a message is in flight until every receiver has \
               it. Server and load generator each have a processor. The limits of `relay` and `chat` are off.\n\
               `limit` is a relay that parses nothing, checks nothing and sends all it has read to all in one piece. It sends \
               at once; a server that lets more come together before it sends can surpass it.",
        unit: "million deliveries a second",
        columns: &[
            deliveries("10 receivers", "throughput-10"),
            deliveries("100", "throughput-100"),
            deliveries("1000", "throughput-1000"),
        ],
        goals: &[("relay", &["≥ 5", "≥ 12", "≥ 15"]), ("chat", &["≥ 4", "≥ 10", "≥ 13"])],
        ratios: true,
    },
    Table {
        title: "How much of that is the generator",
        note: "How busy the load generator's processor was. Near 100 it may be what held the server back.",
        unit: "% busy",
        columns: &[
            column("10 receivers", "throughput-10", "generator_busy_percent", 1.0, 0),
            column("100", "throughput-100", "generator_busy_percent", 1.0, 0),
            column("1000", "throughput-1000", "generator_busy_percent", 1.0, 0),
        ],
        goals: &[],
        ratios: false,
    },
    Table {
        title: "Deliveries in one read",
        note: "How many messages arrive together: all depends on it.",
        unit: "deliveries",
        columns: &[
            column("10 receivers", "throughput-10", "deliveries_per_read", 1.0, 1),
            column("100", "throughput-100", "deliveries_per_read", 1.0, 1),
            column("1000", "throughput-1000", "deliveries_per_read", 1.0, 1),
        ],
        goals: &[],
        ratios: false,
    },
    Table {
        title: "Deliveries, on any processor",
        note: "As above, but the system decides which processor does what.",
        unit: "million deliveries a second",
        columns: &[
            deliveries("10 receivers", "unpinned-10"),
            deliveries("100", "unpinned-100"),
            deliveries("1000", "unpinned-1000"),
        ],
        goals: &[],
        ratios: true,
    },
    Table {
        title: "Deliveries, with the default limits",
        note: "What `frames_per_second_max` = 50 admits: each sender sends 50 messages a second to 100 receivers.",
        unit: "thousand deliveries a second",
        columns: &[
            column("4 senders", "defaults-4", "deliveries_per_second", 1e3, 1),
            column("100", "defaults-100", "deliveries_per_second", 1e3, 1),
        ],
        goals: &[],
        ratios: false,
    },
    Table {
        title: "Low load",
        note: "50 messages a second to 100 receivers: how long until each has a message, and until the last has it.",
        unit: "milliseconds",
        columns: &[
            column("p50", "latency", "p50_ms", 1.0, 3),
            column("p99", "latency", "p99_ms", 1.0, 3),
            column("p99.9", "latency", "p999_ms", 1.0, 3),
            column("last: p50", "latency", "last_p50_ms", 1.0, 3),
            column("last: p99", "latency", "last_p99_ms", 1.0, 3),
        ],
        goals: &[("both", &["≤ redis", "≤ redis", "", "≤ redis", "≤ redis"])],
        ratios: true,
    },
    Table {
        title: "Idle connections: memory",
        note: "Resident memory of the server, for each connection: connected only, and logged in and joined in rooms of 100.",
        unit: "KiB",
        columns: &[
            column("1000", "idle-1000", "resident_kib_per_connection", 1.0, 1),
            column("10 000", "idle-10000", "resident_kib_per_connection", 1.0, 1),
            column("1000 in rooms", "rooms-1000", "resident_kib_per_connection", 1.0, 1),
            column("10 000 in rooms", "rooms-10000", "resident_kib_per_connection", 1.0, 1),
        ],
        goals: &[("both", &["≤ 12", "≤ 12", "", ""])],
        ratios: true,
    },
    Table {
        title: "Idle connections: one message to all",
        note: "How long one message takes to reach every connection, in one room of all; and one in each room of 100 (from the \
               first of these messages to the last receiver of any).",
        unit: "milliseconds",
        columns: &[
            column("1000", "all-1000", "broadcast_ms", 1.0, 2),
            column("10 000", "all-10000", "broadcast_ms", 1.0, 2),
            column("1000 in rooms", "rooms-1000", "broadcast_ms", 1.0, 2),
            column("10 000 in rooms", "rooms-10000", "broadcast_ms", 1.0, 2),
        ],
        goals: &[("both", &["≤ 4.5", "≤ 68", "", ""])],
        ratios: true,
    },
    Table {
        title: "Connecting",
        note: "Connections a second until all are there. `limit` and `relay` answer nothing, so that theirs are those of the \
               system; `chat` answers a ping, the others their greeting. In rooms: logged in and joined.",
        unit: "connections a second",
        columns: &[
            column("1000", "idle-1000", "connects_per_second", 1.0, 0),
            column("10 000", "idle-10000", "connects_per_second", 1.0, 0),
            column("1000 in rooms", "rooms-1000", "connects_per_second", 1.0, 0),
            column("10 000 in rooms", "rooms-10000", "connects_per_second", 1.0, 0),
        ],
        goals: &[("chat", &["≥ 15 000", "≥ 12 500", "", ""])],
        ratios: true,
    },
    Table {
        title: "Receivers that stop reading",
        note: "5 of 100 receivers stop reading for 12 seconds, 400-byte payloads: what the other 95 get before and after, how \
               much memory the server takes for it, and how many of those five it has closed.",
        unit: "server",
        columns: &[
            column("before, million/s", "slow", "before_per_second", 1e6, 2),
            column("after", "slow", "after_per_second", 1e6, 2),
            column("after, %", "slow", "after_percent", 1.0, 1),
            column("memory, MiB more", "slow", "resident_growth_mib", 1.0, 1),
            column("closed", "slow", "closed", 1.0, 0),
        ],
        goals: &[("both", &["", "", "≥ 95", "≤ 20", "5"])],
        ratios: false,
    },
    Table {
        title: "People who come and go",
        note: "Connect, log in, join, leave, quit: 32 at a time. A step is one of the five, answered.",
        unit: "a second",
        columns: &[
            column("steps", "churn", "steps_per_second", 1.0, 0),
            column("visits", "churn", "visits_per_second", 1.0, 0),
        ],
        goals: &[("chat", &["", "≥ 16 000"])],
        ratios: true,
    },
];
