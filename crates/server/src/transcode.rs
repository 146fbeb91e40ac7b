//! What HTTP/JSON and gRPC have in common: which request makes which call, as the annotations of the
//! protos say, and how messages stand in a gRPC body.

mod bindings;
pub mod frames;
mod template;

pub use bindings::{Binding, Bindings};
pub use template::Template;
