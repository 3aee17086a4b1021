//! Defines [`ThreadPermit`], the right to have a thread, and how many of them the system allows.
//!
//! A thread that cannot be made is an error that somebody is told of, or, where memory maps run out, the end of the
//! process. So threads are counted before they are made, over all servers of the process. Connections may not have
//! all of them: some are kept for clients that fall behind, who would otherwise be closed because others are idle.
//!
//! Knows: what Linux says of its bounds. Must not know: what a thread is for, beyond the two kinds.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit, getuid};

/// Memory maps that a thread takes: stack, guard page, signal stack and its guard.
const MAPS: usize = 4;

/// Maps for everything else, by the thread: the program, its libraries, what is allocated.
const OTHER_MAPS: usize = 500;

/// Threads that have no permit, and those that others start meanwhile: listeners, the dispatcher, refusals, signals.
const OTHER_THREADS: usize = 32;

/// Threads kept for clients that fall behind, where there are that many to keep.
const RESERVE_MIN: usize = 64;

/// The capabilities of one to whom no count of processes applies, as bits: CAP_SYS_ADMIN and CAP_SYS_RESOURCE.
const BOUNDLESS: u64 = 1 << 21 | 1 << 24;

/// Threads that are alive in this process on account of connections, over all servers.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The right to have a thread; given back when dropped.
pub(in crate::server) struct ThreadPermit(());

impl ThreadPermit {
    /// Takes a permit for a connection's own thread, if one is left.
    pub(in crate::server) fn for_connection() -> Option<ThreadPermit> {
        ThreadPermit::take_below(connection_ceiling())
    }

    /// Takes a permit for a catch-up writer, if one is left: out of the reserve, too.
    pub(in crate::server) fn for_writer() -> Option<ThreadPermit> {
        ThreadPermit::take_below(thread_ceiling())
    }

    fn take_below(ceiling: usize) -> Option<ThreadPermit> {
        THREADS
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |threads| (threads < ceiling).then_some(threads + 1))
            .is_ok()
            .then_some(ThreadPermit(()))
    }
}

impl Drop for ThreadPermit {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many connections this process can have, for the threads that the system allows it. The smallest of
/// `vm.max_map_count` (a new thread without a map does not fail, it aborts the process), the system's and the user's
/// bounds on threads, and the control group's `pids.max`; less what else runs there, and a reserve for clients that
/// fall behind. Read once, at the first call.
#[must_use]
pub fn connection_ceiling() -> usize {
    let ceiling = thread_ceiling();
    ceiling - reserve(ceiling)
}

/// How many threads may be alive in this process on account of connections.
fn thread_ceiling() -> usize {
    static CEILING: OnceLock<usize> = OnceLock::new();
    *CEILING.get_or_init(|| Bounds::read(Path::new("/")).ceiling())
}

/// How many of `ceiling` threads are kept for clients that fall behind: a sixteenth, where that is little more, but
/// never above a quarter.
fn reserve(ceiling: usize) -> usize {
    (ceiling / 16).max(RESERVE_MIN).min(ceiling / 4)
}

/// What the system says about how many threads there may be; `None` where it sets no bound, or says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bounds {
    /// Memory maps of one process.
    maps: Option<usize>,
    /// Threads of the whole system, and the numbers that it has for them.
    system: Option<usize>,
    /// Threads that this user may still have.
    user: Option<usize>,
    /// Threads that the control group, and those around it, may still have.
    group: Option<usize>,
}

impl Bounds {
    /// Asks the system whose files lie under `root`.
    fn read(root: &Path) -> Bounds {
        let number = |path: &str| number(&root.join(path));
        let system = [number("proc/sys/kernel/threads-max"), number("proc/sys/kernel/pid_max")];
        let bound = getrlimit(Resource::Nproc).current.and_then(|bound| usize::try_from(bound).ok());
        Bounds {
            maps: number("proc/sys/vm/max_map_count"),
            system: system.into_iter().flatten().min(),
            user: bound.filter(|_| !is_boundless(root)).map(|bound| bound.saturating_sub(threads_of_user(root))),
            group: group_room(root),
        }
    }

    /// How many threads that leaves for connections.
    fn ceiling(&self) -> usize {
        let by_maps = (self.maps.unwrap_or(65_530) / MAPS).saturating_sub(OTHER_MAPS);
        let others = [self.system, self.user, self.group];
        let by_count = others.into_iter().flatten().map(|threads| threads.saturating_sub(OTHER_THREADS)).min();
        by_maps.min(by_count.unwrap_or(usize::MAX)).max(1)
    }
}

/// The number that a file holds; `None` where there is no such file, or it says `max`.
fn number(path: &Path) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The field called `name` of a file like `/proc/self/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether the count of a user's processes does not apply to this one: it is the system's own root, or has the
/// capabilities for that. Inside a user namespace neither counts.
fn is_boundless(root: &Path) -> bool {
    let map = fs::read_to_string(root.join("proc/self/uid_map")).unwrap_or_default();
    let is_outermost = map.split_whitespace().eq(["0", "0", "4294967295"]);
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    is_outermost && (getuid().is_root() || is_capable(&status))
}

/// Whether a process of this status has the capabilities of one to whom no count of processes applies.
fn is_capable(status: &str) -> bool {
    let capabilities = field(status, "CapEff").and_then(|bits| u64::from_str_radix(bits, 16).ok());
    capabilities.is_some_and(|bits| bits & BOUNDLESS != 0)
}

/// How many threads this user has, this process's among them.
fn threads_of_user(root: &Path) -> usize {
    let user = getuid().as_raw().to_string();
    let threads_of = |status: String| {
        let owner = field(&status, "Uid")?.split_whitespace().next()?;
        let threads = field(&status, "Threads")?.parse::<usize>().ok()?;
        (owner == user).then_some(threads)
    };
    let processes = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let numbered = processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    numbered.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok().and_then(threads_of)).sum()
}

/// How many threads more the control group of this process, and each around it, may have; both versions of them.
fn group_room(root: &Path) -> Option<usize> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut room = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let mounts: &[&str] = match parts.next() {
            Some("") => &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
            Some("pids") => &["sys/fs/cgroup/pids"],
            _ => &[],
        };
        let inside = Path::new(parts.next().unwrap_or_default()).components();
        let path: PathBuf = inside.filter(|part| matches!(part, Component::Normal(_))).collect();
        // What can be seen of the groups may begin further in than the path says, so the outermost folder is asked, too.
        for folder in mounts.iter().flat_map(|mount| path.ancestors().map(move |group| root.join(mount).join(group))) {
            let Some(max) = number(&folder.join("pids.max")) else { continue };
            let left = max.saturating_sub(number(&folder.join("pids.current")).unwrap_or(0));
            room = Some(room.map_or(left, |room: usize| room.min(left)));
        }
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_bound_is_the_ceiling() {
        let usual = Bounds { maps: Some(65_530), system: Some(32_768), user: None, group: None };
        for (bounds, ceiling, kept) in [
            (Bounds::default(), 15_882, 992),
            (Bounds { user: Some(96_000), ..usual }, 15_882, 992),
            (Bounds { maps: Some(1 << 20), ..usual }, 32_736, 2_046),
            (Bounds { user: Some(4_000), group: Some(2_000), ..usual }, 1_968, 123),
            (Bounds { user: Some(1_000), group: Some(2_000), ..usual }, 968, 64),
            (Bounds { group: Some(132), ..usual }, 100, 25),
            (Bounds { group: Some(0), ..usual }, 1, 0),
            (Bounds { maps: Some(0), ..usual }, 1, 0),
        ] {
            assert_eq!((bounds.ceiling(), reserve(bounds.ceiling())), (ceiling, kept), "{bounds:?}");
        }
    }

    #[test]
    fn either_of_two_capabilities_makes_boundless() {
        for (bits, is) in [
            ("0000000000000000", false),
            ("0000000000200000", true),
            ("0000000001000000", true),
            ("000001ffffffffff", true),
            ("000001fffedfffff", false),
            ("none", false),
        ] {
            assert_eq!(is_capable(&format!("Name:\tx\nCapEff:\t{bits}\nCapBnd:\t000001ffffffffff\n")), is, "{bits}");
        }
        assert!(!is_capable("Name:\tx\n"));
    }

    /// Writes files under `root`, with the folders that they need.
    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
    }

    #[test]
    fn every_control_group_around_the_process_counts() {
        let outer = ("sys/fs/cgroup/a.slice/pids.max", "100\n");
        let inner = ("sys/fs/cgroup/a.slice/b/pids.max", "max\n");
        for (files, room) in [
            (&[][..], None),
            (&[("proc/self/cgroup", "0::/\n")], None),
            (&[("proc/self/cgroup", "0::/a.slice/b\n"), outer, inner], Some(100)),
            (&[("proc/self/cgroup", "0::/a.slice/b\n"), ("sys/fs/cgroup/a.slice/b/pids.max", "7"), outer], Some(7)),
            (
                &[("proc/self/cgroup", "0::/a.slice/b\n"), outer, ("sys/fs/cgroup/a.slice/pids.current", "60\n")],
                Some(40),
            ),
            (&[("proc/self/cgroup", "0::/a.slice\n"), outer, ("sys/fs/cgroup/a.slice/pids.current", "160")], Some(0)),
            // Version 1, with the other version beside it; and in a container that sees its own group as the outermost.
            (
                &[
                    ("proc/self/cgroup", "8:pids:/x\n4:memory:/a.slice\n0::/\n"),
                    ("sys/fs/cgroup/pids/x/pids.max", "50"),
                    outer,
                ],
                Some(50),
            ),
            (&[("proc/self/cgroup", "8:pids:/docker/12ab\n"), ("sys/fs/cgroup/pids/pids.max", "30")], Some(30)),
            (&[("proc/self/cgroup", "0::/../a.slice\n"), outer], Some(100)),
        ] {
            let root = tempfile::tempdir().expect("a folder");
            write(root.path(), files);
            assert_eq!(group_room(root.path()), room, "{files:?}");
        }
    }

    #[test]
    fn the_threads_of_a_user_are_those_of_all_its_processes() {
        let root = tempfile::tempdir().expect("a folder");
        let own = getuid().as_raw();
        let status = |user: u32, threads: u32| format!("Name:\tx\nUid:\t{user}\t0\t0\t0\nThreads:\t{threads}\n");
        let (one, other, foreign) = (status(own, 3), status(own, 4), status(own + 1, 50));
        let files = [
            ("proc/1/status", foreign.as_str()),
            ("proc/22/status", &one),
            ("proc/303/status", &other),
            ("proc/self/status", &other),
            ("proc/9/status", "nonsense"),
        ];
        write(root.path(), &files);
        assert_eq!(threads_of_user(root.path()), 7);
        assert!(threads_of_user(Path::new("/")) >= 1, "at least this one");
    }

    #[test]
    fn root_is_bound_only_inside_a_namespace() {
        let outermost = ("proc/self/uid_map", "         0          0 4294967295\n");
        for (files, root_or_able) in [
            (&[outermost, ("proc/self/status", "CapEff:\t000001ffffffffff\n")][..], true),
            (&[outermost, ("proc/self/status", "CapEff:\t0000000000000000\n")], getuid().is_root()),
            (&[("proc/self/uid_map", "0 1000 1\n"), ("proc/self/status", "CapEff:\t000001ffffffffff\n")], false),
        ] {
            let root = tempfile::tempdir().expect("a folder");
            write(root.path(), files);
            assert_eq!(is_boundless(root.path()), root_or_able, "{files:?}");
        }
    }
}
