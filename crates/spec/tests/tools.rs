//! Sources of tools: what they may say, and the mistakes that are told.

use tenure_spec::{Effect, Tool, parse};

fn agent(tool: &str) -> String {
    format!("{{name: a, model: {{provider: openai, name: m}}, tools: [{tool}]}}")
}

#[test]
fn sources_are_read_and_read_back() {
    for tool in [
        "{mcp: {name: docs, url: 'https://docs.example.com/mcp', tools: [search],
           headers: {Authorization: 'Bearer env://DOCS_TOKEN'}, effects: {search: read}}}",
        "{mcp: {name: files, command: npx, args: [-y, files], env: {KEY: 'env://KEY', LANG: C},
           timeout: 20m, elicitation: defaults}}",
        "{mcp: {name: crm, url: 'https://crm.example.com/mcp', auth: {grant: client_credentials,
           client_id: tenure, client_secret: 'env://CRM', scopes: ['crm:read']}}}",
        "{mcp: {name: crm, url: 'http://localhost:9/mcp', auth: {grant: client_credentials,
           client_id: tenure, private_key: 'env://CRM'}}}",
        "{mcp: {name: erp, url: 'https://erp.example.com/mcp', auth: {grant: cross_app,
           client_id: tenure, client_secret: 'env://ERP', identity: {token: 'env://ME',
           token_endpoint: 'https://login.example.com/token', client_id: a, client_secret: 'env://A'}}}}",
        "{mcp: {name: mail, url: 'https://mail.example.com/mcp', auth: {grant: authorization_code}}}",
        "{openapi: {name: pets, spec: 'https://pets.example.com/openapi.json',
           operations: ['GET /pets'], hidden: {api-key: 'env://PETS'}}}",
        "{openapi: {name: pets, spec: {openapi: 3.1.0, paths: {}}, base_url: 'http://x'}}",
        "{hook: {name: pager, description: Pages somebody., args: {to: me}}}",
    ] {
        let spec = parse(&agent(tool)).unwrap_or_else(|problems| panic!("{tool}: {problems}"));
        let again = parse(str::from_utf8(&spec.canonical()).unwrap()).unwrap();
        assert_eq!(again, spec, "{tool}");
        let schema = jsonschema::validator_for(&tenure_spec::schema()).unwrap();
        let canonical = serde_json::from_slice(&spec.canonical()).unwrap();
        assert!(schema.is_valid(&canonical), "{canonical}");
    }
}

#[test]
fn what_is_left_out_has_the_careful_value() {
    let spec =
        parse(&agent("{mcp: {name: d, url: 'http://d'}}, {hook: {name: h, description: H}}"));
    let [Tool::Mcp(server), Tool::Hook(hook)] = &spec.unwrap().tools[..] else {
        panic!("two tools")
    };
    assert_eq!(
        (server.timeout.to_string(), server.max_timeout.to_string()),
        ("1m".into(), "10m".into())
    );
    assert_eq!((hook.effect, hook.hook()), (Effect::Once, "h"));
}

#[test]
fn mistakes_are_told_all_at_once() {
    let tools = "
{mcp: {name: a, url: 'https://a', command: b}},
{mcp: {name: b}},
{mcp: {name: c, url: 'https://a', args: [x], headers: {X-Api-Key: sk-123456, Accept: text/plain}}},
{mcp: {name: d, command: x, env: {A_TOKEN: abc, B: 'env://'}, timeout: 20m, max_timeout: 1m}},
{mcp: {name: this-name-is-longer-than-a-source-may-have, url: 'ftp://x', tools: []}},
{mcp: {name: e, url: 'https://e', effects: {x: sometimes}, elicitation: ask, token: x}},
{mcp: {name: f, command: x, auth: {}}},
{mcp: {name: g, url: 'http://g', auth: {grant: client_credentials, client_id: g, client_secret: s3cr3t}}},
{mcp: {name: h, url: 'https://h', headers: {Authorization: 'env://H'}, auth: {grant: password}}},
{mcp: {name: i, url: 'https://i', auth: {grant: client_credentials, client_secret: 'env://A'}}},
{mcp: {name: j, url: 'https://j', auth: {grant: client_credentials, client_id: j,
    client_secret: 'env://A', private_key: 'env://B', scopes: ['a b']}}},
{mcp: {name: k, url: 'https://k', auth: {grant: authorization_code, private_key: 'env://A'}}},
{mcp: {name: l, url: 'https://l', auth: {grant: cross_app, client_id: l, client_secret: 'env://A'}}},
{mcp: {name: m, url: 'https://m', auth: {grant: cross_app, identity: {token: s3cr3t,
    token_endpoint: 'http://idp.example.com', client_secret: 'env://A', issuer: x}}}},
{mcp: {name: n, url: 'https://n', auth: {grant: client_credentials, client_id: n,
    client_secret: 'env://A', identity: {}}}},
{openapi: {spec: 7}},
{hook: {name: 'a b'}}";
    let problems = parse(&agent(tools)).unwrap_err().to_string();
    insta::assert_snapshot!(problems);
    assert!(!problems.contains("sk-123456") && !problems.contains("abc"));
    assert!(!problems.contains("s3cr3t"));
}
