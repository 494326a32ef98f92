"""The client for asyncio apps: the methods of `Client`, awaited, without blocking the event loop."""

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

from hushtally.client_sdk import calls
from hushtally.client_sdk.client import Client, Options
from hushtally.client_sdk.device.device import TICK_SECONDS
from hushtally.client_sdk.errors import ClientError
from hushtally.client_sdk.explain.explanation import Explanation
from hushtally.client_sdk.explain.status import Status
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.survey import Survey

T = TypeVar("T")


class WorkerThread:
    """One daemon thread that runs one call after the other. Each process starts it with its first call.

    It does not use the event loop's own executor: a collector that hangs would delay the app and the end of the loop.
    """

    def __init__(self) -> None:
        self._pid: int | None = None
        self._thread: threading.Thread | None = None
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def run(self, action: Callable[[], T]) -> T:
        """Run `action` after all earlier actions; return what it returns or raise what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                done = partial(_finish, future, action(), None)
            except BaseException as error:  # for example what the app's on_error raises: pass it on to the caller
                done = partial(_finish, future, None, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done)

        if self._waits_for_this_thread() or not self._is_running():
            work()
        else:
            self._queue.put(work)
        return await future

    def _waits_for_this_thread(self) -> bool:
        """Whether this call is made in the middle of another, by a finalizer: it could wait for itself."""
        return calls.is_running() or threading.current_thread() is self._thread

    def _is_running(self) -> bool:
        """Start the thread if this process has none; return False if that fails, as at the interpreter's end."""
        if self._pid != os.getpid():
            queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
            thread = threading.Thread(target=_serve, args=(queue,), name="hushtally-worker", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._pid, self._queue, self._thread = os.getpid(), queue, thread
        return True

    def end(self) -> None:
        """Let the thread end after the calls that are queued."""
        self._queue.put(None)
        self._pid = None

    def __del__(self) -> None:
        self.end()


def _serve(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := queue.get()) is not None:
        work()
        del work  # do not keep its objects alive until the next call


def _finish(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # the caller was cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class AsyncClient:
    """A `Client` for one event loop. Create it with `await AsyncClient.open(...)`, also in an `async with` statement.

    Calls run outside the loop, in the order in which they were made. `tick` and `flush` run beside the other calls.
    """

    def __init__(self, client: Client, worker: WorkerThread | None = None, **options: Never) -> None:
        if options or not isinstance(client, Client):
            raise ClientError("create an AsyncClient with `await AsyncClient.open(surveys, ...)`")
        self._client = client
        self._worker = worker or WorkerThread()
        self._sender = WorkerThread()

    @classmethod
    async def open(cls, surveys: Survey | Iterable[Survey], **options: Unpack[Options]) -> Self:
        """Create the client outside the loop. The arguments and the errors are those of `Client`."""
        worker = WorkerThread()
        return cls(await worker.run(lambda: Client(surveys, **options)), worker)

    async def grant_consent(self, shown: str | None = None) -> bool:
        """See `Client.grant_consent`."""
        return await self._worker.run(partial(self._client.grant_consent, shown))

    async def withdraw_consent(self) -> bool:
        """See `Client.withdraw_consent`."""
        return await self._worker.run(self._client.withdraw_consent)

    async def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """See `Client.record`."""
        await self._worker.run(lambda: self._client.record(event, **fields))

    async def tick(self, timeout: float = TICK_SECONDS) -> None:
        """See `Client.tick`."""
        await self._sender.run(lambda: self._client.tick(timeout))

    async def flush(self, timeout: float = 5.0) -> bool:
        """See `Client.flush`. The timeout includes the time spent waiting for an earlier `tick` or `flush`."""
        try:
            return await asyncio.wait_for(self._sender.run(lambda: self._client.flush(timeout)), max(timeout, 0.0))
        except TimeoutError:
            return False

    def start(self) -> None:
        """See `Client.start`. The background thread does not use the loop."""
        self._client.start()

    async def explain(self) -> Explanation:
        """See `Client.explain`."""
        return await self._worker.run(self._client.explain)

    async def status(self) -> Status:
        """See `Client.status`."""
        return await self._worker.run(self._client.status)

    async def receipts(self) -> tuple[Receipt, ...]:
        """See `Client.receipts`."""
        return await self._worker.run(self._client.receipts)

    async def close(self) -> None:
        """See `Client.close`."""
        await self._worker.run(self._client.close)
        self._worker.end()
        self._sender.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
