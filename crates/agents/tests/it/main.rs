//! The interpreter and its parts against real files, real sockets and a control plane.

// `cfg(test)` tells clippy that helpers, too, are tests and may unwrap.
#[cfg(test)]
mod agents;
#[cfg(test)]
mod allowance;
mod budget;
#[cfg(test)]
mod coding;
#[cfg(test)]
mod command;
#[cfg(test)]
mod conversation;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod double;
#[cfg(test)]
mod editing;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod example;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod files;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod http_request;
#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod openapi;
mod policy;
#[cfg(test)]
mod pools;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod purse;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod takeover;
mod team;
