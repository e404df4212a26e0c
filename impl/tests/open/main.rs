//! Nodes that are opened with everything in the box: what is refused, and what they live through.

mod away;
mod full;
mod interrupted;
mod killed;
mod members;
mod refusals;
mod rig;
mod wiped;
