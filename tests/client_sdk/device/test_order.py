"""The order of sending reveals nothing: neither when batches were made nor which device a batch comes from."""

import json


def test_the_order_of_two_batches_is_random(lab):
    """On 100 days, one tick sends the answers to two surveys. Which is sent first does not depend on which was made
    first, or was due first."""
    days = 100
    surveys = [lab.survey(id=id, ends="2027-02-09", epsilon=0.05) for id in ("zebra", "aardvark")]
    client = lab.client(surveys, seed=1)
    first_made, first_due = 0, 0
    for day in range(days):
        client.tick()
        waiting = lab.rows("SELECT due, batch FROM outbox")
        lab.clock.advance(seconds=86_399)
        client.tick()
        lab.clock.advance(seconds=1)
        first, second = lab.recorder.batches[2 * day :]
        assert {first.id, second.id} == {batch for _, batch in waiting}
        first_made += first.survey == "zebra"
        first_due += first.id == min(waiting)[1]
    # of 100 tosses of a coin; fails by chance 1 in 10^6
    assert 25 < first_made < 75
    assert 25 < first_due < 75


def test_the_reports_of_a_batch_have_the_same_order_on_every_device(lab):
    """The order in which a device drew its questions would identify it."""
    survey = lab.survey(questions=9, each=4)
    for seed in range(20):
        lab.live(lab.client(survey, device=str(seed), seed=seed))
    orders = [[report.question for report in batch.reports] for batch in lab.recorder.batches]
    assert len(orders) == 20
    assert all(order == sorted(order) for order in orders)
    drawn = [tuple(json.loads(questions)) for (questions,) in lab.rows("SELECT questions FROM schedules")]
    assert any(list(one) != sorted(one) for one in drawn)  # otherwise the test shows nothing
