"""Entry point of `python -m tilld.cli`."""

from tilld.cli import main

main()
