"""SQLite waits for the disk in every transaction except those that may be lost."""

from contextlib import closing, suppress

from hushtally.client_sdk.state.file import State

NORMAL, FULL = 1, 2


def synchronous(connection):
    return connection.execute("PRAGMA synchronous").fetchone()[0]


def test_answers_and_their_cost_are_durable(shm):
    """On a new connection, on a connection that was opened again, and after a transaction that does not wait."""
    state = State.at(shm / "state.db")
    with closing(state):
        for _ in range(2):
            with state.answering() as connection:
                assert synchronous(connection) == FULL
            state.close()
            with state.transaction() as connection:
                assert synchronous(connection) == FULL
            with state.fast_transaction() as connection:
                assert synchronous(connection) == NORMAL
            with state.transaction() as connection:
                assert synchronous(connection) == FULL
            with state.lock() as connection:  # each statement commits by itself
                assert synchronous(connection) == FULL


def test_transactions_after_a_fast_one_that_failed_are_durable(shm):
    state = State.at(shm / "state.db")
    with closing(state):
        with suppress(KeyError), state.fast_transaction():
            raise KeyError
        with state.answering() as connection:
            assert synchronous(connection) == FULL
