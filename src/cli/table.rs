//! Text tables.

/// Rows under a header, each column as wide as its widest cell, two spaces apart; those of `right` to the right.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]], right: &[usize]) -> String {
    let header = header.map(str::to_owned);
    let all = || std::iter::once(&header).chain(rows);
    let mut width = [0; N];
    for row in all() {
        for (width, cell) in width.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(width).enumerate().map(|(place, (cell, width))| {
            if right.contains(&place) { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["input".to_owned(), "7".to_owned()], ["é".to_owned(), "1584".to_owned()]];
        assert_eq!(table(["CHANNEL", "W"], &rows, &[1]), "CHANNEL     W\ninput       7\né        1584\n");
    }
}
