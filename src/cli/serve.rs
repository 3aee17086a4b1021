//! The command `serve`: from settings to a running server. Wiring only.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use listenfd::ListenFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::config::{App, Config, ListenerConfig};
use super::edges::Doors;
use super::grants::{Grants, SharedGrants, remarks_on_low_ports};
use super::options::ServeOptions;
use super::spool::Spool;
use super::trace::Trace;
use super::worlds::Worlds;
use super::{signals, stderr};
use crate::exit_code::{ExitCode, Failure};
use xmlsocket::chat::{self, Chat};
use xmlsocket::policy::RESTRICTED_PORTS_END;
use xmlsocket::relay::Relay;
use xmlsocket::server::{
    Builder, Ended, Flood, Handle, Listener, ListenerSettings, Server, StartError, connection_ceiling,
};
use xmlsocket::wire::Limits;

/// Open files that the program needs beside one for each connection.
const OTHER_FILES: u64 = 64;

/// Runs a server until it is told to stop.
pub(super) fn run(options: ServeOptions) -> Result<ExitCode, Failure> {
    let no_thread = |error| Failure::run_time(format!("the system gives no thread: {error}"));
    stderr::spool().map_err(no_thread)?;
    let stdout = Spool::start("stdout", std::io::stdout()).map_err(no_thread)?;
    let config = load(&options)?;
    let (grants, remarks) = Grants::new(&config)?;
    remarks.iter().for_each(|remark| log::warn!("{remark}"));
    let grants = SharedGrants::new(grants, &config);
    let doors = Doors::new(&config, &grants)?;
    raise_open_files(&config.limits);
    let bound = bind(&config, &grants, &doors)?;
    let lines = bound.announcements(&config);
    bound.pages(&config, &doors).iter().for_each(|page| log::info!("a browser can chat at {page}"));
    let ports: Vec<u16> = bound.listeners.iter().map(|listener| listener.local_addr().port()).collect();
    let policy_port = bound.policy.as_ref().map(|policy| policy.local_addr().port());
    remarks_on_low_ports(&config, &ports, policy_port).iter().for_each(|remark| log::warn!("{remark}"));
    let server = start(&config, bound)?;
    watch_signals(options, config, grants, doors, server.handle())?;
    // Nobody needs to read them.
    lines.iter().for_each(|line| stdout.add(format!("{line}\n").as_bytes()));
    let ended = server.wait();
    stdout.flush();
    match ended {
        Ended::Shutdown => Ok(ExitCode::Ok),
        _ => Err(Failure::run_time(
            "the application failed again and again, so the server stopped; the log above says how",
        )),
    }
}

fn load(options: &ServeOptions) -> Result<Config, Failure> {
    let settings = options.settings().map_err(|error| Failure::usage(error.to_string()))?;
    Config::new(&settings).map_err(|error| Failure::usage(error.to_string()))
}

/// Every port that is to be served.
struct Bound {
    listeners: Vec<Listener>,
    policy: Option<Listener>,
}

impl Bound {
    /// What is printed once the server is ready: one line for each port.
    fn announcements(&self, config: &Config) -> Vec<String> {
        let listening = self
            .listeners
            .iter()
            .zip(&config.listeners)
            .map(|(listener, config)| format!("listening on {} ({})", listener.local_addr(), config.app));
        let policy = self.policy.iter().map(|policy| format!("policy on {}", policy.local_addr()));
        listening.chain(policy).collect()
    }

    /// Where this machine's browser finds the chat page.
    fn pages(&self, config: &Config, doors: &Doors) -> Vec<String> {
        let with_page = self.listeners.iter().zip(&config.listeners).filter(|(_, config)| doors.has_page(config));
        let addresses = with_page.map(|(listener, _)| listener.local_addr());
        let reachable = addresses.map(|address| match address.ip() {
            ip if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
            _ => address,
        });
        reachable.map(|address| format!("http://{address}/")).collect()
    }
}

/// Binds all addresses, or takes the sockets that a service manager passed in their places, in the same order.
fn bind(config: &Config, grants: &SharedGrants, doors: &Doors) -> Result<Bound, Failure> {
    let mut passed = ListenFd::from_env();
    let wanted = config.listeners.len() + usize::from(config.policy_listen.is_some());
    if passed.len() > wanted {
        return Err(Failure::usage(format!(
            "{} sockets were passed (LISTEN_FDS) but there are {wanted} addresses to listen on; give one --listen for each, \
             and --policy-listen for the last if it is the policy port",
            passed.len()
        )));
    }
    let mut take = |place: usize| {
        let taken = passed.take_tcp_listener(place);
        taken.map_err(|error| Failure::run_time(format!("the passed socket {} cannot be used: {error}", place + 1)))
    };
    let mut listeners = Vec::new();
    for (place, listener) in config.listeners.iter().enumerate() {
        listeners.push(bind_one(&listener.address, take(place)?, settings(listener, config, grants, doors))?);
    }
    let policy = match &config.policy_listen {
        Some(address) => {
            let with_policy = listeners.iter().zip(&config.listeners).filter(|(_, config)| config.policy);
            let ports = with_policy.map(|(listener, _)| listener.local_addr().port()).collect();
            Some(bind_policy(address, take(config.listeners.len())?, grants, ports)?)
        }
        None => None,
    };
    Ok(Bound { listeners, policy })
}

fn settings(listener: &ListenerConfig, config: &Config, grants: &SharedGrants, doors: &Doors) -> ListenerSettings {
    let mut settings = ListenerSettings::default();
    settings.frames = listener.frames;
    settings.framing = listener.framing;
    settings.flood = if listener.app == App::Chat { Flood::Refuse } else { Flood::Pause };
    settings.idle = listener.app == App::Chat;
    settings.policy = listener.policy.then(|| grants.for_own_port());
    settings.http = doors.for_listener(listener);
    settings.proxies.clone_from(&listener.proxies);
    settings.public_port = config.public_port;
    settings
}

fn bind_one(address: &str, passed: Option<TcpListener>, settings: ListenerSettings) -> Result<Listener, Failure> {
    match passed {
        Some(socket) => Listener::from_std(socket, settings)
            .map_err(|error| Failure::run_time(format!("the socket passed for {address} cannot be used: {error}"))),
        None => Listener::bind(address, settings).map_err(|error| refusal(address, &error)),
    }
}

fn bind_policy(
    address: &str,
    passed: Option<TcpListener>,
    grants: &SharedGrants,
    ports: Vec<u16>,
) -> Result<Listener, Failure> {
    let source = grants.for_policy_port(ports);
    match passed {
        Some(socket) => Listener::policy_from_std(socket, source)
            .map_err(|error| Failure::run_time(format!("the socket passed for {address} cannot be used: {error}"))),
        None => Listener::bind_policy(address, source).map_err(|error| refusal(address, &error)),
    }
}

/// Says why an address cannot be listened on, and what to do about it.
fn refusal(address: &str, error: &StartError) -> Failure {
    let low = |bound: &SocketAddr| (1..RESTRICTED_PORTS_END).contains(&bound.port());
    Failure::run_time(match error {
        StartError::Bind { address, error } if error.kind() == ErrorKind::PermissionDenied && low(address) => format!(
            "cannot listen on {address}: the right to bind a port below 1024 is missing; let systemd pass the socket (socket \
             activation), give the program the right (`setcap cap_net_bind_service=+ep /path/to/xmlsocket`), or listen on a \
             higher port and redirect this one to it (`nft add rule ip nat prerouting tcp dport {} redirect to :HIGHER`)",
            address.port()
        ),
        StartError::Bind { address, error } if error.kind() == ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: the address is taken, perhaps by another server (`ss -ltnp` shows which); choose \
             another port, or 0 for any free one"
        ),
        StartError::Bind { address, error } if error.kind() == ErrorKind::AddrNotAvailable => {
            format!("cannot listen on {address}: this machine has no such address (`ip address` shows which it has)")
        }
        StartError::Address(error) => format!("cannot listen on {address}: {error}"),
        error => error.to_string(),
    })
}

/// Starts the server with the applications that its listeners want.
fn start(config: &Config, bound: Bound) -> Result<Server, Failure> {
    let mut builder = Server::builder().limits(config.limits.clone());
    if config.trace {
        builder = builder.observer(Arc::new(Trace));
    }
    builder = bound.listeners.into_iter().chain(bound.policy).fold(builder, Builder::listen);
    let relays: Vec<(usize, Relay)> = config
        .listeners
        .iter()
        .enumerate()
        .filter(|(_, listener)| listener.app == App::Relay)
        .map(|(number, listener)| (number, Relay::new(listener.echo)))
        .collect();
    // An application that is alone is served as it is, so that nothing stands between it and its connections.
    let started = match relays.as_slice() {
        [] => builder.serve(chat(config)?),
        [(_, _)] if config.listeners.len() == 1 => builder.serve(Relay::new(config.listeners[0].echo)),
        _ => builder.serve(Worlds::new(chat(config)?, relays)),
    };
    started.map_err(|error| Failure::run_time(error.to_string()))
}

fn chat(config: &Config) -> Result<Chat, Failure> {
    let mut settings = chat::Settings::default();
    settings.name.clone_from(&config.name);
    settings.limits = config.limits.clone();
    let mut source = File::open("/dev/urandom")
        .map_err(|error| Failure::run_time(format!("the system gives no random numbers (/dev/urandom): {error}")))?;
    // Without random numbers sessions could be guessed: a login that gets none fails, and only that one.
    let random = Box::new(move |bytes: &mut [u8]| source.read_exact(bytes).expect("the system gives random numbers"));
    Ok(Chat::new(settings, random))
}

fn watch_signals(
    options: ServeOptions,
    mut config: Config,
    grants: SharedGrants,
    doors: Doors,
    handle: Handle,
) -> Result<(), Failure> {
    let for_stop = handle.clone();
    let reload = move || match reload(&options, &grants, &doors, &handle, &config) {
        Ok(reloaded) => {
            log::info!("SIGHUP: limits and policy were read again");
            config = reloaded;
        }
        Err(failure) => log::error!("SIGHUP: nothing was changed: {failure}"),
    };
    // Whoever closes a terminal wants what runs in it to end.
    let reload: Option<Box<dyn FnMut() + Send>> =
        if std::io::stdin().is_terminal() { None } else { Some(Box::new(reload)) };
    signals::watch(move || for_stop.shutdown(), reload)
}

/// Reads the settings again, and puts those into effect that can change while a server runs.
fn reload(
    options: &ServeOptions,
    grants: &SharedGrants,
    doors: &Doors,
    handle: &Handle,
    before: &Config,
) -> Result<Config, Failure> {
    let config = load(options)?;
    let (new_grants, remarks) = Grants::new(&config)?;
    remarks.iter().for_each(|remark| log::warn!("{remark}"));
    // Nothing from here on can be refused, so that either all changes or nothing.
    handle.set_limits(config.limits.clone());
    grants.replace(new_grants);
    doors.replace(&config, grants);
    let fixed = |config: &Config| {
        let Config { listeners, policy_listen, name, content, trace, .. } = config.clone();
        (listeners, policy_listen, name, content, trace)
    };
    if fixed(&config) != fixed(before) {
        log::warn!(
            "SIGHUP: listeners, policy_listen, name, content and trace stay as they are until the server is started again"
        );
    }
    Ok(config)
}

/// Raises the soft limit of open files to the hard one, and says how many connections that allows.
fn raise_open_files(limits: &Limits) {
    let before = getrlimit(Resource::Nofile);
    if before.current != before.maximum {
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            log::warn!("the limit of open files cannot be raised: {error}");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let by_threads = u64::try_from(connection_ceiling()).unwrap_or(u64::MAX);
    let possible = files.saturating_sub(OTHER_FILES).min(by_threads);
    let wanted = Limits::bound(limits.connections_max);
    log::info!("{files} open files and {by_threads} threads allow {possible} connections");
    if let Some(wanted) = wanted.filter(|wanted| *wanted > possible) {
        log::warn!(
            "limits.connections_max is {wanted}, but the system allows {possible} (`ulimit -Hn`, `ulimit -u`, vm.max_map_count, pids.max)"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_keeps_a_port_from_being_bound_is_said_with_the_ways_out() {
        let bind = |address: &str, kind: ErrorKind| {
            let error = StartError::Bind { address: address.parse().unwrap(), error: io::Error::from(kind) };
            let failure = refusal(address, &error);
            assert_eq!(failure.code, ExitCode::Failed);
            failure.sentence
        };
        let denied = bind("0.0.0.0:843", ErrorKind::PermissionDenied);
        for way in ["0.0.0.0:843", "socket activation", "setcap cap_net_bind_service", "redirect"] {
            assert!(denied.contains(way), "{denied}");
        }
        assert!(!bind("0.0.0.0:8430", ErrorKind::PermissionDenied).contains("setcap"));
        assert!(bind("[::1]:1024", ErrorKind::AddrInUse).contains("[::1]:1024: the address is taken"));
        assert!(bind("192.0.2.1:1024", ErrorKind::AddrNotAvailable).contains("no such address"));
        let unknown = StartError::Address(io::Error::other("name unknown"));
        assert_eq!(refusal("nowhere.invalid:1", &unknown).sentence, "cannot listen on nowhere.invalid:1: name unknown");
    }
}
