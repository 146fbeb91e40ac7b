//! The binary `tenure` as its users have it: `tenure dev` in a directory, commands beside it.

// `cfg(test)` tells clippy that helpers, too, are tests and may unwrap.
#[cfg(test)]
mod commands;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod steering;
#[cfg(test)]
mod tenure;
