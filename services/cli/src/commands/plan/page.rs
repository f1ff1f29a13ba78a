//! The plan as it is printed: one object, or tables with their sources.

use serde::Serialize;

use super::asked::PlanArguments;
use super::costs::{self, Cost, Margin};
use super::curves::{self, Curve};
use super::lines::Line;
use super::reckoning::Reckoning;
use crate::output::table;

#[derive(Serialize)]
pub struct Plan<'a> {
    asked: &'a PlanArguments,
    lines: &'a [Line],
    warnings: &'a [String],
    /// Jobs a second at which the curves were measured.
    rates: [f64; 4],
    curves: &'a [Curve],
    costs: &'a [Cost],
    margins: &'a [Margin],
    left_out: [&'static str; 4],
}

/// The things that the figures do not contain.
const LEFT_OUT: [&str; 4] = [
    "A cluster: copies on other nodes multiply disk by their number; what they take of processors was not measured.",
    "Memory of Elasticsearch for its disk: that was measured with small indices, and does not grow here with what is kept. Give it more nodes.",
    "Jobs that are retried or fail, and searches of others in Elasticsearch.",
    "Another machine than the measured one: run `paceline bench pipeline` on yours and scale.",
];

impl<'a> Plan<'a> {
    pub fn new(asked: &'a PlanArguments, reckoning: &'a Reckoning) -> Self {
        Self {
            asked,
            lines: &reckoning.lines,
            warnings: &reckoning.warnings,
            rates: curves::RATES,
            curves: &curves::CURVES,
            costs: &costs::COSTS,
            margins: &costs::MARGINS,
            left_out: LEFT_OUT,
        }
    }

    /// Tables for people.
    pub fn text(&self) -> String {
        let rows: Vec<_> =
            self.lines.iter().map(|line| [line.what.to_owned(), line.how.clone(), line.shown()]).collect();
        let warnings: String = self.warnings.iter().map(|warning| format!("\n\nWarning: {warning}")).collect();
        let left_out = LEFT_OUT.map(|line| format!("  {line}")).join("\n");
        format!(
            "{}{warnings}\n\nMeasured: µs of a processor a job\n{}\n\nMeasured besides\n{}\n\nNot in these figures\n{left_out}",
            table(["WHAT", "HOW", "TAKES"], &rows),
            self.curves_table(),
            self.costs_table(),
        )
    }

    fn curves_table(&self) -> String {
        let row = |curve: &Curve| {
            let [first, second, third, last] = curve.cpu_us.map(|cpu_us| cpu_us.to_string());
            [curve.name.to_owned(), first, second, third, last, curve.date.to_owned(), curve.source.to_owned()]
        };
        let rates = self.rates.map(|rate| format!("{rate}/s"));
        let [first, second, third, last] = rates.each_ref().map(String::as_str);
        let headings = ["OF", first, second, third, last, "MEASURED", "WHERE"];
        table(headings, &self.curves.iter().map(row).collect::<Vec<_>>())
    }

    fn costs_table(&self) -> String {
        let row = |cost: &Cost| {
            let value = format!("{} {}", cost.value, cost.unit);
            [value, cost.name.to_owned(), cost.date.to_owned(), cost.source.to_owned()]
        };
        table(["COST", "OF", "MEASURED", "WHERE"], &self.costs.iter().map(row).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::asked::tests::asked;
    use super::*;

    #[test]
    fn the_text_shows_every_line_and_the_source_of_every_cost() {
        let (asked, fast) = (asked(1_000, 1.0), asked(60_000_000, 1.0));
        let reckoning = Reckoning::of(&asked);
        let text = Plan::new(&asked, &reckoning).text();
        assert!(reckoning.lines.iter().all(|line| text.contains(&line.how)), "{text}");
        assert!(!text.contains("Warning"), "{text}");
        assert_eq!(Plan::new(&fast, &Reckoning::of(&fast)).text().matches("\nWarning: ").count(), 2);
        assert!(curves::CURVES.iter().all(|curve| text.contains(curve.source)), "{text}");
        assert!(costs::COSTS.iter().all(|cost| text.contains(cost.source) && text.contains(cost.date)), "{text}");
    }
}
