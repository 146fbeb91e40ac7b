//! What a model gives becomes arguments, and nothing else.

use serde_json::{Map, Value};
use tenure_spec::CommandTool;

/// Bytes of all arguments: a part of what Linux takes.
const BYTES: usize = 128 << 10;

/// The arguments of one call. Each text that the model gives is within one argument, and is no
/// option unless the specification lets it be.
pub(super) fn expand(spec: &CommandTool, given: &Value) -> Result<Vec<String>, String> {
    let empty = Map::new();
    let given = given.as_object().unwrap_or(&empty);
    let mut args = Vec::new();
    for arg in &spec.args {
        expand_one(spec, arg, given, &mut args)?;
    }
    match args.iter().map(String::len).sum::<usize>() {
        ..=BYTES => Ok(args),
        bytes => Err(format!("its arguments have {bytes} bytes; the limit is {BYTES}")),
    }
}

fn expand_one(
    spec: &CommandTool,
    arg: &str,
    given: &Map<String, Value>,
    args: &mut Vec<String>,
) -> Result<(), String> {
    let Some((start, name)) = place(spec, arg) else {
        args.push(arg.into());
        return Ok(());
    };
    let end = start + name.len() + 2;
    for value in values(given.get(name))? {
        if start == 0 && value.starts_with('-') && !spec.options && !is_number(given.get(name)) {
            return Err(format!(
                "`{name}` begins with `-`, so it would be an option of the program, which the \
                 specification does not let it be"
            ));
        }
        let before = &arg[..start];
        let mut rest = Vec::new();
        // What was put in is not looked into again.
        expand_one(spec, &arg[end..], given, &mut rest)?;
        match rest.as_slice() {
            [rest] => args.push(format!("{before}{value}{rest}")),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Where the first parameter stands in an argument.
fn place<'a>(spec: &'a CommandTool, arg: &str) -> Option<(usize, &'a str)> {
    let properties = spec.parameters.as_ref()?.get("properties")?.as_object()?;
    let places =
        properties.keys().filter_map(|name| Some((arg.find(&format!("{{{name}}}"))?, name)));
    places.min().map(|(start, name)| (start, name.as_str()))
}

/// The texts of a parameter: none if it is not given, several for a list.
fn values(given: Option<&Value>) -> Result<Vec<String>, String> {
    match given {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(text).collect(),
        Some(value) => Ok(vec![text(value)?]),
    }
}

fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    if text.contains('\0') {
        return Err("an argument has a zero byte, which no program can be given".into());
    }
    Ok(text)
}

fn is_number(given: Option<&Value>) -> bool {
    given.is_some_and(Value::is_number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenure_spec::Tool;

    use super::*;

    fn command(options: bool) -> CommandTool {
        let text = format!(
            "
name: a
model: {{provider: scripted, name: s, script: {{turns: [{{text: x}}]}}}}
tools:
- command:
    name: run
    description: Runs.
    program: make
    options: {options}
    args: [-C, '{{dir}}', '--level={{level}}', '{{from}}..{{to}}', '{{files}}', '{{print}}', end]
    parameters:
      type: object
      properties:
        dir: {{type: string}}
        level: {{type: integer}}
        from: {{type: string}}
        to: {{type: string}}
        files: {{type: array, items: {{type: string}}}}
"
        );
        let Tool::Command(command) = tenure_spec::parse(&text).unwrap().tools.remove(0) else {
            panic!("a command")
        };
        *command
    }

    #[test]
    fn what_is_given_stays_within_its_argument() {
        let given = json!({
            "dir": "a b; rm -rf $(x) {level} {dir}",
            "level": -3,
            "from": "x",
            "to": "-y",
            "files": ["one", "", "{dir}"],
        });
        assert_eq!(
            expand(&command(false), &given).unwrap(),
            [
                "-C",
                "a b; rm -rf $(x) {level} {dir}",
                "--level=-3",
                "x..-y",
                "one",
                "",
                "{dir}",
                "{print}",
                "end"
            ]
        );
        assert_eq!(expand(&command(false), &json!({})).unwrap(), ["-C", "{print}", "end"]);
        let half = json!({"from": "x"});
        assert_eq!(expand(&command(false), &half).unwrap(), ["-C", "{print}", "end"]);
    }

    #[test]
    fn an_option_is_none_unless_it_may_be() {
        for given in [json!({"dir": "-x"}), json!({"files": ["a", "--eval=1"]})] {
            let why = expand(&command(false), &given).unwrap_err();
            assert!(why.contains("option"), "{why}");
            assert!(expand(&command(true), &given).is_ok());
        }
        assert!(expand(&command(true), &json!({"dir": "a\0b"})).is_err());
        assert!(expand(&command(true), &json!({"dir": "x".repeat(BYTES + 1)})).is_err());
    }
}
