"""Settings: their sources, their errors, and the page that lists them."""

from pathlib import Path

import pytest

from scripts import configuration
from tilld.config import Config
from tilld.config.fields import Setting
from tilld.config.settings import SETTINGS
from tilld.errors import OperatorError

WRONG = {
    "grpc": "localhost",
    "upstream": "127.0.0.1:50051, 50052",
    "metrics": "127.0.0.1:65536",
    "cors_origin": "https://shop.example/",
    "webhook_allow": "shop.lan, http://10.0.0.5",
    "no_rest": "perhaps",
    "data_dir": "~nobody-of-this-name/till",
    "tls_cert": "~nobody-of-this-name/cert.pem",
    "otlp_endpoint": "collector:4317",
    "log_level": "loud",
    "key_creates_per_second": "0",
    "keep_events_days": "0",
    "key_watches": "1.5",
    "key_payouts_msat_per_day": "-1",
    "grace_seconds": "a while",
}


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if each.name in WRONG], ids=lambda each: each.name
)
def test_an_invalid_value_is_reported(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the flag and the variable, for either source."""
    value = WRONG[setting.name]
    with pytest.raises(OperatorError) as by_flag:
        Config.load(**{setting.name: value})
    monkeypatch.setenv(setting.variable, value)
    with pytest.raises(OperatorError) as by_variable:
        Config.load()

    where = f"{setting.flag} ({setting.variable}) is " if setting.flag else f"{setting.variable} is "
    assert str(by_variable.value).startswith(where)
    if setting.flag:
        assert str(by_flag.value) == str(by_variable.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        *(("shop.lan", "shop.lan"), ("Shop", "shop"), ("localhost", "localhost"), ("1.shop", "1.shop")),
        *(("my_shop-2.lan", "my_shop-2.lan"), ("10.0.0.5", "10.0.0.5"), ("[FD00::5]", "fd00::5")),
        *(("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.0/255.0.0.0", "10.0.0.0/8"), ("fd00::/8", "fd00::/8")),
    ],
)
def test_a_target_of_webhooks_is_a_host_an_address_or_a_network(text: str, read: str) -> None:
    assert Config.load(webhook_allow=f"{text}, a.example").webhook_allow == (read, "a.example")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://shop.lan",
            "shop.lan:80",
            "shop.lan/a",
            "shop.lan.",
            ".lan",
            "*.lan",
            "a b",
            "",
            "ä.example",
        ),
        *("10.0.0.5:80", "10.0.0.0/33", "10.0", "010.0.0.1", "0x7f000001", "2130706433", "10.0.0.0/"),
        *("[fd00::5]:80", "[fd00::]/64", "fd00::5%eth0", "fd00::5%eth0/64"),
    ],
)
def test_another_target_of_webhooks_is_refused(text: str) -> None:
    with pytest.raises(OperatorError) as refused:
        Config.load(webhook_allow=[text])

    assert f"{text!r}: give a host, an IP address or a CIDR, without a port, such as" in str(refused.value)


def test_a_network_with_an_address_in_it_is_corrected() -> None:
    """It may be meant as the address."""
    with pytest.raises(OperatorError, match=r"has bits outside of the prefix; give 10\.0\.0\.0/24"):
        Config.load(webhook_allow="10.0.0.5/24")


def test_flags_go_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLD_METRICS", "127.0.0.1:1")

    assert str(Config.load(metrics="127.0.0.1:2").metrics) == "127.0.0.1:2"
    assert str(Config.load(metrics=None).metrics) == "127.0.0.1:1"


def test_a_variable_that_is_empty_or_unknown_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLD_METRICS", "")
    monkeypatch.setenv("TILLD_MERTICS", "127.0.0.1:1")

    assert Config.load().metrics is None
    assert Config.load().origin("metrics").kind == "default"


def test_an_address_for_envoy_and_no_envoy_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with the address is ignored, because it may be meant for other starts."""
    with pytest.raises(OperatorError, match="--rest and --no-rest"):
        Config.load(rest="127.0.0.1:1", no_rest=True)
    monkeypatch.setenv("TILLD_REST", "127.0.0.1:1")

    assert Config.load(no_rest=True).no_rest


def test_a_home_directory_in_a_setting_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TILLD_DATA_DIR", "~/till")
    monkeypatch.setenv("TILLD_LIGHTNING_RPC", "~/rpc")

    settings = Config.load()

    assert (settings.data_dir, settings.lightning_rpc) == (tmp_path / "till", tmp_path / "rpc")


def test_the_page_of_settings_is_up_to_date() -> None:
    assert configuration.PAGE.read_text() == configuration.page(), "run 'make generate-configuration'"
