"""The client for asyncio apps: the same names, awaited, and never in the way of the loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Never, Self, SupportsFloat, TypeVar, Unpack

from hushtally.client_sdk.client import Client, Options
from hushtally.client_sdk.device.device import TICK_SECONDS
from hushtally.client_sdk.errors import ClientError
from hushtally.client_sdk.explain.explanation import Explanation
from hushtally.client_sdk.explain.status import Status
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.survey import Survey

T = TypeVar("T")


class Lane:
    """One daemon thread that does one thing after the other; it begins with the first call in each process.

    Not the loop's executor, where a collector that hangs would hold up the app's own work and the end of its loop.
    """

    def __init__(self) -> None:
        self._pid: int | None = None
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def run(self, action: Callable[[], T]) -> T:
        """What `action` returns or raises, once its turn has come."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                done = partial(_finish, future, action(), None)
            except BaseException as error:  # as what the app's own on_error may raise: who waits is told
                done = partial(_finish, future, None, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done)

        if self._begun():
            self._queue.put(work)
        else:
            work()
        return await future

    def _begun(self) -> bool:
        """Whether this process has the thread; it has none where the system gives no more, or at its very end."""
        if self._pid != os.getpid():
            queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
            try:
                threading.Thread(target=_serve, args=(queue,), name="hushtally-lane", daemon=True).start()
            except RuntimeError:
                return False
            self._pid, self._queue = os.getpid(), queue
        return True

    def end(self) -> None:
        """Lets the thread end after what was handed to it."""
        self._queue.put(None)
        self._pid = None

    def __del__(self) -> None:
        self.end()


def _serve(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := queue.get()) is not None:
        work()
        del work  # what it holds must not live until the next one comes


def _finish(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # who waited was cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class AsyncClient:
    """A Client for one event loop. Made by `await AsyncClient.open(...)`, or `async with await AsyncClient.open(...)`.

    Calls are done in the order in which they were made, off the loop; those that send go beside the others.
    """

    def __init__(self, client: Client, lane: Lane | None = None, **options: Never) -> None:
        if options or not isinstance(client, Client):
            raise ClientError("an AsyncClient is made by `await AsyncClient.open(surveys, ...)`")
        self._client = client
        self._keeping = lane or Lane()
        self._sending = Lane()

    @classmethod
    async def open(cls, surveys: Survey | Iterable[Survey], **options: Unpack[Options]) -> Self:
        """Constructs the client off the loop; takes the arguments of `Client`, and raises ClientError like it."""
        lane = Lane()
        return cls(await lane.run(lambda: Client(surveys, **options)), lane)

    async def grant_consent(self, shown: str | None = None) -> bool:
        """See `Client.grant_consent`."""
        return await self._keeping.run(partial(self._client.grant_consent, shown))

    async def withdraw_consent(self) -> bool:
        """See `Client.withdraw_consent`."""
        return await self._keeping.run(self._client.withdraw_consent)

    async def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """See `Client.record`."""
        await self._keeping.run(lambda: self._client.record(event, **fields))

    async def tick(self, timeout: float = TICK_SECONDS) -> None:
        """See `Client.tick`."""
        await self._sending.run(lambda: self._client.tick(timeout))

    async def flush(self, timeout: float = 5.0) -> bool:
        """See `Client.flush`; time spent waiting for an earlier call counts."""
        try:
            return await asyncio.wait_for(self._sending.run(lambda: self._client.flush(timeout)), max(timeout, 0.0))
        except TimeoutError:
            return False

    def start(self) -> None:
        """See `Client.start`: the background thread leaves the loop alone."""
        self._client.start()

    async def explain(self) -> Explanation:
        """See `Client.explain`."""
        return await self._keeping.run(self._client.explain)

    async def status(self) -> Status:
        """See `Client.status`."""
        return await self._keeping.run(self._client.status)

    async def receipts(self) -> tuple[Receipt, ...]:
        """See `Client.receipts`."""
        return await self._keeping.run(self._client.receipts)

    async def close(self) -> None:
        """See `Client.close`."""
        await self._keeping.run(self._client.close)
        self._keeping.end()
        self._sending.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
