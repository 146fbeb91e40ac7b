//! A question to whoever sits at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::problem::Problem;

/// Asks whether to go on. Where nobody can answer, that is a problem: only `--yes` says yes there.
pub(crate) fn confirm(question: &str) -> Result<(), Problem> {
    if !io::stdin().is_terminal() {
        return Err(Problem::new(format!("{question} Nobody is here to say so"))
            .hint("add --yes to do it without being asked"));
    }
    write!(io::stderr().lock(), "{question} [y/N] ")?;
    let mut said = String::new();
    io::stdin().lock().read_line(&mut said)?;
    if agrees(&said) {
        return Ok(());
    }
    Err(Problem::new("nothing was done"))
}

fn agrees(said: &str) -> bool {
    matches!(said.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(agrees("y\n") && agrees(" Yes "));
        assert!(!agrees("") && !agrees("\n") && !agrees("no") && !agrees("yesterday"));
    }
}
