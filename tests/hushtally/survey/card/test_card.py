"""The card: it says what the survey knows, asks people for the rest, and shows every gap."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from card_context import PERMANENT, SURVEY, answers, read, sample
from hushtally.client_sdk.explain.data_use import ARRIVAL_ORDER, DEVICE, data_after_withdrawal, sent_data, stored_data
from hushtally.client_sdk.explain.disclosure import observer_conclusions
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.vacuum import Vacuum
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Document, Items, Paragraph, Signatures, Table
from hushtally.survey.card.field import Kind, all_fields
from hushtally.survey.card.measures import enforced_measures

ROOT = Path(__file__).parents[4]


def parse(text: str = SURVEY) -> Survey:
    return Survey.parse(text)


def tables(document: Document) -> dict[str, Table]:
    blocks = [*document.opening, *(block for section in document.sections for block in section.blocks)]
    found = [block for block in blocks if isinstance(block, Table)]
    assert len({table.caption for table in found}) == len(found)
    return {table.caption: table for table in found}


def texts(document: Document) -> str:
    """Every text of the document, one a line; the cells of a row on one line."""
    lines = []
    for block in (*document.opening, *(block for section in document.sections for block in section.blocks)):
        match block:
            case Paragraph(text):
                lines.append(text)
            case Items(items):
                lines += items
            case Table() as table:
                lines += [" | ".join(row) for row in table.rows]
            case Signatures(people):
                lines += [" | ".join(row) for row in people]
    return "\n".join(lines)


def text(survey: str = SURVEY, context: Context | None = None) -> str:
    return texts(card(parse(survey), context or Context()))


def test_the_card_has_the_parts_of_an_assessment() -> None:
    """In the order in which an officer reads them."""
    assert [section.heading for section in card(parse(), Context()).sections] == [
        "The assessment",
        "Parties and places",
        "People",
        "Data",
        "Questions",
        "Privacy guarantee",
        "Necessity and proportionality",
        "Rights of the people",
        "Measures",
        "Risks",
        "Consultation and advice",
        "Decision",
    ]


@pytest.mark.parametrize(
    "part",
    [
        "Purpose | We count how many customers shop rarely and how many often, to decide which offers to build.",
        "Owner | insights@shop.example",
        "Id and version | habits v1",
        "Period | 2026-11-02 to 2027-05-02, by week",
        "purchase: the day, amount, category; for at most 365 days.",
        "favourite | the most frequent purchase.category in the last 90 days",
        "platform | web, ios, android",
        "frequency | direct | 1 | 0.4754 | 0.1749 | 4",
        "How often you bought in the last 90 days (frequency) | none (orders_90d is 0), once (orders_90d is 1),"
        " regular (orders_90d is from 2 to 4), or heavy (the rest)",
        "Whether you bought in the last 30 days (returned), asked only in combination | yes (idle_days is below 30),"
        " or no (the rest)",
        "every combination of frequency and returned: none & yes, none & no, once",
        "Epsilon of one report | 1",
        "Epsilon of one delivery | 1",
        "Lifetime epsilon (all reports of this version from one device) | epsilon 2",
        "Memory | fresh: every answer is randomized anew",
        "All reports of this version from one device together are bounded by epsilon 2, whatever the collector does.",
        "about you, platform (web, ios, android); about the answer, survey, version, digest, question, week,",
        "The device | recorded events, in plain form | at most 365 days, or a withdrawal",
        "The device | randomized answers that wait to be sent | until they are delivered or the next week ends",
        "counts are deleted 180 days later, the last of them on 2027-11-06",
        "No estimate is published from fewer than 500 reports.",
        "Review due on | 2027-05-02, and before the survey is renewed or changed in any way",
        "in an app with keep_consent=True, consent to one version covers every later version",
        "The collector stores how often each symbol came, by question, week and cohorts (plain text). Of each batch it"
        " stores the random id, the reply, and the day on which it deletes both: when reports of the week are no longer"
        " accepted (after one to two weeks). It stores no network address, no user agent and no time of arrival.",
        "so the operator cannot find a person's reports (GDPR art. 11)",
        "hushtally decides nothing about a single person",
        "an observer who was 10% sure of a segment is at most 46% sure | epsilon 2; the device enforces it",
        "An observer sees one delivery: 1 report | an observer who was 10% sure of a segment is at most 24% sure",
        "each adds epsilon 2; from two devices, an observer who was 10% sure of a segment is at most 86% sure",
        "156 groups of devices, distinguished by what does not change: questions, phase and cohorts",
        "Cohorts, which are sent unrandomized, identify a customer | 3 combinations",
    ],
)
def test_the_card_says_what_the_survey_knows(part: str) -> None:
    assert part in text()


def test_the_card_states_the_digest_that_devices_agree_to() -> None:
    assert f"Digest of the survey | {parse().digest}" in text()


@pytest.mark.parametrize("field", list(all_fields()), ids=lambda field: field.key)
def test_an_open_question_is_shown_with_what_to_write(field: Any) -> None:
    """A question that depends on another answer is shown as soon as that answer makes it necessary."""
    survey = parse()
    table = answers(survey)
    del table[field.key]
    shown = texts(card(survey, read(survey, table)))
    assert f"{field.title} | NOT ANSWERED: {field.ask}" in shown
    assert f"Not answered: {field.key}." in shown


@pytest.mark.parametrize(
    "field", [field for field in all_fields() if field.kind is Kind.TEXT], ids=lambda field: field.key
)
def test_an_answer_is_shown_beside_its_question(field: Any) -> None:
    survey = parse()
    assert f"{field.title} | {sample(field.key)}" in texts(card(survey, read(survey, answers(survey))))


def test_answers_of_other_kinds_are_shown_in_words() -> None:
    survey = parse()
    shown = texts(card(survey, read(survey, answers(survey))))
    for line in (
        "Where the device is | customer",
        "Consent to later versions | no",
        "Ceiling of the app | epsilon 100",
        "Date of the advice | 2026-10-26",
        "Advice followed | in part",
        "Decision | approved with conditions",
    ):
        assert line in shown
    table = answers(survey) | {"dpo": {"not_applicable": "We are too small for one."}, "keep_consent": True}
    shown = texts(card(survey, read(survey, table)))
    assert "Data protection officer | Not applicable: We are too small for one." in shown
    assert "Consent to later versions | yes" in shown


def test_a_question_that_depends_on_another_answer_is_left_out_otherwise() -> None:
    """Nobody has to explain why advice was not followed if it was followed."""
    survey = parse()
    table = answers(survey) | {"dpo_advice_followed": "yes", "decision": "rejected"}
    del table["dpo_advice_reasons"], table["conditions"]
    context = read(survey, table)
    shown = texts(card(survey, context))
    assert "NOT ANSWERED" not in shown
    assert "Why it was not followed" not in shown
    assert "Conditions" not in shown
    assert len(list(context.asked())) == len(list(all_fields())) - 2


def test_the_card_quotes_the_consent_text() -> None:
    """Both say the same, in the same words; the card explains who "you" is."""
    survey = parse()
    lines = text().splitlines()
    assert 'Lists that say "you" quote the consent text: "you" is the customer.' in lines
    assert {*stored_data(survey), *sent_data(survey), *observer_conclusions(survey)} <= set(lines)
    assert data_after_withdrawal(survey) in text()


@pytest.mark.parametrize(
    ("device", "says", "hides"),
    [
        ("customer", "Stored on the customer's device and never sent:", "a hash of the app's key for the customer"),
        ("kiosk", "a machine of the operator that many customers use", "the customer's own machine"),
        ("operator", "so the operator holds them", "the customer's own machine"),
    ],
)
def test_the_place_of_the_device_decides_what_the_card_says_about_it(device: str, says: str, hides: str) -> None:
    """On a kiosk or a server, the events are personal data that the operator holds, and the card says so."""
    survey = parse()
    shown = texts(card(survey, read(survey, answers(survey) | {"device": device})))
    assert says in shown
    assert hides not in shown
    assert DEVICE not in shown
    held = "They are personal data that the operator holds" in shown
    assert held is (device != "customer")
    risk = next(line for line in shown.splitlines() if line.startswith("Someone gets access to"))
    assert ("of one customer" in risk) is (device == "customer")


def test_without_an_answer_the_card_does_not_claim_that_the_customer_has_the_device() -> None:
    assert DEVICE in text()
    assert "customer's device" not in text()
    assert "it stores the recorded events: of one customer, or of all customers of a web shop or kiosk" in text()


def test_the_order_of_arrival_is_described_as_the_collector_treats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consent text and the card use one sentence; after an hour the collector rebuilds the file in any case."""
    assert "its file is rebuilt (up to 1 MB at the same time, otherwise normally within an hour)" in ARRIVAL_ORDER
    now = [0.0]
    monkeypatch.setattr("hushtally.collector.vacuum.monotonic", lambda: now[0])
    monkeypatch.setattr("hushtally.collector.vacuum.SMALL_FILE", 10_000)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE big AS SELECT zeroblob(1000000) AS bytes")
        rebuilding = Vacuum(connection)
        assert rebuilding.run()
        connection.execute("INSERT INTO big VALUES ('one row')")
        connection.commit()
        now[0] = 3_599.0
        assert not rebuilding.due
        now[0] = 3_601.0
        assert rebuilding.due
    assert sent_data(parse())[-1].endswith(ARRIVAL_ORDER)
    assert f"{ARRIVAL_ORDER} Both wait while another program reads the database" in text()
    assert "no order" not in text()


def test_every_measure_names_tests_that_exist() -> None:
    """A measure without a demonstration, or with a test that was renamed, is a claim."""
    measures = enforced_measures(parse())
    assert len(measures) > 10
    for measure in measures:
        assert measure.demonstrated
        for place in measure.demonstrated:
            assert place.startswith("hushtally ") or (ROOT / place).is_file(), place


def test_one_delivery_is_a_risk_with_all_its_reports() -> None:
    """The reports of a delivery travel together, so an observer does not have to link them."""
    shown = text(SURVEY.replace("questions_per_device = 1", "questions_per_device = 3"))
    sees = "An observer sees one delivery: 3 reports | an observer who was 10% sure of a segment is at most 70% sure"
    assert sees in shown
    assert "From one delivery (3 reports): at most 70% sure (epsilon 3)." in shown
    assert "Epsilon of one delivery | 3" in shown


def test_a_survey_without_cohorts_still_sends_something_unrandomized() -> None:
    alone = SURVEY.replace('platform = ["web", "ios", "android"]', "")
    everything = alone.replace("questions_per_device = 1", "questions_per_device = 4").replace("answers_every = 13", "")
    shown = text(everything)
    assert "about you, nothing; about the answer, survey, version, digest, question, week, and a random" in shown
    assert "identify a customer | none: the survey has no cohorts" in shown
    assert "same device | one group: questions, phase and cohorts are the same for all devices" in shown
    assert "none | the survey has no cohorts" in shown


def test_no_table_is_empty() -> None:
    """A survey without cohorts has a row that says so."""
    for survey in (SURVEY, SURVEY.replace('platform = ["web", "ios", "android"]', "")):
        shown = tables(card(parse(survey), Context()))
        assert all(table.rows for table in shown.values())


def request_lengths(survey: Survey) -> dict[tuple[str, ...], set[int]]:
    """The lengths of all requests that a device can make, by question and cohort."""
    return {
        (question.id, *cohort.values()): {
            len(Batch("a" * 32, survey.id, 1, survey.digest, (Report(question.id, "2026-W48", cohort, one),)).encode())
            for one in range(question.mechanism.symbols)
        }
        for question in survey.asked
        for cohort in survey.all_cohorts()
    }


def test_the_card_says_what_the_length_of_a_request_shows() -> None:
    """It shows question and cohort if their names differ in length, and otherwise only the digits of the symbol."""
    shown = text()
    assert "every device that agreed; the length depends on question, cohort and the digits of the symbol" in shown
    assert "TLS does not hide the length: it can show question and cohort if their names differ in length" in shown
    lengths = request_lengths(parse())
    assert not lengths["affinity", "web"] & lengths["affinity", "android"]
    assert not lengths["affinity", "web"] & lengths["frequency_x_returned", "web"]
    even = SURVEY.replace('"ios", "android"', '"ios", "mac"')
    for name in ("frequency_x_returned", "frequency", "affinity", "basket"):
        even = even.replace(f'id = "{name}"', f'id = "{name[:6] if len(name) < 20 else "fxretd"}"')
    even = even.replace('cross = ["frequency"', 'cross = ["freque"')
    same = request_lengths(parse(even))
    assert len(set.union(*same.values())) == 2  # symbols of one and of two digits


def test_permanent_memory_is_a_risk_of_its_own() -> None:
    shown = text(PERMANENT)
    assert "sees whether and when its answer changed | not bounded by epsilon; at most 1 new answer can follow" in shown
    assert "frequency | direct | 1 / 1.5" in shown
    assert "Memory | permanent: the randomized answer to a value is stored and reused" in shown
    assert "The second epsilon is for all reports of one unchanged answer together." in shown
    assert "every answer and its randomized form (permanent memory) | until the survey ends" in shown
    scope = "for what was answered; whether and when an answer changed is not bounded"
    assert f"Lifetime epsilon (all reports of this version from one device) | epsilon 3 {scope}" in shown
    assert f"epsilon 3 {scope}; the device enforces it" in shown
    assert (
        "bounded by epsilon 3, whatever the collector does. This bounds what was answered. It does not bound whether"
        " and when an answer changed."
    ) in shown
    for survey in (SURVEY, PERMANENT.replace("changes = 1", "changes = 0")):
        assert "sees whether" not in text(survey)
        assert "answer changed" not in text(survey)


@pytest.mark.parametrize("categories", [13, 60, 500])
def test_every_category_is_in_the_card(categories: int) -> None:
    names = [f"c{number}" for number in range(categories)]
    many = SURVEY.replace('"books", "music", "games"', ", ".join(f'"{name}"' for name in names))
    assert f"(affinity) | by favourite: {', '.join(names)}, or other" in text(many)


def test_every_row_of_a_table_has_its_columns() -> None:
    for table in tables(card(parse(), Context())).values():
        assert {len(row) for row in table.rows} == {len(table.header)}


@pytest.mark.parametrize("complete", [True, False])
def test_nothing_is_left_empty(complete: bool) -> None:
    """No cell and no paragraph is blank, with answers or without."""
    for survey in map(parse, (SURVEY, PERMANENT, SURVEY.replace('platform = ["web", "ios", "android"]', ""))):
        document = card(survey, read(survey, answers(survey)) if complete else Context())
        assert all(cell.strip() for table in tables(document).values() for row in table.rows for cell in row)
        assert all(line.strip() for line in texts(document).splitlines())


def test_those_who_sign_are_named_beside_their_lines() -> None:
    survey = parse()
    document = card(survey, read(survey, answers(survey)))
    [signatures] = [block for block in document.sections[-1].blocks if isinstance(block, Signatures)]
    assert signatures.people == [
        ("Approves the measures", sample("approver")),
        ("Accepts the residual risks", sample("risks_accepted_by")),
        ("Gave advice as data protection officer", sample("dpo")),
    ]


def test_a_single_day_report_or_combination_is_singular() -> None:
    short = SURVEY.replace("days = 90", "days = 1").replace("days = 365", "days = 1")
    for name, number in (("retention_days", 180), ("min_reports", 500)):
        short = short.replace(f"{name} = {number}", f"{name} = 1")
    shown = text(short.replace('["web", "ios", "android"]', '["web"]'))
    assert "identify a customer | 1 combination |" in shown
    assert "on the day of the answer" in shown
    assert "for at most 1 day." in shown
    assert "deleted 1 day later" in shown
    assert "from fewer than 1 report." in shown
