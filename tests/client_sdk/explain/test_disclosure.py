"""What an observer can learn, in words."""

import pytest

from hushtally import Survey
from hushtally.client_sdk.explain.disclosure import observer_conclusions

LIFETIME = "If 10% of customers are in a segment, an observer of all your reports can be"


def test_the_example_for_epsilon_1_and_lifetime_epsilon_2(lab):
    """46% from all reports, 24% from one report; all reports come first."""
    survey = lab.survey(ends="2026-11-03")
    assert survey.lifetime_epsilon == 2
    assert observer_conclusions(survey) == [
        f"{LIFETIME} at most 46% sure that you are in it (epsilon 2 for this version).",
        "From any one report: at most 24% sure (epsilon 1).",
        "A new version, another survey or another device of yours adds to this. The app can limit the sum for one"
        " device.",
        "The time of a report can show when the app was used: a report waits for a random moment of its day, then for"
        " the app to run.",
        "Your device's cohorts stay the same: one of 2 combinations. If few devices share it, an observer can recognise"
        " your reports.",
    ]


@pytest.mark.parametrize(
    ("shape", "delivery"),
    [
        ({"questions": 2, "each": 1}, None),  # the line about one report says it
        ({"questions": 4, "each": 3}, "3 reports): at most 70% sure (epsilon 3)."),
        ({"questions": 2, "each": 2, "epsilon": 8}, "2 reports): practically certain (epsilon 16)."),
        ({"questions": 3, "memory": "permanent"}, "3 reports): at most 70% sure (epsilon 3)."),
    ],
)
def test_one_delivery_of_several_reports_has_its_own_line(lab, shape, delivery):
    """The answers of an epoch travel together, so an observer does not have to link them."""
    found = [line for line in observer_conclusions(lab.survey(**shape)) if line.startswith("From one delivery")]
    assert found == ([f"From one delivery ({delivery}"] if delivery else [])


def test_a_real_delivery_has_the_reports_and_the_epsilon_that_the_line_names(lab):
    """At most the stated number of reports, with at most the epsilon of the costliest questions of a device."""
    text = lab.text(questions=4, each=2)
    for number, epsilon in enumerate((0.25, 2, 0.5, 3)):
        text = text.replace(f'id = "q{number}"', f'id = "q{number}"\nepsilon = {epsilon}')
    survey = Survey.parse(text)
    assert survey.delivery_epsilon == 5
    assert "From one delivery (2 reports): at most 95% sure (epsilon 5)." in observer_conclusions(survey)
    for seed in range(20):
        lab.live(lab.client(survey, device=str(seed), seed=seed))
    costs = [sum(survey.question(one.question).epsilon for one in batch.reports) for batch in lab.recorder.batches]
    assert (len(costs), max(costs)) == (20, 5)


@pytest.mark.parametrize(
    ("shape", "cohorts", "constant"),
    [
        ({}, "", None),
        ({"questions": 2}, "", None),
        ({"questions": 4, "each": 2}, "", "questions stay the same: one of 6 combinations"),
        ({"every": 4}, "", "days stay the same: one of 4 combinations"),
        ({"every": 30}, "", "days stay the same: one of 20 combinations"),  # 10 of 30 phases lie after the survey's end
        ({"every": 4}, 'platform = ["web", "ios"]', "days and cohorts stay the same: one of 8 combinations"),
        (
            {"questions": 4, "each": 1, "every": 4},
            'platform = ["web", "ios"]',
            "questions, days and cohorts stay the same: one of 32 combinations",
        ),
    ],
)
def test_what_is_constant_in_all_reports_of_a_device_is_named(lab, shape, cohorts, constant):
    """A device that is nearly alone in its combination can be followed, however well the answers are hidden."""
    survey = Survey.parse(lab.text(**shape).replace('platform = ["web", "ios"]', cohorts))
    found = [line for line in observer_conclusions(survey) if "stay the same" in line]
    end = ". If few devices share it, an observer can recognise your reports."
    assert found == ([f"Your device's {constant}{end}"] if constant else [])


def test_questions_with_their_own_epsilon_have_their_own_lines(lab):
    text = lab.text(questions=2).replace('id = "q1"', 'id = "q1"\nepsilon = 0.5')
    assert observer_conclusions(Survey.parse(text))[1:3] == [
        "From one report on q0: at most 24% sure (epsilon 1).",
        "From one report on q1: at most 16% sure (epsilon 0.5).",
    ]


def test_permanent_memory_says_what_it_does_not_hide(lab):
    found = observer_conclusions(lab.survey(memory="permanent"))
    assert found[0].endswith("(epsilon 6 for this version, for what you answered).")
    assert found[-1] == (
        "Each answer is randomized once and then reused. This hides what you answered, but not whether and when it"
        " changed: an observer who can link your reports sees that. At most 2 new answers can follow the first, then"
        " earlier ones are repeated."
    )


@pytest.mark.parametrize(
    ("changes", "ends", "limit"),
    [
        (1, "2026-11-21", "At most 1 new answer can follow the first, then earlier ones are repeated."),
        (9, "2026-11-04", "At most 2 new answers can follow the first, then earlier ones are repeated."),
    ],
)
def test_the_number_of_followed_changes_is_named(lab, changes, ends, limit):
    """It is never more than the number of answers after the first."""
    survey = lab.survey(memory="permanent", changes=changes, ends=ends)
    assert observer_conclusions(survey)[-1].endswith(limit)


@pytest.mark.parametrize("shape", [{"changes": 0}, {"changes": 9, "ends": "2026-11-02"}])
def test_without_a_followed_change_the_bound_has_no_exception(lab, shape):
    found = observer_conclusions(lab.survey(memory="permanent", **shape))
    assert found[0].endswith("(epsilon 2 for this version).")
    assert found[-1] == "The first answer is randomized once and then reused. Later changes are not reported."


def test_reused_answers_that_identify_a_device_are_named(lab):
    few, many = (
        Survey.parse(
            lab.text(memory="permanent", categories=number).replace("categories =", 'mechanism = "oue"\ncategories =')
        )
        for number in (3, 39)
    )
    warning = (
        "have so many possible values that almost no two devices share one. An observer can recognise your reports."
    )
    assert not any(warning in line for line in observer_conclusions(few))
    assert observer_conclusions(many)[-1] == f"The reused answers to q0 {warning}"
