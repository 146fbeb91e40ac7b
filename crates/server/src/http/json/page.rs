//! A page for people about every call, written from the OpenAPI document. It asks nobody for anything
//! and runs no code.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::openapi::DOCUMENT;

static PAGE: LazyLock<String> = LazyLock::new(|| page(&DOCUMENT));

/// Nothing but the style sheet beside the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

pub(super) async fn serve() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE.as_str()).into_response()
}

pub(super) async fn style() -> Response {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, include_str!("page.css")).into_response()
}

fn page(document: &Value) -> String {
    let calls = calls(document);
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Tenure: the API</title>\
         <meta name=viewport content='width=device-width'>\
         <link rel=stylesheet href=/docs/style.css><header><h1>Tenure</h1>",
    );
    page.push_str(&prose(&document["info"]["description"]));
    page.push_str("<p>For programs: <a href=/openapi.json>openapi.json</a></p></header><nav>");
    let tags = document["tags"].as_array().into_iter().flatten();
    let tags: Vec<&str> = tags.filter_map(|tag| tag["name"].as_str()).collect();
    for tag in &tags {
        let _ = write!(page, "<h2>{tag}</h2><ul>");
        for call in calls.iter().filter(|call| call.operation["tags"][0] == **tag) {
            let _ = write!(page, "<li><a href='#{id}'>{id}</a>", id = call.id());
        }
        page.push_str("</ul>");
    }
    page.push_str("</nav><main>");
    for call in &calls {
        call.write(&mut page);
    }
    page.push_str("<h2>Objects</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(page, "<section id='schema-{name}'><h3>{name}</h3>");
        page.push_str(&prose(&schema["description"]));
        properties(schema, &mut page);
        page.push_str("</section>");
    }
    page.push_str("</main></html>\n");
    page
}

/// One call at one path.
struct Call<'a> {
    verb: String,
    path: &'a str,
    operation: &'a Value,
}

fn calls(document: &Value) -> Vec<Call<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, verbs)| {
        let verbs = verbs.as_object().into_iter().flatten();
        verbs.map(move |(verb, operation)| Call { verb: verb.to_uppercase(), path, operation })
    });
    calls.collect()
}

impl Call<'_> {
    fn id(&self) -> &str {
        self.operation["operationId"].as_str().unwrap_or_default()
    }

    fn write(&self, page: &mut String) {
        let (id, verb, path) = (self.id(), &self.verb, escaped(self.path));
        let _ = write!(page, "<section id='{id}'><h3>{id}</h3><pre>{verb} {path}</pre>");
        page.push_str(&prose(&self.operation["description"]));
        let parameters = self.operation["parameters"].as_array().into_iter().flatten();
        page.push_str("<table>");
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = parameter["in"].as_str().unwrap_or_default();
            row(page, name, place, &parameter["schema"], &parameter["description"]);
        }
        page.push_str("</table>");
        let bodies = self.operation["requestBody"]["content"].as_object().into_iter().flatten();
        for (content_type, body) in bodies {
            let _ = write!(page, "<h4>Body <small>{content_type}</small></h4>");
            if body["schema"]["$ref"].is_string() {
                let _ = write!(page, "<p>{}", kind(&body["schema"]));
            }
            properties(&body["schema"], page);
        }
        let answers =
            self.operation["responses"]["200"]["content"].as_object().into_iter().flatten();
        for (content_type, answer) in answers {
            let kind = kind(&answer["schema"]);
            let _ = write!(page, "<h4>Answer <small>{content_type}</small> {kind}</h4>");
        }
        page.push_str("</section>");
    }
}

fn properties(schema: &Value, page: &mut String) {
    page.push_str("<table>");
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        row(page, name, "", schema, &schema["description"]);
    }
    page.push_str("</table>");
}

fn row(page: &mut String, name: &str, place: &str, schema: &Value, about: &Value) {
    let (name, kind, about) = (escaped(name), kind(schema), prose(about));
    let _ = write!(page, "<tr><td><code>{name}</code><td>{kind} <small>{place}</small><td>{about}");
}

/// What a value is, with a link to what it is made of.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href='#schema-{name}'>{name}</a>");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        Some(name) => schema["format"].as_str().unwrap_or(name).to_owned(),
        None => String::new(),
    }
}

/// Text with what is in backquotes as code.
fn prose(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    if text.is_empty() {
        return String::new();
    }
    let pieces = text.split('`').enumerate().map(|(number, piece)| {
        let piece = escaped(piece);
        if number % 2 == 1 { format!("<code>{piece}</code>") } else { piece }
    });
    format!("<p>{}</p>", pieces.collect::<String>())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_section_and_nothing_comes_from_elsewhere() {
        for call in calls(&DOCUMENT) {
            assert!(PAGE.contains(&format!("<section id='{}'>", call.id())));
        }
        for outside in ["http:", "https:", "//", "<script", "style="] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            prose(&"a `<b>` & 'c'".into()),
            "<p>a <code>&lt;b&gt;</code> &amp; &#39;c&#39;</p>"
        );
    }
}
