"""Supervises an Envoy and its certificates."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tilld.config import USUAL, Address, Config, Intervals
from tilld.envoy.process import Envoy
from tilld.runtime.certificates import CertificateFiles, Certificates
from tilld.runtime.supervisor import Supervisor


class Front(Supervisor):
    """A supervisor that starts Envoy, and passes changed certificates to it."""

    def __init__(
        self,
        config: Config,
        intervals: Intervals = USUAL,
        envoy: type[Envoy] = Envoy,
        upstream_ca: Path | None = None,
    ) -> None:
        super().__init__()
        self._envoy_class = envoy
        self._config = config
        self._intervals = intervals
        self._certificates = CertificateFiles(
            intervals=intervals,
            chain=config.tls_cert,
            key=config.tls_key,
            client_ca=config.tls_client_ca,
            upstream_ca=upstream_ca,
        )
        self._envoy: Envoy | None = None

    @property
    def envoy_restarts(self) -> int:
        """The number of restarts of Envoy after it died."""
        return self._envoy.restarts if self._envoy else 0

    async def _start_envoy(self, upstream: Sequence[Address | Path]) -> Address:
        envoy = self._envoy_class(
            self._config.rest,
            upstream,
            self._config.data_dir,
            self._certificates.newest,
            self._config.cors_origin,
        )
        self._envoy = envoy
        await envoy.start()
        self._parts.push_async_callback(envoy.stop, self._config.grace_seconds)
        self._keep_up(envoy)
        self._renew_certificates(envoy.use)
        return envoy.rest

    def _renew_certificates(self, use: Callable[[Certificates], None] = lambda _: None) -> None:
        """Watch the certificate files, and call `use` when they change."""
        if any(self._certificates.newest):
            self._spawn("the certificate watcher", self._certificates.follow(use))
