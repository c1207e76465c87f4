"""Writes docs/reference/configuration.md with a table of all settings. Run by make."""

import sys
from pathlib import Path

from tilld.config.settings import SETTINGS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "configuration.md"
HEAD = ("in the file", "flag", "variable", "default", "commands", "meaning")


def page() -> str:
    """Return the page with the table of the present settings."""
    before, _, rest = PAGE.read_text().partition("-->\n")
    _, end, after = rest.partition("<!--")
    rows = [HEAD, ["---"] * len(HEAD)]
    for each in SETTINGS:
        flag = f"`{each.flag} {each.metavar}`".replace(" `", "`") if each.flag else ""
        flag += ", repeatable" * each.is_list
        variable = f"`{each.variable}`" + ", comma-separated" * each.is_list
        commands = ", ".join(each.commands)
        in_file = "" if each.name == "config" else f"`{each.name}`"
        rows.append((in_file, flag, variable, each.default, commands, each.description))
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{before}-->\n\n{table}\n{end}{after}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
