//! What people have consented to, in files. What replaces them needs to load, save and lock.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use oauth2::TokenResponse as _;
use rmcp::transport::auth::StoredCredentials;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tenure_sdk::{Digest, Failure};

use super::is_fresh;

/// Bytes of a file; the tokens of some servers are long.
const FILE: u64 = 1 << 20;

/// A folder with one file for each tenant and server, which its owner alone can read.
#[derive(Clone, Debug)]
pub struct Credentials {
    folder: PathBuf,
}

/// One consent: for a server, in a tenant, nowhere else.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Consent {
    pub(super) tenant: String,
    /// The server's address as specifications have it.
    pub(super) server: String,
    /// The client's secret, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_secret: Option<String>,
    /// The scopes that the person was asked for; the authorization server may have granted fewer.
    pub(super) asked: Vec<String>,
    /// The client, its tokens, and the authorization server that they are from.
    pub(super) credentials: StoredCredentials,
}

/// Nobody else renews the token while this is held.
pub(super) struct Lock(#[expect(dead_code, reason = "it is held, not read")] File);

impl Consent {
    /// The token to send, as long as it is good.
    pub(super) fn token(&self) -> Option<&str> {
        let token = self.credentials.token_response.as_ref()?;
        let lasts = token.expires_in().map(|time| time.as_secs());
        let received = self.credentials.token_received_at.and_then(|at| at.try_into().ok());
        is_fresh(received, lasts).then(|| token.access_token().secret().as_str())
    }
}

impl Credentials {
    /// Credentials in this folder, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder, for messages.
    pub(super) fn shown(&self) -> String {
        self.folder.display().to_string()
    }

    /// What was consented to for this server.
    pub(super) async fn load(
        &self,
        tenant: &str,
        server: &str,
    ) -> Result<Option<Consent>, Failure> {
        let (place, tenant, server) =
            (self.place(tenant, server), tenant.to_owned(), server.to_owned());
        let (consent, shown) = (place.clone(), place.display().to_string());
        let read = off(move || match fs::metadata(&consent) {
            Ok(about) if about.len() > FILE => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::read(&consent).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        let Some(text) = read.await.map_err(|error| broken(&shown, &error))? else {
            return Ok(None);
        };
        let consent: Consent = serde_json::from_slice(&text).map_err(|_| {
            // The parser's words may repeat what it has read.
            broken(&shown, &"it is damaged; remove it and log in again")
        })?;
        Ok(Some(consent).filter(|consent| consent.tenant == tenant && consent.server == server))
    }

    /// Keeps a consent, in place of the one before. Nobody ever sees half of it.
    pub(super) async fn save(&self, consent: &Consent) -> Result<(), Failure> {
        let place = self.place(&consent.tenant, &consent.server);
        let (folder, shown) = (self.folder.clone(), place.display().to_string());
        let text = serde_json::to_vec_pretty(consent).map_err(|error| broken(&shown, &error))?;
        let saved = off(move || {
            create(&folder)?;
            // Only its owner can read such a file.
            let mut file = NamedTempFile::new_in(&folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&place).map_err(|error| error.error)?;
            Ok(())
        });
        saved.await.map_err(|error| broken(&shown, &error))
    }

    /// Waits until no other process of this machine renews the token.
    pub(super) async fn lock(&self, tenant: &str, server: &str) -> Result<Lock, Failure> {
        let place = self.place(tenant, server).with_extension("lock");
        let shown = place.display().to_string();
        let (folder, file) = (self.folder.clone(), place);
        let locked = off(move || {
            create(&folder)?;
            let file = File::options().create(true).append(true).open(file)?;
            match file.lock() {
                // Where files cannot be locked, whoever comes second reads what the first has saved.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(Lock(file)),
                locked => locked.map(|()| Lock(file)),
            }
        });
        locked.await.map_err(|error| broken(&shown, &error))
    }

    fn place(&self, tenant: &str, server: &str) -> PathBuf {
        let digest = Digest::of(format!("{tenant}\n{server}")).to_string();
        // Half of it is more than enough to tell them apart.
        self.folder.join(format!("{}.json", &digest[..32]))
    }
}

/// The folder, which its owner alone can enter.
fn create(folder: &PathBuf) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Files are slow, and the lock of one may take long.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn broken(place: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::retryable("mcp_credentials", format!("the credentials in `{place}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(tenant: &str) -> Consent {
        let credentials = StoredCredentials::new("client".into(), None, vec!["a".into()], Some(1));
        let server = "https://mcp.example.com/mcp".into();
        Consent { tenant: tenant.into(), server, client_secret: None, asked: vec![], credentials }
    }

    #[tokio::test]
    async fn a_consent_is_for_one_tenant_and_server_and_its_file_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::new(folder.path().join("new"));
        credentials.save(&consent("a")).await.unwrap();
        let server = consent("a").server;
        let loaded = credentials.load("a", &server).await.unwrap().unwrap();
        assert_eq!((&*loaded.credentials.client_id, loaded.token()), ("client", None));
        assert!(credentials.load("b", &server).await.unwrap().is_none());
        assert!(credentials.load("a", "https://mcp.example.com/").await.unwrap().is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&credentials.folder), 0o700);
            assert_eq!(mode(&credentials.place("a", &server)), 0o600);
        }
    }

    #[tokio::test]
    async fn one_process_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::new(folder.path());
        let lock = credentials.lock("a", "s").await.unwrap();
        let place = credentials.place("a", "s").with_extension("lock");
        let other = File::options().append(true).open(place).unwrap();
        assert!(other.try_lock().is_err());
        drop(lock);
        other.try_lock().unwrap();
    }

    #[tokio::test]
    async fn a_damaged_file_is_told_without_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::new(folder.path());
        fs::write(credentials.place("a", "s"), r#"{"tenant": 12345678}"#).unwrap();
        let failure = credentials.load("a", "s").await.err().unwrap();
        assert_eq!(failure.code, "mcp_credentials");
        assert!(!failure.message.contains("12345678"), "{}", failure.message);
    }
}
