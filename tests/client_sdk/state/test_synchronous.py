"""When SQLite waits for the disk: for all but what may be lost, and again after that."""

from contextlib import closing, suppress

from hushtally.client_sdk.state.file import State

NORMAL, FULL = 1, 2


def synchronous(connection):
    return connection.execute("PRAGMA synchronous").fetchone()[0]


def test_what_is_answered_or_spent_is_committed_to_the_disk(shm):
    """Before anything else has set it, after the file was opened anew, and after a transaction that need not wait."""
    state = State.at(shm / "state.db")
    with closing(state):
        for _ in range(2):
            with state.answering() as connection:
                assert synchronous(connection) == FULL
            state.close()
            with state.transaction() as connection:
                assert synchronous(connection) == FULL
            with state.light() as connection:
                assert synchronous(connection) == NORMAL
            with state.transaction() as connection:
                assert synchronous(connection) == FULL
            with state.lock() as connection:  # whose statements commit by themselves
                assert synchronous(connection) == FULL


def test_a_light_transaction_that_fails_leaves_the_next_ones_durable(shm):
    state = State.at(shm / "state.db")
    with closing(state):
        with suppress(KeyError), state.light():
            raise KeyError
        with state.answering() as connection:
            assert synchronous(connection) == FULL
