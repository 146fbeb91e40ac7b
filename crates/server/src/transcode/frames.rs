//! Messages in the body of a gRPC call: a flag, the length, the bytes.

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::{Stream, stream};
use http_body_util::BodyExt as _;
use tonic::{Code, Status};

/// Bytes before a message: one that says whether it is compressed, and four of its length.
const HEAD: usize = 5;

/// A message as a part of a body.
pub fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// The next message, if all of it is there.
pub fn next(buffer: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    if buffer.len() < HEAD {
        return Ok(None);
    }
    if buffer[0] != 0 {
        return Err(Status::internal("a message is compressed, which nobody asked for"));
    }
    let length = u32::from_be_bytes([buffer[1], buffer[2], buffer[3], buffer[4]]) as usize;
    if buffer.len() < HEAD + length {
        return Ok(None);
    }
    buffer.advance(HEAD);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// The messages of an answer as they come, and at last why it failed, if it did.
pub fn messages(response: Response<Body>) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let refused = failure(response.headers());
    let answer =
        Answer { body: response.into_body(), buffer: BytesMut::new(), refused, over: false };
    stream::unfold(answer, Answer::next)
}

struct Answer {
    body: Body,
    buffer: BytesMut,
    /// Why it failed, once that is known.
    refused: Option<Status>,
    over: bool,
}

impl Answer {
    async fn next(mut self) -> Option<(Result<Bytes, Status>, Self)> {
        loop {
            if self.over {
                return None;
            }
            if let Some(status) = self.refused.take() {
                self.over = true;
                return Some((Err(status), self));
            }
            match next(&mut self.buffer) {
                Ok(Some(message)) => return Some((Ok(message), self)),
                Ok(None) => self.read().await,
                Err(status) => self.refused = Some(status),
            }
        }
    }

    async fn read(&mut self) {
        match self.body.frame().await {
            None => self.over = true,
            Some(Err(error)) => self.refused = Some(Status::unavailable(error.to_string())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(frame) => self.refused = frame.trailers_ref().and_then(failure),
            },
        }
    }
}

/// The failure that headers or trailers tell of.
pub fn failure(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_from_its_frame_in_any_pieces() {
        let whole = [frame(b"first"), frame(b""), frame(b"second")].concat();
        for piece in 1..whole.len() {
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for bytes in whole.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Some(message) = next(&mut buffer).unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [&b"first"[..], b"", b"second"]);
        }
    }
}
