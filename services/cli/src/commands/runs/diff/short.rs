//! Two values side by side, cut so that their difference can be seen.

use crate::ui::text;

/// Characters of each that are shown.
const WIDTH: usize = 40;
/// Characters before the first difference that are shown where what comes before is cut off.
const LEAD: usize = 12;

/// Both values in short. Where they only differ behind what would be shown, their beginning is left
/// out instead.
pub(super) fn pair([a, b]: [String; 2]) -> [String; 2] {
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let differ = a != b && !a.is_empty() && !b.is_empty();
    let from = if differ && common + LEAD > WIDTH { common - LEAD } else { 0 };
    [a, b].map(|value| match from {
        0 => text::short(&value, WIDTH),
        from => text::short(&format!("…{}", value.chars().skip(from).collect::<String>()), WIDTH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_can_be_seen_wherever_it_is() {
        let both = |a: &str, b: &str| pair([a.to_owned(), b.to_owned()]).join(" | ");
        assert_eq!(both("1", "2"), "1 | 2");
        let long = "x".repeat(50);
        let cut = format!("…{}a | …{}b", "x".repeat(12), "x".repeat(12));
        assert_eq!(both(&format!("{long}a"), &format!("{long}b")), cut);
        assert_eq!(both(&long, ""), format!("{}… | ", "x".repeat(39)));
        assert_eq!(both(&long, &long), both(&long, &long.clone()));
    }
}
