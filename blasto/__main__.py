"""`python -m blasto` is `flask run`, options included."""

import sys

from flask.cli import cli

cli.main(["--app", "blasto", "run", *sys.argv[1:]])
