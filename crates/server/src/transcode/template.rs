//! Templates of paths, such as `/v1/tenants/{tenant}/runs/{run}:cancel`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a segment of a path has to escape; a colon too, because it begins the verb.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A template of a path: literal segments, fields that are one segment each, and perhaps a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Field(String),
}

impl Template {
    /// Reads a template; `None` for what Tenure's protos do not use.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('/')?;
        let (path, verb) = verb(text);
        let verb = verb.map(str::to_owned);
        let segments = path.split('/').map(Segment::parse).collect::<Option<_>>()?;
        Some(Self { segments, verb })
    }

    /// The values of the fields if a path, as it came, fits. A value may be empty: what is wrong
    /// with that is said by the call, which knows the field.
    pub fn fit(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let (path, verb) = verb(path.strip_prefix('/')?);
        let given: Vec<&str> = path.split('/').collect();
        if verb != self.verb.as_deref() || given.len() != self.segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (segment, given) in self.segments.iter().zip(given) {
            let given = percent_decode_str(given).decode_utf8_lossy();
            match segment {
                Segment::Literal(text) if *text == given => {}
                Segment::Literal(_) => return None,
                Segment::Field(name) => values.push((name.as_str(), given.into_owned())),
            }
        }
        Some(values)
    }

    /// The path with these values in place of the fields.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Field(name) => {
                    path.extend(utf8_percent_encode(&value(name), ESCAPED));
                }
            }
        }
        if let Some(verb) = &self.verb {
            path.push(':');
            path.push_str(verb);
        }
        path
    }

    /// The names of the fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }
}

/// A path, and the verb behind the colon of its last segment.
fn verb(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once(':') {
        Some((path, verb)) if !verb.contains('/') => (path, Some(verb)),
        _ => (path, None),
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        if let Some(name) = name {
            let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return word.then(|| Self::Field(name.to_owned()));
        }
        (!text.is_empty() && !text.contains(['{', '}', '*']))
            .then(|| Self::Literal(text.to_owned()))
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Field(name) => write!(f, "/{{{name}}}")?,
            }
        }
        self.verb.iter().try_for_each(|verb| write!(f, ":{verb}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(template: &str, path: &str) -> Option<Vec<String>> {
        let template = Template::parse(template).unwrap();
        let values = template.fit(path)?;
        Some(values.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn a_path_fits_segment_by_segment() {
        let run = "/v1/tenants/{tenant}/runs/{run}";
        assert_eq!(fit(run, "/v1/tenants/a/runs/b").unwrap(), ["tenant=a", "run=b"]);
        assert_eq!(fit(run, "/v1/tenants/a/runs/").unwrap(), ["tenant=a", "run="]);
        assert_eq!(fit(run, "/v1/tenants/a%2Fb/runs/c%3Ad").unwrap(), ["tenant=a/b", "run=c:d"]);
        for other in ["/v1/tenants/a/runs", "/v1/tenants/a/runs/b/c", "/v1/tenants/a/runs/b:cancel"]
        {
            assert_eq!(fit(run, other), None, "{other}");
        }
    }

    #[test]
    fn a_verb_is_a_part_of_the_last_segment() {
        let cancel = "/v1/runs/{run}:cancel";
        assert_eq!(fit(cancel, "/v1/runs/b:cancel").unwrap(), ["run=b"]);
        assert_eq!(fit(cancel, "/v1/runs/b"), None);
        assert_eq!(fit(cancel, "/v1/runs/b:retry"), None);
    }

    #[test]
    fn what_fills_a_template_comes_back() {
        let template = Template::parse("/v1/x/{name}:get").unwrap();
        for value in ["plain", "a/b", "ü:%20?#", ""] {
            let path = template.fill(|_| value.to_owned());
            assert_eq!(template.fit(&path), Some(vec![("name", value.to_owned())]), "{path}");
        }
        assert_eq!(template.to_string(), "/v1/x/{name}:get");
    }

    #[test]
    fn wildcards_are_not_for_us() {
        assert_eq!(Template::parse("/v1/{name=runs/*}"), None);
        assert_eq!(Template::parse("/v1/**"), None);
        assert_eq!(Template::parse("v1"), None);
    }
}
