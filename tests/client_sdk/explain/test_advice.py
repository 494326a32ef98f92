"""What `survey check` warns of: silence, large epsilons, too few reports, unused signals, empty segments, costs."""

import math
from datetime import date
from random import Random

import pytest
from click.testing import CliRunner

from hushtally.cli import main
from hushtally.client_sdk.explain.advice import advice, precision
from hushtally.client_sdk.explain.reachability import unreachable
from hushtally.client_sdk.mechanisms import build
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Conditions
from hushtally.client_sdk.survey.rules import Kind, Rule
from hushtally.client_sdk.survey.signals import Function, Signal
from hushtally.survey.commands import EXAMPLE_STARTS, example

SIXTEEN = ", ".join(f'"category-{number}"' for number in range(15))


def survey(mechanism: str) -> str:
    """The example with 16 categories, asked by this mechanism."""
    return example(EXAMPLE_STARTS).replace(
        'categories = ["books", "music", "games"]', f"categories = [{SIXTEEN}]\nmechanism = {mechanism}"
    )


RAPPOR = '{ name = "rappor", k = 16, h = 1, m = 4, f = 0.5, p = 0.5, q = 0.75 }'


@pytest.mark.parametrize("mechanism", ['"auto"', '"subset"', '{ name = "subset", w = 4 }'])
def test_the_best_mechanism_needs_no_advice(mechanism):
    """Nothing is said of the automatic choice, or of one named by hand that is as good."""
    assert advice(Survey.parse(survey(mechanism)), EXAMPLE_STARTS) == []


@pytest.mark.parametrize("name", ["direct", "sue", "oue"])
def test_a_costlier_mechanism_is_named_with_its_place_and_cost(name):
    """The line says which question, what it costs, and against what."""
    asked = Survey.parse(survey(f'"{name}"'))
    cost = build(name, {}, 16, 1.0).mean_variance() / build("auto", {}, 16, 1.0).mean_variance()
    assert advice(asked, EXAMPLE_STARTS) == [
        f"questions[2] (affinity).mechanism: {name} costs {cost:.2f} times the variance of the automatic choice,"
        " subset: it needs as many times the devices"
    ]


def test_reused_symbols_that_tell_devices_apart_are_named():
    """With permanent memory the automatic choice keeps to few symbols; one named by hand may have many."""
    memory = 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 1'
    text = survey('"oue"').replace('memory = "fresh"', memory)
    assert advice(Survey.parse(text), EXAMPLE_STARTS)[-1] == (
        "questions[2] (affinity).mechanism: with permanent memory one of 65,536 symbols that comes again tells which"
        " device sent it; auto keeps to 2,048"
    )
    assert not any(
        "mechanism" in line for line in advice(Survey.parse(text.replace('"oue"', '"auto"')), EXAMPLE_STARTS)
    )


def test_check_prints_the_advice_and_finds_the_survey_sound(tmp_path):
    """`hushtally survey check` warns on stderr and still exits with 0; rappor's cost is a lower bound."""
    path = tmp_path / "survey.toml"
    path.write_text(survey(RAPPOR))
    done = CliRunner().invoke(main, ["survey", "check", str(path)])
    assert done.exit_code == 0
    assert "is sound" in done.stdout
    assert f"Warning: {path}: questions[2] (affinity).mechanism: rappor costs at least" in done.stderr


@pytest.mark.parametrize(
    ("today", "line"),
    [
        (date(2026, 11, 1), "starts: no device answers before 2026-11-02"),
        (date(2026, 11, 2), None),
        (date(2027, 5, 2), None),
        (date(2027, 5, 3), "ends: the survey was over on 2027-05-02: no device answers it any more"),
    ],
)
def test_a_survey_that_does_not_run_today_is_named(today, line):
    assert advice(Survey.parse(example(EXAMPLE_STARTS)), today) == ([line] if line else [])


@pytest.mark.parametrize(
    ("every", "ends", "says"),
    [
        (26, "2027-05-02", None),
        (27, "2027-05-02", "the survey has only 26 weeks: 1 of 27 devices never answer"),
        (4, "2026-11-08", "the survey has only 1 week: 3 of 4 devices never answer"),
    ],
)
def test_devices_whose_turn_never_comes_are_counted(every, ends, says):
    """A device answers in one epoch of `answers_every`, drawn at random: where there are fewer, some never do."""
    text = example(EXAMPLE_STARTS).replace("answers_every = 4", f"answers_every = {every}").replace("2027-05-02", ends)
    assert advice(Survey.parse(text), EXAMPLE_STARTS) == ([f"privacy.answers_every: {says}"] if says else [])


def advised(*changes):
    """The advice on the example with these changes, on its first day."""
    text = example(EXAMPLE_STARTS)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return advice(Survey.parse(text), EXAMPLE_STARTS)


FRESH, EVERY, EACH = 'memory = "fresh"', "answers_every = 4", "questions_per_device = 1"
OFTEN = "answer less often (raise answers_every, or shorten the survey)"


def permanent(epsilon, changes):
    return FRESH, f'memory = "permanent"\nepsilon_permanent = {epsilon}\nchanges = {changes}'


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([], None),
        ([("ends = 2027-05-02", "ends = 2027-06-13")], None),  # 8 answers: epsilon 8
        (
            [("ends = 2027-05-02", "ends = 2027-06-20")],
            f"up to epsilon 9: who was 10% sure can be at most 99.89% sure; lower epsilon or {OFTEN}",
        ),
        (
            [(EVERY, "answers_every = 1"), ("ends = 2027-05-02", "ends = 2027-03-28")],
            f"up to epsilon 21: who was 10% sure can be practically certain; lower epsilon or {OFTEN}",
        ),
        (
            [(EVERY, "answers_every = 26"), (EACH, "questions_per_device = 4"), ("epsilon = 1.0", "epsilon = 4")],
            "up to epsilon 16: who was 10% sure can be practically certain; lower epsilon"
            " or lower questions_per_device",
        ),
        ([permanent(1, 6)], None),
        (
            [permanent(2, 12), (EVERY, "answers_every = 1")],
            "up to epsilon 26 of what was answered: who was 10% sure can be practically certain; lower"
            " epsilon_permanent or follow fewer changes",
        ),
        (
            [permanent(2, 30)],
            f"up to epsilon 14 of what was answered: who was 10% sure can be practically certain; lower"
            f" epsilon_permanent or {OFTEN}",
        ),
        (
            [permanent(5, 0), (EACH, "questions_per_device = 2")],
            "up to epsilon 10 of what was answered: who was 10% sure can be at most 99.96% sure; lower"
            " epsilon_permanent or lower questions_per_device",
        ),
    ],
)
def test_a_large_lifetime_epsilon_is_told_with_what_it_means_and_what_lowers_it(changes, says):
    """From above 8 on, the most that any one report may reveal; the example has 7."""
    expected = f"privacy: all reports of a device together reveal {says}"
    assert [line for line in advised(*changes) if line.startswith("privacy:")] == ([expected] if says else [])


@pytest.mark.parametrize(
    ("changes", "more", "since"),
    [
        (0, [], "a device keeps sending its first answer"),
        (1, [], "after 1 new answer a device keeps sending an old one"),
        (5, [], "after 5 new answers a device keeps sending an old one"),
        (6, [], None),  # 7 answers: every change is followed
        (7, [(EVERY, "answers_every = 1")], None),  # 8 segments of the largest question: every value is followed
        (6, [(EVERY, "answers_every = 1")], "after 6 new answers a device keeps sending an old one"),
    ],
)
def test_changes_that_are_not_followed_are_named(changes, more, since):
    """Where a customer can change more often than its device may tell, its old answer stands for those after."""
    expected = (
        f"privacy.changes: with permanent memory and changes = {changes}, {since}: trends are told too small, and no"
        " interval shows it"
    )
    lines = [line for line in advised(permanent(1, changes), *more) if line.startswith("privacy.changes")]
    assert lines == ([expected] if since else [])


def test_fresh_memory_follows_every_change():
    assert advised((EVERY, "answers_every = 1"), ("epsilon = 1.0", "epsilon = 0.25"), ("500 ", "9000 ")) == []


@pytest.mark.parametrize(("reports", "half"), [(500, 14), (50, 46), (25, 65), (1, 100)])
def test_how_much_the_fewest_reports_tell(reports, half):
    """1.96 standard errors of the question with the largest; no share is further off than 100 points."""
    asked = Survey.parse(example(EXAMPLE_STARTS).replace("min_reports = 500", f"min_reports = {reports}"))
    assert precision(asked) == (
        f"from {reports} report{'s' if reports > 1 else ''}, the fewest that are published, a 95% interval is about"
        f" ±{half} points (frequency_x_returned)"
    )
    variance = asked.question("frequency_x_returned").mechanism.mean_variance()
    assert half == min(100, round(196 * (variance / reports) ** 0.5))


SUMMED = ('spend_90d  = { sum = "purchase.amount"', 'spend_90d  = { sum = "purchase.category"')
KEPT = (
    "signals.favourite: devices keep only numbers of purchase.category, as signals.spend_90d sums it: no customer has"
)
TEXTS = "; record texts in another field"


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
def test_texts_of_a_field_that_is_summed_are_named(changes, dropped):
    """A device drops them: all of its customers would be in the last segment."""
    quoted = [(old, new.replace("in X", "in ['X', '7']")) for old, new in changes]
    assert advised(*quoted) == ([f"{KEPT} {dropped}{TEXTS}"] if dropped else [])


@pytest.mark.parametrize("name", ["auto", "rappor"])
def test_so_few_reports_that_nothing_can_be_told_are_named(name):
    """The reports named are the fewest of which no 95% interval is wider than from 0% to 100%."""
    mechanism = '"auto"' if name == "auto" else RAPPOR
    asked = Survey.parse(survey(mechanism))
    variance = max(question.mechanism.mean_variance() for question in asked.asked)
    needed = next(n for n in range(1, 10_000) if 2 * 1.96 * (variance / n) ** 0.5 <= 1)

    def told(reports):
        text = survey(mechanism).replace("min_reports = 500", f"min_reports = {reports}")
        return [line for line in advice(Survey.parse(text), EXAMPLE_STARTS) if line.startswith("min_reports")]

    start = "min_reports: from {} nothing can be told about {}: even from {:,} a 95% interval is 100 points wide"
    assert told(1) == [start.format("1 report", "affinity", needed)]
    assert told(needed - 1) == [start.format(f"{needed - 1:,} reports", "affinity", needed)]
    assert told(needed) == []


def test_a_signal_that_no_question_uses_is_named():
    """One that only a crossed question, a category or a number uses is used; `len` is no signal."""
    unused = "signals.{}: no question uses it: leave it out, and its events are not kept on the device for nothing"
    more = ("[signals]", '[signals]\nvisits = { count = "visit", days = 9 }')
    assert advised(more) == [unused.format("visits")]
    assert advised(more, ('"spend_90d / orders_90d"', '"max([visits, 0]) + len(favourite)"')) == [
        unused.format("spend_90d")
    ]


NEVER, BEFORE = "its condition never holds", "those before it take all its cases"


@pytest.mark.parametrize(
    ("conditions", "empty"),
    [
        (["count == 0", "count == 1", "2 <= count <= 4"], {}),
        (["count < 0"], {"s0": NEVER}),
        (["count < 0.5", "0 < count < 1"], {"s1": NEVER}),
        (["1 < count < 2", "3 < count < 5"], {"s0": NEVER}),
        (["count <= 4", "count == 3", "count > 9"], {"s1": BEFORE}),
        (["count == 0", "count >= 1"], {"rest": BEFORE}),
        (["not count == 0", "count < 1"], {"rest": BEFORE}),
        (["True", "count == 1"], {"s1": BEFORE, "rest": BEFORE}),
        (["1 > 2"], {"s0": NEVER}),
        (["count in [0, 1, 2]", "count == 2", "count not in [3, -1]"], {"s1": BEFORE}),
        (["days < 30", "days < 365"], {}),  # no event at all: infinity
        (["days < 30", "days < 365", "days > 1000"], {"rest": BEFORE}),
        (["days == 365", "365 <= days < 1e9"], {"s0": NEVER, "s1": NEVER}),
        (["sum < 0", "sum > 0"], {}),
        (["sum < 0.3", "0.3 <= sum", "sum == 7"], {"s2": BEFORE, "rest": BEFORE}),
        (["sum < 0", "0 < sum < 1", "sum > 1", "sum == 0"], {}),
        (["top == 'a'", "top != 'a'"], {"rest": BEFORE}),
        (["top in ['a', 'b']", "top == 'b'", "top not in ['a', 'c']"], {"s1": BEFORE}),
        (["top == 'a' and top == 'b'"], {"s0": NEVER}),
        (["count > 1 and days < 9", "count > 1", "count <= 1"], {"rest": BEFORE}),
        (["count > 1 or days < 9", "count <= 1 and days >= 9"], {"rest": BEFORE}),
        # what cannot be decided is not told, and does not keep the rest from being told
        (["sum / count < 0", "sum / count > 0", "count > days", "len(top) < 0"], {}),
        (
            ["sum / count < 1", "count < 0", "count >= 0", "sum / count < 2"],
            {"s1": NEVER, "s3": BEFORE, "rest": BEFORE},
        ),
        (["count == 0", "count >= 1 and sum / count > 2"], {}),
    ],
)
def test_a_segment_that_no_customer_can_be_in_is_named(conditions, empty):
    """Exactly those, where rules compare single signals with constants; silence where that is not so."""
    signals = (
        "[signals]\n"
        'count = { count = "visit", days = 365 }\n'
        'days = { days_since = "visit", days = 365 }\n'
        'sum = { sum = "visit.cost", days = 365 }\n'
        'top = { top = "visit.place", days = 365 }\n'
    )
    rows = [f'{{ id = "s{index}", when = "{condition}" }}' for index, condition in enumerate(conditions)]
    question = f'[[questions]]\nid = "q"\nsegments = [{", ".join(rows)}, {{ id = "rest" }}]\n'
    text = example(EXAMPLE_STARTS).partition("[signals]")[0] + signals + question
    lines = [line for line in advice(Survey.parse(text), EXAMPLE_STARTS) if line.startswith("questions[0]")]
    said = "questions[0] (q).segments: no customer can be in"
    assert lines == [f"{said} {segment!r}: {why}" for segment, why in empty.items()]


def test_very_many_rules_are_not_tried():
    """`check` stays quick: 1,000 rules would have to be tried a million times."""
    rows = "".join(f'{{ id = "s{index}", when = "orders_90d == {index}" }},\n' for index in range(1_000))
    assert (
        advised(('{ id = "heavy" }', f'{rows}{{ id = "heavy" }}'), ('cross = ["frequency"', 'cross = ["affinity"'))
        == []
    )


def test_empty_segments_are_those_that_no_value_reaches():
    """2,000 drawn questions about days since a visit: told of are exactly those that no day, nor none, falls into."""
    draw = Random(2026)
    signal = Signal(Function.DAYS_SINCE, "visit", None, 9)

    def comparison():
        constant, other = (draw.choice([-1, 0, 1, 2, 2.5, 4, 7, 8, 9]) for _ in range(2))
        sign = draw.choice(["==", "!=", "<", "<=", ">", ">="])
        return draw.choice([f"days {sign} {constant}", f"{other} {sign} days <= {constant}", f"days in [{other}, 3]"])

    def rule():
        text = f" {draw.choice(['and', 'or'])} ".join(comparison() for _ in range(draw.randint(1, 2)))
        return Rule.parse(draw.choice(["", "not "]) + f"({text})", {"days": Kind.NUMBER}, Kind.BOOLEAN)

    empties = 0
    for _ in range(2_000):
        form = Conditions(tuple((f"s{index}", rule()) for index in range(draw.randint(1, 4))), "rest")
        reached = {form.segments[form.value({"days": days})] for days in (*range(9), math.inf)}
        assert unreachable(form, {"days": signal}).keys() == set(form.segments) - reached, form
        empties += len(form.segments) - len(reached)
    assert empties > 1_000


@pytest.mark.parametrize(
    ("days", "epoch", "seen"),
    [
        (1, "week", "in a week: today has hardly begun then"),
        (7, "week", "in a week: the last 7 days are mostly those before the week then"),
        (8, "week", None),
        (30, "month", "in a month: the last 30 days are mostly those before the month then"),
        (31, "month", None),
    ],
)
def test_signals_that_see_little_of_their_epoch_are_named(days, epoch, seen):
    """An answer is made at the beginning of its epoch, wherever a timer ticks."""
    text = example(date(2026, 11, 2)).replace(
        '{ count = "purchase", days = 90 }', f'{{ count = "purchase", days = {days} }}'
    )
    if epoch == "month":
        text = text.replace('"week"', '"month"').replace("2026-11-02", "2026-11-01").replace("2027-05-02", "2027-04-30")
    asked = Survey.parse(text)
    lines = [line for line in advice(asked, asked.starts) if line.startswith("signals.")]
    expected = f"signals.orders_90d: a device answers at its first tick {seen}; look back further"
    assert lines == ([expected] if seen else [])
