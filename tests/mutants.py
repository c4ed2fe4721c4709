"""Say which small faults no test notices: `python -m tests.mutants`.

mutmut makes them, one at a time, in a copy of the project, and runs the tests that reach each. That
leaves out the tests that start other processes, and the modules that only those reach.
"""

import subprocess
import tempfile
from pathlib import Path

from tests.processes import copy_project

CONFIG = """
[mutmut]
source_paths=blasto/
do_not_mutate=
    blasto/__main__.py
    blasto/gunicorn.conf.py
    blasto/server.py
    blasto/startproject.py
also_copy=.
pytest_add_cli_args=
    -m
    not server and not browser and not soak
pytest_add_cli_args_test_selection=
    tests
    --ignore=tests/test_readme.py
    --ignore=tests/test_startproject.py
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        (Path(folder) / "setup.cfg").write_text(CONFIG)

        subprocess.run(["mutmut", "run"], cwd=folder, check=True)
        results = subprocess.run(
            ["mutmut", "results"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout
        for line in results.splitlines():
            print(line.strip())
            name = line.split(":")[0].strip()
            subprocess.run(["mutmut", "show", name], cwd=folder, check=False)


if __name__ == "__main__":
    main()
