"""Runs the default tests with the clock moved to other dates; `make test-dates` starts this program.

time-machine moves the clock of pytest and of every Python process that a test starts. The moved clock runs at the usual
speed, and waiting times stay real. Arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

DAYS_AHEAD = "TEST_DAYS_AHEAD"  # the environment variable that moves the clock
# every Python process of this environment runs this line when it starts
START_LINE = (
    f"import os; os.environ.get('{DAYS_AHEAD}') and exec('import datetime, time_machine; "
    f'time_machine.travel(datetime.timedelta(days=int(os.environ["{DAYS_AHEAD}"])), tick=True).start()\')'
)


def dates_to_try(today: date) -> dict[str, date]:
    """The dates on which code about dates tends to fail, all after `today`."""
    leap_year = next(year for year in range(today.year, today.year + 9) if _is_after(today, year, 2, 29))
    last_week = next(year for year in (today.year, today.year + 1) if _is_after(today, year, 12, 29))
    return {
        "in a week": today + timedelta(days=7),
        "in half a year": today + timedelta(days=183),
        "in the last week of a year": date(last_week, 12, 29),
        "on 29 February": date(leap_year, 2, 29),
        "on the first of a month": (today.replace(day=1) + timedelta(days=32)).replace(day=1),
    }


def _is_after(today: date, year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day) > today
    except ValueError:  # no 29 February in that year
        return False


@contextmanager
def start_line_installed() -> Iterator[None]:
    """Make every new Python process run START_LINE, which does nothing unless DAYS_AHEAD is set."""
    file = Path(sysconfig.get_path("purelib")) / "hushtally_test_dates.pth"
    file.write_text(START_LINE + "\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink()


def check_clock(environment: dict[str, str], expected: date) -> None:
    """Exit with a message if a process in this environment does not see the expected date."""
    program = "from datetime import UTC, datetime; print(datetime.now(UTC).date())"
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    seen = date.fromisoformat(run.stdout.strip())
    if seen < expected:  # midnight may pass meanwhile
        sys.exit(f"the clock was not moved: expected {expected}, got {seen}; is time-machine installed?")


def main(arguments: list[str]) -> int:
    """Run pytest once for each date; returns 1 if a test failed on any date."""
    today = datetime.now(UTC).date()
    options = ["-n", "auto", "--maxprocesses", "8", "--dist", "worksteal", "-p", "no:cacheprovider"]
    options += ["--ignore=tests/test_architecture.py"]  # it checks which modules are loaded; time-machine loads more
    options += ["-m", "not slow and not long"]
    # time-machine is also a pytest plugin; START_LINE imports the module before pytest does
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    failed = []
    with start_line_installed():
        for words, day in dates_to_try(today).items():
            print(f"The tests {words}: {day}", flush=True)
            environment = {**os.environ, DAYS_AHEAD: str((day - today).days)}
            check_clock(environment, day)
            if subprocess.run([sys.executable, "-m", "pytest", *options, *arguments], env=environment).returncode != 0:
                failed.append(words)
    print(f"Failed: {', '.join(failed)}" if failed else "The tests pass on every date.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
