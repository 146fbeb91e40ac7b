//! Clients that sign with a private key (RFC 7523). `rmcp` has it too, but only with
//! another cryptographic library than the one that this worker has.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tenure_sdk::Failure;

use super::discovery::wrong;

/// Seconds that an assertion is good for: it is sent at once.
const LIFE: i64 = 300;
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who signs, and for what.
pub(super) struct Signer<'a> {
    pub(super) client_id: &'a str,
    /// PEM of PKCS #8.
    pub(super) key: &'a str,
}

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// The fields of a form by which the client shows `issuer` who it is.
pub(super) fn fields(
    signer: &Signer<'_>,
    issuer: &str,
) -> Result<[(&'static str, String); 2], Failure> {
    let assertion = assertion(signer, issuer)?;
    Ok([("client_assertion_type", TYPE.into()), ("client_assertion", assertion)])
}

/// A token by which the client shows the issuer who it is.
fn assertion(signer: &Signer<'_>, issuer: &str) -> Result<String, Failure> {
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random.fill(&mut id).map_err(|_| wrong("this machine has no random numbers"))?;
    let key = Key::read(signer.key)?;
    let now = Timestamp::now().as_second();
    let header = json!({"alg": key.algorithm(), "typ": "client-authentication+jwt"});
    let claims = json!({
        "iss": signer.client_id,
        "sub": signer.client_id,
        "aud": issuer,
        "iat": now,
        "exp": now + LIFE,
        "jti": BASE64_URL_SAFE_NO_PAD.encode(id),
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = key.sign(signed.as_bytes(), &random)?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

impl Key {
    fn read(pem: &str) -> Result<Self, Failure> {
        let wrong = || {
            wrong(
                "its `private_key` cannot be read; give PEM of PKCS #8, P-256 or RSA of 2048 bits \
                   or more (`openssl pkcs8 -topk8 -nocrypt`)",
            )
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let der = der.secret_pkcs8_der();
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(curve, der, &SystemRandom::new()) {
            return Ok(Self::Ec(key));
        }
        RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(|_| wrong())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ec(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Failure> {
        let signature = match self {
            Self::Ec(key) => key.sign(random, message).map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(&RSA_PKCS1_SHA256, random, message, &mut signature);
                signed.map(|()| signature)
            }
        };
        signature.map_err(|_| wrong("its `private_key` does not sign"))
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    use super::*;

    fn decoded(part: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()
    }

    #[test]
    fn an_assertion_says_who_signs_for_whom_and_its_signature_fits() {
        let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).unwrap();
        let body = BASE64_STANDARD.encode(key.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let signer = Signer { client_id: "me", key: &pem };
        let assertion = assertion(&signer, "https://auth.example.com").unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, key.as_ref(), &SystemRandom::new()).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &decoded(signature)).unwrap();

        let (header, claims) = signed.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
        let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
        assert_eq!(header["alg"], "ES256");
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));
        assert_eq!(claims["aud"], "https://auth.example.com");
        let (from, to) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert_eq!(to - from, LIFE);
    }

    #[test]
    fn what_is_no_key_is_told_without_its_words() {
        for pem in ["canary", "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----"] {
            let failure = Key::read(pem).err().unwrap();
            assert_eq!(failure.code, "mcp_auth");
            assert!(!failure.message.contains("canary"), "{}", failure.message);
        }
    }
}
