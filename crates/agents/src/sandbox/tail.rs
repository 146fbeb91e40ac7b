//! Keeping the end of an output, however long it is.

use std::io::Read;
use std::thread::{self, JoinHandle};

use super::request::Kept;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Reads to the end and keeps the last `limit` bytes.
pub(super) fn keep(from: impl Read + Send + 'static, limit: usize) -> JoinHandle<Kept> {
    thread::spawn(move || read(from, limit))
}

fn read(mut from: impl Read, limit: usize) -> Kept {
    let (mut bytes, mut total, mut chunk) = (Vec::new(), 0, vec![0; CHUNK]);
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        total += count as u64;
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() > limit + CHUNK {
            bytes.drain(..bytes.len() - limit);
        }
    }
    bytes.drain(..bytes.len().saturating_sub(limit));
    // A cut may have gone through a character.
    let inside = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let partial =
        if total > limit as u64 { bytes.iter().take_while(|b| inside(b)).count() } else { 0 };
    bytes.drain(..partial);
    let cut = total - bytes.len() as u64;
    Kept { text: String::from_utf8_lossy(&bytes).into_owned(), cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let kept = read("0123456789".as_bytes(), 4);
        assert_eq!((kept.text.as_str(), kept.cut), ("6789", 6));
        let kept = read("0123".as_bytes(), 4);
        assert_eq!((kept.text.as_str(), kept.cut), ("0123", 0));
        let long = "é".repeat(CHUNK);
        let kept = read(long.as_bytes(), 5);
        assert_eq!((kept.text.as_str(), kept.cut), ("éé", 2 * CHUNK as u64 - 4));
    }
}
