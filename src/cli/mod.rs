//! The program: options, configuration, one file for each subcommand. Wiring only.

// How the program ends.
mod exit_code;

// The settings of a server.
mod config;
