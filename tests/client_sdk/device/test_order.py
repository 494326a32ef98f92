"""The order of what is sent tells nothing: of batches not when they were made, in a batch not which device it is."""

import json


def test_of_two_batches_either_leaves_first(lab):
    """On 100 days two surveys are answered, and both answers are sent by one tick: the one that was made first, or
    whose moment came first, is the first to leave about every other time."""
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


def test_the_reports_of_a_batch_stand_in_one_order_on_every_device(lab):
    """Questions are drawn one after the other, once: in that order they would be a mark of the device."""
    survey = lab.survey(questions=9, each=4)
    for seed in range(20):
        lab.live(lab.client(survey, device=str(seed), seed=seed))
    orders = [[report.question for report in batch.reports] for batch in lab.recorder.batches]
    assert len(orders) == 20
    assert all(order == sorted(order) for order in orders)
    drawn = [tuple(json.loads(questions)) for (questions,) in lab.rows("SELECT questions FROM schedules")]
    assert any(list(one) != sorted(one) for one in drawn)  # or nothing was tried
