"""One device of a gateway behind the methods of a client, so that the tests of a client also test a gateway."""

from __future__ import annotations

from typing import Any

from hushtally import Gateway


class GatewayClient:
    """A gateway and one of its devices."""

    def __init__(self, surveys: Any, *, device: str = "", cohort: Any = None, **options: Any) -> None:
        self.gateway = Gateway(surveys, **options)
        self._handle = self.gateway.device(device, cohort)
        self.tick, self.flush, self.start = self.gateway.tick, self.gateway.flush, self.gateway.start

    @property
    def _device(self) -> Any:
        return self.gateway._core

    def close(self) -> None:
        self.gateway.close()

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)
