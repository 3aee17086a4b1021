//! The command `check-config`: shows the settings that `serve` would run with.

use super::config::Config;
use super::edges::Doors;
use super::grants::{Grants, SharedGrants, remarks_on_low_ports};
use super::options::ServeOptions;
use super::{print, say};
use crate::exit_code::{ExitCode, Failure};

/// Prints the effective settings as TOML, each with its source; says what is doubtful about them on stderr.
pub(super) fn run(options: &ServeOptions) -> Result<ExitCode, Failure> {
    let settings = options.settings().map_err(|error| Failure::usage(error.to_string()))?;
    let config = Config::new(&settings).map_err(|error| Failure::usage(error.to_string()))?;
    let (grants, mut remarks) = Grants::new(&config)?;
    Doors::new(&config, &SharedGrants::new(grants, &config))?;
    let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).filter(|p| *p != 0);
    // A port that is not known yet is none that could be below 1024.
    let ports: Vec<u16> = config.listeners.iter().map(|listener| port(&listener.address).unwrap_or(u16::MAX)).collect();
    remarks.extend(remarks_on_low_ports(&config, &ports, config.policy_listen.as_deref().and_then(port)));
    remarks.iter().for_each(|remark| say(remark));
    print(settings.to_toml().trim_end());
    Ok(ExitCode::Ok)
}
