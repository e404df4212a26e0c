//! Storages: the laws of conformance on every one that is shipped, storages that break them, and what
//! happens to a real directory.

mod broken;
mod child;
mod conforming;
mod copies;
mod damage;
mod failing;
mod interrupted;
mod killed;
mod opening;
mod torn;
