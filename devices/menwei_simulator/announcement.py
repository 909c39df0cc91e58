"""How the controllers make themselves known: mDNS, service type `_menwei-sim._tcp.local.`."""

from __future__ import annotations

import asyncio

from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from menwei_simulator.controller import Controller

SERVICE_TYPE = "_menwei-sim._tcp.local."


class Announcer:
    """One mDNS responder for all controllers of a process."""

    def __init__(self, interfaces: tuple[str, ...]) -> None:
        self._interfaces = interfaces
        self._zeroconf: AsyncZeroconf | None = None
        self._known: dict[str, AsyncServiceInfo] = {}

    async def announce(self, controllers: list[Controller]) -> None:
        """Register all together: one after the other each would wait for its own probes. The ids are unique by
        configuration, hence `cooperating_responders`, which leaves those probes out. Raises `OSError` when an
        interface is down."""
        if self._zeroconf is None:
            self._zeroconf = AsyncZeroconf(interfaces=list(self._interfaces), ip_version=IPVersion.V4Only)
        zeroconf = self._zeroconf
        infos = {controller.spec.id: self._info(controller) for controller in controllers}
        registrations = [
            zeroconf.async_register_service(info, cooperating_responders=True) for info in infos.values()
        ]
        sent = await asyncio.gather(*registrations)
        await asyncio.gather(*sent)
        self._known |= infos

    async def withdraw(self, controller: Controller) -> None:
        """Say that this one is gone."""
        info = self._known.pop(controller.spec.id, None)
        if self._zeroconf is not None and info is not None:
            await (await self._zeroconf.async_unregister_service(info))

    async def close(self) -> None:
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()
            self._zeroconf = None

    def _info(self, controller: Controller) -> AsyncServiceInfo:
        spec = controller.spec
        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{spec.id}.{SERVICE_TYPE}",
            port=controller.port,
            parsed_addresses=list(self._interfaces),
            server=f"{spec.id}.local.",
            properties={
                "id": spec.id,
                "model": spec.model,
                "version": spec.version,
                "locks": ",".join(spec.locks),
                "readers": ",".join(spec.readers),
            },
        )
