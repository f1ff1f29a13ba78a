//! The findings of doctor: a line for each check, with its remedy, and the verdict on all of them.

use std::fmt::Write as _;

use paceline_core::Error;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckVerdict {
    Ok,
    Failed,
    /// Not there, not measurable or not needed now.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorCheck {
    pub name: String,
    pub verdict: CheckVerdict,
    /// Nothing works without it; another failure is only named, unless --strict.
    pub required: bool,
    /// The code of the error, for `paceline explain`.
    pub code: Option<String>,
    /// The finding, in words.
    pub what: String,
    /// The advice, if there is something to do.
    pub remedy: Option<String>,
}

impl DoctorCheck {
    pub fn ok(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            verdict: CheckVerdict::Ok,
            required: false,
            code: None,
            what: what.into(),
            remedy: None,
        }
    }

    pub fn failed(name: impl Into<String>, error: &Error, remedy: impl Into<String>) -> Self {
        let (code, what) = (Some(error.code.to_string()), error.message.clone());
        Self {
            name: name.into(),
            verdict: CheckVerdict::Failed,
            required: false,
            code,
            what,
            remedy: Some(remedy.into()),
        }
    }

    pub fn skipped(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self { verdict: CheckVerdict::Skipped, ..Self::ok(name, what) }
    }

    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub fn is_ok(&self) -> bool {
        self.verdict == CheckVerdict::Ok
    }

    /// Turns a failure into a skipped check: the scheduler at `server` serves, so this service failed for this process alone.
    pub fn excuse(&mut self, server: &str) {
        if self.verdict == CheckVerdict::Failed {
            self.verdict = CheckVerdict::Skipped;
            self.remedy = Some(format!(
                "the scheduler at {server} serves, so it uses another one or has it to itself, as `paceline dev` does; \
                 to check yours, configure it"
            ));
        }
    }

    fn stands_in_the_way(&self, strict: bool) -> bool {
        match self.verdict {
            CheckVerdict::Ok => false,
            CheckVerdict::Failed => self.required || strict,
            CheckVerdict::Skipped => strict && self.remedy.is_some(),
        }
    }

    fn line(&self, name_width: usize) -> String {
        let mark = match self.verdict {
            CheckVerdict::Ok => '✓',
            CheckVerdict::Failed => '✗',
            CheckVerdict::Skipped => '–',
        };
        let code = self.code.as_ref().map_or_else(String::new, |code| format!("{code} "));
        let mut line = format!("{mark} {:<name_width$}  {code}{}", self.name, self.what);
        if let Some(remedy) = &self.remedy {
            // Writing to a String cannot fail.
            _ = write!(line, "\n  {:name_width$}  → {remedy}", "");
        }
        line
    }
}

#[derive(Debug, Serialize)]
pub struct Checkup {
    pub ok: bool,
    pub checks: Vec<DoctorCheck>,
}

impl Checkup {
    /// `strict`: whatever has a remedy stands in the way.
    pub fn new(checks: Vec<DoctorCheck>, strict: bool) -> Self {
        Self { ok: !checks.iter().any(|check| check.stands_in_the_way(strict)), checks }
    }

    pub fn text(&self) -> String {
        let name_width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        self.checks.iter().map(|check| check.line(name_width)).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> DoctorCheck {
        DoctorCheck::failed("broker", &Error::unavailable("connection refused"), "start it")
    }

    #[test]
    fn only_what_is_required_stands_in_the_way_unless_strict() {
        assert!(Checkup::new(vec![DoctorCheck::ok("sink", "x").required()], true).ok);
        assert!(!Checkup::new(vec![failed().required()], false).ok);
        assert!(Checkup::new(vec![failed()], false).ok);
        assert!(!Checkup::new(vec![failed()], true).ok);
        let away = DoctorCheck::skipped("scheduler", "not running").with_remedy("start one");
        assert!(Checkup::new(vec![away.clone()], false).ok);
        assert!(!Checkup::new(vec![away], true).ok);
        assert!(Checkup::new(vec![DoctorCheck::skipped("clock", "not measurable")], true).ok);
    }

    #[test]
    fn an_excuse_needs_something_to_excuse() {
        let mut check = failed().required();
        check.excuse("http://s");
        assert_eq!(check.verdict, CheckVerdict::Skipped);
        assert!(Checkup::new(vec![check], false).ok);
        let mut fine = DoctorCheck::ok("broker", "fine");
        fine.excuse("http://s");
        assert_eq!(fine, DoctorCheck::ok("broker", "fine"));
    }

    #[test]
    fn each_line_has_mark_name_code_what_and_remedy() {
        let checkup = Checkup::new(vec![DoctorCheck::ok("scheduler", "serving"), failed()], false);
        assert_eq!(
            checkup.text(),
            "✓ scheduler  serving\n✗ broker     PL-6000 connection refused\n             → start it"
        );
        let json = serde_json::to_value(&checkup).unwrap();
        assert_eq!((&json["ok"], &json["checks"][1]["verdict"]), (&true.into(), &"failed".into()));
    }
}
