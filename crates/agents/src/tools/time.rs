//! `time`: what time it is, somewhere.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tenure_sdk::{Context, EntryKind, Failure, Retry, Stop};
use tenure_spec::Effect;

use super::{Output, Tool, step_name, text};
use crate::model::Definition;

const NAME: &str = "time";

/// Tells the time of the worker's clock. It is recorded: a replay sees the same time.
pub struct Time;

#[async_trait]
impl Tool for Time {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: "Tells the date and time, in UTC and in a time zone.".into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "zone": {
                        "type": "string",
                        "maxLength": 64,
                        "description": "Name of the zone, such as `Europe/Berlin`. Without it: UTC.",
                    },
                },
                "additionalProperties": false,
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Read
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let zone = text(arguments, "zone");
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let tell = |_| std::future::ready(tell(Timestamp::now(), zone));
        step.retry(Retry::NONE).run(tell).await.map(Output::from)
    }
}

/// A moment, to the second, as a zone has it.
fn tell(now: Timestamp, zone: &str) -> Result<Value, Failure> {
    let zone = if zone.is_empty() { "UTC" } else { zone };
    let known = TimeZone::get(zone).map_err(|_| unknown(zone))?;
    let local = now.to_zoned(known);
    Ok(json!({
        "utc": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "local": local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "weekday": local.strftime("%A").to_string(),
        "zone": zone,
    }))
}

fn unknown(zone: &str) -> Failure {
    let message = format!("there is no time zone `{zone}`; use a name such as `Europe/Berlin`");
    Failure::permanent("time_zone", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_as_a_zone_has_it() {
        let now: Timestamp = "2026-07-01T22:30:05.9Z".parse().unwrap();
        assert_eq!(
            tell(now, "Europe/Berlin").unwrap(),
            json!({
                "utc": "2026-07-01T22:30:05Z",
                "local": "2026-07-02T00:30:05+02:00",
                "weekday": "Thursday",
                "zone": "Europe/Berlin",
            })
        );
        assert_eq!(tell(now, "").unwrap()["weekday"], "Wednesday");
        assert_eq!(tell(now, "Mars/Olympus").unwrap_err().code, "time_zone");
    }
}
