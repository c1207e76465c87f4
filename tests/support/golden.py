"""The documented examples of the REST API."""

from pathlib import Path

from tilld.formats.strict_json import compact

DOCUMENT = (Path(__file__).parent.parent / "golden" / "000_a7e52c048fb9dfbe.txt").read_text()


def example(section: str, response: str) -> str:
    """Return the JSON of an example, without white space."""
    text = DOCUMENT.split(f"## {section} [")[1].split("\n## ")[0].split(f"+ {response}")[1].split("+ Resp")[0]
    return compact(text[text.index("{") : text.rindex("}") + 1])


CREATE_REQUEST = example("Create an invoice", "Request Invoice creation")
CREATED = example("Create an invoice", "Response 200")
INVOICE = example("Get an invoice", "Response 200")
NOT_FOUND = example("Get an invoice", "Response 404")
INFO = example("Get lightning node info", "Response 200")
