//! The page: whatever the names in it are, they stay text.

use super::super::{html, json};
use super::*;

const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'{{json}}\u{2028}";

fn evil() -> Report {
    let mut report = broken();
    report.run.scenario = EVIL.into();
    report.run.target = EVIL.into();
    report.run.version = EVIL.into();
    report.run.parameters = vec![parameter(EVIL, EVIL)];
    report.counts.connections.refused = BTreeMap::from([(EVIL.into(), 1)]);
    report.outcome.warnings = vec![EVIL.into()];
    report.outcome.requirements = vec![Required { text: EVIL.into(), figure: Some(EVIL.into()), met: false }];
    let conservation = report.conservation.as_mut().unwrap();
    conservation.unfinished = Some(EVIL.into());
    conservation.counters[0].name = EVIL.into();
    conservation.examples[0] = Difference { member: EVIL.into(), counter: EVIL.into(), held: None, expected: 1 };
    report
}

fn inlined(page: &str) -> &str {
    page.split_once("<script type=\"application/json\" id=\"report\">").unwrap().1.split_once("</script>").unwrap().0
}

#[test]
fn nothing_from_outside_becomes_a_tag() {
    let (plain, page) = (html::written(&broken()), html::written(&evil()));
    assert!(!page.contains("<img") && !page.contains("<script>alert") && !page.contains(EVIL));
    for end in ["</script", "<script"] {
        assert_eq!(page.matches(end).count(), plain.matches(end).count(), "{end}");
    }
    assert_eq!(json::read(inlined(&page)).unwrap(), evil());
}

#[test]
fn the_page_holds_the_whole_report_and_asks_for_nothing() {
    let page = html::written(&kept());
    assert_eq!(json::read(inlined(&page)).unwrap(), kept());
    assert!(page.contains("default-src 'none'") && !page.contains("src=\"") && !page.contains("{{"), "something is left over");
    assert!(page.contains("<strong>Nothing lost, nothing counted twice</strong>"));
    assert!(html::written(&broken()).contains("<strong>NOT CONSERVED</strong>"));
}

#[test]
fn an_empty_report_is_a_page_too() {
    assert!(html::written(&Report::default()).contains("</html>"));
}
