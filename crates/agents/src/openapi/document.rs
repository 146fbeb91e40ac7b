//! What a document says: where the service is, and which operations it has.

use serde_json::{Map, Value, json};
use tenure_sdk::Failure;
use tenure_spec::OpenApiTools;

use super::schema::{Resolver, object};
use super::{Body, Operation, Parameter, Place};
use crate::tools::offer::{self, Offer, Skipped};

const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];
/// Headers that HTTP or the worker sets; by the standard a document's are ignored.
const RESERVED: [&str; 4] = ["accept", "content-type", "authorization", "idempotency-key"];

/// The document that a text stands for, JSON or YAML.
pub(crate) fn read(text: &str) -> Result<Value, Failure> {
    let value = serde_json::from_str(text).or_else(|_| serde_saphyr::from_str::<Value>(text));
    let document = value.map_err(|error| {
        let error: String = error.to_string().chars().take(300).collect();
        wrong(&format!("it is neither JSON nor YAML: {error}"))
    })?;
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.") => Ok(document),
        _ => Err(wrong("it is no OpenAPI document of version 3")),
    }
}

/// The address of the service: the first of its servers, which may be a path at `origin`.
pub(crate) fn base(document: &Value, origin: Option<&reqwest::Url>) -> Result<String, Failure> {
    let server = document["servers"][0]["url"].as_str().unwrap_or("/");
    let url = match origin {
        Some(origin) => origin.join(server),
        None => reqwest::Url::parse(server),
    };
    let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    // Braces are the document's variables, whose values nobody has said.
    let url = url.filter(|_| !server.contains('{'));
    let url = url.ok_or_else(|| wrong("it names no server; give the source a `base_url`"))?;
    Ok(url.as_str().trim_end_matches('/').into())
}

/// The operations that the source asks for, with reasons for those that cannot be offered.
pub(crate) fn operations(
    document: &Value,
    source: &OpenApiTools,
) -> Result<Offer<Operation>, Failure> {
    let mut offer = Offer::default();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let route = format!("{} {path}", method.to_uppercase());
            let id = operation["operationId"].as_str().unwrap_or(&route);
            if !wanted(source, id, &route) {
                continue;
            }
            if offer.tools.len() == offer::TOOLS {
                let most = offer::TOOLS;
                let message = format!("it has more than the {most} operations allowed");
                return Err(too_many(&message));
            }
            let found = Found { document, item, operation, name: id, method, path };
            match found.operation(source) {
                Ok(operation) => offer.tools.push(operation),
                Err(why) => offer.skipped.push(Skipped::new(id, why)),
            }
        }
    }
    for name in source.operations.iter().flatten() {
        let offered = |tool: &Operation| tool.name == *name || tool.route() == *name;
        let known = offer.tools.iter().any(offered)
            || offer.skipped.iter().any(|skipped| skipped.name == *name);
        if !known {
            offer.skipped.push(Skipped::new(name, "the document has no such operation"));
        }
    }
    offer.check_size().map_err(|why| too_many(&format!("it {why}")))?;
    Ok(offer)
}

fn wanted(source: &OpenApiTools, id: &str, route: &str) -> bool {
    let named = |names: &Vec<String>| names.iter().any(|name| name == id || name == route);
    source.operations.as_ref().is_none_or(named)
}

/// An operation where it stands.
struct Found<'a> {
    document: &'a Value,
    item: &'a Value,
    operation: &'a Value,
    name: &'a str,
    method: &'a str,
    path: &'a str,
}

impl Found<'_> {
    fn operation(&self, source: &OpenApiTools) -> Result<Operation, String> {
        let resolver = Resolver::new(self.document);
        let (mut fields, mut required) = (Map::new(), Vec::new());
        let parameters = self.parameters(&resolver, &mut fields, &mut required)?;
        let body = self.body(&resolver, &mut fields, &mut required)?;
        // The model neither sees nor gives what is hidden.
        let hidden = fields.keys().filter(|name| source.hidden.contains_key(*name)).cloned();
        let hidden: Vec<_> = hidden.collect();
        fields.retain(|name, _| !source.hidden.contains_key(name));
        required.retain(|name| !source.hidden.contains_key(name));
        let mut schema = json!({"properties": fields, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        offer::clean_schema(&mut schema)?;
        let told = ["description", "summary"].map(|field| self.operation[field].as_str());
        let told = told.into_iter().flatten().find(|text| !text.trim().is_empty());
        Ok(Operation {
            name: self.name.into(),
            method: self.method.to_uppercase(),
            path: self.path.into(),
            description: offer::clean(told.unwrap_or(&format!("{} {}", self.method, self.path))),
            schema,
            parameters,
            body,
            hidden,
        })
    }

    /// Those of the path first; the operation's own take the place of equal ones.
    fn parameters(
        &self,
        resolver: &Resolver<'_>,
        fields: &mut Map<String, Value>,
        required: &mut Vec<String>,
    ) -> Result<Vec<Parameter>, String> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let both = [self.item, self.operation].map(|at| at["parameters"].as_array());
        for given in both.into_iter().flatten().flatten() {
            let given = resolver.referred(given)?;
            let Some(parameter) = parameter(given)? else { continue };
            let name = parameter.name.clone();
            if parameters.iter().any(|other| other.name == name && other.place != parameter.place) {
                return Err(format!("two of its parameters are called `{name}`"));
            }
            let Some(schema) = given.get("schema") else {
                return Err(format!("its parameter `{name}` has no `schema`"));
            };
            let mut schema = resolver.alone(schema)?;
            describe(&mut schema, given);
            parameters.retain(|other| other.name != name);
            required.retain(|other| *other != name);
            if given["required"] == true || parameter.place == Place::Path {
                required.push(name.clone());
            }
            fields.insert(name, schema);
            parameters.push(parameter);
        }
        Ok(parameters)
    }

    fn body(
        &self,
        resolver: &Resolver<'_>,
        fields: &mut Map<String, Value>,
        required: &mut Vec<String>,
    ) -> Result<Body, String> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(Body::None) };
        let body = resolver.referred(body)?;
        let kinds = body["content"].as_object();
        let json = kinds.and_then(|kinds| kinds.iter().find(|(kind, _)| is_json(kind)));
        let needed = body["required"] == true;
        let Some((_, content)) = json else {
            let known = kinds.into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
            if needed {
                return Err(format!("its body is no JSON but {}", known.join(", ")));
            }
            return Ok(Body::None);
        };
        let schema = resolver.alone(content.get("schema").unwrap_or(&json!({})))?;
        if let Some((body, names)) = object(&schema)
            && !body.keys().any(|name| fields.contains_key(name) || name == "body")
        {
            fields.extend(body.clone());
            if needed {
                required.extend(names);
            }
            return Ok(Body::Fields);
        }
        if fields.insert("body".into(), schema).is_some() {
            return Err("one of its parameters is called `body`".into());
        }
        if needed {
            required.push("body".into());
        }
        Ok(Body::Whole)
    }
}

/// Where a parameter goes; `None` for headers that are not the document's business.
fn parameter(given: &Value) -> Result<Option<Parameter>, String> {
    let text = |field: &str| given[field].as_str().unwrap_or_default();
    let name = text("name").to_owned();
    let place = match text("in") {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" if RESERVED.contains(&name.to_ascii_lowercase().as_str()) => return Ok(None),
        "header" => Place::Header,
        "cookie" => Place::Cookie,
        other => return Err(format!("its parameter `{name}` is in `{other}`")),
    };
    let style = text("style").to_owned();
    if place == Place::Path && !matches!(style.as_str(), "" | "simple") {
        return Err(format!("its parameter `{name}` has the style `{style}`"));
    }
    let form = matches!(style.as_str(), "" | "form") && place == Place::Query;
    let explode = given["explode"].as_bool().unwrap_or(form);
    Ok(Some(Parameter { name, place, style, explode }))
}

/// A parameter's description stands beside its schema; the model reads it inside.
fn describe(schema: &mut Value, parameter: &Value) {
    if let (Some(schema), Some(text)) = (schema.as_object_mut(), parameter.get("description")) {
        schema.entry("description").or_insert(text.clone());
    }
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json") || kind == "*/*"
}

fn wrong(why: &str) -> Failure {
    Failure::permanent("openapi_document", format!("the OpenAPI document cannot be used: {why}"))
}

fn too_many(what: &str) -> Failure {
    let message = format!("{what}; name those that the agent needs in `operations:`");
    Failure::permanent("openapi_too_many_operations", format!("the OpenAPI document: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PETS: &str = "
openapi: 3.0.3
servers: [{url: /api/}]
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get:
      operationId: getPet
      summary: One pet.
    put:
      operationId: putPet
      parameters: [{$ref: '#/components/parameters/dry'}, {name: Accept, in: header}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
    delete: {}
  /photos:
    post:
      operationId: addPhoto
      requestBody: {required: true, content: {image/png: {}}}
    patch:
      operationId: patchPhotos
      requestBody: {content: {application/json: {schema: {type: array, items: {type: string}}}}}
components:
  parameters: {dry: {name: dry, in: query, description: Only try it., schema: {type: boolean}}}
  schemas:
    Pet:
      type: object
      required: [name, id2]
      properties: {name: {type: string, nullable: true}, id2: {type: integer, readOnly: true}}
";

    fn source(more: &str) -> OpenApiTools {
        let tool = format!("{{openapi: {{name: pets, spec: 'http://p/openapi.yaml'{more}}}}}");
        let agent = format!("{{name: a, model: {{provider: openai, name: m}}, tools: [{tool}]}}");
        match tenure_spec::parse(&agent).unwrap().tools.remove(0) {
            tenure_spec::Tool::OpenApi(source) => *source,
            other => panic!("{other:?}"),
        }
    }

    fn offered(more: &str) -> Offer<Operation> {
        operations(&read(PETS).unwrap(), &source(more)).unwrap()
    }

    #[test]
    fn operations_become_tools_or_say_why_not() {
        let offer = offered("");
        let told = offer.tools.iter().map(|tool| {
            let (body, effect) = (tool.body, tool.effect().name());
            format!("{}: {} ({effect}, {body:?})", tool.name, tool.description)
        });
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
        getPet: One pet. (read, None)
        putPet: put /pets/{id} (idempotent, Fields)
        DELETE /pets/{id}: delete /pets/{id} (idempotent, None)
        patchPhotos: patch /photos (once, Whole)
        ");
        let schema = json!({
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "dry": {"type": "boolean", "description": "Only try it."},
                "name": {"type": ["string", "null"]},
            },
            "required": ["id", "name"],
            "additionalProperties": false,
        });
        assert_eq!(offer.tools[1].schema, schema);
        let skipped = Skipped::new("addPhoto", "its body is no JSON but image/png");
        assert_eq!(offer.skipped, [skipped]);
    }

    #[test]
    fn a_source_names_what_it_wants_and_hides_what_the_model_need_not_see() {
        let offer = offered(
            ", operations: [putPet, 'DELETE /pets/{id}', gone], hidden: {dry: 'true', name: x, z: x}",
        );
        let names: Vec<_> = offer.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["putPet", "DELETE /pets/{id}"]);
        assert_eq!(offer.tools[0].hidden, ["dry", "name"]);
        assert_eq!(offer.tools[0].schema["required"], json!(["id"]));
        assert_eq!(offer.skipped[0].why, "the document has no such operation");
    }

    #[test]
    fn documents_that_are_none_are_refused() {
        for text in ["", "{}", "swagger: '2.0'", "openapi: 3", "[", "openapi: 4.0.0"] {
            assert_eq!(read(text).unwrap_err().code, "openapi_document", "{text}");
        }
    }

    #[test]
    fn the_service_is_where_its_document_says() {
        let document = read(PETS).unwrap();
        let origin = "https://p.example/docs/openapi.yaml".parse().unwrap();
        assert_eq!(base(&document, Some(&origin)).unwrap(), "https://p.example/api");
        assert!(base(&document, None).unwrap_err().message.contains("`base_url`"));
        let variable = json!({"servers": [{"url": "https://{tenant}.example"}]});
        assert!(base(&variable, None).is_err());
    }
}
