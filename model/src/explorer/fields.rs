//! What a step changes, field by field.

use serde::Serialize;

use super::refused::RefusedView;
use super::view::{EntryView, MessageView, NodeView, StateView};

/// A step, for the list of steps: it names what it changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StepView {
    /// What happens.
    pub sentence: String,
    /// The fields that differ.
    pub changed: Vec<Changed>,
    /// The positions, among the messages afterwards, of those that were not there before.
    pub sent: Vec<usize>,
    /// The claims that held before and are false now.
    pub broke: Vec<String>,
    /// Where the functions are that made the step, by their keys in the header's sources.
    pub sources: Vec<String>,
    /// What was refused in it.
    pub refused: Vec<RefusedView>,
}

/// A field that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Changed {
    /// The server.
    pub server: String,
    /// The part of the server's row that shows it: a name of the page's.
    pub part: &'static str,
    /// The field.
    pub field: String,
    /// What it was; nothing where it was not there.
    pub before: String,
    /// What it is; nothing where it is gone.
    pub after: String,
}

/// A field of a server with what it says.
struct Field {
    part: &'static str,
    name: String,
    says: String,
}

impl StepView {
    /// The step between these two states.
    #[must_use]
    pub fn new(sentence: String, before: &StateView, after: &StateView) -> StepView {
        let nodes = before.nodes.iter().zip(&after.nodes);
        let held = |claim: &str| before.claims.iter().any(|v| v.claim == claim && v.holds);
        let broke = after.claims.iter().filter(|v| !v.holds && held(&v.claim));
        StepView {
            sentence,
            changed: nodes.flat_map(|(was, is)| differences(was, is)).collect(),
            sent: sent(&before.messages, &after.messages),
            broke: broke.map(|verdict| verdict.claim.clone()).collect(),
            sources: Vec::new(),
            refused: Vec::new(),
        }
    }
}

fn differences(was: &NodeView, is: &NodeView) -> Vec<Changed> {
    let (was, is_now) = (fields(was), fields(is));
    let says = |all: &[Field], name: &str| {
        all.iter().find(|field| field.name == name).map_or(String::new(), |it| it.says.clone())
    };
    let gone = was.iter().filter(|field| !is_now.iter().any(|other| other.name == field.name));
    let all = is_now.iter().chain(gone);
    let changed = all.map(|field| Changed {
        server: is.name.clone(),
        part: field.part,
        field: field.name.clone(),
        before: says(&was, &field.name),
        after: says(&is_now, &field.name),
    });
    changed.filter(|changed| changed.before != changed.after).collect()
}

/// Everything of a server that a step can change.
fn fields(node: &NodeView) -> Vec<Field> {
    let none = || "none".to_owned();
    let own = [
        ("role", "role", node.role.clone()),
        ("term", "term", node.term.to_string()),
        ("vote", "vote", node.vote.clone().unwrap_or_else(none)),
        ("log", "log", log(node)),
        ("log", "members", node.members.clone()),
        ("log", "commit index", node.commit.to_string()),
        ("log", "on disk up to", node.durable.to_string()),
        ("promise", "promise", node.promise.clone().unwrap_or_else(none)),
        ("promise", "lease", node.lease.clone().unwrap_or_else(none)),
        ("knows", "knows", lines(&node.notes)),
        ("disk", "waits for the disk", lines(&node.unwritten)),
        ("disk", "held back", lines(&node.held)),
        ("promise", "clock", lines(&node.clock)),
    ];
    let own = own.map(|(part, name, says)| Field { part, name: name.to_owned(), says });
    let peers = node.peers.iter().map(|peer| Field {
        part: "peers",
        name: format!("knows of {}", peer.name),
        says: format!("next {}, match {}, {}", peer.next, peer.matched, peer.pace),
    });
    own.into_iter().chain(peers).collect()
}

fn log(node: &NodeView) -> String {
    let entry = |entry: &EntryView| {
        let configuration = entry.configuration.clone().unwrap_or_default();
        format!("{}: t{}{configuration}", entry.index, entry.term)
    };
    let base = (node.base > 0).then(|| format!("snapshot up to {}", node.base));
    let parts: Vec<String> = base.into_iter().chain(node.log.iter().map(entry)).collect();
    if parts.is_empty() { "empty".to_owned() } else { parts.join(", ") }
}

fn lines(lines: &[String]) -> String {
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("; ") }
}

/// The positions of new messages. Where one of the same kind is gone between the same two, a
/// reduction has only taken from it what no longer matters.
fn sent(before: &[MessageView], after: &[MessageView]) -> Vec<usize> {
    let mut gone: Vec<_> = before.iter().filter(|message| !after.contains(message)).collect();
    let fresh = after.iter().enumerate().filter(|(_, message)| !before.contains(message));
    fresh
        .filter(|(_, is)| {
            let name = |m: &MessageView| (m.from.clone(), m.to.clone(), m.kind.clone());
            let reduced = gone.iter().position(|was| name(was) == name(is));
            reduced.map(|at| gone.swap_remove(at)).is_none()
        })
        .map(|(i, _)| i)
        .collect()
}
