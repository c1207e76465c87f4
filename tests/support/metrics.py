"""The metrics of a Till, as Prometheus scrapes them."""

from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.shop import Shop
from tilld.app import Till

Sample = tuple[str, ...]


def url(till: Till) -> str:
    """Return the address of Till's metrics."""
    return f"http://{till.running.metrics}/metrics"


async def scrape(shop: Shop) -> str:
    """Return the metrics as Till serves them."""
    async with httpx.AsyncClient() as prometheus:
        return (await prometheus.get(url(shop.till))).text


def families(text: str) -> dict[str, Any]:
    """Return the families of samples by name."""
    return {family.name: family for family in text_string_to_metric_families(text)}


async def figures(shop: Shop) -> dict[Sample, float]:
    """Return the value of each sample by its name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(await scrape(shop)).values()
        for sample in family.samples
    }


def answered(code: str, method: str) -> Sample:
    """Return the sample that counts the responses of a method."""
    return ("till_request_duration_seconds_count", code, method)
