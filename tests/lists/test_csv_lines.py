"""Invoices as lines of CSV: what programs read back, and what spreadsheets do not run."""

import csv
import io
import shutil
import subprocess
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.samples import an_invoice, paid
from tilld.formats.times import LAST
from tilld.invoices.invoice import Invoice
from tilld.lists.csv_lines import COLUMNS, PART_CHARACTERS, CsvLines

ROME = ZoneInfo("Europe/Rome")
SIGNS = "=+-@"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def lines(*invoices: Invoice) -> str:
    written = CsvLines(ROME)
    for invoice in invoices:
        written.add(invoice)
    return written.taken().text


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_the_file_is_as_documented() -> None:
    invoice = an_invoice(label='Order "7"', amount_msat=1_234_567)._replace(
        key_id="KEYOFTHESHOP", description="Tea,\n2 cups", payment_hash="ab" * 32, invoice_id="abc"
    )
    bare = an_invoice(amount_msat=None, payment_hash="cd" * 32, invoice_id="d")

    assert lines(invoice.updated(paid(invoice, 1_234_999)), bare) == (
        "paid_at,created_at,expires_at,status,type,label,description,amount_msat,amount_sat,received_msat,"
        "received_sat,payment_hash,invoice_id,key_id,metadata\r\n"
        "2026-11-21T13:00:00+01:00,2026-11-21T12:00:00+01:00,2026-11-21T13:00:00+01:00,paid,shop,"
        '"Order ""7""","Tea,\n2 cups",1234567,1234.567,1234999,1234.999,'
        f'{"ab" * 32},abc,KEYOFTHESHOP,"{{""type"":""shop""}}"\r\n'
        ",2026-11-21T12:00:00+01:00,2026-11-21T13:00:00+01:00,unpaid,shop,,,,,,,"
        f'{"cd" * 32},d,,"{{""type"":""shop""}}"\r\n'
    )


@given(label=TEXTS, description=TEXTS, metadata=TEXTS)
@example(label="=1+1", description='"=1', metadata="\r")
@example(label='",=cmd|x', description="\n-1", metadata=" \t@SUM(1)")
@example(label="\u3000\uff1d1", description="\ufeff+1", metadata="x\0")
def test_texts_come_back(label: str, description: str, metadata: str) -> None:
    """With an apostrophe where a spreadsheet would see a formula, and unchanged otherwise."""
    texts: dict[str, Any] = {"label": label, "description": description, "metadata": metadata}

    [row] = read(lines(an_invoice(amount_msat=1)._replace(**texts)))

    for name, text in texts.items():
        assert row[name] in (text, f"'{text}")
        assert not looks_like_a_formula(row[name])
        if text[:1].isalnum():
            assert row[name] == text
    assert (row["amount_msat"], row["amount_sat"]) == ("1", "0.001")


def looks_like_a_formula(cell: str) -> bool:
    """Return whether a generous spreadsheet may run a cell: after a conversion to usual characters."""
    usual = unicodedata.normalize("NFKC", cell).replace("\N{MINUS SIGN}", "-")
    seen = "".join(each for each in usual if not each.isspace() and unicodedata.category(each) != "Cf")
    return cell[:1] in ("\t", "\r", "\n") or (seen[:1] or "x") in SIGNS


def test_each_variant_of_a_sign_is_disarmed() -> None:
    signs = [chr(each) for each in range(0x110000) if each < 0xD800 or each > 0xDFFF]
    variants = [each for each in signs if unicodedata.normalize("NFKC", each)[0] in f"{SIGNS}\N{MINUS SIGN}"]

    assert len(variants) > len(SIGNS)
    for variant in variants:
        assert read(lines(an_invoice(label=f"{variant}1")))[0]["label"] == f"'{variant}1"


@pytest.mark.parametrize("text", ["shop", "1-2", "a=b", "'quoted", "", "5", "☕ -1", "(=1)"])
def test_other_cells_are_unchanged(text: str) -> None:
    assert read(lines(an_invoice()._replace(description=text)))[0]["description"] == text


def test_times_have_the_offset_of_their_zone() -> None:
    """Also the hour that the end of summer time repeats, and the last second of the year 9999."""
    before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    ends = [before, before + timedelta(hours=1), LAST]

    rows = read(lines(*(an_invoice()._replace(expires_at=end) for end in ends)))

    assert [row["expires_at"] for row in rows] == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "9999-12-31T23:59:59+00:00",
    ]
    west = CsvLines(timezone(-timedelta(hours=3, minutes=30)))
    west.add(an_invoice())
    assert west.taken().text.splitlines()[1].split(",")[2] == "2026-11-21T08:30:00-03:30"


def test_parts_are_whole_lines_with_their_number() -> None:
    written = CsvLines(ROME)
    assert written.taken() == (",".join(COLUMNS) + "\r\n", 0)
    assert written.taken() == ("", 0)

    count = 0
    while not written.are_many:
        written.add(an_invoice()._replace(description="x" * 10_000))
        count += 1

    part = written.taken()
    assert PART_CHARACTERS <= len(part.text) < PART_CHARACTERS + 11_000
    assert (part.invoices, part.text.count("\r\n"), part.text[-2:]) == (count, count, "\r\n")
    assert not written.are_many


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
@pytest.mark.timeout(180)
def test_libreoffice_shows_the_same_texts(tmp_path: Path) -> None:
    """It is asked to remove spaces and to evaluate formulas."""
    texts = ["=1+1", '",=1+1', "\uff1d1+1", " =1+1", "Tea,\n2 cups", "☕", "@SUM(1)", 'A "B"', "-2"]
    written = lines(*(an_invoice()._replace(description=text) for text in texts))
    (tmp_path / "invoices.csv").write_bytes(written.encode())

    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}",
            "--headless",
            # Tokens 8, 10 and 13: detect special numbers, remove spaces, evaluate formulas.
            "--infilter=CSV:44,34,76,1,,0,false,true,false,true,false,0,true",
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76",
            "--outdir",
            str(tmp_path / "shown"),
            str(tmp_path / "invoices.csv"),
        ],
        check=True,
        capture_output=True,
    )

    shown = read((tmp_path / "shown/invoices.csv").read_bytes().decode())
    assert [row["description"] for row in shown] == [row["description"] for row in read(written)]
