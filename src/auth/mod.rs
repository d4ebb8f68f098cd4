//! Who somebody is: the secrets of the app and the UserSigs made with them.
//!
//! Pure: the time is an argument, nothing is read or kept. It never sees the wire, and no secret or UserSig ever
//! leaves it in a message.

mod keyring;
pub mod usersig;

pub use keyring::{EmptySecret, Keyring, Keys, NoSecret, Secret};
pub use usersig::{SigError, Verified};
