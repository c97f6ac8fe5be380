//! What a person would say who looks at both answers.

use super::differences::{found, looked, plain, rules};
use crate::Rules;
use crate::path::Path;
use crate::rules::{Pairing, Select, What};

fn explained(ours: &str, theirs: &str) -> Vec<String> {
    let found = looked(ours, theirs, &Rules::default()).differences.found;
    let one = |it: crate::Difference| {
        let text = it.traits.explained.map_or(String::new(), |it| format!(": {}", it.text()));
        format!("{} {}{text}", it.place, it.kind.name())
    };
    found.into_iter().map(one).collect()
}

#[test]
fn elements_in_another_order_are_one_difference_by_their_key_and_what_differs_within() {
    let ours = r#"[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]"#;
    let theirs = r#"[{"id":3,"n":"c"},{"id":1,"n":"x"},{"id":2,"n":"b"}]"#;
    let order = "$ order: elements in another order, matched by `id`";
    assert_eq!(explained(ours, theirs), [order, "$[0]['n'] value"]);
    // Each of them has changed.
    let tokens = r#"[{"id":3,"n":"z"},{"id":1,"n":"x"},{"id":2,"n":"y"}]"#;
    let each = ["$[0]['n'] value", "$[1]['n'] value", "$[2]['n'] value"];
    assert_eq!(explained(ours, tokens), [&[order][..], &each].concat());
}

#[test]
fn any_member_that_is_unique_on_both_sides_may_be_the_key_and_known_names_come_first() {
    let ours = r#"[{"n":5,"sku":"a","v":1},{"n":6,"sku":"b","v":1}]"#;
    let theirs = r#"[{"n":1,"sku":"b","v":1},{"n":2,"sku":"a","v":1}]"#;
    assert_eq!(explained(ours, theirs)[0], "$ order: elements in another order, matched by `sku`");
    let ours = r#"[{"rank":1,"ID":7},{"rank":2,"ID":8}]"#;
    let theirs = r#"[{"rank":2,"ID":8},{"rank":1,"ID":7}]"#;
    assert_eq!(explained(ours, theirs), ["$ order: elements in another order, matched by `ID`"]);
}

#[test]
fn a_member_whose_name_is_not_told_as_a_whole_is_no_key() {
    let long = "k".repeat(65);
    for name in [&long[..], "", "\\ud800"] {
        let list = |ids: [u8; 5]| {
            let one = |id| format!("{{\"{name}\":{id},\"v\":{}}}", id + 10);
            format!("[{}]", ids.map(one).join(","))
        };
        let found = explained(&list([1, 2, 3, 4, 5]), &list([3, 1, 5, 2, 4]));
        assert_eq!(found, ["$ order: elements in another order, matched by `v`"], "{name}");
    }
}

#[test]
fn a_key_with_a_backslash_pairs_elements_as_it_was_told() {
    let ours = r#"[{"a\\n":1,"x":1},{"a\\n":2,"x":2}]"#;
    let theirs = r#"[{"a\\n":2,"x":2},{"a\\n":1,"x":1}]"#;
    let by_key = Pairing::ByKey(r"a\n".to_owned());
    assert!(
        found(ours, theirs, &rules(&[What::Array(Path::parse("$").unwrap(), by_key)])).is_empty()
    );
}

#[test]
fn scalars_in_another_order_are_a_set_and_the_rest_is_told() {
    let set = "$ order: elements in another order, matched where they are equal";
    assert_eq!(explained("[1,2,3,4]", "[4,1,2,5]"), [set, "$[2] value"]);
    assert_eq!(explained("[1,2,3,4]", "[4,1,2]"), [set, "$[2] missing"]);
    assert_eq!(explained("[1,1,2]", "[2,1,1]"), [set]);
}

#[test]
fn an_element_that_came_between_is_told_by_itself_with_what_else_has_changed() {
    let ours = r#"[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]"#;
    let theirs = r#"[{"id":1,"n":"x"},{"id":9,"n":"i"},{"id":2,"n":"b"},{"id":3,"n":"y"}]"#;
    assert_eq!(explained(ours, theirs), ["$[0]['n'] value", "$[2]['n'] value", "$[1] added"]);
}

#[test]
fn lists_that_have_little_in_common_are_compared_by_index() {
    assert_eq!(plain("[1,2,3]", "[4,5,6]").len(), 3);
    assert_eq!(plain(r#"[{"id":1},{"id":2}]"#, r#"[{"id":3},{"id":4}]"#).len(), 2);
    assert_eq!(plain(r#"[{"id":1},{"id":1}]"#, r#"[{"id":1},{"id":2}]"#).len(), 1);
}

#[test]
fn what_a_rule_lets_off_is_no_key_and_the_result_is_that_of_the_rules() {
    let rules = rules(&[What::Ignore(Select::Key("id".to_owned()))]);
    let ours = r#"[{"id":1},{"id":2}]"#;
    assert!(found(ours, r#"[{"id":2},{"id":1}]"#, &rules).is_empty());
}

#[test]
fn a_member_with_the_same_value_under_another_name_is_renamed() {
    let now = |field: &str| format!("now {field}, with the same value");
    assert_eq!(
        explained(
            r#"{"user":{"title":"Ann Lee","x":1}}"#,
            r#"{"user":{"fullName":"Ann Lee","x":1}}"#
        ),
        [format!("$['user']['title'] renamed: {}", now("$['user']['fullName']"))]
    );
    // In a list they are one field.
    let found = looked(
        r#"[{"price":12.5},{"price":99.25}]"#,
        r#"[{"cost":12.5},{"cost":99.25}]"#,
        &Rules::default(),
    );
    for difference in &found.differences.found {
        assert_eq!(difference.field, "$[*]['price']");
        assert_eq!(difference.baseline, difference.candidate);
    }
    assert_eq!(
        explained(r#"{"on":true}"#, r#"{"isOn":true}"#)[0].split(' ').nth(1),
        Some("renamed:")
    );
}

#[test]
fn what_could_be_more_than_one_is_not_guessed() {
    let kinds = |ours, theirs| {
        let found = looked(ours, theirs, &Rules::default()).differences.found;
        found.into_iter().map(|it| it.kind.name()).collect::<Vec<_>>()
    };
    let two = kinds(r#"{"a":"Ann Lee","b":"Ann Lee"}"#, r#"{"c":"Ann Lee","d":"Ann Lee"}"#);
    assert_eq!(two, ["missing", "missing", "added", "added"]);
    assert_eq!(kinds(r#"{"a":1,"b":2}"#, r#"{"c":1,"d":3}"#).len(), 4, "1 says little");
    assert_eq!(kinds(r#"{"a":"Ann Lee"}"#, r#"{"b":"Ann Le"}"#), ["missing", "added"]);
}

#[test]
fn a_member_of_the_same_name_and_value_in_another_place_has_moved() {
    assert_eq!(
        explained(
            r#"{"a":{"ticket":"abcdef0"},"b":{"x":1}}"#,
            r#"{"a":{},"b":{"x":1,"ticket":"abcdef0"}}"#
        ),
        ["$['a']['ticket'] moved: now $['b']['ticket'], with the same value"]
    );
    let other =
        explained(r#"{"a":{"ticket":"abcdef0"},"b":{}}"#, r#"{"a":{},"b":{"t":"abcdef0"}}"#);
    assert_eq!(other, ["$['a']['ticket'] missing", "$['b']['t'] added"]);
}

#[test]
fn null_and_nothing_are_forms_of_one_another() {
    let null = ": null on one side, missing on the other";
    assert_eq!(explained(r#"{"a":null}"#, "{}"), [format!("$['a'] form{null}")]);
    assert_eq!(explained("{}", r#"{"a":null}"#), [format!("$['a'] form{null}")]);
    assert_eq!(explained("[null]", "[]"), ["$[0] missing"]);
}

#[test]
fn errors_of_graphql_that_the_baseline_has_not_are_told_beside_the_data() {
    let ours = r#"{"data":{"user":{"name":"Ann"}}}"#;
    let theirs = r#"{"data":{"user":null},"errors":[{"message":"no such field"}]}"#;
    assert_eq!(explained(ours, theirs), ["$['data']['user'] type", "$['errors'] errors"]);
    let empty = r#"{"data":{"user":null},"errors":[]}"#;
    assert_eq!(explained(empty, theirs), ["$['errors'] errors"]);
    // Both have some, or it is no response of GraphQL.
    let other = theirs.replace("no such field", "other");
    assert_eq!(explained(&other, theirs), ["$['errors'][0]['message'] value"]);
    let mine = r#"{"data":1,"status":"ok"}"#;
    let failed = r#"{"data":1,"status":"ok","errors":[{"message":"m"}]}"#;
    assert_eq!(explained(mine, failed), ["$['errors'] added"]);
}

#[test]
fn nothing_is_said_of_what_is_masked() {
    let rules = rules(&[What::Mask(Select::Key("secret".to_owned()), Default::default())]);
    let found = found(r#"{"secret":"1"}"#, r#"{"secretive":"1"}"#, &rules);
    assert_eq!(found.len(), 2, "{found:?}");
}
