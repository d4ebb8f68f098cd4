//! Tells a store that is open. It goes on committing meanwhile; only its journal cannot get shorter.

use std::io::Write;
use std::sync::mpsc::channel;

use super::UpkeepError;
use super::frames::{Kind, Sink as _, Wire};
use super::source::Source;
use crate::store::Batch;
use crate::store::embedded::{Engine, Shared, held, table};

/// Counts a copy for as long as it lives.
struct Pin<'a>(&'a Shared);

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        *held(&self.0.copies) -= 1;
    }
}

impl Engine {
    /// Tells everything that was answered before the call, and maybe more. Whoever reads learns of a failure, too.
    pub(in crate::store) fn tell(&self, to: &mut dyn Write) -> Result<(), UpkeepError> {
        let mut wire = Wire(to);
        let told = self.try_tell(&mut wire);
        if let Err(error) = &told {
            if let UpkeepError::Damaged(words) = error {
                self.shared.reading.met_damage(words);
            }
            // Where this fails as well, the reader is gone.
            let _ = wire.take(Kind::Failed, error.to_string().as_bytes());
        }
        told
    }

    fn try_tell(&self, wire: &mut Wire<'_>) -> Result<(), UpkeepError> {
        let shared = &self.shared;
        let at_least = self.newest_block()?;
        let (_pin, view) = {
            // The merger stands still, so that no segment goes that this view needs.
            let mut copies = held(&shared.copies);
            *copies += 1;
            drop(copies);
            let pin = Pin(shared);
            (pin, shared.reading.table.begin_read()?)
        };
        let meta = table::meta_of(&view)?;
        let open = |number| shared.segments.look_at(number);
        Source { view, meta, at_least, open: Box::new(open) }.tell(wire)
    }

    /// The newest block, at least of what was answered before.
    fn newest_block(&self) -> Result<u64, UpkeepError> {
        let (tell, told) = channel();
        self.commit(Batch::default(), Box::new(move |result| drop(tell.send(result))));
        let gone = |error: &dyn std::fmt::Display| UpkeepError::Failed(format!("the store takes no commits: {error}"));
        told.recv().map_err(|error| gone(&error))?.map_err(|error| gone(&error))
    }
}
