//! Compiles `/proto` without protoc: protox parses, tonic and pbjson generate.

use std::path::PathBuf;

const FILES: [&str; 5] = [
    "tenure/v1/common.proto",
    "tenure/v1/agents.proto",
    "tenure/v1/runs.proto",
    "tenure/v1/inbox.proto",
    "tenure/v1/workers.proto",
];

/// Read from the descriptors when the control plane starts, so there is no code for them.
const ANNOTATIONS: [&str; 3] =
    ["google/api/annotations.proto", "google/api/http.proto", "google/protobuf/descriptor.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    // Encoded by the compiler, which keeps the annotations; the types that code is made from lose them.
    let descriptors = compiler.encode_file_descriptor_set();
    let mut files = compiler.file_descriptor_set();
    files.file.retain(|file| !ANNOTATIONS.contains(&file.name()));
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), &descriptors)?;
    tonic_prost_build::configure()
        .bytes(".")
        // Ordered maps: the bytes of a message are its identity in idempotency keys.
        .btree_map(".")
        .extern_path(".google.protobuf.Timestamp", "::pbjson_types::Timestamp")
        .extern_path(".google.protobuf.Duration", "::pbjson_types::Duration")
        .compile_fds(files)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .btree_map(["."])
        .build(&[".tenure"])?;
    Ok(())
}
