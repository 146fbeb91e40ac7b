//! What an answer is written in.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use prost_reflect::MethodDescriptor;

use super::refusal::Refusal;

/// What an answer is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One object.
    Json,
    /// One object a line.
    Lines,
    /// Server-sent events.
    Events,
}

impl Form {
    /// The first form that the client takes, of those that the call has.
    pub(super) fn of(headers: &HeaderMap, method: &MethodDescriptor) -> Result<Self, Refusal> {
        let forms = Self::forms(method);
        let mut ranges = ranges(headers).peekable();
        if ranges.peek().is_none() {
            return Ok(forms[0]);
        }
        let fits =
            |range: &str| forms.iter().find(|form| is_in(form.content_type(), range)).copied();
        ranges.find_map(fits).ok_or_else(|| {
            let types: Vec<_> = forms.iter().map(|form| form.content_type()).collect();
            Refusal::not_acceptable(&types.join(" or "))
        })
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }

    /// Those that a call has, the usual one first.
    fn forms(method: &MethodDescriptor) -> &'static [Self] {
        if method.is_server_streaming() { &[Self::Lines, Self::Events] } else { &[Self::Json] }
    }
}

/// The media ranges that a client takes, without those that it says it does not.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        (!refused).then_some(name)
    })
}

fn is_in(content_type: &str, range: &str) -> bool {
    let all = range.strip_suffix('*').unwrap_or_default();
    range == "*/*"
        || range.eq_ignore_ascii_case(content_type)
        || all.ends_with('/') && content_type.starts_with(all)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::transcode::Bindings;

    fn form(call: &str, accept: &'static str) -> Option<Form> {
        let binding = Bindings::get().unwrap().of(call).next().unwrap();
        let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
        Form::of(&headers, &binding.method).ok()
    }

    #[test]
    fn the_first_form_that_fits_is_taken() {
        let (one, many) = ("/tenure.v1.RunService/GetRun", "/tenure.v1.RunService/WatchRun");
        for all in ["", "*/*", "application/*", "text/html, */*;q=0.8"] {
            assert_eq!(form(one, all), Some(Form::Json), "{all}");
            assert_eq!(form(many, all), Some(Form::Lines), "{all}");
        }
        assert_eq!(form(many, "text/event-stream"), Some(Form::Events));
        assert_eq!(form(many, "application/x-ndjson;q=0, text/event-stream"), Some(Form::Events));
        assert_eq!(form(one, "text/event-stream"), None);
        assert_eq!(form(many, "application/json"), None);
    }
}
