//! x
pub fn target() -> impl FnMut(&[u8]) { |_: &[u8]| {} }
