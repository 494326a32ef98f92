"""The ledger: the reserved and the spent epsilon, and the app's ceilings."""

import pytest

from hushtally import ClientError
from hushtally.client_sdk.state.silence import Silence


def statuses(client):
    return {f"{one.survey} v{one.version}": one for one in client.status().surveys}


def test_the_ceiling_for_one_report(lab):
    survey = lab.survey(epsilon=1.5)
    lab.client(survey, max_epsilon=1.5)
    with pytest.raises(
        ClientError, match=r"habits v1 asks question 'q0' with epsilon 1.5, but the app allows at most max_epsilon = 1$"
    ):
        lab.client(survey, max_epsilon=1)


def test_the_ceiling_for_all_surveys_refuses_a_survey_that_can_never_fit(lab):
    survey = lab.survey()
    lab.client(survey, max_lifetime_epsilon=20)
    message = "habits v1 has a lifetime epsilon of 20, but the app allows at most max_lifetime_epsilon = 19$"
    with pytest.raises(ClientError, match=message):
        lab.client(survey, max_lifetime_epsilon=19)


def test_a_ceiling_of_exactly_the_lifetime_epsilon_allows_every_answer(lab):
    """0.1 + 0.1 + 0.1 is more than 0.3 as a float. A rounding error must not silence a device."""
    survey = lab.survey(epsilon=0.1, ends="2026-11-04")
    assert survey.lifetime_epsilon > 0.3
    client = lab.client(survey, max_epsilon=0.1, max_lifetime_epsilon=0.3)
    lab.live(client, 3)
    assert (len(lab.recorder.batches), lab.faults) == (3, [])
    with pytest.raises(ClientError, match=r"lifetime epsilon of 0.3, but .* max_lifetime_epsilon = 0.2999999$"):
        lab.client(survey, max_lifetime_epsilon=0.2999999)


def test_two_surveys_with_the_same_questions_add_up_under_the_ceiling(lab):
    """The lifetime epsilon of each is reserved at enrollment, so no data decides whether the second one answers."""
    first, second = lab.survey(), lab.survey(id="again")
    client = lab.client([first, second], max_lifetime_epsilon=39)
    lab.live(client, 3)
    assert {batch.survey for batch in lab.recorder.batches} == {"habits"}
    found = statuses(client)
    assert (found["habits v1"].spent, found["habits v1"].budget, found["habits v1"].silent) == (3.0, 20.0, None)
    assert (found["again v1"].spent, found["again v1"].budget) == (0.0, 0.0)
    assert found["again v1"].silent == Silence.OVER_CEILING
    client.close()
    lab.live(lab.client([first, second], max_lifetime_epsilon=40), 1)
    assert [batch.survey for batch in lab.recorder.batches[3:]].count("again") == 1


def test_a_renewed_survey_under_another_id_adds_up(lab):
    """After its end, a survey with fresh memory counts with the epsilon spent. The next survey may use the rest."""
    lab.live(lab.client(lab.survey(ends="2026-11-06"), max_lifetime_epsilon=8), 3)
    client = lab.client(lab.survey(id="renewed", starts="2026-11-05", ends="2026-11-09"), max_lifetime_epsilon=8)
    lab.live(client)  # the first survey may still answer: 5 + 5 is more than 8
    assert {batch.survey for batch in lab.recorder.batches} == {"habits"}
    lab.live(client)
    assert {batch.survey for batch in lab.recorder.batches} == {"habits"}
    lab.live(client)  # 2026-11-07: the first survey has ended with 3 spent, although the app no longer has it
    assert lab.recorder.batches[-1].survey == "renewed"
    assert sorted(lab.rows("SELECT survey, silent FROM schedules")) == [("habits", Silence.ENDED), ("renewed", None)]
    assert lab.rows("SELECT sum(epsilon) FROM ledger WHERE survey = 'habits'") == [(3.0,)]


def test_permanent_memory_counts_with_its_reserved_epsilon_after_the_end(lab):
    """What was spent depends on what the customer did. It must not decide whether a later survey answers."""
    lab.live(lab.client(lab.survey(ends="2026-11-03", memory="permanent"), max_lifetime_epsilon=8), 3)
    client = lab.client(lab.survey(id="next", starts="2026-11-05", ends="2026-11-09"), max_lifetime_epsilon=8)
    lab.live(client, 4)
    assert statuses(client)["next v1"].silent == Silence.OVER_CEILING
    assert {batch.survey for batch in lab.recorder.batches} == {"habits"}


def test_a_lower_ceiling_silences_at_once(lab):
    surveys = [lab.survey(), lab.survey(id="again")]
    lab.live(lab.client(surveys, max_lifetime_epsilon=40), 2)
    client = lab.client(surveys, max_lifetime_epsilon=39)
    lab.live(client, 2)
    assert len(lab.recorder.batches) == 4
    assert {survey.silent for survey in client.status().surveys} == {Silence.OVER_CEILING}


def test_the_epsilon_of_a_version_that_never_answered_is_released(lab):
    """Also with permanent memory, which spends the whole reserved epsilon with the first answer."""
    lab.client(lab.survey(memory="permanent"), max_lifetime_epsilon=lab.survey(memory="permanent").lifetime_epsilon)
    second = lab.survey(memory="permanent", version=2)
    client = lab.client(second, max_lifetime_epsilon=second.lifetime_epsilon)
    lab.live(client, 2)
    assert [batch.version for batch in lab.recorder.batches] == [2, 2]
    (found,) = client.status().surveys
    assert (found.silent, found.budget) == (None, second.lifetime_epsilon)


def test_a_new_version_adds_up_with_the_old_one(lab):
    lab.live(lab.client(lab.survey(), max_lifetime_epsilon=22), 3)
    client = lab.client(lab.survey(version=2), max_lifetime_epsilon=22)
    lab.live(client, 2)
    assert statuses(client)["habits v2"].silent == Silence.OVER_CEILING
    client = lab.client(lab.survey(version=2), max_lifetime_epsilon=23)
    lab.live(client, 2)
    assert [batch.version for batch in lab.recorder.batches] == [1, 1, 1, 2, 2]
    (found,) = client.status().surveys
    assert (found.spent, found.budget) == (5.0, 23.0)
    assert "Privacy budget spent: epsilon 5 of at most 23." in str(client.explain())


def test_a_rounded_sum_of_epsilons_fits_in_an_equal_ceiling(lab):
    """Ten surveys of three answers at epsilon 0.1 fit in a ceiling of 3."""
    surveys = [lab.survey(id=f"s{index}", epsilon=0.1, ends="2026-11-04") for index in range(10)]
    client = lab.client(surveys, max_lifetime_epsilon=3.0)
    lab.live(client)
    assert len(lab.recorder.batches) == 10


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_the_spent_epsilon_never_exceeds_the_reserved_epsilon(lab, memory):
    client = lab.client(lab.survey(memory=memory, questions=3, each=2, changes=2))
    for day in range(22):
        for _ in range(day + 1):
            client.record("purchase", amount=1, category=f"c{day % 5}")
        lab.live(client)
        (found,) = client.status().surveys
        assert found.spent <= lab.survey(memory=memory, questions=3, each=2, changes=2).lifetime_epsilon
    assert found.spent == (40.0 if memory == "fresh" else 12.0)


def test_only_the_sum_of_an_ended_survey_is_kept(lab):
    client = lab.client(lab.survey(questions=2))
    lab.live(client, 22)
    assert lab.rows("SELECT question, epsilon FROM ledger") == [("", 40.0)]
    assert client.status().surveys[0].spent == 40.0


def test_a_clock_set_back_or_a_later_version_does_not_answer_an_ended_survey_again(lab):
    """Its ledger has no epochs any more; the schedule stores that they were handled."""
    lab.live(lab.client(), 22)
    lab.clock.advance(days=-5)
    client = lab.client()
    lab.live(client)
    client = lab.client(lab.survey(version=2, ends="2026-12-01"))
    client.tick()
    assert client.status().surveys[0].silent == "the clock was set back"
    lab.live(client, 2)
    assert len(lab.recorder.batches) == 20
    lab.live(client, 5)
    assert len(lab.recorder.batches) == 25
    assert lab.recorder.reports[20].epoch == "2026-11-22"


class TestPermanentMemory:
    """A known value reuses its answer. After `changes` new answers, the last one is repeated."""

    def answers(self, lab):
        return lab.rows("SELECT value, symbol FROM answers ORDER BY used")

    def test_known_values_reuse_their_answers_and_changes_are_limited(self, lab):
        survey = lab.survey(memory="permanent", epsilon_permanent=1.0, changes=2, days=1)
        client = lab.client(survey)  # with epsilon_permanent = epsilon a report is the permanent symbol itself
        known_values, costs = [], []
        for category in ("c1", "c1", "c2", "c1", "c3", "c4", "c2", "c4"):
            client.record("purchase", amount=1, category=category)
            lab.live(client)
            known_values.append(dict(self.answers(lab)))
            costs.append(sum(cost for (cost,) in lab.rows("SELECT epsilon FROM ledger")))
        assert [list(known) for known in known_values] == [
            [0], [0], [0, 1], [1, 0], [1, 0, 2], [1, 0, 2], [0, 2, 1], [0, 2, 1],
        ]  # fmt: skip
        assert costs == [1, 1, 2, 2, 3, 3, 3, 3]
        final = known_values[-1]
        assert all(known.items() <= final.items() for known in known_values)
        values = [0, 0, 1, 0, 2, 2, 1, 1]  # "other" is new, but no change is left, so the last answer is repeated
        assert [report.symbol for report in lab.recorder.reports] == [final[value] for value in values]

    def test_the_app_cannot_see_whether_an_answer_changed(self, lab):
        """Status and explanation are the same for a customer who changed and for one who did not."""
        clients = [lab.client(lab.survey(memory="permanent"), device=key) for key in "ab"]
        for category in ("c1", "c2", "c3", "c1"):
            for client, bought in zip(clients, ("c1", category), strict=True):
                for _ in range(9):
                    client.record("purchase", amount=1, category=bought)
            assert len({(client.status().surveys, str(client.explain())) for client in clients}) == 1
            lab.live_together(clients)
        assert [client.status().surveys[0].spent for client in clients] == [6.0, 6.0]
        assert "Privacy budget spent: up to epsilon 6 of at most 6." in str(clients[0].explain())
        assert lab.rows("SELECT sum(epsilon) FROM ledger GROUP BY device") == [(2.0,), (6.0,)]

    def test_permanent_answers_survive_restarts(self, lab):
        survey = lab.survey(memory="permanent", epsilon_permanent=1.0)
        for _ in range(6):
            client = lab.client(survey)
            lab.live(client)
            client.close()
        assert len({report.symbol for report in lab.recorder.reports}) == 1
        assert lab.rows("SELECT count(*) FROM answers") == [(1,)]

    def test_the_explanation_states_what_permanent_memory_does_not_hide(self, lab):
        text = " ".join(str(lab.client(lab.survey(memory="permanent")).explain()).split())
        assert "but not whether and when it changed" in text
        assert "whether and when" not in str(lab.client(lab.survey(id="fresh")).explain())
