//! The embedding example of the README: it is the one that runs, and it does what it says.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::Client;

/// The program of an example. Cargo builds it beside the tests, unless it was told to build only some of them.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    if !program.exists() {
        let built = Command::new(env!("CARGO")).args(["build", "--locked", "--example", name]).status().unwrap();
        assert!(built.success() && program.exists(), "{}", program.display());
    }
    program
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let readme = include_str!("../../README.md");
    let (_, code) = include_str!("../../docs/examples/01_echo.rs").split_once("\n\n").unwrap();
    assert!(readme.contains(&format!("```rust\n{code}```")), "README.md and docs/examples/01_echo.rs differ");
    assert!(code.lines().count() < 30);
}

#[test]
fn the_example_echoes() {
    let mut child = Command::new(example("01_echo")).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    let mut client = Client::connect(address);
    client.send("<hello to='you'/>");
    assert_eq!(client.frame(), "<hello to='you'/>");
    child.kill().unwrap();
    child.wait().unwrap();
}
