//! The parts of the interpreter against real files and real sockets.

// `cfg(test)` tells clippy that helpers, too, are tests and may unwrap.
#[cfg(test)]
mod double;
#[cfg(test)]
mod example;
#[cfg(test)]
mod files;
#[cfg(test)]
mod http_request;
#[cfg(test)]
mod remote;
