//! A run as the query of an address, and back: `scene=pre-vote&seed=7&script=600.isolate.2_2600.heal`.
//!
//! What is not said is as the scene has it. Every value is of characters that no browser encodes.

use std::fmt::Write;

use super::lane::Lane;
use super::scene::{SCENES, Scene};
use super::script::Event;
use super::setup::{LONGEST, Setup};

/// Why an address is no run, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No scene has that name.
    #[error("There is no scene {0:?}. The scenes are {known}.", known = known())]
    UnknownScene(String),
    /// The address has a part that means nothing.
    #[error("The link says {0:?}, which means nothing here. Was it cut off, or typed by hand?")]
    UnknownPart(String),
    /// A number is not one, or out of its range.
    #[error("The link says {name}={value:?}; {name} is a whole number from {least} to {most}.")]
    NotANumber {
        /// Of this part.
        name: &'static str,
        /// What it says.
        value: String,
        /// The least that it may say.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A lane cannot be read.
    #[error("The link's lane {0:?} cannot be run: {1}.")]
    BadLane(String, String),
    /// There are too few or too many lanes.
    #[error("The link has {0} lanes; one to three can be shown.")]
    Lanes(usize),
    /// An event of the script cannot be read.
    #[error("The link's event {0:?} cannot be done: {1}.")]
    BadEvent(String, String),
    /// An event is later than any run.
    #[error("The link's event {0:?} is later than {LONGEST} ms, when every run has ended.")]
    TooLate(String),
    /// The script is too long.
    #[error("The link's script has more than {MOST_EVENTS} events.")]
    TooManyEvents,
    /// More is asked for than a page can take.
    #[error("The link is longer than {LONGEST_QUERY} characters. Was something pasted into it?")]
    TooLong,
}

/// The most events of a script.
const MOST_EVENTS: usize = 200;
/// The longest query.
const LONGEST_QUERY: usize = 8_000;

fn known() -> String {
    SCENES.iter().map(|scene| scene.id).collect::<Vec<_>>().join(", ")
}

/// The numbers of a setup by their names in an address, with the least and the most of each.
type Number = (&'static str, fn(&mut Setup) -> &mut u64, u64, u64);
const NUMBERS: [Number; 10] = [
    ("seed", |setup| &mut setup.seed, 0, 999_999),
    ("servers", |setup| &mut setup.servers, 1, 7),
    ("voters", |setup| &mut setup.voters, 1, 7),
    ("end", |setup| &mut setup.end, 100, LONGEST),
    ("election", |setup| &mut setup.election, 100, 5_000),
    ("heartbeat", |setup| &mut setup.heartbeat, 10, 1_000),
    ("latency", |setup| &mut setup.latency, 1, 500),
    ("writes", |setup| &mut setup.writes, 0, 10_000),
    ("reads", |setup| &mut setup.reads, 0, 10_000),
    ("reader", |setup| &mut setup.reader, 0, 6),
];
/// The shortest interval between two writes or reads, where there are any.
const SHORTEST_INTERVAL: u64 = 20;

impl Setup {
    /// Reads the query of an address.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence for whoever followed the link.
    pub fn parse(query: &str) -> Result<Setup, AddressError> {
        if query.len() > LONGEST_QUERY {
            return Err(AddressError::TooLong);
        }
        let parts = || query.split('&').filter(|part| !part.is_empty());
        let named = |part: &str| {
            part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let mut said = Vec::new();
        for part in parts() {
            said.push(named(part).ok_or_else(|| AddressError::UnknownPart(part.to_owned()))?);
        }
        let scene = said.iter().find(|(name, _)| name == "scene").map(|(_, value)| value.as_str());
        let mut setup = Setup::of(scene_named(scene.unwrap_or(SCENES[0].id))?);
        // The events are read last: which servers there are may be said after them.
        let mut script = None;
        for (name, value) in &said {
            match name.as_str() {
                "scene" => {}
                "lanes" => setup.lanes = lanes(value)?,
                "script" => script = Some(value),
                _ => setup.take_number(name, value)?,
            }
        }
        setup.voters = setup.voters.min(setup.servers);
        setup.reader = setup.reader.min(setup.servers - 1);
        if let Some(script) = script {
            setup.script = events(script, setup.servers as usize)?;
        } else if setup.servers < setup.scene.servers {
            setup.script = events(setup.scene.script, setup.servers as usize)?;
        }
        Ok(setup)
    }

    fn take_number(&mut self, name: &str, value: &str) -> Result<(), AddressError> {
        let known = NUMBERS.iter().find(|(known, ..)| *known == name);
        let Some((name, field, least, most)) = known else {
            return Err(AddressError::UnknownPart(format!("{name}={value}")));
        };
        let interval = matches!(*name, "writes" | "reads");
        let number = value.parse().ok().filter(|number| (*least..=*most).contains(number));
        let number =
            number.filter(|number| !interval || *number == 0 || *number >= SHORTEST_INTERVAL);
        let least = if interval { SHORTEST_INTERVAL } else { *least };
        let wrong =
            || AddressError::NotANumber { name, value: value.to_owned(), least, most: *most };
        *field(self) = number.ok_or_else(wrong)?;
        Ok(())
    }

    /// The query that gives this run, the shortest one.
    #[must_use]
    pub fn address(&self) -> String {
        let mut text = format!("scene={}&seed={}", self.scene.id, self.seed);
        let (mut mine, mut usual) = (self.clone(), Setup::of(self.scene));
        // Writing into a String does not fail.
        for (name, field, ..) in NUMBERS.iter().skip(1) {
            let (value, usual) = (*field(&mut mine), *field(&mut usual));
            if value != usual {
                let _ = write!(text, "&{name}={value}");
            }
        }
        if self.lanes != usual.lanes {
            let lanes: Vec<String> = self.lanes.iter().map(Lane::to_string).collect();
            let _ = write!(text, "&lanes={}", lanes.join("_"));
        }
        let events: Vec<String> = self.script.iter().map(Event::to_string).collect();
        let _ = write!(text, "&script={}", events.join("_"));
        text
    }
}

fn scene_named(name: &str) -> Result<&'static Scene, AddressError> {
    let found = SCENES.iter().find(|scene| scene.id == name);
    found.ok_or_else(|| AddressError::UnknownScene(name.to_owned()))
}

fn lanes(text: &str) -> Result<Vec<Lane>, AddressError> {
    let lane =
        |text: &str| Lane::parse(text).map_err(|why| AddressError::BadLane(text.to_owned(), why));
    let lanes = text.split('_').map(lane).collect::<Result<Vec<_>, _>>()?;
    if (1..=3).contains(&lanes.len()) { Ok(lanes) } else { Err(AddressError::Lanes(lanes.len())) }
}

/// The events, in the order of their times.
fn events(text: &str, servers: usize) -> Result<Vec<Event>, AddressError> {
    let mut events = Vec::new();
    for word in text.split('_').filter(|word| !word.is_empty()) {
        let event = Event::parse(word, servers);
        let event = event.map_err(|why| AddressError::BadEvent(word.to_owned(), why))?;
        if event.at > LONGEST {
            return Err(AddressError::TooLate(word.to_owned()));
        }
        events.push(event);
        if events.len() > MOST_EVENTS {
            return Err(AddressError::TooManyEvents);
        }
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}
