//! Many WebSocket clients on one thread: what opens sockets, logs in, joins a room and hands on what is heard there. It never
//! measures and never knows why it is there.

pub mod fleet;
pub mod frame;
mod gone;
mod handshake;
mod peer;

pub use fleet::{Approach, Event, Fleet, Guest};
pub use frame::Outbound;
pub use gone::Gone;
pub use handshake::Key;
