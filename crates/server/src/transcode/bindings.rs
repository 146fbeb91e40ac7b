//! Which HTTP request makes which call: the annotations of the protos, read from the descriptors.

use std::sync::LazyLock;

use axum::http::Method;
use prost_reflect::{
    DescriptorError, DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage as _, Value,
};
use tenure_proto::DESCRIPTORS;

use super::Template;

const ANNOTATION: &str = "google.api.http";

/// One way to make a call over HTTP.
#[derive(Clone, Debug)]
pub struct Binding {
    /// `GET`, `POST` or `PUT`.
    pub verb: Method,
    /// The path, with the fields that stand in it.
    pub template: Template,
    /// Whether the other fields are the body; if not, they are parameters of the query.
    pub body: bool,
    /// The call.
    pub method: MethodDescriptor,
}

/// All of them, and the descriptors that they are about.
#[derive(Clone, Debug)]
pub struct Bindings {
    /// In the order of the protos.
    pub list: Vec<Binding>,
    /// Every message and service.
    pub pool: DescriptorPool,
}

/// Read once: the descriptors are a part of the program.
static BINDINGS: LazyLock<Result<Bindings, DescriptorError>> = LazyLock::new(read);

impl Bindings {
    /// What the protos say. An error is one of the build, and a test finds it first.
    pub fn get() -> Result<&'static Self, &'static DescriptorError> {
        BINDINGS.as_ref()
    }

    /// Those whose path this is, whatever the method, each with the values in the path.
    pub fn at<'a>(&'a self, path: &str) -> Vec<(&'a Binding, Vec<(&'a str, String)>)> {
        let fits = |binding: &'a Binding| Some((binding, binding.template.fit(path)?));
        self.list.iter().filter_map(fits).collect()
    }

    /// The ways to make a call; `path` is its gRPC path.
    pub fn of(&self, path: &str) -> impl Iterator<Item = &Binding> {
        self.list.iter().filter(move |binding| binding.path() == path)
    }
}

impl Binding {
    /// The gRPC path of the call.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.method.parent_service().full_name(), self.method.name())
    }
}

fn read() -> Result<Bindings, DescriptorError> {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    let services: Vec<_> = pool.services().collect();
    let methods = services.iter().flat_map(prost_reflect::ServiceDescriptor::methods);
    let list = methods.flat_map(|method| bindings(&pool, &method)).collect();
    Ok(Bindings { list, pool })
}

fn bindings(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<Binding> {
    let Some(annotation) = pool.get_extension_by_name(ANNOTATION) else { return Vec::new() };
    let options = method.options();
    let rule = options.get_extension(&annotation);
    let Some(rule) = rule.as_message() else { return Vec::new() };
    let more = rule.get_field_by_name("additional_bindings");
    let more =
        more.iter().filter_map(|more| more.as_list()).flatten().filter_map(Value::as_message);
    std::iter::once(rule).chain(more).filter_map(|rule| binding(rule, method)).collect()
}

fn binding(rule: &DynamicMessage, method: &MethodDescriptor) -> Option<Binding> {
    let pattern = rule.descriptor().oneofs().find(|oneof| oneof.name() == "pattern")?;
    let (field, path) = rule
        .fields()
        .find(|(field, _)| field.containing_oneof().is_some_and(|oneof| oneof == pattern))?;
    let verb = Method::from_bytes(field.name().to_uppercase().as_bytes()).ok()?;
    let template = Template::parse(path.as_str()?)?;
    let body = rule.get_field_by_name("body")?.as_str() == Some("*");
    Some(Binding { verb, template, body, method: method.clone() })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_call_has_a_way_over_http() {
        let bindings = Bindings::get().unwrap();
        let services: Vec<_> = bindings.pool.services().collect();
        for method in services.iter().flat_map(prost_reflect::ServiceDescriptor::methods) {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let ways = bindings.of(&path).count();
            assert!(ways > 0, "{path} has no `option (google.api.http)` that Tenure understands");
        }
    }

    #[test]
    fn no_request_makes_two_calls() {
        let bindings = Bindings::get().unwrap();
        let mut seen = HashSet::new();
        for binding in &bindings.list {
            // The names of fields make no difference to what fits.
            let path = binding.template.fill(|_| "x".into());
            assert!(seen.insert((binding.verb.clone(), path.clone())), "{} {path}", binding.verb);
        }
    }

    #[test]
    fn fields_of_paths_are_texts_of_the_request() {
        for binding in &Bindings::get().unwrap().list {
            for name in binding.template.fields() {
                let field = binding.method.input().get_field_by_name(name);
                let text = field.is_some_and(|field| field.kind() == prost_reflect::Kind::String);
                assert!(text, "{}: {name}", binding.template);
            }
        }
    }

    #[test]
    fn reads_have_no_body_and_writes_have_one() {
        for binding in &Bindings::get().unwrap().list {
            assert_eq!(binding.body, binding.verb != Method::GET, "{}", binding.template);
        }
    }
}
