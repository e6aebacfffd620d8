//! What was probably meant by a word that is not known.

/// How far a word may be from a known one to be taken for a slip of the hand, in letters.
const SLIP_DISTANCE: usize = 2;

/// The known word that `key` was probably meant to be; case does not count.
pub fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let written = key.to_lowercase();
    known
        .iter()
        .map(|known| (distance(&written, &known.to_lowercase()), *known))
        .filter(|(distance, known)| *distance <= SLIP_DISTANCE.min(known.len() / 2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    /// No key is that long; longer words are not compared.
    const LONGEST: usize = 64;
    if from.len() > LONGEST {
        return usize::MAX;
    }
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
