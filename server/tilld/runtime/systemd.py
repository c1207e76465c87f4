"""Notifies systemd, as sd_notify(3) does. Without a service manager, nothing is sent."""

import asyncio
import socket

import structlog

from tilld.config.service_manager import ServiceManager

log = structlog.get_logger()

# systemd reads immediately; only a full queue makes a notification wait.
SEND_SECONDS = 1.0


class Notifier:
    """Sends the state of this process to the service manager."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager

    def notify(self, **state: str) -> None:
        """Send variables, such as READY="1". A failure is logged."""
        if not (address := self._manager.notify_socket):
            return
        message = "\n".join(f"{name}={value}" for name, value in state.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_SECONDS)
                # @ begins an abstract address, whose first byte is 0.
                sender.sendto(message.encode(), f"\0{address[1:]}" if address[0] == "@" else address)
        except OSError as reason:
            log.warning("systemd cannot be notified", reason=str(reason), state=message)

    async def feed_watchdog(self) -> None:
        """Send WATCHDOG=1 until cancelled. If the event loop hangs, systemd restarts the service."""
        if seconds := self._manager.watchdog_seconds:
            while True:
                self.notify(WATCHDOG="1")
                await asyncio.sleep(seconds / 2)
