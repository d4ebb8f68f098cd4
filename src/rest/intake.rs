//! The bodies of calls as they come in: how large one may be, how much memory all of them together may have, and how long one
//! may take. What is above that is said by the caller; nothing is kept of a body that nobody will look at.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::time::{Duration, Instant};

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use memmap2::MmapMut;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A body above it is not read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of all bodies that are being read or answered at once, of this node: as many of the largest as hardly anybody sends at
/// once, and hundreds of thousands of usual ones.
const ALL_BODY_BYTES_MAX: usize = 64 * BODY_BYTES_MAX;
/// Time for a whole body to come in, and for the room that it needs.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Bodies above it get memory of their own, which goes back to the system when the call is answered. The allocator would keep it.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// What is read of the body of a refused call so that its connection can be kept, and for how long.
const DROPPED_BYTES_MAX: usize = 64 * 1024;
const DROPPED_IN: Duration = Duration::from_secs(1);

/// Where all bodies come in.
pub struct Intake(Semaphore);

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is too large, or has broken off, so that nobody is there to be told.
    TooLarge,
    /// It did not come in time.
    Late,
    /// There was no room for it in time.
    NoRoom,
}

/// A whole body, and the room that it takes.
pub struct Whole<'a> {
    bytes: Buffer,
    _room: SemaphorePermit<'a>,
}

impl Deref for Whole<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Buffer::Small(bytes) => bytes,
            Buffer::Large(map, length) => &map[..*length],
        }
    }
}

enum Buffer {
    Small(Vec<u8>),
    Large(MmapMut, usize),
}

impl Buffer {
    /// Error: there is no memory, or the body is larger than it said.
    fn add(&mut self, data: &[u8], bytes_max: usize) -> Result<(), Missing> {
        match self {
            Self::Small(bytes) if bytes.len() + data.len() <= SMALL_BYTES_MAX => bytes.extend_from_slice(data),
            Self::Small(bytes) => {
                let mut map = MmapMut::map_anon(bytes_max.max(1)).map_err(|_| Missing::NoRoom)?;
                let length = bytes.len();
                map.get_mut(..length).ok_or(Missing::TooLarge)?.copy_from_slice(bytes);
                *self = Self::Large(map, length);
                return self.add(data, bytes_max);
            }
            Self::Large(map, length) => {
                let end = *length + data.len();
                map.get_mut(*length..end).ok_or(Missing::TooLarge)?.copy_from_slice(data);
                *length = end;
            }
        }
        Ok(())
    }
}

impl Intake {
    /// Nothing has come in yet.
    pub fn new() -> Self {
        Self(Semaphore::new(ALL_BODY_BYTES_MAX))
    }

    /// Reads a body to its end.
    pub async fn read<B: HttpBody<Data = Bytes> + Unpin>(&self, body: &mut B) -> Result<Whole<'_>, Missing> {
        let (began, exact) = (Instant::now(), body.size_hint().exact());
        // Its sender may say how long it is, and is held to that by the HTTP library.
        let bytes_max =
            exact.map_or(BODY_BYTES_MAX, |bytes| usize::try_from(bytes).map_or(BODY_BYTES_MAX, |bytes| bytes.min(BODY_BYTES_MAX)));
        let room = tokio::time::timeout(BODY_DEADLINE, self.0.acquire_many(bytes_max as u32));
        let Ok(Ok(room)) = room.await else { return Err(Missing::NoRoom) };
        let mut bytes = Buffer::Small(Vec::with_capacity(exact.map_or(0, |_| bytes_max.min(SMALL_BYTES_MAX))));
        let reading = async {
            while let Some(frame) = next_frame(body).await {
                let data = frame.map_err(|_| Missing::TooLarge)?.into_data();
                data.map_or(Ok(()), |data| bytes.add(&data, bytes_max))?;
            }
            Ok(())
        };
        let left = BODY_DEADLINE.saturating_sub(began.elapsed());
        tokio::time::timeout(left, reading).await.unwrap_or(Err(Missing::Late))?;
        Ok(Whole { bytes, _room: room })
    }
}

/// Whether a body says of itself that it is too large.
pub fn is_too_large(body: &impl HttpBody) -> bool {
    body.size_hint().lower() > BODY_BYTES_MAX as u64
}

/// Reads and drops the body of a call that is refused. True where it ended soon: then another call may follow on the connection.
pub async fn is_soon_over<B: HttpBody<Data = Bytes> + Unpin>(body: &mut B) -> bool {
    if body.size_hint().lower() > DROPPED_BYTES_MAX as u64 {
        return false;
    }
    let reading = async {
        let mut dropped = 0;
        while let Some(frame) = next_frame(body).await {
            let Ok(frame) = frame else { return false };
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DROPPED_BYTES_MAX {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DROPPED_IN, reading).await.unwrap_or(false)
}

async fn next_frame<B: HttpBody<Data = Bytes> + Unpin>(body: &mut B) -> Option<Result<Frame<Bytes>, B::Error>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}
