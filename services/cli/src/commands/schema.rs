//! `tenure schema`.

use crate::problem::Problem;
use crate::ui::Ui;

/// Prints the JSON Schema of specifications.
pub(crate) fn schema(ui: Ui) -> Result<(), Problem> {
    ui.object(&tenure_spec::schema())
}
