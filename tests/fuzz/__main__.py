"""Fuzzes one target.

python -m tests.fuzz body|reply [options of libFuzzer] [directory of a corpus | file to run again]...
"""

import logging
import sys

import atheris
import structlog

with atheris.instrument_imports(include=["tilld", "pyln"]):
    from tests.fuzz import targets

# Otherwise tilld would log every refusal.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

name = sys.argv.pop(1)
atheris.Setup(sys.argv, {"body": targets.body, "reply": targets.reply}[name])
atheris.Fuzz()
