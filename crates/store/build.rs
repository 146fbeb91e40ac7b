//! A new migration file alone must recompile the crate that embeds it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
