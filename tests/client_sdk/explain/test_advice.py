"""The warnings of `survey check`: each names what is unwise in a survey, and says nothing about what is not."""

import math
from datetime import date

import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.explain.advice import advice, describe_accuracy
from hushtally.client_sdk.mechanisms import build
from hushtally.client_sdk.survey import Survey
from hushtally.survey.template import example

STARTS = date(2026, 11, 2)
FIFTEEN = ", ".join(f'"category-{number}"' for number in range(15))
RAPPOR = '{ name = "rappor", k = 16, h = 1, m = 4, f = 0.5, p = 0.5, q = 0.75 }'


def sixteen_segments(mechanism: str) -> str:
    """The example with a question of 16 segments that uses this mechanism."""
    return example(STARTS).replace(
        'categories = ["books", "music", "games"]', f"categories = [{FIFTEEN}]\nmechanism = {mechanism}"
    )


def warnings(*changes):
    """The warnings about the example with these changes, on its first day."""
    text = example(STARTS)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return advice(Survey.parse(text), STARTS)


@pytest.mark.parametrize("mechanism", ['"auto"', '"subset"', '{ name = "subset", w = 4 }'])
def test_the_best_mechanism_causes_no_warning(mechanism):
    """Neither the automatic choice nor an equally good one that the survey names."""
    assert advice(Survey.parse(sixteen_segments(mechanism)), STARTS) == []


@pytest.mark.parametrize("name", ["direct", "sue", "oue"])
def test_a_costly_mechanism_is_named_with_its_cost(name):
    """The warning names the question, the cost, and the mechanism that it is compared with."""
    survey = Survey.parse(sixteen_segments(f'"{name}"'))
    cost = build(name, {}, 16, 1.0).mean_variance() / build("auto", {}, 16, 1.0).mean_variance()
    assert advice(survey, STARTS) == [
        f"questions[2] (affinity).mechanism: {name} has {cost:.2f} times the variance of the automatic choice, subset,"
        " so it needs that many times as many devices"
    ]


def test_permanent_answers_that_identify_a_device_are_named():
    """With permanent memory the automatic choice uses few symbols; a mechanism that the survey names may use many."""
    memory = 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 1'
    text = sixteen_segments('"oue"').replace('memory = "fresh"', memory)
    assert advice(Survey.parse(text), STARTS)[-1] == (
        "questions[2] (affinity).mechanism: with permanent memory, a repeated symbol out of 65,536 identifies the"
        " device that sent it; auto uses at most 2,048 symbols"
    )
    automatic = Survey.parse(text.replace('"oue"', '"auto"'))
    assert not any("mechanism" in line for line in advice(automatic, STARTS))


def test_check_prints_warnings_and_calls_the_survey_valid(tmp_path):
    """Warnings are on stderr and the exit status is 0. The cost of rappor is a lower bound."""
    path = tmp_path / "survey.toml"
    path.write_text(sixteen_segments(RAPPOR))
    done = CliRunner().invoke(main, ["survey", "check", str(path)])
    assert done.exit_code == 0
    assert "is valid" in done.stdout
    assert f"Warning: {path}: questions[2] (affinity).mechanism: rappor has at least" in done.stderr


@pytest.mark.parametrize(
    ("today", "line"),
    [
        (date(2026, 1, 1), None),  # a survey that starts later is not unwise
        (date(2026, 11, 2), None),
        (date(2027, 5, 2), None),
        (date(2027, 5, 3), "ends: the survey ended on 2027-05-02, so no device answers it any more"),
    ],
)
def test_a_survey_that_has_ended_is_named(today, line):
    assert advice(Survey.parse(example(STARTS)), today) == ([line] if line else [])


@pytest.mark.parametrize(
    ("every", "ends", "warning"),
    [
        (26, "2027-05-02", None),
        (27, "2027-05-02", "only 26 weeks, so 1 of every 27 devices never answer; use at most 26"),
        (4, "2026-11-08", "only 1 week, so 3 of every 4 devices never answer; use at most 1"),
    ],
)
def test_devices_that_never_answer_are_counted(every, ends, warning):
    """A device answers in one of `answers_every` epochs, drawn at random; in a shorter survey some never answer."""
    text = example(STARTS).replace("answers_every = 9 ", f"answers_every = {every} ").replace("2027-05-02", ends)
    expected = [f"privacy.answers_every: the survey has {warning}"] if warning else []
    assert advice(Survey.parse(text), STARTS) == expected


FRESH, EVERY, EACH = 'memory = "fresh"', "answers_every = 9 ", "questions_per_device = 1"
OFTENER = (EVERY, "answers_every = 4 ")  # 7 answers instead of 3
OFTEN = "answer less often (raise answers_every, or shorten the survey)"
CERTAIN = "an observer who was 10% sure of a segment can become practically certain"


def permanent(epsilon, changes):
    return FRESH, f'memory = "permanent"\nepsilon_permanent = {epsilon}\nchanges = {changes}'


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ([], None),
        ([OFTENER, ("ends = 2027-05-02", "ends = 2027-06-13")], None),  # 8 answers: epsilon 8
        (
            [OFTENER, ("ends = 2027-05-02", "ends = 2027-06-20")],
            "9, so an observer who was 10% sure of a segment can become at most 99.89% sure; lower epsilon or " + OFTEN,
        ),
        (
            [(EVERY, "answers_every = 1 "), ("ends = 2027-05-02", "ends = 2027-03-28")],
            f"21, so {CERTAIN}; lower epsilon or {OFTEN}",
        ),
        (
            [(EVERY, "answers_every = 26 "), (EACH, "questions_per_device = 4"), ("epsilon = 1.0", "epsilon = 4")],
            f"16, so {CERTAIN}; lower epsilon or lower questions_per_device",
        ),
        ([permanent(1, 6), OFTENER], None),
        (
            [permanent(2, 12), (EVERY, "answers_every = 1 ")],
            f"26 for what was answered, so {CERTAIN}; lower epsilon_permanent or follow fewer changes",
        ),
        (
            [permanent(2, 30), OFTENER],
            f"14 for what was answered, so {CERTAIN}; lower epsilon_permanent or {OFTEN}",
        ),
        (
            [permanent(5, 0), (EACH, "questions_per_device = 2")],
            "10 for what was answered, so an observer who was 10% sure of a segment can become at most 99.96% sure;"
            " lower epsilon_permanent or lower questions_per_device",
        ),
    ],
)
def test_a_large_lifetime_epsilon_is_named_with_its_meaning_and_remedies(changes, warning):
    """Above 8, which is the most that one report may reveal; the example has 3."""
    expected = [f"privacy: the lifetime epsilon is {warning}"] if warning else []
    assert [line for line in warnings(*changes) if line.startswith("privacy:")] == expected


@pytest.mark.parametrize(
    ("changes", "more", "reason"),
    [
        (0, [], "a device keeps sending its first answer"),
        (1, [], "after 1 new answer a device keeps sending an old one"),
        (5, [OFTENER], "after 5 new answers a device keeps sending an old one"),
        (6, [OFTENER], None),  # 7 answers: every change is followed
        (7, [(EVERY, "answers_every = 1 ")], None),  # 8 segments of the largest question: every value is followed
        (6, [(EVERY, "answers_every = 1 ")], "after 6 new answers a device keeps sending an old one"),
    ],
)
def test_changes_that_permanent_memory_does_not_follow_are_named(changes, more, reason):
    """If a customer's answer can change more often than `changes` allows, old answers stand for new ones."""
    expected = (
        f"privacy.changes: with permanent memory and changes = {changes}, {reason}: trends are underestimated, and the"
        " intervals do not reflect that; raise changes, or use fresh memory"
    )
    lines = [line for line in warnings(permanent(1, changes), *more) if line.startswith("privacy.changes")]
    assert lines == ([expected] if reason else [])


def test_fresh_memory_follows_every_change():
    assert warnings((EVERY, "answers_every = 1 "), ("epsilon = 1.0", "epsilon = 0.25"), ("500 ", "9000 ")) == []


@pytest.mark.parametrize(("reports", "points"), [(500, 14), (50, 46), (25, 65), (1, 100)])
def test_the_accuracy_of_an_estimate_from_min_reports(reports, points):
    """1.96 standard errors of the least accurate question; no share is off by more than 100 points."""
    survey = Survey.parse(example(STARTS).replace("min_reports = 500", f"min_reports = {reports}"))
    assert describe_accuracy(survey) == (
        f"an estimate from {reports} report{'s' if reports > 1 else ''} (min_reports) has a 95% confidence interval of"
        f" about ±{points} points (frequency_x_returned)"
    )
    variance = survey.question("frequency_x_returned").mechanism.mean_variance()
    assert points == min(100, round(196 * (variance / reports) ** 0.5))


@pytest.mark.parametrize("name", ["auto", "rappor"])
def test_a_min_reports_that_gives_no_information_is_named(name):
    """The warning names the smallest number for which no 95% interval is wider than from 0% to 100%."""
    mechanism = '"auto"' if name == "auto" else RAPPOR
    survey = Survey.parse(sixteen_segments(mechanism))
    variance = max(question.mechanism.mean_variance() for question in survey.asked)
    needed = next(n for n in range(1, 10_000) if 2 * 1.96 * (variance / n) ** 0.5 <= 1)

    def found(reports):
        text = sixteen_segments(mechanism).replace("min_reports = 500", f"min_reports = {reports}")
        return [line for line in advice(Survey.parse(text), STARTS) if line.startswith("min_reports")]

    warning = (
        "min_reports: an estimate of affinity from {} is meaningless: its 95% confidence interval is wider than 100"
        f" points; use at least {needed:,}"
    )
    assert found(1) == [warning.format("1 report")]
    assert found(needed - 1) == [warning.format(f"{needed - 1:,} reports")]
    assert found(needed) == []


def test_an_unused_signal_is_named():
    """A signal is used if a cross, a category question or a number needs it. `len` is no signal."""
    unused = "signals.{}: no question uses this signal; remove it, so that devices store no events for it"
    more = ("[signals]", '[signals]\nvisits = { count = "visit", days = 9 }')
    assert warnings(more) == [unused.format("visits")]
    assert warnings(more, ('"spend_90d / orders_90d"', '"max([visits, 0.5]) + len(favourite)"')) == [
        unused.format("spend_90d")
    ]


SUMMED = ('spend_90d  = { sum = "purchase.amount"', 'spend_90d  = { sum = "purchase.category"')


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ([], None),
        ([SUMMED], "'books' or 'games' or 'music'"),
        ([SUMMED, ('"books", "music", "games"', '"1", "-2.5", "1e+20"')], None),
        ([SUMMED, ('"books", "music", "games"', '"1", "1.0", "nan"')], "'1.0' or 'nan'"),
        ([SUMMED, ('one_of = "favourite"\ncategories', 'segments = [{id = "a", when = "favourite in X"}]#')], "'X'"),
    ],
)
def test_strings_of_a_field_that_is_summed_are_named(changes, dropped):
    """A device stores only numbers of such a field, so every customer would be in the last segment."""
    quoted = [(old, new.replace("in X", "in ['X', '7']")) for old, new in changes]
    assert warnings(*quoted) == (
        [
            "signals.favourite: devices store only numbers of purchase.category, because signals.spend_90d sums it, so"
            f" its value is never {dropped}; record strings in another field"
        ]
        if dropped
        else []
    )


def windows(days, epoch):
    """The warnings about signals of the example with this window and epoch."""
    text = example(STARTS).replace('{ count = "purchase", days = 90 }', f'{{ count = "purchase", days = {days} }}')
    if epoch == "month":
        text = text.replace("2026-11-02", "2026-11-01").replace("2027-05-02", "2027-04-30")
    survey = Survey.parse(text.replace('"week"  ', f'"{epoch}"  ', 1))
    return [line for line in advice(survey, survey.starts) if line.startswith("signals.")]


@pytest.mark.parametrize(
    ("days", "epoch", "least", "seen"),
    [
        (1, "day", 2, "a day has hardly begun then"),
        (1, "week", 7, "the other days of a week are never seen"),
        (6, "week", 7, "the other days of a week are never seen"),
        (27, "month", 28, "the other days of a month are never seen"),
    ],
)
def test_a_window_shorter_than_an_epoch_is_named(days, epoch, least, seen):
    """A device answers at the beginning of an epoch if a timer ticks it."""
    assert windows(days, epoch) == [
        f"signals.orders_90d: days = {days}, but a device answers at its first tick in a {epoch}: {seen}; use at least"
        f" {least}"
    ]


@pytest.mark.parametrize(("days", "epoch"), [(2, "day"), (7, "week"), (8, "week"), (28, "month"), (30, "month")])
def test_a_window_as_long_as_an_epoch_causes_no_warning(days, epoch):
    """A signal over 7 days with weekly epochs is right for a question about the last week."""
    assert windows(days, epoch) == []


def with_basket(number, edges, otherwise="none"):
    """The warnings about the example's number question with another number and other edges."""
    basket = 'number = "spend_90d / orders_90d"', f'number = "{number}"'
    return [
        line
        for line in warnings(basket, ("[0, 20, 50, 100, 200] ", f"{edges} "), ('= "none" ', f'= "{otherwise}" '))
        if line.startswith("questions")
    ]


PLACE = "questions[4] (basket).edges"
MISREAD = (
    ": the number is whole, and a range excludes its upper edge; use `segments` with rules, and ids that say what they"
    " contain"
)


def test_a_range_or_rest_that_no_customer_can_be_in_is_named():
    assert with_basket("orders_90d", [0, 0.5, 5]) == [
        f"{PLACE}: no customer can be in 'none': the number is never below 0; use a higher first edge, so that 'none'"
        " takes the lowest numbers",
        f"{PLACE}: '0.5-5' contains 1 to 4{MISREAD}",
    ]
    assert with_basket("idle_days", [30, 400, 500]) == [
        f"{PLACE}: no customer can be in '400-500': the number never lies in this range; remove an edge",
        f"{PLACE}: '30-400' contains 30 to 399{MISREAD}",
    ]


@pytest.mark.parametrize("number", ["spend_90d", "spend_90d / orders_90d"])
def test_a_number_that_can_be_negative_or_missing_needs_its_rest(number):
    """A sum can be negative after a refund; without an order there is no average."""
    assert with_basket(number, [0, 20, 50]) == []


def test_a_range_of_whole_numbers_that_is_misread_is_named():
    assert with_basket("orders_90d", [1, 2, 4]) == [f"{PLACE}: '1-2' contains 1{MISREAD}"]
    assert with_basket("orders_90d", [2, 4]) == [f"{PLACE}: '2-4' contains 2 and 3{MISREAD}"]


def test_ranges_of_whole_numbers_with_edges_between_them_cause_no_warning():
    """ "0.5-2.5" can only mean 1 and 2."""
    assert with_basket("orders_90d", [0.5, 2.5, 4.5]) == []


def test_a_segment_that_no_customer_can_be_in_is_named_with_its_place():
    assert warnings(('when = "orders_90d == 1"', 'when = "orders_90d < 0"')) == [
        "questions[0] (frequency).segments: no customer can be in 'once': its condition is never true"
    ]


def test_check_stays_quick_with_very_many_rules():
    """1,000 rules would need a million evaluations, so the question is not examined."""
    rows = "".join(f'{{ id = "s{index}", when = "orders_90d == {index}" }},\n' for index in range(1_000))
    changes = ('{ id = "heavy" }', f'{rows}{{ id = "heavy" }}'), ('cross = ["frequency"', 'cross = ["affinity"')
    assert warnings(*changes) == []


def test_check_stays_quick_with_very_many_ranges():
    edges = [1.5 + number for number in range(5_000)]
    assert with_basket("orders_90d", edges) == []
    assert math.isfinite(edges[-1])
