//! The example's three processes are killed again and again under load: no write that was acknowledged
//! is lost, and no read shows an older value than one before it did.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[path = "../../examples/kv.rs"]
#[expect(dead_code, reason = "its `main` is that of another program")]
mod kv;

/// Says how often a process is killed. Ten times if nothing is said.
const KILLS: &str = "QUORATE_KILLS";
const ARGUMENTS: &str = "QUORATE_TEST_KV";

/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Clients, each with a key that it alone writes.
const CLIENTS: usize = 6;
/// Writes that are acknowledged between two kills, at least.
const BETWEEN: u64 = 200;

/// Does nothing, unless it is started by another test.
#[test]
fn runs_a_node_until_it_is_killed() {
    let Ok(arguments) = env::var(ARGUMENTS) else { return };
    let arguments: Vec<String> = arguments.lines().map(str::to_owned).collect();
    let ended = kv::run(&arguments);
    panic!("it has ended by itself: {ended:?}");
}

/// Whoever types a wrong command is told what is wrong with it, and nothing is founded by it.
#[test]
fn a_wrong_start_says_what_is_wrong_and_founds_nothing() {
    let folder = tempfile::tempdir().expect("there is room");
    let directory = folder.path().join("node").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let taken = taken.local_addr().expect("it has one").to_string();
    let starts: [(&str, &str, &[&str], &str); 10] = [
        ("1", "127.0.0.1:0", &[], "node 1 is not in the list"),
        ("4", "127.0.0.1:0", &["1=127.0.0.1:1"], "node 4 is not in the list"),
        ("x", "127.0.0.1:0", &["1=127.0.0.1:1"], "x is not an id"),
        ("1", "127.0.0.1:0", &["1=127.0.0.1:1", "2"], "2 is not ID=HOST:PORT"),
        ("1", "127.0.0.1:0", &["1=127.0.0.1:1", "2=there"], "2=there is not ID=HOST:PORT"),
        ("1", "127.0.0.1:0", &["1=127.0.0.1:x"], "1=127.0.0.1:x is not ID=HOST:PORT"),
        ("1", "127.0.0.1:0", &["x=127.0.0.1:1"], "x=127.0.0.1:1 is not ID=HOST:PORT"),
        ("1", "127.0.0.1:0", &["1=127.0.0.1:1", "1=127.0.0.1:2"], "id 1 is listed twice"),
        ("1", "nonsense", &["1=127.0.0.1:1"], "for clients, nonsense: invalid socket address"),
        ("1", &taken, &["1=127.0.0.1:1"], &format!("for clients, {taken}: Address already in use")),
    ];
    for (id, clients, peers, why) in starts {
        let words = [id, &directory, clients].into_iter().chain(peers.iter().copied());
        let arguments: Vec<String> = words.map(str::to_owned).collect();
        let said = kv::run(&arguments).expect_err("it is wrong").to_string();
        assert!(said.contains(why), "{said:?} instead of {why:?}");
    }
    assert!(!folder.path().join("node").exists());
}

/// Three processes on this machine.
struct Cluster {
    folder: TempDir,
    ports: Vec<u16>,
    running: [Option<Child>; 3],
}

impl Cluster {
    fn start() -> Cluster {
        let folder = tempfile::tempdir().expect("there is room");
        let mut cluster = Cluster { folder, ports: free_ports(), running: [None, None, None] };
        (0..3).for_each(|node| cluster.run(node));
        cluster
    }

    fn directory(&self, node: usize) -> PathBuf {
        self.folder.path().join(node.to_string())
    }

    /// Starts a process that does not run.
    fn run(&mut self, node: usize) {
        let clients = format!("127.0.0.1:{}", self.ports[3 + node]);
        let mut arguments = format!("{}\n{}\n{clients}", node + 1, self.directory(node).display());
        for peer in 0..3 {
            arguments += &format!("\n{}=127.0.0.1:{}", peer + 1, self.ports[peer]);
        }
        let child = Command::new(env::current_exe().expect("this is a program"))
            .args(["--exact", "killed::runs_a_node_until_it_is_killed", "--nocapture"])
            .env(ARGUMENTS, arguments)
            .stdout(Stdio::null())
            .spawn();
        self.running[node] = Some(child.expect("it can be started again"));
    }

    /// `kill -9`.
    fn kill(&mut self, node: usize) {
        let mut child = self.running[node].take().expect("it runs");
        assert_eq!(child.try_wait().expect("it is ours"), None, "node {} has ended", node + 1);
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports from which the system makes no connections: a node that is down stays unreachable. Each
/// cluster of each process has its own.
fn free_ports() -> Vec<u16> {
    static CLUSTERS: AtomicU16 = AtomicU16::new(0);
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let first = 12_000 + (std::process::id() % 1_000) as u16 * 16 + cluster % 2 * 8;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_000).filter(free).take(6).collect()
}

/// A connection to a node.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Client(BufReader::new(stream)))
    }

    /// The answer to a line; none where what comes of it is not known.
    fn ask(&mut self, line: &str) -> Option<String> {
        writeln!(self.0.get_mut(), "{line}").ok()?;
        let mut answer = String::new();
        self.0.read_line(&mut answer).ok()?;
        let answer = answer.strip_suffix('\n')?;
        (!answer.starts_with("error: ")).then(|| answer.to_owned())
    }
}

/// What is known of a key. Its one client writes 1, 2, 3 and so on.
#[derive(Default)]
struct Key {
    tried: u64,
    /// The latest value that was acknowledged, or seen by anybody.
    known: u64,
    /// Values of which nothing was heard: each may be there at once, later, or never.
    unknown: BTreeSet<u64>,
}

impl Key {
    /// Whether a read that began when `known` was this may give this.
    fn saw(&mut self, known: u64, answer: &str) -> Result<(), String> {
        let value: u64 = match answer {
            "" => 0,
            answer => answer.parse().map_err(|_| format!("nobody wrote {answer}"))?,
        };
        if value > self.tried {
            return Err(format!("{value} is there, and only {} were written", self.tried));
        }
        if value < known && !self.unknown.contains(&value) {
            return Err(format!("{value} is there after {known} was acknowledged or seen"));
        }
        self.known = self.known.max(value);
        Ok(())
    }
}

#[derive(Default)]
struct History {
    keys: [Mutex<Key>; CLIENTS],
    acknowledged: AtomicU64,
    reads: AtomicU64,
}

impl History {
    fn key(&self, key: usize) -> MutexGuard<'_, Key> {
        self.keys[key].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the next value. None where it is not known whether it is there.
    fn write(&self, client: &mut Client, key: usize) -> Option<Result<(), String>> {
        let (value, known) = {
            let mut it = self.key(key);
            it.tried += 1;
            (it.tried, it.known)
        };
        let answer = client.ask(&format!("set key-{key} {value}"));
        let mut it = self.key(key);
        let Some(before) = answer else {
            it.unknown.insert(value);
            return None;
        };
        let seen = it.saw(known, &before);
        it.known = it.known.max(value);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        Some(seen)
    }

    fn read(&self, client: &mut Client, key: usize) -> Option<Result<(), String>> {
        let known = self.key(key).known;
        let value = client.ask(&format!("get key-{key}"))?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        Some(self.key(key).saw(known, &value))
    }

    /// Every node shows every key.
    fn read_everywhere(&self, ports: &[u16]) -> Result<(), String> {
        for port in ports {
            for key in 0..CLIENTS {
                let since = Instant::now();
                loop {
                    assert!(since.elapsed() < PATIENCE, "port {port} does not answer");
                    let read = Client::connect(*port).and_then(|mut it| self.read(&mut it, key));
                    match read {
                        Some(seen) => break seen?,
                        None => thread::sleep(Duration::from_millis(20)),
                    }
                }
            }
        }
        Ok(())
    }

    /// One client, until it is told to stop: writes its own key and reads all, through any node.
    fn client(&self, key: usize, ports: &[u16], stop: &AtomicBool) -> Result<(), String> {
        let mut random = Random(key as u64 + 1);
        while !stop.load(Ordering::Relaxed) {
            let Some(mut client) = Client::connect(ports[random.below(3)]) else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            // Where this is answered, the node has a session for the client, and writes get to it.
            let Some(seen) = self.read(&mut client, key) else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            seen?;
            for _ in 0..random.below(200) {
                let done = match random.below(3) {
                    0 => self.read(&mut client, random.below(CLIENTS)),
                    _ => self.write(&mut client, key),
                };
                match done {
                    Some(seen) => seen?,
                    None => break,
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Constants of Knuth's MMIX; the high bits are good.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Kills processes until so many were killed: mostly one, sometimes two or all at a time.
fn kill_again_and_again(cluster: &mut Cluster, history: &History, kills: u64) {
    let (mut random, mut killed) = (Random(7), 0);
    while killed < kills {
        let (since, before) = (Instant::now(), history.acknowledged.load(Ordering::Relaxed));
        while history.acknowledged.load(Ordering::Relaxed) < before + BETWEEN {
            assert!(since.elapsed() < PATIENCE, "after {killed} kills nothing is acknowledged");
            thread::sleep(Duration::from_millis(1));
        }
        let at_once = [1, 1, 1, 1, 1, 1, 1, 2, 2, 3][random.below(10)];
        let first = random.below(3);
        let victims: Vec<usize> = (0..at_once).map(|next| (first + next) % 3).collect();
        victims.iter().for_each(|node| cluster.kill(*node));
        thread::sleep(Duration::from_millis(random.below(100) as u64));
        victims.iter().for_each(|node| cluster.run(*node));
        killed += victims.len() as u64;
    }
}

#[test]
fn no_acknowledged_write_is_lost_when_the_processes_are_killed() {
    let kills = env::var(KILLS).map_or(10, |kills| kills.parse().expect("it is a number"));
    let (mut cluster, history, stop) =
        (Cluster::start(), History::default(), AtomicBool::new(false));
    let ports = cluster.ports[3..].to_vec();
    let began = Instant::now();
    thread::scope(|scope| {
        let client = |key| {
            let (history, ports, stop) = (&history, &ports, &stop);
            scope.spawn(move || history.client(key, ports, stop))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        kill_again_and_again(&mut cluster, &history, kills);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            assert_eq!(client.join().expect("it does not panic"), Ok(()));
        }
    });
    assert_eq!(history.read_everywhere(&ports), Ok(()));
    // And once more after a blackout.
    (0..3).for_each(|node| cluster.kill(node));
    (0..3).for_each(|node| cluster.run(node));
    assert_eq!(history.read_everywhere(&ports), Ok(()));
    let unknown: usize = (0..CLIENTS).map(|key| history.key(key).unknown.len()).sum();
    println!(
        "{kills} kills in {:.1} s: {} writes acknowledged, {unknown} unknown, {} reads",
        began.elapsed().as_secs_f64(),
        history.acknowledged.load(Ordering::Relaxed),
        history.reads.load(Ordering::Relaxed)
    );
}

#[test]
fn a_cluster_that_forgets_is_found_out() {
    let (mut cluster, history) = (Cluster::start(), History::default());
    let (since, port) = (Instant::now(), cluster.ports[3]);
    while history.acknowledged.load(Ordering::Relaxed) == 0 {
        assert!(since.elapsed() < PATIENCE, "nothing is acknowledged");
        let written = Client::connect(port).and_then(|mut it| history.write(&mut it, 0));
        written.unwrap_or(Ok(())).expect("nothing is lost yet");
    }
    for node in 0..3 {
        cluster.kill(node);
        fs::remove_dir_all(cluster.directory(node)).expect("it was there");
        cluster.run(node);
    }
    let found = history.read_everywhere(&cluster.ports[3..]);
    assert!(found.is_err_and(|it| it.contains("was acknowledged or seen")));
}

#[test]
fn what_a_read_may_show_is_what_is_known_or_later() {
    let mut key = Key { tried: 9, known: 7, unknown: BTreeSet::from([5]) };
    assert!(key.saw(7, "6").is_err() && key.saw(7, "").is_err(), "a write is lost");
    assert!(key.saw(7, "10").is_err(), "nobody wrote that");
    assert!(key.saw(7, "5").is_ok(), "it may have come late");
    assert!(key.saw(7, "8").is_ok(), "it was not acknowledged, and is there");
    assert!(key.saw(key.known, "7").is_err(), "somebody has seen 8");
}
