//! Chunked bodies: a state machine over pieces that may be cut anywhere.
//! Extensions are skipped, trailers checked and skipped, both within limits.

use crate::request::{is_token, is_value};
use crate::{Failure, Limits};
use std::ops::Range;

/// Where in a chunked body the next byte stands.
#[derive(Debug)]
pub(crate) struct ChunkDecoder {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a size, of which there was one already or none.
    Size {
        size: u64,
        digits: bool,
    },
    /// After a blank behind the size.
    SizeBlank(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    /// In the name of a trailer, which has a byte already.
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

/// What one step over a piece found.
pub(crate) struct Step {
    /// Bytes taken.
    pub(crate) consumed: usize,
    /// Which of them are body.
    pub(crate) body: Range<usize>,
}

impl ChunkDecoder {
    pub(crate) fn new() -> ChunkDecoder {
        ChunkDecoder {
            state: State::Size {
                size: 0,
                digits: false,
            },
            extension_bytes: 0,
            trailer_bytes: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Goes on to the end of the next stretch of body, of the whole body, or of the piece.
    pub(crate) fn feed(&mut self, piece: &[u8], limits: &Limits) -> Result<Step, Failure> {
        for (at, byte) in piece.iter().enumerate() {
            if let State::Data(left) = self.state {
                return Ok(self.take_data(left, at, piece.len()));
            }
            self.state = self.next(*byte, limits)?;
            if self.state == State::Done {
                return Ok(Step {
                    consumed: at + 1,
                    body: 0..0,
                });
            }
        }
        Ok(Step {
            consumed: piece.len(),
            body: 0..0,
        })
    }

    fn take_data(&mut self, left: u64, at: usize, piece_bytes: usize) -> Step {
        let available = piece_bytes - at;
        let taken = available.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.state = match left - taken as u64 {
            0 => State::DataCr,
            left => State::Data(left),
        };
        Step {
            consumed: at + taken,
            body: at..at + taken,
        }
    }

    fn next(&mut self, byte: u8, limits: &Limits) -> Result<State, Failure> {
        match (self.state, byte) {
            (State::Size { size, digits }, _) => next_in_size(size, digits, byte),
            (State::SizeBlank(size), b' ' | b'\t') => self.extend(State::SizeBlank(size), limits),
            (State::SizeBlank(size), b'\r') => Ok(State::SizeEnd(size)),
            (State::SizeBlank(size), b';') => Ok(State::Extension(size)),
            (State::SizeBlank(_), _) => Err(Failure::BadChunkSize),
            (State::Extension(size), b'\r') => Ok(State::SizeEnd(size)),
            (State::Extension(_), b'\n') => Err(Failure::BadLineEnd),
            (State::Extension(size), _) => self.extend(State::Extension(size), limits),
            (State::SizeEnd(0), b'\n') => Ok(State::TrailerStart),
            (State::SizeEnd(size), b'\n') => Ok(State::Data(size)),
            (State::SizeEnd(_), _) => Err(Failure::BadChunkEnd),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size {
                size: 0,
                digits: false,
            }),
            (State::DataCr, b'\n') => Err(Failure::BadLineEnd),
            (State::DataCr | State::DataLf, _) => Err(Failure::BadChunkEnd),
            (state, _) => self.next_in_trailers(state, byte, limits),
        }
    }

    fn next_in_trailers(
        &mut self,
        state: State,
        byte: u8,
        limits: &Limits,
    ) -> Result<State, Failure> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.head_bytes {
            return Err(Failure::HeadTooLarge);
        }
        match (state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, byte) if is_token(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, byte) if is_value(byte) => Ok(State::TrailerValue),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            _ => Err(Failure::BadHeader),
        }
    }

    fn extend(&mut self, state: State, limits: &Limits) -> Result<State, Failure> {
        self.extension_bytes += 1;
        match self.extension_bytes > limits.chunk_extension_bytes {
            true => Err(Failure::ChunkExtensionsTooLarge),
            false => Ok(state),
        }
    }
}

fn next_in_size(size: u64, digits: bool, byte: u8) -> Result<State, Failure> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        let size = size.checked_mul(16).ok_or(Failure::BadChunkSize)? + u64::from(digit);
        return Ok(State::Size { size, digits: true });
    }
    match byte {
        _ if !digits => Err(Failure::BadChunkSize),
        b'\r' => Ok(State::SizeEnd(size)),
        b';' => Ok(State::Extension(size)),
        b' ' | b'\t' => Ok(State::SizeBlank(size)),
        b'\n' => Err(Failure::BadLineEnd),
        _ => Err(Failure::BadChunkSize),
    }
}
