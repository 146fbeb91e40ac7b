//! The journal replay engine: history and a command in, recorded / execute / suspend / mismatch out. No I/O.
