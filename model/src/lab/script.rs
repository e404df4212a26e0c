//! What happens to a cluster and when: the script of a run, which a person adds to.

use std::fmt;

use quorate_spec::NodeId;

/// Something that a person lets happen. Servers are named by their numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Every link of the server is cut, in both directions.
    Isolate(usize),
    /// One direction of a link is cut.
    Cut(usize, usize),
    /// These servers and the others do not reach each other any more.
    Split(Vec<usize>),
    /// The server hears nobody, though everybody hears it.
    Deafen(usize),
    /// Every link works again.
    HealAll,
    /// One direction of a link works again.
    Heal(usize, usize),
    /// The server stops, and forgets what is not on its disk.
    Crash(usize),
    /// It starts again from its disk.
    Restart(usize),
    /// The oldest message under way is lost, or else the next one that is sent.
    Drop(usize, usize),
    /// Its clock goes at so many percent of the true speed.
    Rate(usize, u64),
    /// A client gives a command to every server that leads.
    Propose,
    /// A client asks the server for a read.
    Read(usize),
    /// An operator asks every server that leads for these voters.
    Members(Vec<usize>),
    /// An operator asks every server that leads to hand over to this one.
    Transfer(usize),
    /// An operator asks the server to campaign.
    Campaign(usize),
}

/// A deed and when it is done, in milliseconds from the start of the scene.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub at: u64,
    /// What.
    pub deed: Deed,
}

/// How slow and how fast a clock may be set, in percent.
pub(crate) const RATES: std::ops::RangeInclusive<u64> = 10..=400;

impl Event {
    /// Reads `600.isolate.2`.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub(crate) fn parse(text: &str, servers: usize) -> Result<Event, String> {
        let mut parts = text.split('.');
        let at = parts.next().unwrap_or_default();
        let at =
            at.parse().map_err(|_| format!("it begins with {at:?}, which is no time in ms"))?;
        let verb = parts.next().unwrap_or_default();
        let numbers: Vec<&str> = parts.collect();
        let deed = Deed::parse(verb, &numbers, servers)?;
        Ok(Event { at, deed })
    }
}

impl Deed {
    fn parse(verb: &str, words: &[&str], servers: usize) -> Result<Deed, String> {
        let server = |position: usize| -> Result<usize, String> {
            let word = words.get(position).ok_or(format!("{verb} needs a server"))?;
            let number = word.parse().ok().filter(|number| *number < servers);
            number.ok_or_else(|| format!("there is no server {word:?} among {servers}"))
        };
        let ends = || -> Result<(usize, usize), String> {
            let (from, to) = (server(0)?, server(1)?);
            if from == to { Err(format!("{verb} needs two servers")) } else { Ok((from, to)) }
        };
        let all = || -> Result<Vec<usize>, String> {
            let ids = (0..words.len()).map(server).collect::<Result<Vec<_>, _>>()?;
            if ids.is_empty() { Err(format!("{verb} needs at least one server")) } else { Ok(ids) }
        };
        let (deed, takes) = match verb {
            "isolate" => (Deed::Isolate(server(0)?), 1),
            "cut" => ends().map(|(from, to)| (Deed::Cut(from, to), 2))?,
            "split" => (Deed::Split(all()?), words.len()),
            "deafen" => (Deed::Deafen(server(0)?), 1),
            "heal" if words.is_empty() => (Deed::HealAll, 0),
            "heal" => ends().map(|(from, to)| (Deed::Heal(from, to), 2))?,
            "crash" => (Deed::Crash(server(0)?), 1),
            "restart" => (Deed::Restart(server(0)?), 1),
            "drop" => ends().map(|(from, to)| (Deed::Drop(from, to), 2))?,
            "rate" => (Deed::Rate(server(0)?, percent(words.get(1))?), 2),
            "propose" => (Deed::Propose, 0),
            "read" => (Deed::Read(server(0)?), 1),
            "members" => (Deed::Members(all()?), words.len()),
            "transfer" => (Deed::Transfer(server(0)?), 1),
            "campaign" => (Deed::Campaign(server(0)?), 1),
            _ => return Err(format!("{verb:?} is nothing that can be done")),
        };
        if words.len() > takes {
            return Err(format!("{verb} takes no more than {takes} numbers"));
        }
        Ok(deed)
    }

    /// Whether it cuts (true) or heals (false) this direction of a link, if it does either.
    pub(crate) fn cuts(&self, from: usize, to: usize) -> Option<bool> {
        let (is_cut, concerns) = match self {
            Deed::Isolate(id) => (true, *id == from || *id == to),
            Deed::Cut(a, b) => (true, (*a, *b) == (from, to)),
            Deed::Split(ids) => (true, ids.contains(&from) != ids.contains(&to)),
            Deed::Deafen(id) => (true, *id == to),
            Deed::HealAll => (false, true),
            Deed::Heal(a, b) => (false, (*a, *b) == (from, to)),
            _ => return None,
        };
        concerns.then_some(is_cut)
    }

    /// What happens, for a person.
    pub(crate) fn words(&self) -> String {
        match self {
            Deed::Isolate(id) => {
                format!("The cable of n{id} is pulled: it hears nobody, and nobody hears it.")
            }
            Deed::Cut(from, to) => {
                format!("The link from n{from} to n{to} breaks. The other direction still works.")
            }
            Deed::Split(ids) => {
                format!("The network splits: {} on one side, the others on the other.", names(ids))
            }
            Deed::Deafen(id) => {
                format!("n{id} hears nobody any more, though everybody still hears n{id}.")
            }
            Deed::HealAll => "Every link works again.".to_owned(),
            Deed::Heal(from, to) => format!("The link from n{from} to n{to} works again."),
            Deed::Crash(id) => format!("n{id} crashes."),
            Deed::Restart(id) => format!("n{id} starts again, from its disk."),
            Deed::Drop(from, to) => format!("A message from n{from} to n{to} is lost."),
            Deed::Rate(id, 100) => format!("The clock of n{id} goes at the true speed again."),
            Deed::Rate(id, rate) if *rate < 100 => {
                format!("The clock of n{id} goes slow: at {rate} % of the true speed.")
            }
            Deed::Rate(id, rate) => {
                format!("The clock of n{id} goes fast: at {rate} % of the true speed.")
            }
            Deed::Propose => "A client writes.".to_owned(),
            Deed::Read(id) => format!("A client reads at n{id}."),
            Deed::Members(ids) => {
                format!("An operator asks for these voters: {}.", names(ids))
            }
            Deed::Transfer(id) => format!("An operator asks the leader to hand over to n{id}."),
            Deed::Campaign(id) => format!("An operator asks n{id} to call an election."),
        }
    }
}

fn names(ids: &[usize]) -> String {
    ids.iter().map(|id| format!("n{id}")).collect::<Vec<_>>().join(" ")
}

fn percent(word: Option<&&str>) -> Result<u64, String> {
    let word = word.ok_or("rate needs a percentage")?;
    let number = word.parse().ok().filter(|number| RATES.contains(number));
    let (least, most) = (RATES.start(), RATES.end());
    number.ok_or_else(|| format!("a clock goes at {least} to {most} percent, not {word:?}"))
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.at)?;
        match &self.deed {
            Deed::Isolate(id) => write!(f, "isolate.{id}"),
            Deed::Cut(from, to) => write!(f, "cut.{from}.{to}"),
            Deed::Split(ids) => list(f, "split", ids),
            Deed::Deafen(id) => write!(f, "deafen.{id}"),
            Deed::HealAll => f.write_str("heal"),
            Deed::Heal(from, to) => write!(f, "heal.{from}.{to}"),
            Deed::Crash(id) => write!(f, "crash.{id}"),
            Deed::Restart(id) => write!(f, "restart.{id}"),
            Deed::Drop(from, to) => write!(f, "drop.{from}.{to}"),
            Deed::Rate(id, rate) => write!(f, "rate.{id}.{rate}"),
            Deed::Propose => f.write_str("propose"),
            Deed::Read(id) => write!(f, "read.{id}"),
            Deed::Members(ids) => list(f, "members", ids),
            Deed::Transfer(id) => write!(f, "transfer.{id}"),
            Deed::Campaign(id) => write!(f, "campaign.{id}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, verb: &str, ids: &[usize]) -> fmt::Result {
    f.write_str(verb)?;
    ids.iter().try_for_each(|id| write!(f, ".{id}"))
}

/// The server of this number.
pub(crate) fn node(number: usize) -> NodeId {
    NodeId(number as u64)
}
