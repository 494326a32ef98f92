"""The client for asyncio apps: the same names, awaited, and never in the way of the loop."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from client_sdk.client import Client
from client_sdk.consent import Receipt
from client_sdk.explain import Explanation
from client_sdk.status import Status


class AsyncClient:
    """A Client whose calls run in worker threads; takes the same arguments. Made by `await AsyncClient.open(...)`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    async def open(cls, *args: Any, **kwargs: Any) -> Self:
        """Constructs the client off the loop; raises ClientError like `Client`."""
        return cls(await asyncio.to_thread(Client, *args, **kwargs))

    async def grant_consent(self) -> None:
        """See `Client.grant_consent`."""
        await asyncio.to_thread(self._client.grant_consent)

    async def withdraw_consent(self) -> None:
        """See `Client.withdraw_consent`."""
        await asyncio.to_thread(self._client.withdraw_consent)

    async def record(self, event: str, /, **fields: float | str) -> None:
        """See `Client.record`."""
        await asyncio.to_thread(self._client.record, event, **fields)

    async def tick(self) -> None:
        """See `Client.tick`."""
        await asyncio.to_thread(self._client.tick)

    async def flush(self, timeout: float = 5.0) -> bool:
        """See `Client.flush`."""
        return await asyncio.to_thread(self._client.flush, timeout)

    def start(self) -> None:
        """See `Client.start`: the background thread leaves the loop alone."""
        self._client.start()

    async def explain(self) -> Explanation:
        """See `Client.explain`."""
        return await asyncio.to_thread(self._client.explain)

    async def status(self) -> Status:
        """See `Client.status`."""
        return await asyncio.to_thread(self._client.status)

    async def receipts(self) -> tuple[Receipt, ...]:
        """See `Client.receipts`."""
        return await asyncio.to_thread(self._client.receipts)

    async def close(self) -> None:
        """See `Client.close`."""
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
