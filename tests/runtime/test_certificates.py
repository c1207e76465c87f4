"""Certificate files: rejected contents, and reloads after changes."""

import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.support.authority import Authority, Pair
from tilld.config import USUAL
from tilld.errors import OperatorError
from tilld.runtime.certificates import CertificateFiles, Certificates


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def read(pair: Pair, **others: Any) -> CertificateFiles:
    return CertificateFiles(chain=pair.tls_cert, key=pair.tls_key, **others)


def refused(*, says: str, **paths: Any) -> None:
    with pytest.raises(OperatorError) as told:
        CertificateFiles(**paths)
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_valid_pair_is_read_unchanged(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue(tmp_path)

    newest = read(pair, client_ca=authority.write(tmp_path / "ca.pem")).newest

    assert (newest.chain, newest.key) == (pair.tls_cert.read_bytes(), pair.tls_key.read_bytes())
    assert newest.client_ca == authority.pem


def test_settings_that_need_each_other_are_required_together(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue(tmp_path)

    refused(chain=pair.tls_cert, says="--tls-key")
    refused(key=pair.tls_key, says="--tls-cert")
    refused(client_ca=authority.write(tmp_path / "ca.pem"), says="--tls-cert")


@pytest.mark.parametrize(
    ("name", "flag"), [("chain", "--tls-cert"), ("key", "--tls-key"), ("client_ca", "--tls-client-ca")]
)
@pytest.mark.parametrize("content", [None, b"", b"\xff nonsense"])
def test_an_invalid_file_is_reported_with_its_flag(
    authority: Authority, tmp_path: Path, name: str, flag: str, content: bytes | None
) -> None:
    pair = authority.issue(tmp_path)
    paths = {"chain": pair.tls_cert, "key": pair.tls_key, "client_ca": authority.write(tmp_path / "ca.pem")}
    paths[name] = tmp_path / "wrong"
    if content is not None:
        paths[name].write_bytes(content)

    refused(**paths, says=f"check {flag}")
    refused(**paths, says=str(tmp_path / "wrong"))


def test_a_key_of_another_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    one, other = authority.issue(tmp_path / "one"), authority.issue(tmp_path / "other")

    refused(chain=one.tls_cert, key=other.tls_key, says="does not belong to the first certificate in")


def test_the_certificate_must_come_before_its_authoritys(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue(tmp_path)
    pair.tls_cert.write_bytes(authority.pem + pair.tls_cert.read_bytes())

    refused(chain=pair.tls_cert, key=pair.tls_key, says="first certificate")


def test_an_expired_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue(tmp_path, not_after=datetime(2025, 12, 31))  # noqa: DTZ001  (an argument of trustme)

    refused(chain=pair.tls_cert, key=pair.tls_key, says="expired on 2025-12-31")


def test_a_certificate_that_is_not_valid_yet_is_refused(authority: Authority, tmp_path: Path) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    pair = authority.issue(tmp_path, not_before=tomorrow.replace(tzinfo=None))

    refused(chain=pair.tls_cert, key=pair.tls_key, says="is not valid before")


async def test_a_certificate_is_not_replaced_by_one_that_is_not_valid_yet(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue(tmp_path)
    files = read(pair)
    good = files.newest
    authority.issue(tmp_path, not_before=datetime(2100, 1, 1), not_after=datetime(2101, 1, 1))  # noqa: DTZ001

    await files.look(lambda _: pytest.fail("the callback was called"))

    assert files.newest is good


@pytest.mark.parametrize(
    ("left", "says"),
    [
        (timedelta(days=20), None),
        (timedelta(days=13), "the TLS certificate expires soon: renew it"),
        (timedelta(hours=-1), "the TLS certificate has expired: clients cannot connect"),
    ],
)
def test_a_near_or_past_expiry_is_logged_once_a_day(
    authority: Authority, tmp_path: Path, left: timedelta, says: str | None
) -> None:
    pair = authority.issue(tmp_path, not_after=datetime(2030, 1, 1))  # noqa: DTZ001
    now = datetime.now(UTC)
    files = CertificateFiles(chain=pair.tls_cert, key=pair.tls_key, clock=lambda: now)
    now = datetime(2030, 1, 1, tzinfo=UTC) - left
    with capture_logs() as told:
        for _ in range(3):
            files.warn()
        now += timedelta(days=1)
        files.warn()

    assert [each["event"] for each in told] == ([says] * 2 if says else [])


def test_each_step_towards_expiry_is_logged_immediately(authority: Authority, tmp_path: Path) -> None:
    """Expiry matters most: after it no client can connect."""
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    pair = authority.issue(tmp_path, not_after=expires.replace(tzinfo=None))
    now = datetime.now(UTC)
    files = CertificateFiles(chain=pair.tls_cert, key=pair.tls_key, clock=lambda: now)
    hour = timedelta(hours=1)

    with capture_logs() as told:
        for left in (timedelta(days=3) + hour, timedelta(days=3) - hour, hour, -hour):
            now = expires - left
            for _ in range(2):
                files.warn()

    assert [each["log_level"] for each in told] == ["warning", "warning", "warning", "error"]
    assert [each.get("days") for each in told] == [3, 2, 0, None]
    assert "has expired" in told[-1]["event"]


@pytest.mark.parametrize("name", ["chain", "key", "client_ca"])
def test_a_byte_order_mark_is_ignored(authority: Authority, tmp_path: Path, name: str) -> None:
    pair = authority.issue(tmp_path)
    paths: dict[str, Any] = {
        "chain": pair.tls_cert,
        "key": pair.tls_key,
        "client_ca": authority.write(tmp_path / "ca.pem"),
    }
    content = paths[name].read_bytes()
    paths[name].write_bytes(b"\xef\xbb\xbf" + content)

    assert getattr(CertificateFiles(**paths).newest, name) == content


@pytest.mark.parametrize("name", ["chain", "key", "client_ca"])
@pytest.mark.parametrize("kind", ["certificate", "key", "pair"])
def test_der_is_reported_as_not_pem(authority: Authority, tmp_path: Path, name: str, kind: str) -> None:
    """This includes binary files of another kind than the setting needs, such as PKCS #12."""
    pair = authority.issue(tmp_path)
    key = load_pem_private_key(pair.tls_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    binary = {
        "certificate": pair.certificate,
        "key": key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "pair": serialize_key_and_certificates(b"till", key, None, None, NoEncryption()),
    }
    paths = {"chain": pair.tls_cert, "key": pair.tls_key, "client_ca": authority.write(tmp_path / "ca.pem")}
    paths[name] = tmp_path / "binary"
    paths[name].write_bytes(binary[kind])

    refused(**paths, says=f"{paths[name]} is binary (DER or PKCS #12), not PEM; convert it with openssl")


def test_a_pipe_or_a_directory_is_refused_without_waiting(authority: Authority, tmp_path: Path) -> None:
    """A pipe may never get a writer."""
    pair = authority.issue(tmp_path)
    os.mkfifo(tmp_path / "pipe")

    refused(chain=tmp_path / "pipe", key=pair.tls_key, says="is not a regular file; check --tls-cert")
    refused(chain=pair.tls_cert, key=tmp_path, says="(Is a directory); check --tls-key")


async def test_a_read_from_a_hanging_disk_times_out_and_is_retried(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = authority.issue(tmp_path)
    files = read(pair, intervals=USUAL._replace(read_seconds=0.3))
    answers = threading.Event()
    usual = os.open

    def slow(path: str | Path, flags: int) -> int:
        assert answers.wait(20)
        return usual(path, flags)

    monkeypatch.setattr(os, "open", slow)
    new = authority.issue(tmp_path).tls_cert.read_bytes()
    with capture_logs() as told:
        for _ in range(3):
            await files.look(lambda _: None)
        answers.set()
        monkeypatch.undo()
        while files.newest.chain != new:
            await files.look(lambda _: None)

    first, *_ = (each["reason"] for each in told if each["log_level"] == "error")
    assert first.endswith("check the disk")


@pytest.mark.parametrize(
    ("key", "encryption", "says"),
    [
        (ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"secret"), "passphrase"),
        (ed25519.Ed25519PrivateKey.generate(), NoEncryption(), "P-256"),
        (ec.generate_private_key(ec.SECP256K1()), NoEncryption(), "P-256"),
    ],
)
def test_a_key_that_cannot_be_served_is_refused(
    authority: Authority,
    tmp_path: Path,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    encryption: KeySerializationEncryption,
    says: str,
) -> None:
    pair = authority.issue(tmp_path)
    pair.tls_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))

    refused(chain=pair.tls_cert, key=pair.tls_key, says=says)


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_certificate_and_key_may_be_in_one_file_of_either_kind(
    authority: Authority, tmp_path: Path, key_type: trustme.KeyType
) -> None:
    pair = authority.issue(tmp_path, key_type=key_type)
    both = tmp_path / "both.pem"
    both.write_bytes(pair.tls_key.read_bytes() + pair.tls_cert.read_bytes())

    assert CertificateFiles(chain=both, key=both).newest.chain == both.read_bytes()


# Changes


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


async def test_a_new_pair_is_used_and_logged_with_its_expiry(
    authority: Authority, tmp_path: Path, logs: list[EventDict]
) -> None:
    pair = authority.issue(tmp_path)
    files = read(pair)
    used: list[Certificates] = []

    authority.issue(tmp_path, not_after=datetime(2035, 1, 1))  # noqa: DTZ001  (an argument of trustme)
    for _ in range(3):
        await files.look(used.append)

    assert used == [files.newest]
    assert files.newest.chain == pair.tls_cert.read_bytes()
    assert logs == [
        {"event": "certificates reloaded", "log_level": "info", "expires": "2035-01-01T00:00:00+00:00"}
    ]


async def test_the_files_of_a_pair_may_be_replaced_one_by_one(
    authority: Authority, tmp_path: Path, logs: list[EventDict]
) -> None:
    """Between the two steps Till keeps the old pair and logs nothing."""
    pair, new = authority.issue(tmp_path / "pair"), authority.issue(tmp_path / "new")
    files = read(pair)
    used: list[Certificates] = []

    shutil.copy(new.tls_cert, pair.tls_cert)
    await files.look(used.append)
    assert (used, logs) == ([], [])
    shutil.copy(new.tls_key, pair.tls_key)
    await files.look(used.append)

    assert used == [files.newest]


@pytest.mark.parametrize("is_gone", [False, True])
async def test_an_invalid_pair_is_logged_once_and_the_old_one_kept(
    authority: Authority, tmp_path: Path, logs: list[EventDict], is_gone: bool
) -> None:
    """The next good pair is used."""
    pair, other = authority.issue(tmp_path / "pair"), authority.issue(tmp_path / "other")
    files = read(pair)
    old = files.newest
    used: list[Certificates] = []

    pair.tls_key.unlink() if is_gone else shutil.copy(other.tls_key, pair.tls_key)
    for _ in range(5):
        await files.look(used.append)
    assert (used, files.newest) == ([], old)
    authority.issue(tmp_path / "pair")
    await files.look(used.append)

    assert used == [files.newest]
    assert [each["log_level"] for each in logs] == ["error", "info"]
    assert str(pair.tls_key) in logs[0]["reason"]


async def test_a_failed_reload_is_retried(
    authority: Authority, tmp_path: Path, logs: list[EventDict]
) -> None:
    files = read(authority.issue(tmp_path))
    used: list[Certificates] = []

    def use(certificates: Certificates) -> None:
        used.append(certificates)
        if len(used) < 3:
            raise OperatorError("the disk is full")

    authority.issue(tmp_path)
    for _ in range(4):
        await files.look(use)

    assert used == [files.newest] * 3
    assert [each["log_level"] for each in logs] == ["error", "info"]
