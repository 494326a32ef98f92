"""The averaging attack on the real client: an observer stores every report of a device for 100 epochs, then guesses.

Each device has one of 16 values all the time, and epsilon is 1. The observer guesses the value that most reports
support, which is the most likely value because all values are equally frequent. One test shows the success of the
same observer if nothing limits how often fresh noise is drawn. Seeds are fixed. For another seed, each bound fails by
chance 1 in 3 million (five standard deviations).
"""

import math

import pytest

from hushtally import Survey
from hushtally.client_sdk.testing import ScriptedClock

VALUES, EPOCHS = 16, 100


ON_MANY = [pytest.param(400, marks=pytest.mark.slow), pytest.param(1_600, marks=pytest.mark.long)]


@pytest.fixture
def devices(request):
    return request.param


def accuracy(lab, survey, devices):
    """Return the share of devices whose value the observer guesses, and the most reports of one device."""
    mechanism = survey.questions[0].mechanism
    guessed = most = 0
    for index in range(devices):
        value = index % VALUES
        lab.clock.now = ScriptedClock("2026-11-02T23:59:59").now
        lab.recorder.requests.clear()
        client = lab.client(survey, state=":memory:", cohort={"platform": "web"}, seed=index)
        client.record("purchase", amount=1, category=f"c{value + 1}")
        for _ in range(EPOCHS):
            client.tick()  # in the last second of the epoch, so that the answer is sent at once
            lab.clock.advance(days=1)
        symbols = [report.symbol for report in lab.recorder.reports]
        supported = [sum(mechanism.supports(symbol, one) for symbol in symbols) for one in range(VALUES)]
        best = [one for one in range(VALUES) if supported[one] == max(supported)]
        guessed += (value in best) / len(best)
        most = max(most, len(symbols))
        client.close()
    print(f"\n{survey.privacy.memory}, lifetime epsilon {survey.lifetime_epsilon:g}: guessed {guessed / devices:.3f}")
    return guessed / devices, most


def survey_of(lab, *, direct=False, **changed):
    text = lab.text(categories=VALUES - 1, days=365, ends="2027-02-09", **changed)
    if direct:
        text = text.replace('id = "q0"', 'id = "q0"\nmechanism = { name = "direct" }')
    return Survey.parse(text)


def spread(share, devices):
    return 5 * math.sqrt(share * (1 - share) / devices)


@pytest.mark.parametrize("devices", ON_MANY, indirect=True)
def test_noise_without_a_budget_reveals_the_answer(lab, devices):
    """With a report in each of 100 epochs, the observer guesses the value of 89% of the devices."""
    survey = survey_of(lab, direct=True)
    assert survey.lifetime_epsilon == 100
    found, reports = accuracy(lab, survey, devices)
    assert reports == 100
    assert abs(found - 0.89) < spread(0.89, devices)


@pytest.mark.slow
@pytest.mark.parametrize("answers", [1, 4])
@pytest.mark.parametrize("devices", [96, *ON_MANY], indirect=True)
def test_fresh_memory_reveals_at_most_its_lifetime_epsilon(lab, devices, answers):
    survey = survey_of(lab, direct=True, every=EPOCHS // answers)
    assert survey.lifetime_epsilon == answers
    found, reports = accuracy(lab, survey, devices)
    assert reports == answers
    e = math.exp(survey.lifetime_epsilon)
    bound = e / (e + VALUES - 1)  # .15 and .78
    assert found < bound + spread(bound, devices)
    assert found < 0.4  # four reports actually reveal far less than the bound: .19


@pytest.mark.slow
@pytest.mark.parametrize("direct", [True, False], ids=["direct", "automatic"])
@pytest.mark.parametrize("devices", [24, *ON_MANY], indirect=True)
def test_permanent_memory_reveals_at_most_its_one_answer(lab, devices, direct):
    """A hundred reports of one answer reveal what its permanent symbol reveals: .33 (direct), .18 (4 of 16)."""
    survey = survey_of(lab, direct=direct, memory="permanent", epsilon_permanent=2.0, changes=0)
    size = 1 if direct else survey.questions[0].mechanism.parameters["w"]
    assert direct or size == 4
    found, reports = accuracy(lab, survey, devices)
    assert reports == 100
    e = math.exp(2.0)
    bound = e / (size * e + VALUES - size)
    assert abs(found - bound) < spread(bound, devices)
