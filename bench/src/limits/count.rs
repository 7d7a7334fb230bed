//! What was offered and admitted under one limit, and whether it kept its promises.

use crate::load::Whole;
use std::fmt;
use std::fmt::Write as _;

/// One limit under load.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Calls per second.
    pub rate: u64,
    /// The size of the bucket.
    pub burst: u64,
    /// Sent on schedule; otherwise as fast as answers came.
    pub open: bool,
    /// By the load generator.
    pub whole: Whole,
    /// Neither right nor refused: what became of them only the others know.
    pub errors: u64,
    /// Calls that the server behind the gateway answered.
    pub upstream: u64,
    /// By the gateway's metrics.
    pub gateway: Whole,
}

impl Row {
    /// The most that anybody counted as admitted.
    fn admitted(&self) -> u64 {
        self.whole.answered.max(self.upstream).max(self.gateway.answered)
    }

    fn offered(&self) -> u64 {
        self.whole.answered + self.whole.refused + self.errors
    }

    /// What may be admitted from the first request to the last answer, in whole calls.
    fn bound(&self) -> u64 {
        self.burst + (self.rate as f64 * self.whole.elapsed) as u64
    }

    /// The share of the bound that was admitted, in percent.
    fn used(&self) -> f64 {
        100.0 * self.admitted() as f64 / self.bound() as f64
    }

    /// Whether so much was offered that all of it could have been used.
    fn is_pressed(&self) -> bool {
        self.offered() >= self.bound()
    }

    /// The promises that were not kept.
    pub fn complaints(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let Self { rate, whole, gateway, upstream, errors, .. } = *self;
        if self.admitted() > self.bound() {
            broken.push(format!("{rate}/s: {} admitted, {} may be", self.admitted(), self.bound()));
        }
        if self.is_pressed() && self.used() < USED_MIN {
            broken.push(format!("{rate}/s: only {:.1} % of what may be was admitted", self.used()));
        }
        let differ = |ours: u64, theirs: u64| ours.abs_diff(theirs) > errors;
        if differ(whole.answered, upstream) || differ(whole.answered, gateway.answered) {
            broken.push(format!(
                "{rate}/s: admitted by the load generator {}, by the server {upstream}, by the gateway {}",
                whole.answered, gateway.answered
            ));
        }
        if differ(whole.refused, gateway.refused) {
            let (theirs, ours) = (whole.refused, gateway.refused);
            broken.push(format!("{rate}/s: refused by the load generator {theirs}, by the gateway {ours}"));
        }
        broken
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.complaints().is_empty(), self.is_pressed()) {
            (false, _) => "BROKEN",
            (true, true) => "kept",
            (true, false) => "kept, less offered than the limit",
        };
        let per_second = self.offered() as f64 / self.whole.elapsed.max(1e-9);
        write!(
            f,
            "| {:6} | {:6} | {:9.0} | {:6} | {:8.3} | {:9} | {:9} | {:7.2} % | {:9} | {:6} | {verdict} |",
            self.rate,
            self.burst,
            per_second,
            if self.open { "open" } else { "closed" },
            self.whole.elapsed,
            self.admitted(),
            self.bound(),
            self.used(),
            self.whole.refused,
            self.errors,
        )
    }
}

/// The head of the table whose rows are [`Row`]s.
pub const TABLE_HEAD: &str = "\
| rate/s | burst  | offered/s | loop   | seconds  | admitted  | may be    | used      | refused   | errors | verdict |
|-------:|-------:|----------:|--------|---------:|----------:|----------:|----------:|----------:|-------:|---------|";

/// The rows for a record.
pub fn as_csv(rows: &[Row]) -> String {
    let mut text = String::from(
        "rate,burst,loop,seconds,offered,admitted,bound,used_percent,refused,errors,upstream,gateway_admitted,\
         gateway_refused,kept\n",
    );
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{},{},{},{:.6},{},{},{},{:.3},{},{},{},{},{},{}",
            row.rate,
            row.burst,
            if row.open { "open" } else { "closed" },
            row.whole.elapsed,
            row.offered(),
            row.admitted(),
            row.bound(),
            row.used(),
            row.whole.refused,
            row.errors,
            row.upstream,
            row.gateway.answered,
            row.gateway.refused,
            row.complaints().is_empty(),
        );
    }
    text
}

/// So much of what may be admitted is, in percent, when enough is offered.
const USED_MIN: f64 = 97.0;

#[cfg(test)]
mod tests {
    use super::{Row, as_csv};
    use crate::load::Whole;

    /// Of 3,000 offered in ten seconds at 100/s.
    fn row(admitted: u64) -> Row {
        let whole = Whole { answered: admitted, refused: 3_000 - admitted, elapsed: 10.0 };
        Row { rate: 100, burst: 100, open: true, whole, errors: 0, upstream: admitted, gateway: whole }
    }

    #[test]
    fn one_too_many_and_too_few_are_told() {
        assert!(row(1_100).complaints().is_empty());
        assert!(row(1_101).complaints()[0].contains("1101 admitted, 1100 may be"));
        assert!(row(1_067).complaints().is_empty());
        assert!(row(1_066).complaints()[0].contains("only 96.9 %"));
    }

    #[test]
    fn too_few_is_no_fault_where_fewer_were_offered() {
        let mut little = row(900);
        little.whole.refused = 0;
        little.gateway.refused = 0;
        assert!(little.complaints().is_empty());
    }

    #[test]
    fn whoever_counted_the_most_is_believed_and_differences_are_told() {
        let mut hidden = row(1_100);
        hidden.upstream = 1_101;
        assert_eq!(hidden.complaints().len(), 2, "{:?}", hidden.complaints());
        hidden.errors = 1;
        assert_eq!(hidden.complaints().len(), 1, "an answer that was lost explains a difference");
        hidden.gateway.refused += 5;
        assert_eq!(hidden.complaints().len(), 2);
    }

    #[test]
    fn every_row_has_a_value_for_each_heading() {
        let text = as_csv(&[row(1_100)]);
        let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [14, 14]);
    }
}
