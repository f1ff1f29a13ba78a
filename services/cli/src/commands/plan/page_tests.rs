//! The figures of `paceline plan` are those of docs/operations/sizing.md, row by row: a figure that stands in one alone is out of thin air.

use std::path::Path;

use super::costs::{COSTS, MARGINS};
use super::curves::{CURVES, RATES};

const PAGE: &str = "docs/operations/sizing.md";

/// The cells of each row of each table, without commas between digits.
fn rows() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    let page = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{PAGE}: {e}"));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    page.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

/// The cells after the first one of the only row that begins with `name`.
fn row(rows: &[Vec<String>], name: &str) -> Vec<String> {
    let mut found = rows.iter().filter(|row| row[0] == name);
    let row = found.next().unwrap_or_else(|| panic!("{PAGE} has no row {name:?}"));
    assert!(found.next().is_none(), "{PAGE} has two rows {name:?}");
    row[1..].to_vec()
}

/// The number at the beginning of a cell, and the rest.
fn number(cell: &str) -> (f64, String) {
    let end = cell.find(|c: char| !c.is_ascii_digit() && !".,".contains(c)).unwrap_or(cell.len());
    let value = cell[..end].replace(',', "").parse().unwrap_or_else(|_| panic!("{cell:?} begins with no number"));
    (value, cell[end..].trim().to_owned())
}

#[test]
fn curves_stand_in_the_page_row_by_row() {
    let rows = rows();
    let head = row(&rows, "jobs a second");
    for (point, rate) in RATES.into_iter().enumerate() {
        let mut of_rate = rows.iter().filter(|row| row.len() > 2 && row[0].starts_with(|c: char| c.is_ascii_digit()));
        let cells =
            of_rate.find(|row| number(&row[0]).0 == rate).unwrap_or_else(|| panic!("{PAGE} has no row of {rate}/s"));
        for curve in CURVES {
            let column =
                head.iter().position(|cell| cell == curve.name).unwrap_or_else(|| panic!("no column {}", curve.name));
            assert_eq!(number(&cells[column + 1]).0, curve.cpu_us[point], "{} at {rate}/s", curve.name);
        }
    }
}

#[test]
fn costs_and_margins_stand_in_the_page_row_by_row() {
    let rows = rows();
    let costs = COSTS.map(|cost| (cost.name, cost.value, cost.unit));
    let margins = MARGINS.map(|margin| (margin.name, margin.value, margin.unit));
    for (name, value, unit) in costs.into_iter().chain(margins) {
        assert_eq!(number(&row(&rows, name)[0]), (value, unit.to_owned()), "{name}");
    }
}

#[test]
fn costs_name_the_page_and_a_heading_that_it_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    let page = std::fs::read_to_string(path).unwrap();
    for source in COSTS.map(|cost| cost.source).into_iter().chain(CURVES.map(|curve| curve.source)) {
        let heading = source.strip_prefix(PAGE).and_then(|rest| rest.strip_prefix(", ")).unwrap();
        assert!(page.contains(&format!("\n## {heading}\n")), "{source}");
    }
}
