//! Defines the servers that are measured: ours, the limit, and those of others.
//!
//! Each is started for one measure, on a free port of this machine, as a child of this one, and ended after it. Nothing
//! is installed as a service, and no server is touched that was not started here.
//!
//! Knows: commands and configurations. Must not know: what is measured.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// Where the configurations of the other servers are, and what the load generator says to them.
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The least that a server must do
    Limit,
    /// `serve --app relay --echo`
    Relay,
    /// `serve --app chat`
    Chat,
    /// redis-server
    Redis,
    /// nats-server
    Nats,
    /// ngIRCd
    Ngircd,
    /// InspIRCd
    Inspircd,
}

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether our servers keep their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limits {
    /// As they are by default.
    Default,
    /// Those that a load meets are off.
    Off,
}

/// Settings that take the limits out of the way.
const LIMITS_OFF: [&str; 10] = [
    "--set",
    "limits.frames_per_second_max=0",
    "--set",
    "limits.connections_max=0",
    "--set",
    "limits.login_seconds_max=0",
    "--set",
    "limits.rooms_max=0",
    "--set",
    "limits.rooms_per_address_max=0",
];

impl Kind {
    /// All of them.
    pub(crate) const ALL: &[Kind] =
        &[Kind::Limit, Kind::Relay, Kind::Chat, Kind::Redis, Kind::Nats, Kind::Ngircd, Kind::Inspircd];

    /// How it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Limit => "limit",
            Kind::Relay => "relay",
            Kind::Chat => "chat",
            Kind::Redis => "redis",
            Kind::Nats => "nats",
            Kind::Ngircd => "ngircd",
            Kind::Inspircd => "inspircd",
        }
    }

    /// What it speaks, as options of the load generator.
    pub(crate) fn speaks(self) -> [String; 2] {
        let file = |name: &str| Path::new(FOLDER).join(name).display().to_string();
        match self {
            Kind::Limit | Kind::Relay => ["--preset".to_owned(), "relay".to_owned()],
            Kind::Chat => ["--preset".to_owned(), "chat".to_owned()],
            Kind::Redis => ["--vocabulary".to_owned(), file("redis.toml")],
            Kind::Nats => ["--vocabulary".to_owned(), file("nats.toml")],
            Kind::Ngircd | Kind::Inspircd => ["--vocabulary".to_owned(), file("irc.toml")],
        }
    }

    /// Whether it is one of ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Kind::Limit | Kind::Relay | Kind::Chat)
    }

    /// The program that it is, where it is not ours.
    fn program(self) -> Option<&'static str> {
        match self {
            Kind::Limit | Kind::Relay | Kind::Chat => None,
            Kind::Redis => Some("redis-server"),
            Kind::Nats => Some("nats-server"),
            Kind::Ngircd => Some("ngircd"),
            Kind::Inspircd => Some("inspircd"),
        }
    }

    /// Where that program is, if it is installed.
    fn installed(self) -> Option<PathBuf> {
        let program = self.program()?;
        let path = env::var_os("PATH").unwrap_or_default();
        // Where Debian puts servers, which is not on everybody's path.
        let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        folders.map(|folder| folder.join(program)).find(|file| file.is_file())
    }

    /// Whether it can be started.
    pub(crate) fn is_there(self) -> bool {
        self.is_ours() || self.installed().is_some()
    }

    /// The version of a server that is not ours, as it says itself.
    pub(crate) fn version(self) -> String {
        let output = self.installed().and_then(|path| Command::new(path).arg("--version").output().ok());
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let numbers = text.split(|character: char| !character.is_ascii_digit() && character != '.');
        numbers.map(|word| word.trim_matches('.')).find(|word| word.contains('.')).unwrap_or("?").to_owned()
    }

    /// The file that it is: `ours` is `xmlsocket`, and the limit was built with this suite.
    fn file(self, ours: &Path) -> Option<PathBuf> {
        match self {
            Kind::Limit => Some(env::current_exe().ok()?.with_file_name("limit")),
            Kind::Relay | Kind::Chat => Some(ours.to_owned()),
            _ => self.installed(),
        }
    }

    /// The command that starts it on `port`; `folder` holds its configuration.
    fn command(self, ours: &Path, port: u16, limits: Limits, folder: &Path) -> Option<Command> {
        let mut command = Command::new(self.file(ours)?);
        let address = format!("127.0.0.1:{port}");
        let configuration = folder.join("server.conf");
        match self {
            Kind::Limit => command.arg(port.to_string()),
            Kind::Relay => command.args(["serve", "--listen", &address, "--app", "relay", "--echo"]),
            Kind::Chat => command.args(["serve", "--listen", &address, "--app", "chat"]),
            Kind::Redis => command.arg(configuration),
            Kind::Nats => command.arg("-c").arg(configuration),
            Kind::Ngircd => command.arg("-n").arg("-f").arg(configuration),
            Kind::Inspircd => {
                let unattended = ["--nofork", "--nolog", "--nopid", "--runasroot"];
                command.args(unattended).arg("--config").arg(configuration)
            }
        };
        if limits == Limits::Off && matches!(self, Kind::Relay | Kind::Chat) {
            command.args(LIMITS_OFF);
        }
        Some(command)
    }
}

/// A server that was started here. Dropping it ends it.
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
    /// Its configuration and whatever it writes.
    folder: PathBuf,
}

impl Running {
    /// Starts a server and waits until it can be connected to.
    pub(crate) fn start(kind: Kind, limits: Limits, ours: &Path) -> Result<Running, Failure> {
        let failed = |what: &str, error: io::Error| format!("{} {what}: {error}", kind.name());
        let port = free_port().map_err(|error| failed("finds no free port", error))?;
        let folder = env::temp_dir().join(format!("xmlsocket-bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| failed("has no folder", error))?;
        if let Some(text) = configuration(kind, port, &folder)? {
            fs::write(folder.join("server.conf"), text).map_err(|error| failed("has no configuration", error))?;
        }
        let Some(mut command) = kind.command(ours, port, limits, &folder) else {
            return Err(format!("{} is not installed; see `make bench-peers`", kind.name()));
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| failed("cannot be started", error))?;
        let mut running = Running { child, address: (Ipv4Addr::LOCALHOST, port).into(), folder };
        running.wait(kind)?;
        Ok(running)
    }

    /// Waits until it can be connected to.
    fn wait(&mut self, kind: Kind) -> Result<(), Failure> {
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if matches!(self.child.try_wait(), Ok(Some(_))) || began.elapsed() > PATIENCE {
                return Err(format!("{} did not start", kind.name()));
            }
            // Most are there at once; there is nothing else to wait for that all of them have.
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; what it wrote is of no use to anybody.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The configuration of a server that needs one.
fn configuration(kind: Kind, port: u16, own: &Path) -> Result<Option<String>, Failure> {
    if kind.is_ours() {
        return Ok(None);
    }
    let path = Path::new(FOLDER).join(format!("{}.conf", kind.name()));
    let text = fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(Some(text.replace("@PORT@", &port.to_string()).replace("@DIR@", &own.to_string_lossy())))
}

/// A port that nobody uses at this moment.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
