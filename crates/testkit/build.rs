//! Compiles what the bench's bare reference speaks, as `tenure-proto` does for the product.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("examples/bench/floor");
    println!("cargo::rerun-if-changed={}", root.join("floor.proto").display());
    let files = protox::compile(["floor.proto"], [&root])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
