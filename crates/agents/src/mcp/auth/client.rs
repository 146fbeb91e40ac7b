//! Requests with a token.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use futures::stream::BoxStream;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Error as SseError, Sse};
use tenure_sdk::Failure;

use super::{Refused, Right, scopes_of};

/// Tokens that one request is tried with, one after the other: the one that there was, a new one, and
/// one with more scopes. A server that refuses these refuses any.
const TOKENS: usize = 3;

type Answer<T> = Result<T, StreamableHttpError<reqwest::Error>>;
type Headers = HashMap<HeaderName, HeaderValue>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// The client of one server. Redirects are answers to it: a token goes to nobody else.
#[derive(Clone)]
pub(in crate::mcp) struct Authorized {
    pub(in crate::mcp) http: reqwest::Client,
    pub(in crate::mcp) right: Arc<Right>,
}

impl Authorized {
    /// Sends with the token that there is, if any; what the server says against it decides on the
    /// next one.
    async fn send<T, S, F>(&self, send: S) -> Answer<T>
    where
        S: Fn(Option<String>) -> F,
        F: Future<Output = Answer<T>>,
    {
        let mut token = self.right.token().await.map_err(refused)?;
        for _ in 1..TOKENS {
            let next = match send(token.clone()).await {
                Err(error) => self.next(token.as_deref(), error).await?,
                answered => return answered,
            };
            token = Some(next);
        }
        match send(token).await {
            Err(error) if is_refusal(&error) => Err(refused(self.right.refusal())),
            answered => answered,
        }
    }

    /// The token to try after this error; the error, if it is about something else.
    async fn next(
        &self,
        sent: Option<&str>,
        error: StreamableHttpError<reqwest::Error>,
    ) -> Answer<String> {
        let next = match &error {
            StreamableHttpError::AuthRequired(challenge) => {
                self.right.renewed(sent, Some(&challenge.www_authenticate_header)).await
            }
            StreamableHttpError::InsufficientScope(lack) => {
                let scopes = scopes_of(lack.required_scope.as_deref());
                self.right.widened(sent, &scopes).await
            }
            error if is_refusal(error) => self.right.renewed(sent, None).await,
            _ => return Err(error),
        };
        next.map_err(refused)
    }
}

/// Whether the server has refused a request for want of a better token.
fn is_refusal(error: &StreamableHttpError<reqwest::Error>) -> bool {
    match error {
        StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_) => true,
        StreamableHttpError::UnexpectedServerResponse(text) => text.starts_with("HTTP 401"),
        _ => false,
    }
}

fn refused(failure: Failure) -> StreamableHttpError<reqwest::Error> {
    StreamableHttpError::Io(io::Error::other(Refused(failure)))
}

impl StreamableHttpClient for Authorized {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _token: Option<String>,
        headers: Headers,
    ) -> Answer<StreamableHttpPostResponse> {
        let send = |token| {
            let (uri, message) = (uri.clone(), message.clone());
            self.http.post_message(uri, message, session.clone(), token, headers.clone())
        };
        self.send(send).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _token: Option<String>,
        headers: Headers,
        max: usize,
    ) -> Answer<StreamableHttpPostResponse> {
        let send = |token| {
            let (uri, message, session) = (uri.clone(), message.clone(), session.clone());
            let headers = headers.clone();
            self.http
                .post_message_with_max_sse_event_size(uri, message, session, token, headers, max)
        };
        self.send(send).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _token: Option<String>,
        headers: Headers,
    ) -> Answer<()> {
        let send =
            |token| self.http.delete_session(uri.clone(), session.clone(), token, headers.clone());
        self.send(send).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        _token: Option<String>,
        headers: Headers,
    ) -> Answer<Events> {
        let send = |token| {
            let (uri, session) = (uri.clone(), session.clone());
            self.http.get_stream(uri, session, last.clone(), token, headers.clone())
        };
        self.send(send).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        _token: Option<String>,
        headers: Headers,
        max: usize,
    ) -> Answer<Events> {
        let send = |token| {
            let (uri, session, last) = (uri.clone(), session.clone(), last.clone());
            let headers = headers.clone();
            self.http.get_stream_with_max_sse_event_size(uri, session, last, token, headers, max)
        };
        self.send(send).await
    }
}
