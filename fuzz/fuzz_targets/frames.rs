//! The wire: whatever comes, in whatever pieces, is messages or an error, and the same in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orch::worker::wire::{Frames, FromWorker, ToWorker};

/// What comes of a stream: the messages, and whether it ended in an error.
fn read(pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<ToWorker>, bool) {
    let (mut frames, mut seen) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.push(&piece);
        loop {
            match frames.take::<ToWorker>() {
                Ok(Some(letter)) => seen.push(letter.message),
                Ok(None) => break,
                Err(_) => return (seen, true),
            }
        }
    }
    (seen, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let whole = read(std::iter::once(stream.to_vec()));
    let pieces = read(stream.chunks(usize::from(*size).max(1)).map(<[u8]>::to_vec));
    assert_eq!(whole, pieces);
    let mut other = Frames::default();
    other.limit(1 << 10);
    other.push(stream);
    let ready = other.has_message();
    let taken = other.take::<FromWorker>();
    assert!(!ready || !matches!(taken, Ok(None)), "a message that is ready can be taken");
});
