//! Torture: a hundred people chat while others attack the server, and are not to notice.
//!
//! `make torture` runs every attack against the release build, with the default limits but `connections_max`, prints a
//! table and fails when a goal is missed. Each attack has a server of its own: people come in and chat in quiet, then
//! the attack begins, and while it goes on the server is told to stop. `--smoke` runs each attack for a second and in
//! small, on whatever build there is, to see that all of this works.
//!
//! The server has one processor and the generator the other; the attackers' thread is the last to run on it, so that
//! people's delays are the server's and not the generator's. How late the generator itself was stands in the table.

mod attacks;
mod crowd;
mod options;
mod people;
#[allow(dead_code, reason = "the timer is for the load generator of the program")]
#[path = "../../src/bench/poll.rs"]
mod poll;
#[allow(dead_code, reason = "some of it is for the suite of measurements")]
#[path = "../bench/src/processors.rs"]
mod processors;
mod server;
mod sockets;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use attacks::Attack;
use crowd::Crowd;
use options::Options;
use people::People;
use processors::Processors;
use server::Server;
use table::{Row, Table};

/// The longest that anything may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(sentence) => {
            eprintln!("torture: {sentence}");
            return ExitCode::from(2);
        }
    };
    sockets::allow_files();
    let processors = Processors::find();
    let mut table = Table::new(&options, processors.count());
    for attack in attacks::all().iter().filter(|attack| options.wants(attack.name)) {
        let row = suffer(attack, &options, &processors);
        println!("{}", row.sentence());
        table.add(row);
    }
    println!("\n{}", table.text());
    if let Some(page) = &options.page
        && let Err(error) = table.write(page)
    {
        eprintln!("torture: {} cannot be written: {error}", page.display());
        return ExitCode::from(1);
    }
    let missed = table.missed();
    missed.iter().for_each(|sentence| eprintln!("torture: {sentence}"));
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// One attack from beginning to end.
fn suffer(attack: &Attack, options: &Options, processors: &Processors) -> Row {
    processors.server();
    let mut server = Server::start(attack.stderr);
    processors.generator();
    let mut people = People::come(server.chat(), options.people);
    let quiet = people.chat(options.quiet, &server);
    let crowd = Crowd::gather(attack, &server, options.crowd(attack));
    let attacked = people.chat(options.seconds, &server);
    let told = Instant::now();
    server.terminate();
    let ended = server.wait(told + PATIENCE);
    let stop = told.elapsed();
    let crowd = crowd.dismiss();
    processors.all();
    Row { attack: *attack, quiet, attacked, crowd, ended, stop, memory: server.memory(), log: server.log() }
}
