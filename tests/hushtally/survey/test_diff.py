"""`hushtally survey diff`: every change is named with its effect on privacy, and whether new consent is needed."""

import json
from datetime import date

import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.survey.change import Effect
from hushtally.survey.diff import compare
from hushtally.survey.template import example

EXAMPLE = example(date(2026, 11, 2))
PERMANENT = 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3'


def changed(*replaced):
    text = EXAMPLE
    for old, new in replaced:
        assert old in text, old
        text = text.replace(old, new)
    return text


def hushtally(tmp_path, new, *options):
    (tmp_path / "old.toml").write_text(EXAMPLE, encoding="utf-8")
    (tmp_path / "new.toml").write_text(new, encoding="utf-8")
    paths = (str(tmp_path / "old.toml"), str(tmp_path / "new.toml"))
    return CliRunner().invoke(main, ["survey", "diff", *paths, *options])


def test_equal_surveys_need_no_consent(tmp_path):
    """Comments and spaces are no change, because they do not change the digest."""
    result = hushtally(tmp_path, EXAMPLE.replace("# what one report may reveal", "# "))
    assert (result.exit_code, result.stdout) == (
        0,
        "Nothing changed: consent to the old survey is consent to the new one.\n",
    )


def test_a_change_is_described_in_words(tmp_path):
    result = hushtally(tmp_path, changed(("version = 1", "version = 2"), ("epsilon = 1.0", "epsilon = 0.5")))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "shopping-habits v1 -> shopping-habits v2: 6 changes, 2 of them about privacy",
        "  epsilon: 1 -> 0.5 (reveals less)",
        "  lifetime epsilon: 3 -> 1.5 (reveals less)",
        "  question frequency, mechanism: direct -> subset w=2 (follows from other changes)",
        "  question affinity, mechanism: direct -> subset w=2 (follows from other changes)",
        "  question frequency_x_returned, mechanism: subset w=2 -> subset w=3 (follows from other changes)",
        "  version: 1 -> 2 (no effect on privacy)",
        "reveals less: an observer can learn less about a customer.",
        "New consent is needed: customers agree to exactly the survey that they were shown. An app with"
        " keep_consent=True does not ask again. Devices start anew with the new version.",
        "A device that answers both can reveal up to epsilon 4.5 (3 + 1.5), or the app's max_lifetime_epsilon if that"
        " is lower.",
    ]


@pytest.mark.parametrize(
    ("old", "new", "what", "effect"),
    [
        ('title = "How people shop with us"', 'title = "T"', "title", "no effect on privacy"),
        ('purpose = "We count', 'purpose = "We sell', "purpose", "affects privacy"),
        ("insights@shop.example", "ads@shop.example", "owner", "affects privacy"),
        ("ends = 2027-05-02", "ends = 2027-08-01", "lifetime epsilon", "reveals more"),
        ("ends = 2027-05-02", "ends = 2027-08-01", "ends", "affects privacy"),
        ("retention_days = 180", "retention_days = 360", "retention_days", "reveals more"),
        ("min_reports = 500", "min_reports = 400", "min_reports", "reveals more"),
        ("min_reports = 500", "min_reports = 600", "min_reports", "reveals less"),
        ("epsilon = 1.0", "epsilon = 2.0", "epsilon", "reveals more"),
        ("questions_per_device = 1", "questions_per_device = 2", "questions_per_device", "reveals more"),
        ("answers_every = 9", "answers_every = 2", "answers_every", "reveals more"),
        ("answers_every = 9", "answers_every = 13", "answers_every", "reveals less"),
        (
            'memory = "fresh"',
            'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3',
            "memory",
            "reveals more",
        ),
        (
            'memory = "fresh"',
            'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3',
            "epsilon_permanent",
            "reveals more",
        ),
        ('platform = ["web", "ios", "android"]', 'platform = ["web"]', "cohort platform", "affects privacy"),
        ("[signals]", 'city = ["a", "b"]\n[signals]', "cohort city", "reveals more"),
        ('platform = ["web", "ios", "android"]', "", "cohort platform", "reveals less"),
        ("days = 90 }", "days = 91 }", "signal orders_90d", "affects privacy"),
        ("[signals]", '[signals]\nvisits = { count = "visit", days = 9 }', "signal visits", "reveals more"),
        ('"games"', '"games", "toys"', "question affinity, category toys", "affects privacy"),
        ("edges = [0, 20,", "edges = [0, 30,", "question basket, edges", "affects privacy"),
        ("only_crossed = true ", "only_crossed = false ", "question returned", "reveals more"),
        ('["web", "ios", "android"]', '["web", "ios", "watch"]', "cohort platform", "reveals more"),
        (
            'idle_days  = { days_since = "purchase"',
            'idle_days  = { days_since = "visit"',
            "stored on the device, visit",
            "reveals more",
        ),
        ('id = "basket"', 'id = "basket"\nepsilon = 0.5', "question basket, epsilon", "reveals less"),
        ('id = "basket"', 'id = "trolley"', "question basket", "reveals less"),
        ('id = "basket"', 'id = "trolley"', "question trolley", "reveals more"),
        ('id = "basket"', 'id = "basket"\nmechanism = "direct"', "question basket, mechanism", "affects privacy"),
        ('title = "What you bought most often"\n', "", "question affinity, title", "affects privacy"),
        ("What you bought most often", "What you like", "question affinity, title", "affects privacy"),
        ('id = "shopping-habits"', 'id = "other"', "id", "affects privacy"),
    ],
)
def test_each_change_is_named_with_its_effect(old, new, what, effect):
    found = compare(Survey.parse(EXAMPLE), Survey.parse(changed((old, new))))
    assert (what, Effect(effect)) in [(change.what, change.effect) for change in found.changes]
    assert found.consent.startswith("New consent is needed")


def test_every_change_of_the_digest_is_named():
    """The order of questions changes only the digest, and is named, too."""
    questions = EXAMPLE.split("[[questions]]")
    questions[1], questions[2] = questions[2], questions[1]
    found = compare(Survey.parse(EXAMPLE), Survey.parse("[[questions]]".join(questions)))
    assert [change.what for change in found.changes] == ["order of the questions"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 2", "does not ask again. Devices start anew with the new version."),
        (
            "min_reports = 500",
            "min_reports = 600",
            "Raise the version: the collector refuses a changed survey with the same version.",
        ),
        (
            "epsilon = 1.0",
            "epsilon = 2.0",
            "An app with keep_consent=True would apply the old consent to it without asking",
        ),
        ('id = "shopping-habits"', 'id = "other"', "New consent is needed: this is another survey."),
    ],
)
def test_what_happens_to_the_old_consent(old, new, says):
    assert says in compare(Survey.parse(EXAMPLE), Survey.parse(changed((old, new)))).consent


def test_a_lower_version_is_warned_about():
    newer, older = Survey.parse(changed(("version = 1", "version = 2"))), Survey.parse(EXAMPLE)
    assert (
        "The version is lower than before: devices that had the newer version stay silent."
        in compare(newer, older).consent
    )


SEGMENTS = """segments = [
  { id = "none",    when = "orders_90d == 0" },
  { id = "once",    when = "orders_90d == 1" },
  { id = "regular", when = "2 <= orders_90d <= 4" },
  { id = "heavy" },          # the rest
]"""
AFFINITY = 'one_of = "favourite"\ncategories = ["books", "music", "games"]'


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            'when = "orders_90d == 1"',
            'when = "0 < orders_90d < 2"',
            ["frequency, segment once: orders_90d == 1 -> 0 < orders_90d < 2"],
        ),
        (
            '  { id = "once",    when = "orders_90d == 1" },\n',
            "",
            ["frequency, segment once: orders_90d == 1 -> removed"],
        ),
        (
            '{ id = "heavy" },',
            '{ id = "many", when = "orders_90d < 9" },\n  { id = "heavy" },',
            ["frequency, segment many: none -> orders_90d < 9"],
        ),
        (
            '{ id = "none",    when = "orders_90d == 0" },\n  { id = "once",    when = "orders_90d == 1" },',
            '{ id = "once",    when = "orders_90d == 1" },\n  { id = "none",    when = "orders_90d == 0" },',
            ["frequency, order of the segments: none, once, regular, heavy -> once, none, regular, heavy"],
        ),
        ('["books", "music", "games"]', '["books", "music"]', ["affinity, category games: own segment -> in other"]),
        (
            '["books", "music", "games"]',
            '["music", "books", "games"]',
            ["affinity, order of the segments: books, music, games -> music, books, games"],
        ),
        (
            "edges = [0, 20, 50, 100, 200]",
            "edges = [0, 20.5, 200]",
            ["basket, edges: 0, 20, 50, 100, 200 -> 0, 20.5, 200"],
        ),
        ('otherwise = "none"', 'otherwise = "nothing"', ["basket, otherwise: none -> nothing"]),
        (
            'number = "spend_90d / orders_90d"',
            'number = "spend_90d"',
            ["basket, number: spend_90d / orders_90d -> spend_90d"],
        ),
        (
            'cross = ["frequency", "returned"]',
            'cross = ["affinity", "returned"]',
            [
                "frequency_x_returned: every combination of frequency and returned -> every combination of affinity and"
                " returned"
            ],
        ),
        (
            SEGMENTS,
            AFFINITY,
            ["frequency: segments by rules (none, once, regular, heavy) -> categories of favourite"],
        ),
        (
            SEGMENTS,
            'number = "orders_90d"\nedges = [0, 1]',
            ["frequency: segments by rules (none, once, regular, heavy) -> ranges of orders_90d"],
        ),
    ],
)
def test_changed_segments_are_described_in_words(old, new, lines):
    """There is one line for every segment. A change of the mechanism that follows from their number is marked."""
    found = compare(Survey.parse(EXAMPLE), Survey.parse(changed((old, new)))).changes
    assert [str(one) for one in found if one.effect is not Effect.FOLLOWS] == [
        f"question {line} (affects privacy)" for line in lines
    ]


def test_a_segment_with_another_name_and_the_same_rule_is_renamed():
    found = compare(Survey.parse(EXAMPLE), Survey.parse(changed(('{ id = "heavy" },', '{ id = "keen" },'))))
    assert list(map(str, found.changes)) == [
        "question frequency, name of a segment: heavy -> keen (no effect on privacy)"
    ]
    assert (found.needs_consent, found.reveals_more) == (True, False)


def test_a_change_that_reveals_less_needs_consent():
    found = compare(Survey.parse(EXAMPLE), Survey.parse(changed(("epsilon = 1.0", "epsilon = 0.5"))))
    assert (found.needs_consent, found.reveals_more) == (True, False)
    same = compare(Survey.parse(EXAMPLE), Survey.parse(EXAMPLE))
    assert (same.needs_consent, same.reveals_more) == (False, False)


def test_fresh_memory_instead_of_permanent_reveals_less():
    permanent = changed(('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3'))
    found = compare(Survey.parse(permanent), Survey.parse(EXAMPLE)).changes
    assert ("memory", Effect.LESS) in [(one.what, one.effect) for one in found]


def test_as_json(tmp_path):
    result = hushtally(tmp_path, changed(("min_reports = 500", "min_reports = 400")), "--format", "json")
    found = json.loads(result.stdout)
    assert (found["needs_consent"], found["reveals_more"]) == (True, True)
    assert found["changes"] == [{"what": "min_reports", "old": "500", "new": "400", "effect": "reveals more"}]
    assert found["consent"].startswith("New consent is needed")


def test_every_mistake_of_an_invalid_survey_is_one_line(tmp_path):
    result = hushtally(tmp_path, changed(("epsilon = 1.0", "epsilon = 80")))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path}/new.toml: privacy.epsilon")
    assert result.stdout == ""


def test_explain_as_json(tmp_path):
    (tmp_path / "survey.toml").write_text(EXAMPLE, encoding="utf-8")
    result = CliRunner().invoke(main, ["survey", "explain", str(tmp_path / "survey.toml"), "--format", "json"])
    found = json.loads(result.stdout)
    assert found["title"] == "How people shop with us (shopping-habits v1)"
    assert [one["heading"] for one in found["sections"]][::2] == [
        "About this survey",
        "What is asked",
        "What an observer can learn",
        "Technical details: how answers are randomized",
    ]


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        (
            ("min_reports = 500", "min_reports = 400"),
            "reveals more: an observer can learn more about a customer, or can learn it for longer,",
        ),
        (("min_reports = 500", "min_reports = 600"), "reveals less: an observer can learn less about a customer."),
        (
            ('purpose = "We count', 'purpose = "We sell'),
            "affects privacy: something different is asked, stored or told to the customer;",
        ),
    ],
)
def test_each_effect_is_explained_below_the_changes(tmp_path, change, meaning):
    """Each effect that occurs is explained once. "No effect on privacy" needs no explanation."""
    lines = hushtally(tmp_path, changed(change, ("version = 1", "version = 2"))).stdout.splitlines()
    assert len(lines) == 6
    assert lines[3].startswith(meaning)


def test_a_change_without_an_effect_on_privacy_needs_consent_too(tmp_path):
    lines = hushtally(tmp_path, changed(("version = 1", "version = 2"))).stdout.splitlines()
    assert lines[0].endswith("1 change, none of them about privacy")
    assert "customers agree to exactly the survey that they were shown." in lines[2]


@pytest.mark.parametrize(
    ("changes", "sum"),
    [
        ((), "up to epsilon 6 (3 + 3), or"),
        ((("epsilon = 1.0", "epsilon = 0.5"),), "up to epsilon 4.5 (3 + 1.5), or"),
        ((('memory = "fresh"', PERMANENT),), "up to epsilon 9 for what was answered (3 + 6), or"),
        ((('memory = "fresh"', PERMANENT.replace("3", "0")),), "up to epsilon 5 (3 + 2), or"),
        ((('id = "shopping-habits"', 'id = "other"'),), "up to epsilon 6 (3 + 3), or"),
    ],
)
def test_both_versions_together_reveal_the_sum(changes, sum):
    """A new version adds its own lifetime epsilon. If that exceeds the app's limit, the device stays silent instead."""
    text = changed(("version = 1", "version = 2"), *changes)
    assert compare(Survey.parse(EXAMPLE), Survey.parse(text)).together == (
        f"A device that answers both can reveal {sum} the app's max_lifetime_epsilon if that is lower."
    )


@pytest.mark.parametrize("options", [(), ("--format", "json")])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("", ""), 0),
        (("# what one report may reveal", "# as before"), 0),
        (("version = 1", "version = 2"), 1),
        (("min_reports = 500", "min_reports = 600"), 1),
    ],
)
def test_exit_code_fails_a_release_that_needs_new_consent(tmp_path, change, code, options):
    """The exit status is 1 if new consent is needed, and the output is the same. Without --exit-code it is always 0."""
    gated = hushtally(tmp_path, changed(change), "--exit-code", *options)
    plain = hushtally(tmp_path, changed(change), *options)
    assert (gated.exit_code, plain.exit_code) == (code, 0)
    assert gated.stdout == plain.stdout != ""
    assert gated.stderr == ""
