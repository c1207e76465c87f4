"""The metrics of a Till, as Prometheus scrapes them."""

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.shop import Shop
from tilld.app import Till

Sample = tuple[str, ...]


def url(till: Till) -> str:
    """The address of the metrics of a Till."""
    return f"http://{till.running.metrics}/metrics"


async def scrape(shop: Shop) -> str:
    """The metrics as they are served."""
    async with httpx.AsyncClient() as prometheus:
        return (await prometheus.get(url(shop.till))).text


def families(text: str) -> dict[str, Any]:
    """The families of samples, by name."""
    return {family.name: family for family in text_string_to_metric_families(text)}


async def figures(shop: Shop) -> dict[Sample, float]:
    """All samples, by name and the values of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(await scrape(shop)).values()
        for sample in family.samples
    }


def answered(code: str, method: str) -> Sample:
    """The sample that counts the answers of a method."""
    return ("till_request_duration_seconds_count", code, method)
