//! The start of the processes, each with its links.

use std::path::Path;

use super::link::Link;
use crate::database::Database;
use crate::options::Test;
use crate::processes::{Server, Settings, Worker};

/// The control planes, each with a way of its own to what they share. On SQLite there is one.
pub(super) struct ControlPlanes {
    pub(super) servers: Vec<Server>,
    pub(super) database_links: Vec<Link>,
    pub(super) redis_links: Vec<Link>,
}

impl ControlPlanes {
    /// Starts them.
    pub(super) async fn start(
        test: &Test,
        database: &Database,
        redis: Option<&Server>,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let target = database.target();
        let count = if target.is_some() { usize::from(test.control_planes) } else { 1 };
        let (mut servers, mut database_links) = (Vec::new(), Vec::new());
        let mut redis_links = Vec::new();
        for place in 0..count {
            let link = Link::to(target.clone()).await;
            let url = database.through(link.proxy.address);
            database_links.push(link);
            let mut redis_url = None;
            if let Some(redis) = redis {
                let link = Link::to([redis.listen.to_string()]).await;
                redis_url = Some(format!("redis://{}", link.proxy.address));
                redis_links.push(link);
            }
            let started = Server::control_plane(place, &url, redis_url.as_deref(), directory);
            servers.push(started.await?);
        }
        Ok(Self { servers, database_links, redis_links })
    }
}

/// Each with a load balancer of its own before the control planes that listen there.
pub(super) async fn start_workers(
    test: &Test,
    listening: &[String],
    directory: &Path,
) -> anyhow::Result<(Vec<Worker>, Vec<Link>)> {
    let (mut workers, mut links) = (Vec::new(), Vec::new());
    for place in 0..usize::from(test.workers) {
        let link = Link::to(listening.to_vec()).await;
        let (directory, url) = (directory.to_owned(), link.url());
        workers.push(Worker::start(Settings { place, url, directory, seed: test.seed })?);
        links.push(link);
    }
    Ok((workers, links))
}
