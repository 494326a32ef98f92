"""explain(): what is asked and what it reveals, in plain language, as text and as data."""

import json
import math
from importlib import resources

import pytest

from hushtally import Survey
from hushtally.client_sdk.explain.belief import largest_belief, sureness
from hushtally.client_sdk.explain.explanation import explain_survey

EXAMPLE = resources.files("hushtally").joinpath("example.toml").read_text(encoding="utf-8")


def sections(explanation):
    return {section.heading: section.lines for section in explanation.sections}


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 7.0])
def test_the_belief_is_that_of_bayes(prior, epsilon):
    e = math.exp(epsilon)
    assert largest_belief(prior, epsilon) == pytest.approx(prior * e / (prior * e + 1 - prior))


def test_the_example_for_epsilon_1_and_lifetime_2(lab):
    """45% over the whole survey, 23% from one report; the whole survey comes first."""
    survey = lab.survey(ends="2026-11-03")
    assert survey.lifetime_epsilon == 2
    found = sections(explain_survey(survey))["What an observer could conclude"]
    assert found == (
        "If 10% of customers are in a segment, whoever keeps all reports of a device can be at most 46% sure that its"
        " owner is one of them: epsilon 2 over this version of the survey.",
        "From any one report: at most 24% sure (epsilon 1).",
        "A new version, another survey or another device of the same owner adds its own; the app may cap the sum on"
        " one device.",
        "When a report leaves may tell when the app is used: it waits for a random moment of its day, then for the"
        " app to run.",
        "A device's cohorts stay the same, in 2 combinations: where few devices share one, reports can be told to come"
        " from the same device.",
    )


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"questions": 2, "each": 1}, None),  # that is told of a report
        ({"questions": 4, "each": 3}, "3 reports): at most 70% sure (epsilon 3)."),
        ({"questions": 2, "each": 2, "epsilon": 8}, "2 reports): practically certain (epsilon 16)."),
        ({"questions": 3, "memory": "permanent"}, "3 reports): at most 70% sure (epsilon 3)."),
    ],
)
def test_what_one_delivery_tells(lab, shape, said):
    """All that a device answers in an epoch travels together: no report has to be linked with another."""
    found = sections(explain_survey(lab.survey(**shape)))
    told = [line for line in found["What an observer could conclude"] if line.startswith("From one delivery")]
    assert told == ([f"From one delivery ({said}"] if said else [])
    together = "Each answer is randomized on the device and sent as one number, all of one day together."
    assert (together in found["What leaves the device"]) is (said is not None)


def test_a_delivery_holds_what_is_said_of_it(lab):
    """As many reports, of at most as much epsilon, as the costliest questions that a device can be given."""
    text = lab.text(questions=4, each=2)
    for number, epsilon in enumerate((0.25, 2, 0.5, 3)):
        text = text.replace(f'id = "q{number}"', f'id = "q{number}"\nepsilon = {epsilon}')
    survey = Survey.parse(text)
    assert survey.delivery_epsilon == 5
    assert "From one delivery (2 reports): at most 95% sure (epsilon 5)." in " ".join(
        str(explain_survey(survey)).split()
    )
    for seed in range(20):
        lab.live(lab.client(survey, device=str(seed), seed=seed))
    costs = [sum(survey.question(one.question).epsilon for one in batch.reports) for batch in lab.recorder.batches]
    assert (len(costs), max(costs)) == (20, 5)


@pytest.mark.parametrize(
    ("shape", "cohorts", "said"),
    [
        ({}, "", None),
        ({"questions": 2}, "", None),
        ({"questions": 4, "each": 2}, "", "questions stay the same, in 6 combinations"),
        ({"every": 4}, "", "days stay the same, in 4 combinations"),
        ({"every": 30}, "", "days stay the same, in 20 combinations"),  # 10 of 30 phases never come
        ({"every": 4}, 'platform = ["web", "ios"]', "days and cohorts stay the same, in 8 combinations"),
        (
            {"questions": 4, "each": 1, "every": 4},
            'platform = ["web", "ios"]',
            "questions, days and cohorts stay the same, in 32 combinations",
        ),
    ],
)
def test_what_lasts_and_goes_with_every_report_is_told(lab, shape, cohorts, said):
    """Who is nearly alone with it can be followed, whatever the answers hide."""
    survey = Survey.parse(lab.text(**shape).replace('platform = ["web", "ios"]', cohorts))
    told = [line for line in sections(explain_survey(survey))["What an observer could conclude"] if "stay the" in line]
    more = ": where few devices share one, reports can be told to come from the same device."
    assert told == ([f"A device's {said}{more}"] if said else [])


def test_it_says_what_why_by_whom_until_when_and_what_leaves(lab):
    text = " ".join(str(lab.client(lab.survey(questions=4, each=2, every=5)).explain()).split())
    for part in (
        "Habits (habits v1)",
        "Why: To see what is bought.",
        "Who: owner@shop.example",
        "When: 2026-11-02 to 2026-11-21, by day",
        "Counts of a day are deleted 30 days after the next one ends;"
        " nothing is published from fewer than 100 reports.",
        "q3: favourite is c1, c2, c3, or other (anything else, or nothing)",
        "purchase: the day, amount, category; for 5 days at most.",
        "orders: how many purchase events there were in the last 5 days.",
        "spend: the sum of purchase.amount in the last 5 days.",
        "favourite: the most frequent purchase.category in the last 5 days.",
        "A device answers 2 of the 4 questions in one day in 5, at most 4 times each;",
        "Beside it, in the clear: of the customer platform (web, ios); of the report survey, version, digest,",
        "As with any request, its network address reaches the operator's server; the collector stores none.",
        "Nothing is recorded or sent before you agree",
        "The customer agreed.",
        "Spent: epsilon 0 of at most 8.",
    ):
        assert part in text, part


def test_it_tells_the_state_of_this_device(lab):
    client = lab.client(agreed=False)
    here = sections(client.explain())["On this device"]
    assert here == (
        "The customer has not agreed: nothing is recorded or sent.",
        "Spent: epsilon 0. Agreeing may cost at most epsilon 20.",
    )
    client.grant_consent()
    lab.live(client, 3)
    assert sections(client.explain())["On this device"] == (
        "The customer agreed.",
        "The next answer is in 2026-11-05.",
        "Spent: epsilon 3 of at most 20.",
    )
    client.withdraw_consent()
    assert sections(client.explain())["On this device"] == (
        "The customer withdrew: nothing is recorded or sent.",
        "Spent: epsilon 3.",
    )
    newer = lab.client(lab.survey(version=2, ends="2026-11-10"), agreed=False, device="another")
    assert sections(newer.explain())["On this device"][1] == "Spent: epsilon 0. Agreeing may cost at most epsilon 9."


def test_before_a_new_version_it_tells_what_agreeing_adds(lab):
    lab.live(lab.client(), 2)
    client = lab.client(lab.survey(version=2), agreed=False)
    assert sections(client.explain())["On this device"] == (
        "The customer has not agreed: nothing is recorded or sent.",
        "Spent: epsilon 2. Agreeing may cost at most epsilon 20 more.",
    )


@pytest.mark.parametrize("name", ["DO_NOT_TRACK", "HUSHTALLY_DISABLED"])
@pytest.mark.parametrize("agreed", [False, True])
def test_switched_off_in_the_environment_is_not_a_customer_who_has_not_agreed(lab, monkeypatch, name, agreed):
    client = lab.client(agreed=agreed)
    monkeypatch.setenv(name, "1")
    client.grant_consent()
    assert sections(client.explain())["On this device"] == (
        f"Nothing is recorded or sent: {name} is set.",
        "Spent: epsilon 0.",
    )


FORMS = """
[[questions]]
id = "how-often"
segments = [{ id = "rarely", when = "orders < 2" }, { id = "often" }]
only_crossed = true
[[questions]]
id = "basket"
number = "spend / orders"
edges = [0, 10, 50]
otherwise = "none"
[[questions]]
id = "once"
number = "orders"
edges = [1]
[[questions]]
id = "both"
cross = ["how-often", "basket"]
"""


def test_every_segment_is_told_with_its_rule(lab):
    """Also to which side an edge belongs, and what falls into the last segment."""
    asked = sections(explain_survey(Survey.parse(lab.text(categories=10) + FORMS)))["What is asked"]
    assert asked == (
        "q0: favourite is c1, c2, c3, c4, c5, c6, c7, c8 and 2 more, or other (anything else, or nothing)",
        "how-often, asked only with others: rarely (orders under 2), or often (the rest)",
        "basket: spend / orders is 0-10, 10-50, 50+, or none (below 0, or no number); 10 itself is in 10-50",
        "once: orders is 1+, or other (below 1, or no number); 1 itself is in 1+",
        "both: every combination of how-often and basket",
    )


def test_the_title_of_a_question_comes_first(lab):
    """It is what people agree to; its id follows, as whoever checks needs it, and its rules come last."""
    text = lab.text() + FORMS.replace('id = "how-often"', 'id = "how-often"\ntitle = "How often you buy"')
    asked = sections(explain_survey(Survey.parse(text)))["What is asked"]
    assert asked[1] == (
        "How often you buy (how-often), asked only with others: rarely (orders under 2), or often (the rest)"
    )


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({}, "the question every day, at most 20 times"),
        ({"ends": "2026-11-02"}, "the question at most once"),
        ({"every": 20}, "the question in one day in 20, at most once; when is drawn beforehand"),
        ({"questions": 2}, "every question every day, at most 20 times each"),
        (
            {"questions": 2, "every": 4},
            "every question in one day in 4, at most 5 times each; when is drawn beforehand",
        ),
        ({"questions": 3, "each": 1}, "1 of the 3 questions every day, at most 20 times; which is drawn beforehand"),
        (
            {"questions": 3, "each": 2, "every": 4},
            "2 of the 3 questions in one day in 4, at most 5 times each; which and when is drawn beforehand",
        ),
    ],
)
def test_what_is_drawn_is_said_where_anything_is(lab, shape, said):
    """In either case it does not depend on what the customer did."""
    leaving = sections(explain_survey(lab.survey(**shape)))["What leaves the device"]
    assert leaving[0] == f"A device answers {said}, whatever its data."


def test_what_is_sent_in_the_clear_is_told_without_cohorts_too(lab):
    survey = Survey.parse(lab.text().replace('platform = ["web", "ios"]', ""))
    assert sections(explain_survey(survey))["What leaves the device"][2] == (
        "Beside it, in the clear: of the customer nothing; of the report survey, version, digest, question, epoch,"
        " and a random number for the delivery."
    )


def test_it_is_read_from_the_top(lab):
    """What a device computes is told before the questions, whose rules name it."""
    text = str(explain_survey(Survey.parse(lab.text() + FORMS)))
    for name in ("orders", "spend", "favourite"):
        assert text.index(name) == text.index(f"{name}: ")


def test_what_a_withdrawal_leaves_is_told(lab):
    """What the file then holds of this device is in the sentence, and nothing of it but that."""
    client = lab.client(lab.survey(questions=2, each=1, every=2))
    client.record("purchase", amount=1.0)
    lab.live(client, 4)
    client.withdraw_consent()
    assert sections(client.explain())["What you can do"][1] == (
        "What stays on the device: when that was, its questions and days, which it answered, and the epsilon spent."
    )
    tables = [name for (name,) in lab.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    held = {name for name in tables if lab.rows(f"SELECT count(*) FROM {name}") != [(0,)]}
    assert held - {"file", "devices"} == {"consents", "schedules", "ledger"}


def test_where_the_state_cannot_be_read_that_is_told(lab):
    """Then neither how it stands nor what was spent is known, and a settings page must not promise a withdrawal."""
    client = lab.client(state=lab.folder, agreed=False)
    assert sections(client.explain())["On this device"] == (
        f"Nothing is recorded or sent: {client.status().silent}.",
        "To agree or to withdraw can only be noted once that is over.",
    )
    assert client.status().silent == f"the state file {lab.folder} cannot be used: it is a folder"


def test_every_signal_is_told_in_words(lab):
    more = (
        '[signals]\nidle = { days_since = "purchase", days = 1 }\nkinds = { distinct = "purchase.category", days = 2 }'
    )
    kept = sections(explain_survey(Survey.parse(lab.text().replace("[signals]", more))))
    assert kept["What is kept on the device, and stays there"][1:3] == (
        "idle: the days since the last purchase event in the last day.",
        "kinds: how many different purchase.category there were in the last 2 days.",
    )


def test_each_event_has_a_window_of_its_own(lab):
    """The longest of its own signals, not that of another event."""
    more = '[signals]\nidle = { days_since = "visit", days = 1 }\nfirst = { count = "purchase", days = 2 }'
    survey = Survey.parse(lab.text().replace("[signals]", more))
    assert sections(explain_survey(survey))["What is kept on the device, and stays there"][:2] == (
        "visit: the day; for 1 day at most.",
        "purchase: the day, amount, category; for 5 days at most.",
    )


CHECKING = "For those who check: how answers are randomized"


def test_the_mechanism_is_for_who_asks_for_it(lab):
    """A customer agrees to a text without it; who checks the survey has it last, per question all that was chosen."""
    survey = lab.survey()
    assert CHECKING not in sections(explain_survey(survey))
    assert explain_survey(survey, lab.client().status().surveys[0], technical=True).sections[-1].heading == CHECKING
    assert " p 0." not in str(lab.client().explain()) + lab.client().receipts()[0].shown
    assert sections(explain_survey(survey, technical=True))[CHECKING] == (
        "p is how often a report supports the true segment, q how often another one.",
        "q0: direct, epsilon 1: p 0.4754, q 0.1749, 4 symbols (1 byte), variance 1.000 times the optimum",
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.2, "at most 20% sure"),
        (0.2001, "at most 21% sure"),
        (0.57, "at most 57% sure"),  # as a float a hair more than 57 hundredths
        (0.98, "at most 98% sure"),
        (0.98001, "at most 98.01% sure"),
        (0.9999, "at most 99.99% sure"),
        (0.99991, "practically certain"),
    ],
)
def test_how_sure_in_words(share, words):
    assert sureness(share) == words


def test_it_is_data_for_a_settings_page(lab):
    explanation = lab.client().explain()
    data = json.loads(json.dumps(explanation.as_dict()))
    assert data["title"] == "Habits (habits v1)"
    assert [section["heading"] for section in data["sections"]] == [one.heading for one in explanation.sections]
    assert all(line in " ".join(str(explanation).split()) for one in data["sections"] for line in one["lines"])


def test_questions_with_an_epsilon_of_their_own_are_told_apart(lab):
    text = lab.text(questions=2).replace('id = "q1"', 'id = "q1"\nepsilon = 0.5')
    found = sections(explain_survey(Survey.parse(text)))["What an observer could conclude"]
    assert found[1:3] == (
        "From one report, q0: at most 24% sure (epsilon 1).",
        "From one report, q1: at most 16% sure (epsilon 0.5).",
    )


def test_permanent_memory_says_what_it_does_not_hide(lab):
    found = sections(explain_survey(lab.survey(memory="permanent")))
    assert found["What an observer could conclude"][0].endswith(
        "epsilon 6 over this version of the survey, for what was answered."
    )
    assert found["What an observer could conclude"][-1].endswith(
        "That hides what was answered, but not whether and when it changed from whoever can link a device's reports."
        " At most 2 new answers can follow the first, then only those given before."
    )
    assert found["What is kept on the device, and stays there"][1] == (
        "Every answer, with the randomized one that is reused for it; until the survey ends."
    )
    assert "takes part no more" in found["What you can do"][-1]


@pytest.mark.parametrize(
    ("changes", "ends", "said"),
    [
        (1, "2026-11-21", "At most 1 new answer can follow the first, then only those given before."),
        (9, "2026-11-04", "At most 2 new answers can follow the first, then only those given before."),
    ],
)
def test_how_many_changes_are_followed_is_said(lab, changes, ends, said):
    """No more than there are answers after the first."""
    found = sections(explain_survey(lab.survey(memory="permanent", changes=changes, ends=ends)))
    assert found["What an observer could conclude"][-1].endswith(said)


@pytest.mark.parametrize("shape", [{"changes": 0}, {"changes": 9, "ends": "2026-11-02"}])
def test_where_no_change_is_followed_none_can_be_seen(lab, shape):
    """The bound then holds without a reserve."""
    found = sections(explain_survey(lab.survey(memory="permanent", **shape)))["What an observer could conclude"]
    assert found[0].endswith("epsilon 2 over this version of the survey.")
    assert found[-1] == "The first answer is randomized once and reused: no change is followed."


def test_reused_answers_that_tell_devices_apart_are_named(lab):
    text = lab.text(memory="permanent", questions=1).replace("categories =", 'mechanism = "oue"\ncategories =')
    found = sections(explain_survey(Survey.parse(text)))
    assert not any("hardly two devices" in line for line in found["What an observer could conclude"])
    many = Survey.parse(text.replace('["c1", "c2", "c3"]', str([f"c{number}" for number in range(39)])))
    found = sections(explain_survey(many))
    assert found["What an observer could conclude"][-1].startswith("The reused answers to q0 are so many that hardly")
    assert "What was sent stays among the counts until they are deleted." in found["What you can do"]


def test_the_text_fits_a_terminal(lab):
    explanation = explain_survey(lab.survey(memory="permanent", questions=9), technical=True)
    assert max(map(len, str(explanation).splitlines())) <= 100
    assert max(map(len, explanation.text(60).splitlines())) <= 60
    assert explanation.text(60).split() == str(explanation).split()


def test_what_is_agreed_to_stays_short():
    """As long as it was when this was written: what is added must replace something, or nobody reads it."""
    permanent = 'memory = "permanent"\nepsilon_permanent = 2\nchanges = 3'
    for text, most in ((EXAMPLE, 3_012), (EXAMPLE.replace('memory = "fresh"', permanent), 3_463)):
        assert len(str(explain_survey(Survey.parse(text)))) <= most
