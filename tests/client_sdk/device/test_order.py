"""The order in which the batches of a device are sent tells nothing of when they were made."""


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
