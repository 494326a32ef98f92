"""What a tick costs: it reads the clock once and the state of the device once, however many surveys there are."""

import pytest


class CountedClock:
    def __init__(self, clock):
        self.clock = clock
        self.reads = 0

    def __call__(self):
        self.reads += 1
        return self.clock()


class Trace:
    """The SQL statements and clock reads of one call."""

    def __init__(self, lab, surveys, **options):
        self.clock = CountedClock(lab.clock)
        self.statements = []
        self.client = lab.client([lab.survey(id=f"survey-{n}") for n in range(surveys)], clock=self.clock, **options)
        self.client._device._state._connection.set_trace_callback(self.statements.append)

    def of(self, call):
        self.statements.clear()
        self.clock.reads = 0
        call()
        return len(self.statements)

    def reads_of(self, table):
        return sum(f"FROM {table} WHERE device" in statement for statement in self.statements)


@pytest.mark.parametrize("surveys", [1, 10])
@pytest.mark.parametrize("options", [{}, {"keep_consent": True, "max_lifetime_epsilon": 1_000.0}])
def test_a_tick_without_work_costs_the_same_for_any_number_of_surveys(lab, surveys, options):
    trace = Trace(lab, surveys, **options)
    trace.client.tick()
    for _ in range(3):
        lab.clock.advance(seconds=60)
        trace.client.tick()  # the first of these writes the mark
    assert trace.of(trace.client.tick) <= 8
    assert (trace.reads_of("consents"), trace.reads_of("devices, file"), trace.clock.reads) == (1, 1, 1)


@pytest.mark.parametrize("surveys", [1, 10])
def test_a_tick_that_answers_reads_its_facts_once_more_within_its_transaction(lab, surveys):
    """Another process may have written since."""
    trace = Trace(lab, surveys)
    trace.client.tick()
    lab.clock.advance(days=1)
    trace.client.status()  # deletes old events, once a day
    assert trace.of(lambda: trace.client._device.answer(trace.clock())) <= 27 + 3 * surveys
    assert (trace.reads_of("consents"), trace.reads_of("devices, file"), trace.clock.reads) == (2, 2, 1)
    assert len(lab.rows("SELECT * FROM ledger")) == 2 * surveys


def test_a_status_reads_its_facts_once(lab):
    trace = Trace(lab, 10)
    trace.client.tick()
    assert trace.of(trace.client.status) <= 9 + 10
    assert (trace.reads_of("consents"), trace.reads_of("devices, file")) == (1, 1)
