//! The verdict on all answers, in one line: at least one role must answer, and all that answer must be ready. Pure.

use serde_json::Value;

use super::ask::Answer;

/// Readiness, and the line that says so or why not.
pub fn judge(answers: &[Answer]) -> (bool, String) {
    let roles: Vec<_> = answers.iter().filter_map(Answer::report).collect();
    if roles.is_empty() {
        let nobody: Vec<_> = answers.iter().filter_map(Answer::why_none).collect();
        return (false, nobody.join("; "));
    }
    let red: Vec<_> = answers.iter().filter_map(why_red).collect();
    if !red.is_empty() {
        return (false, red.join("; "));
    }
    let ready: Vec<_> = roles.iter().map(|report| format!("{} is ready", name_of(report))).collect();
    (true, ready.join("; "))
}

fn why_red(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Role { is_ready: false, report } => Some(format!("{} is not ready: {}", name_of(report), why(report))),
        Answer::Role { .. } | Answer::None(_) => None,
    }
}

fn name_of(report: &Value) -> String {
    let text = |key: &str| report[key].as_str().unwrap_or_default();
    match (text("role"), text("id")) {
        ("", _) => "the role".to_owned(),
        (role, id) => format!("{role} {id}"),
    }
}

/// Every red check, also those of the roles within a process, on one line.
fn why(report: &Value) -> String {
    let mut reasons = Vec::new();
    collect(report, "", &mut reasons);
    if reasons.is_empty() {
        return "it does not say why to a caller without its PACELINE_TOKEN".to_owned();
    }
    reasons.join(", ").replace('\n', " ")
}

fn collect(report: &Value, prefix: &str, reasons: &mut Vec<String>) {
    let empty = Vec::new();
    for check in report["checks"].as_array().unwrap_or(&empty).iter().filter(|check| check["ok"] == false) {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        reasons.push(format!("{prefix}{}: {}", text("name"), text("why")));
    }
    for part in report["roles"].as_array().unwrap_or(&empty) {
        collect(part, &format!("{} ", part["role"].as_str().unwrap_or_default()), reasons);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_that_answers_is_enough_and_one_that_is_red_is_too_much() {
        let role =
            |is_ready: bool| Answer::Role { is_ready, report: json!({ "role": "worker", "id": "w", "checks": [] }) };
        let none = || Answer::None("no role listens at x".to_owned());
        assert!(judge(&[none(), role(true), none()]).0);
        assert!(!judge(&[role(true), role(false)]).0);
        assert_eq!(judge(&[none(), none()]), (false, "no role listens at x; no role listens at x".to_owned()));
    }
}
