//! Canonical names: states that differ only in which server is called what are one state.
//!
//! Each state is given names so that the servers are in order of a signature that no renaming
//! changes; where signatures are equal, the least of the remaining orders is taken. Any choice
//! among equivalent states is sound; a better one merges more. It is applied only among servers
//! that a slice treats alike, and only to claims that treat all of them alike.

use dashmap::DashMap;
use quorate_spec::property::history::History;
use quorate_spec::{Envelope, NodeId, Rename};

use crate::intern::{Internable, Interned, content_hash};
use crate::server::{Server, in_order};
use crate::slice::{Network, Slice};
use crate::state::{Net, Servers, State};

type Fold = foldhash::fast::FixedState;
/// For each old name its new one.
type Names = smallvec::SmallVec<[u8; 6]>;
type Keys = smallvec::SmallVec<[u64; 6]>;
type Rank = smallvec::SmallVec<[u64; 16]>;

/// The renamings of a slice, with what they were found to do.
pub(crate) struct Canonical {
    classes: Vec<Vec<usize>>,
    /// Whether what waits at a gate is in order: the requests there came in the order of the names.
    sorts: bool,
    servers: DashMap<(Interned<Server>, u32), Interned<Server>, Fold>,
    envelopes: DashMap<(Interned<Envelope>, u32), Interned<Envelope>, Fold>,
    histories: DashMap<(Interned<History>, u32), Interned<History>, Fold>,
}

impl Canonical {
    /// The renamings among servers that the slice treats alike.
    #[must_use]
    pub(crate) fn new(slice: &Slice) -> Canonical {
        Canonical {
            classes: slice.alike(),
            sorts: slice.network == Network::Async,
            servers: DashMap::with_hasher(Fold::with_seed(3)),
            envelopes: DashMap::with_hasher(Fold::with_seed(4)),
            histories: DashMap::with_hasher(Fold::with_seed(5)),
        }
    }

    /// The state under its canonical names.
    #[must_use]
    pub(crate) fn of(&self, mut state: State) -> State {
        if self.sorts {
            state.servers.iter_mut().for_each(|server| *server = in_order(*server));
        }
        let keys = keys(&state);
        let mut names: Names = (0..state.servers.len() as u8).collect();
        // Every class is sorted, also after one with a tie.
        let sort = |ties, class: &Vec<usize>| sort_by_key(class, &keys, &mut names) | ties;
        let ties = self.classes.iter().fold(false, sort);
        if !ties || self.ties_are_symmetric(&state, &keys) {
            return if is_identity(&names) { state } else { self.renamed(&state, &names) };
        }
        let mut orders: Vec<Names> = vec![(0..state.servers.len() as u8).collect()];
        for class in &self.classes {
            orders = sorted_within(class, &keys, orders);
        }
        let renamed = orders.iter().map(|names| self.renamed(&state, names));
        let least = renamed.min_by_key(|state| {
            let servers = state.servers.iter().map(|server| server.content());
            let net = state.net.iter().map(|envelope| envelope.content());
            let rest = [state.history.content(), content_hash(&state.clocks)];
            servers.chain(net).chain(rest).collect::<Rank>()
        });
        least.unwrap_or(state)
    }

    /// Whether exchanging servers of equal keys changes nothing, so that any order will do.
    fn ties_are_symmetric(&self, state: &State, keys: &Keys) -> bool {
        self.classes.iter().all(|class| {
            class.iter().enumerate().all(|(at, a)| {
                let tied = class[at + 1..].iter().find(|b| keys[**b] == keys[*a]);
                tied.is_none_or(|b| {
                    let mut names: Names = (0..state.servers.len() as u8).collect();
                    names.swap(*a, *b);
                    self.renamed(state, &names) == *state
                })
            })
        })
    }

    fn renamed(&self, state: &State, names: &Names) -> State {
        if is_identity(names) {
            return state.clone();
        }
        let code = names.iter().fold(0, |code, name| code * 8 + u32::from(*name));
        let mut servers: Servers = state.servers.clone();
        for (old, server) in state.servers.iter().enumerate() {
            let server = renamed(&self.servers, *server, code, names);
            let server = if self.sorts { in_order(server) } else { server };
            servers[usize::from(names[old])] = server;
        }
        let rename =
            |envelope: &Interned<Envelope>| renamed(&self.envelopes, *envelope, code, names);
        let mut net: Net = state.net.iter().map(rename).collect();
        net.sort_unstable();
        let history = renamed(&self.histories, state.history, code, names);
        let clocks = state.clocks.renamed(names);
        State { servers, net, history, clocks, ..state.clone() }
    }
}

fn renamed<T: Internable + Rename + Clone>(
    memo: &DashMap<(Interned<T>, u32), Interned<T>, Fold>,
    value: Interned<T>,
    code: u32,
    names: &Names,
) -> Interned<T> {
    if let Some(known) = memo.get(&(value, code)) {
        return *known;
    }
    let mut copy = (*value).clone();
    copy.rename(&|id| NodeId(u64::from(names[id.0 as usize])));
    let copy = Interned::new(copy);
    memo.insert((value, code), copy);
    copy
}

fn is_identity(names: &Names) -> bool {
    names.iter().enumerate().all(|(old, new)| old == usize::from(*new))
}

/// Names the members of a class in order of their keys, and says whether two have the same.
fn sort_by_key(class: &[usize], keys: &[u64], names: &mut Names) -> bool {
    let mut members: smallvec::SmallVec<[usize; 6]> = class.into();
    members.sort_unstable_by_key(|member| keys[*member]);
    for (place, member) in class.iter().zip(&members) {
        names[*member] = *place as u8;
    }
    members.windows(2).any(|pair| keys[pair[0]] == keys[pair[1]])
}

/// A number for each server that no renaming changes: what it is, how far its clock may move, and
/// what is under way from and to it.
fn keys(state: &State) -> Keys {
    let mut keys: Keys = state.servers.iter().map(|server| server.signature()).collect();
    if state.clocks.are_counted() {
        for server in &state.servers {
            let id = server.node.id();
            for other in state.servers.iter().filter(|other| other.node.id() != id) {
                let room = state.clocks.of(id, other.node.id());
                let about = content_hash(&(room, other.signature()));
                keys[id.0 as usize] = keys[id.0 as usize].wrapping_add(about.rotate_left(41));
            }
        }
    }
    for envelope in &state.net {
        let about = envelope.signature();
        let (from, to) = (envelope.from.0 as usize, envelope.to.0 as usize);
        keys[from] = keys[from].wrapping_add(about.rotate_left(7));
        keys[to] = keys[to].wrapping_add(about.rotate_left(23));
    }
    keys
}

/// For each order so far, every order of the class's members that is sorted by their keys.
fn sorted_within(class: &[usize], keys: &[u64], orders: Vec<Names>) -> Vec<Names> {
    let mut members: Vec<usize> = class.to_vec();
    members.sort_by_key(|member| keys[*member]);
    let mut ranked: Vec<Vec<usize>> = vec![Vec::new()];
    for group in members.chunk_by(|a, b| keys[*a] == keys[*b]) {
        let mut longer = Vec::new();
        for start in &ranked {
            for order in permutations(group) {
                longer.push(start.iter().copied().chain(order).collect());
            }
        }
        ranked = longer;
    }
    let mut result = Vec::new();
    for names in &orders {
        for order in &ranked {
            let mut names = names.clone();
            for (place, member) in class.iter().zip(order) {
                names[*member] = *place as u8;
            }
            result.push(names);
        }
    }
    result
}

/// Every order of the items.
pub(crate) fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for at in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(at, *first);
            all.push(longer);
        }
    }
    all
}
