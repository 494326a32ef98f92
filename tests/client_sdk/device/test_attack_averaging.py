"""The averaging attack on the real client: an observer keeps every report of a device for 100 epochs, and guesses.

Each device holds one of 16 values throughout, epsilon is 1, and the observer guesses the value that most of the reports
support: the most likely one, as all values are equally frequent. Beside it stands what the same observer achieves when
nothing limits how often fresh noise is drawn. Seeds are fixed; for another seed each bound fails by chance with the
odds of five standard deviations, 1 in 3 million.
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
    """The share of devices whose value the observer names, and the most reports that one of them sent."""
    mechanism = survey.questions[0].mechanism
    named = most = 0
    for index in range(devices):
        value = index % VALUES
        lab.clock.now = ScriptedClock("2026-11-02T23:59:59").now
        lab.recorder.requests.clear()
        client = lab.client(survey, state=":memory:", cohort={"platform": "web"}, seed=index)
        client.record("purchase", amount=1, category=f"c{value + 1}")
        for _ in range(EPOCHS):
            client.tick()  # in the last second of the epoch: what is answered is sent at once
            lab.clock.advance(days=1)
        symbols = [report.symbol for report in lab.recorder.reports]
        supported = [sum(mechanism.supports(symbol, one) for symbol in symbols) for one in range(VALUES)]
        best = [one for one in range(VALUES) if supported[one] == max(supported)]
        named += (value in best) / len(best)
        most = max(most, len(symbols))
        client.close()
    print(f"\n{survey.privacy.memory}, lifetime epsilon {survey.lifetime_epsilon:g}: named {named / devices:.3f}")
    return named / devices, most


def survey_of(lab, *, direct=False, **changed):
    text = lab.text(categories=VALUES - 1, days=365, ends="2027-02-09", **changed)
    if direct:
        text = text.replace('id = "q0"', 'id = "q0"\nmechanism = { name = "direct" }')
    return Survey.parse(text)


def spread(share, devices):
    return 5 * math.sqrt(share * (1 - share) / devices)


@pytest.mark.parametrize("devices", ON_MANY, indirect=True)
def test_unbudgeted_noise_gives_the_answer_away(lab, devices):
    """A report in each of the 100 epochs: the observer names the value of .89 of the devices."""
    survey = survey_of(lab, direct=True)
    assert survey.lifetime_epsilon == 100
    found, reports = accuracy(lab, survey, devices)
    assert reports == 100
    assert abs(found - 0.89) < spread(0.89, devices)


@pytest.mark.parametrize("answers", [1, 4])
@pytest.mark.parametrize("devices", [96, *ON_MANY], indirect=True)
def test_fresh_memory_tells_no_more_than_its_lifetime_epsilon(lab, devices, answers):
    survey = survey_of(lab, direct=True, every=EPOCHS // answers)
    assert survey.lifetime_epsilon == answers
    found, reports = accuracy(lab, survey, devices)
    assert reports == answers
    e = math.exp(survey.lifetime_epsilon)
    bound = e / (e + VALUES - 1)  # .15 and .78
    assert found < bound + spread(bound, devices)
    assert found < 0.4  # for four reports the bound is far from what can be had: .19


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "automatic"])
@pytest.mark.parametrize("devices", [24, *ON_MANY], indirect=True)
def test_permanent_memory_tells_no_more_than_its_one_answer(lab, devices, direct):
    """A hundred reports of one unchanged answer tell what the permanent symbol tells: .33 (direct), .18 (4 of 16)."""
    survey = survey_of(lab, direct=direct, memory="permanent", epsilon_permanent=2.0, changes=0)
    size = 1 if direct else survey.questions[0].mechanism.parameters["w"]
    assert direct or size == 4
    found, reports = accuracy(lab, survey, devices)
    assert reports == 100
    e = math.exp(2.0)
    bound = e / (size * e + VALUES - size)
    assert abs(found - bound) < spread(bound, devices)
