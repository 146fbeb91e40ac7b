//! Typed ids: a UUID (version 7, so that they sort by time of creation) with a visible kind.
//!
//! The text form follows the TypeID specification (<https://github.com/jetify-com/typeid>): the
//! kind, an underscore, and the 128 bits in 26 characters of Crockford's base 32, lower case, such
//! as `run_01jd4y8v9tfyt8x3b0n2c5w7qz`. It sorts like the bytes, survives a double click and cannot
//! be passed where an id of another kind is wanted.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::Error;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

fn encode(uuid: Uuid) -> String {
    let bits = uuid.as_u128();
    (0..DIGITS)
        .rev()
        .map(|place| char::from(ALPHABET[(bits >> (place * 5)) as usize & 31]))
        .collect()
}

fn decode(text: &str) -> Option<Uuid> {
    // 26 digits hold 130 bits: the first may only be 0..=7.
    if text.len() != DIGITS || text.as_bytes()[0] > b'7' {
        return None;
    }
    let mut bits = 0u128;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        bits = (bits << 5) | digit as u128;
    }
    Some(Uuid::from_u128(bits))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The kind that every text form of this id starts with.
            pub const PREFIX: &str = $prefix;

            /// The id with these bits. Whoever makes a new one passes a version 7 UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bits without their kind, for storage.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| {
                        Error::invalid(format!(
                            "`{}` is not a {} id: expected `{}_` and 26 characters",
                            text.escape_debug().take(64).collect::<String>(),
                            stringify!($name).trim_end_matches("Id").to_lowercase(),
                            $prefix
                        ))
                    })
            }
        }
    };
}

id!(
    /// A tenant: the wall around everything else.
    TenantId, "ten"
);
id!(
    /// An agent of a tenant.
    AgentId, "agt"
);
id!(
    /// One execution of one version of an agent.
    RunId, "run"
);
id!(
    /// A worker process, new at each start: a restarted process is another worker.
    WorkerId, "wkr"
);
id!(
    /// The right of one worker to advance one run, new at each acquire.
    LeaseId, "lse"
);
id!(
    /// A question of a run to a person or system.
    InterruptId, "int"
);
id!(
    /// A named blob that a run made or was given.
    ArtifactId, "art"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_agrees_with_the_typeid_specification() {
        let uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);
        assert_eq!(RunId::new(uuid).to_string(), "run_01h455vb4pex5vsknk084sn02q");
        assert_eq!(RunId::new(Uuid::max()).to_string(), "run_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn an_id_comes_back_from_its_text() {
        for bits in [0, 1, u128::MAX, 0x0189_0a5d_ac96_774b_bcce_b302_099a_8057] {
            let id = LeaseId::new(Uuid::from_u128(bits));
            assert_eq!(id.to_string().parse::<LeaseId>().unwrap(), id);
        }
    }

    #[test]
    fn another_kind_and_damaged_text_are_refused() {
        for text in ["", "run_", "agt_01h455vb4pex5vsknk084sn02q", "run_8zzzzzzzzzzzzzzzzzzzzzzzzz"]
        {
            let error = text.parse::<RunId>().unwrap_err();
            assert!(error.to_string().contains("is not a run id"), "{error}");
        }
        assert!("run_01h455vb4pex5vsknk084sn02u".parse::<RunId>().is_err(), "u is no digit");
        assert!("run_é1h455vb4pex5vsknk084sn02".parse::<RunId>().is_err());
    }
}
