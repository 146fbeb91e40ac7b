//! Tokens for a client that signs with a private key (RFC 7523). `rmcp` has it too, but only with
//! another cryptographic library than the one that this worker has.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Url;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rmcp::transport::auth::OAuthTokenResponse;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tenure_sdk::Failure;

use super::discovery::{Found, wrong};
use super::http;
use crate::tools::offer;

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

/// A token for `server` with these scopes.
pub(super) async fn exchange(
    found: &Found,
    signer: &Signer<'_>,
    server: &Url,
    scopes: &[String],
    private: bool,
) -> Result<OAuthTokenResponse, Failure> {
    let issuer = found.metadata.issuer.as_deref();
    let issuer = issuer.ok_or_else(|| wrong("its authorization server does not say who it is"))?;
    let endpoint = found.token_endpoint()?;
    let assertion = assertion(signer, issuer)?;
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", &assertion),
        ("resource", server.as_str()),
    ];
    let scope = scopes.join(" ");
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    let client = http::client(server, &endpoint, private).await?;
    let sent = client.post(endpoint.clone()).form(&form).send().await;
    let answer = sent.map_err(|error| http::lost(&endpoint, &error))?;
    let status = answer.status();
    let body = http::body(answer).await?;
    if status.is_success() {
        let token = serde_json::from_slice(&body);
        return token.map_err(|_| wrong("its authorization server answers with no token"));
    }
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(http::unreachable(&endpoint, &format!("it answers {status}")));
    }
    Err(refusal(&body))
}

/// What the authorization server has against the client.
fn refusal(body: &[u8]) -> Failure {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |name: &str| offer::clean(said[name].as_str().unwrap_or_default());
    let (error, more) = (word("error"), word("error_description"));
    let message = format!("its authorization server refuses the client: {error} {more}");
    Failure::permanent("mcp_denied", message.trim_end().to_owned())
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
