"""A survey explained in plain language, as text and as data."""

import json
from importlib import resources

import pytest

from hushtally import Survey
from hushtally.client_sdk.explain.data_use import ARRIVAL_ORDER, DEVICE
from hushtally.client_sdk.explain.explanation import explain_survey

EXAMPLE = resources.files("hushtally.survey").joinpath("templates/shop.toml").read_text(encoding="utf-8")


def sections(explanation):
    return {section.heading: section.lines for section in explanation.sections}


def test_it_says_what_is_asked_why_by_whom_until_when_and_what_is_sent(lab):
    text = " ".join(str(lab.client(lab.survey(questions=4, each=2, every=5)).explain()).split())
    for part in (
        "Habits (habits v1)",
        "Purpose: To see what is bought.",
        "Owner: owner@shop.example",
        "Period: 2026-11-02 to 2026-11-21, by day",
        "The counts of a day are deleted 30 days after the next day ends. Nothing is published from fewer than 100"
        " reports.",
        DEVICE,
        "q3, by favourite: c1, c2, c3, or other (anything else, or nothing)",
        "purchase: the day, amount, category; for at most 5 days.",
        "orders: the number of purchase events in the last 5 days.",
        "spend: the sum of purchase.amount in the last 5 days.",
        "favourite: the most frequent purchase.category in the last 5 days.",
        "The device answers 2 of the 4 questions in one day out of 5, at most 4 times each.",
        "Sent with it, not randomized: about you, platform (web, ios);",
        "The server sees the device's network address. The collector stores no address and no time of arrival.",
        "Nothing is recorded or sent before you agree",
        "You agreed.",
        "Privacy budget spent: epsilon 0 of at most 8.",
    ):
        assert part in text, part


def test_it_states_the_status_on_this_device(lab):
    client = lab.client(agreed=False)
    assert sections(client.explain())["On this device"] == (
        "You have not agreed: nothing is recorded or sent.",
        "Privacy budget spent: epsilon 0. If you agree, at most epsilon 20 is spent.",
    )
    client.grant_consent()
    lab.live(client, 3)
    assert sections(client.explain())["On this device"] == (
        "You agreed.",
        "The next answer is in 2026-11-05.",
        "Privacy budget spent: epsilon 3 of at most 20.",
    )
    client.withdraw_consent()
    assert sections(client.explain())["On this device"] == (
        "You withdrew: nothing is recorded or sent.",
        "Privacy budget spent: epsilon 3.",
    )
    newer = lab.client(lab.survey(version=2, ends="2026-11-10"), agreed=False, device="another")
    assert sections(newer.explain())["On this device"][1] == (
        "Privacy budget spent: epsilon 0. If you agree, at most epsilon 9 is spent."
    )


def test_before_a_new_version_it_states_what_agreeing_adds(lab):
    lab.live(lab.client(), 2)
    client = lab.client(lab.survey(version=2), agreed=False)
    assert sections(client.explain())["On this device"] == (
        "You have not agreed: nothing is recorded or sent.",
        "Privacy budget spent: epsilon 2. If you agree, at most epsilon 20 more is spent.",
    )


@pytest.mark.parametrize("name", ["DO_NOT_TRACK", "HUSHTALLY_DISABLED"])
@pytest.mark.parametrize("agreed", [False, True])
def test_a_switch_in_the_environment_is_the_stated_reason(lab, monkeypatch, name, agreed):
    """The reason is not that the customer has not agreed."""
    client = lab.client(agreed=agreed)
    monkeypatch.setenv(name, "1")
    client.grant_consent()
    assert sections(client.explain())["On this device"] == (
        f"Nothing is recorded or sent: {name} is set.",
        "Privacy budget spent: epsilon 0.",
    )


def test_an_unreadable_state_file_is_the_stated_reason(lab):
    """The status and the epsilon spent are unknown then, and a settings page must not promise a withdrawal."""
    client = lab.client(state=lab.folder, agreed=False)
    assert sections(client.explain())["On this device"] == (
        f"Nothing is recorded or sent: {client.status().silent}.",
        "You can agree or withdraw only when this is solved.",
    )
    assert client.status().silent == f"the state file {lab.folder} cannot be used: it is a folder"


def test_a_signal_is_defined_before_a_question_uses_it(lab):
    question = '[[questions]]\nid = "basket"\nnumber = "spend / orders"\nedges = [0, 10, 50]\n'
    text = str(explain_survey(Survey.parse(lab.text() + question)))
    for name in ("orders", "spend", "favourite"):
        assert text.index(name) == text.index(f"{name}: ")


TECHNICAL = "Technical details: how answers are randomized"


def test_technical_details_come_last_and_only_on_request(lab):
    """A customer agrees to a text without them; whoever checks the survey reads what was chosen for each question."""
    survey = lab.survey()
    assert TECHNICAL not in sections(explain_survey(survey))
    assert explain_survey(survey, lab.client().status().surveys[0], technical=True).sections[-1].heading == TECHNICAL
    assert " p 0." not in str(lab.client().explain()) + lab.client().receipts()[0].shown
    assert sections(explain_survey(survey, technical=True))[TECHNICAL] == (
        "p is the probability that a report supports the true segment; q, that it supports another segment.",
        "q0: direct, epsilon 1: p 0.4754, q 0.1749, 4 symbols (1 byte), variance 1.000 times the optimum",
    )


def test_technical_details_state_the_epsilon_of_a_permanent_answer(lab):
    found = sections(explain_survey(lab.survey(memory="permanent"), technical=True))[TECHNICAL]
    assert found[1].startswith("q0: direct, epsilon 1 (2 for all reports of one answer): p 0.4754")


def test_it_is_data_for_a_settings_page(lab):
    explanation = lab.client(lab.survey(categories=13)).explain()
    data = json.loads(json.dumps(explanation.as_dict()))
    assert data["title"] == "Habits (habits v1)"
    assert [section["heading"] for section in data["sections"]] == [one.heading for one in explanation.sections]
    assert all(line in " ".join(str(explanation).split()) for one in data["sections"] for line in one["lines"])


def test_a_withdrawal_is_explained(lab):
    assert sections(explain_survey(lab.survey()))["What you can do"] == (
        "Nothing is recorded or sent before you agree. You can withdraw at any time: this erases what was recorded or"
        " waits to be sent.",
        "Afterwards the device still stores when you withdrew, its questions and days, which it answered, and the"
        " epsilon spent.",
        "What was sent stays in the counts, which name no device, until they are deleted.",
    )
    assert sections(explain_survey(lab.survey(memory="permanent")))["What you can do"][-1] == (
        "To agree again after a withdrawal has no effect: the answers were erased."
    )


def test_counts_that_identify_a_device_are_not_said_to_name_none(lab):
    text = lab.text(memory="permanent", categories=39).replace("categories =", 'mechanism = "oue"\ncategories =')
    assert (
        "What was sent stays in the counts until they are deleted."
        in (sections(explain_survey(Survey.parse(text)))["What you can do"])
    )


@pytest.mark.parametrize("categories", [3, 60])
def test_the_text_fits_a_terminal(lab, categories):
    survey = lab.survey(memory="permanent", questions=9, categories=categories)
    explanation = explain_survey(survey, technical=True)
    assert max(map(len, str(explanation).splitlines())) <= 100
    assert max(map(len, explanation.text(60).splitlines())) <= 60
    assert explanation.text(60).split() == str(explanation).split()


def test_no_word_is_broken(lab):
    """A long category stays whole at any width, so that a search finds it."""
    text = lab.text(categories=9).replace("c4", f"{90 * 'c'}-{9 * 'd'}").replace('"Habits"', f'"{120 * "h"}"')
    words = explain_survey(Survey.parse(text)).text(20).split()
    assert {f"{90 * 'c'}-{9 * 'd'}", 120 * "h"} <= set(words)


def test_the_consent_text_stays_short():
    """An addition must replace something, or nobody reads the text; only what must be shown in full is not counted."""
    permanent = 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3'
    for text, most in ((EXAMPLE, 3_012), (EXAMPLE.replace('memory = "fresh"', permanent), 3_463)):
        survey = Survey.parse(text)
        segments = ", ".join(survey.question("frequency_x_returned").segments)
        in_full = len(DEVICE) + len(ARRIVAL_ORDER) + len(segments)
        assert len(str(explain_survey(survey))) - in_full <= most
