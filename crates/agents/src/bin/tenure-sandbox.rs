//! The sandbox of commands as a program of its own, for workers whose own program does not call
//! `tenure_agents::sandbox::enter`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tenure_agents::sandbox::enter().unwrap_or(ExitCode::FAILURE)
}
