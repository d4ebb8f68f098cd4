//! The embedded store on a disk that forgets, fails and fills up. Most tests run on `MemoryDisk`, redb's file with them; a
//! few on a folder of the operating system.

mod copies;
mod crashes;
mod faults;
mod fixtures;
mod flips;
mod folder;
mod hostile;
mod model;
mod reads;
mod repairs;
mod support;
mod windows;
