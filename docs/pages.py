"""Runs the blocks of a page, compares what they print with what the page quotes, and rewrites what differs.

    python docs/pages.py                                   # every page
    python docs/pages.py README.md docs/tutorial.md        # these

The tests only compare. A page runs from its first block to its last in an empty folder, at noon of PAGE_DAY.

What a block does follows from its language:

- `console`: every line that begins with "$ " is a command for bash; the lines below it are what the command prints.
  Without lines below it, the command only runs. A line "..." stands for lines that the page leaves out. Lines of
  more than 100 columns are wrapped. A command that ends in " &" runs until the page stops it with `kill %1`.
- `python`: a program.
- `diff`: changes of the file that was written last; each removed line is followed by the line that replaces it.
- `toml`, `json`, `ini`: read by a parser.
- others: nothing.

A comment on the line before a block changes this:

- `<!-- file: NAME -->` writes the block into a file. A Python program is run from there.
- `<!-- append: NAME -->` adds the block to a file.
- `<!-- output -->` compares the block with what the block before printed.
- `<!-- random -->` compares everything but the digits: the command draws from the system's randomness.
- `<!-- exit: 1 -->` expects that exit code.
- `<!-- now: 2026-12-07 -->` moves the clock to noon of that day, from this block on.
- `<!-- skip: REASON -->` does not run the block.

`<!-- setup: PROGRAM -->` anywhere in a page first runs a program of docs/_setup. `<!-- slow -->` marks a page that
takes longer than a few seconds; the default test run leaves it out.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from quotation import PageError, compared

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGE_DAY = "2026-11-30"  # a Monday, the first day of 2026-W49
HOME = "/home/ada"  # what a page shows instead of the temporary folder
PORT = "8080"  # what a page shows instead of the free port
COMMENT = re.compile(r"^<!-- (\w+)(?:: (.*?))? -->$")
FENCE = re.compile(r"^```(\S*)(?: .*)?$")
SETTINGS = ("file", "append", "output", "random", "exit", "now", "skip")
NOT_HERE = ("pip ", "make ", "git ", "source ", "python3 -m venv", "sudo ", "systemctl ")  # commands of an installation


def all_pages() -> list[Path]:
    """README.md, the examples' page and every page of the site."""
    site = (path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    return [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted(site)]


@dataclass
class Block:
    """A fenced block: lines[start:end] of its page, without the fences."""

    language: str
    start: int
    end: int
    lines: list[str]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


class Page:
    """A page of Markdown and its blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.options: dict[str, str] = {}
        self.blocks = list(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        settings: dict[str, str] = {}
        opened: tuple[int, str] | None = None
        for number, line in enumerate(self.lines):
            fence = FENCE.match(line)
            if opened is None and (comment := COMMENT.match(line)):
                target = settings if comment[1] in SETTINGS else self.options
                target[comment[1]] = comment[2] or ""
            elif opened is None and fence:
                opened = number, fence[1]
            elif opened is None:
                if line.strip():
                    settings = {}
            elif line == "```":
                start = opened[0] + 1
                yield Block(opened[1], start, number, self.lines[start:number], settings)
                opened, settings = None, {}
        if opened is not None:
            raise PageError(f"{self.name}:{opened[0] + 1}: the block has no end")

    @property
    def runs(self) -> bool:
        """Whether the page has a block that is run or read."""
        return any(block.language in RUNNERS for block in self.blocks)

    @property
    def slow(self) -> bool:
        return "slow" in self.options

    def run(self, rewrite: bool = False) -> bool:
        """Runs every block. rewrite: writes what the commands print into the page; whether that changed the page.

        Raises PageError at the first block that fails, or that prints something else than the page quotes.
        """
        with tempfile.TemporaryDirectory(prefix="hushtally-page-") as folder:
            run = Run(self, Path(folder), rewrite)
            try:
                run.all()
            finally:
                run.stop()
        if not run.rewritten:
            return False
        lines = self.lines
        for block, quoted in reversed(run.rewritten):
            lines[block.start : block.end] = quoted
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return True


class Run:
    """One run of a page in a folder."""

    def __init__(self, page: Page, folder: Path, rewrite: bool) -> None:
        self.page, self.folder, self.rewrite = page, folder, rewrite
        self.rewritten: list[tuple[Block, list[str]]] = []
        self.port = str(free_port())
        self.written = ""  # the file that was written last
        self.printed = ""  # what the last block printed
        self.background: subprocess.Popen[str] | None = None
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        hidden = ("DO_NOT_TRACK", "HUSHTALLY_", "COLUMNS", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        self.environment = kept | {
            "PATH": path,
            "HOME": str(folder),
            "PYTHONPATH": f"{DOCS / '_clock'}{os.pathsep}{ROOT}",
            "HUSHTALLY_NO_PROGRESS": "1",
            "COLLECTOR": f"http://127.0.0.1:{self.port}",
        }
        self.move_clock(PAGE_DAY)

    def move_clock(self, day: str) -> None:
        self.environment["HUSHTALLY_PAGE_TIME"] = f"{day}T12:00:00+00:00"

    def all(self) -> None:
        (self.folder / "examples").symlink_to(ROOT / "examples")
        if setup := self.page.options.get("setup"):
            self.bash(f"python {DOCS / '_setup' / setup}", 0)
        for block in self.page.blocks:
            try:
                self.block(block)
            except PageError as error:
                raise PageError(f"{self.page.name}:{block.start + 1}: {error}") from None

    def block(self, block: Block) -> None:
        if "now" in block.settings:
            self.move_clock(block.settings["now"])
        if "skip" in block.settings:
            return
        if "file" in block.settings or "append" in block.settings:
            self.write(block)
        if "output" in block.settings:
            self.keep(block, compared(block.lines, self.printed, "random" in block.settings, self.rewrite))
        elif runner := RUNNERS.get(block.language):
            runner(self, block)

    def write(self, block: Block) -> None:
        added = "append" in block.settings
        self.written = block.settings["append" if added else "file"]
        with (self.folder / self.written).open("a" if added else "w", encoding="utf-8") as file:
            file.write(block.text.replace(PORT, self.port))

    def console(self, block: Block) -> None:
        quoted: list[str] = []
        for command, *shown in commands(block.lines):
            code = int(block.settings.get("exit", "0"))
            self.printed = "" if command.startswith(NOT_HERE) else self.command(command, code)
            if command.startswith(NOT_HERE):
                self.exists(command)
                quoted += [f"$ {command}", *shown]
            elif shown:
                quoted += [f"$ {command}"]
                quoted += compared(shown, self.printed, "random" in block.settings, self.rewrite, command)
            else:
                quoted += [f"$ {command}"]
        self.keep(block, quoted)

    def keep(self, block: Block, quoted: list[str]) -> None:
        if quoted != block.lines and self.rewrite:
            self.rewritten.append((block, quoted))

    def command(self, command: str, code: int) -> str:
        if command == "kill %1":
            return self.stop()
        if command.endswith(" &"):
            return self.start(command.removesuffix(" &"))
        return self.bash(command, code)

    def bash(self, command: str, code: int) -> str:
        done = subprocess.run(
            ["bash", "-c", command.replace(PORT, self.port)],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300,
        )  # fmt: skip
        printed = self.shown(done.stdout)
        if done.returncode != code:
            raise PageError(f"{command}: exit code {done.returncode} instead of {code}:\n{printed}")
        return printed

    def start(self, command: str) -> str:
        """Starts a command in the background; what it prints until it is ready."""
        with (self.folder / ".background").open("w", encoding="utf-8") as output:
            self.background = subprocess.Popen(
                ["bash", "-c", f"exec {command.replace(PORT, self.port)}"],
                cwd=self.folder, env=self.environment, stdout=output, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        for _ in range(300):
            time.sleep(0.1)
            printed = (self.folder / ".background").read_text(encoding="utf-8")
            if printed.endswith("\n") and listens(int(self.port)):
                return self.shown(printed)
            if self.background.poll() is not None:
                break
        raise PageError(f"{command}: was not ready within 30 s:\n{printed}")

    def stop(self) -> str:
        """Ends the command in the background; what it printed since it was ready."""
        if self.background is None:
            return ""
        before = (self.folder / ".background").read_text(encoding="utf-8")
        self.background.send_signal(signal.SIGTERM)
        self.background.wait(60)
        self.background = None
        return self.shown((self.folder / ".background").read_text(encoding="utf-8").removeprefix(before))

    def shown(self, printed: str) -> str:
        """What was printed, with the page's folder and port."""
        return printed.replace(str(self.folder), HOME).replace(f":{self.port}", f":{PORT}")

    def exists(self, command: str) -> None:
        """A target of make is in the Makefile."""
        if command.startswith("make "):
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            for target in command.removeprefix("make ").split():
                if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE):
                    raise PageError(f"{command}: the Makefile has no target {target}")

    def python(self, block: Block) -> None:
        program = block.settings.get("file", ".block.py")
        (self.folder / program).write_text(block.text.replace(PORT, self.port), encoding="utf-8")
        self.printed = self.bash(f"python -W error {program}", int(block.settings.get("exit", "0")))

    def diff(self, block: Block) -> None:
        file = self.folder / self.written
        text = file.read_text(encoding="utf-8")
        changes = [line for line in block.lines if line[:1] in ("-", "+")]
        for before, after in zip(changes[::2], changes[1::2], strict=True):
            if (before[0], after[0]) != ("-", "+") or text.count(before[1:]) != 1:
                raise PageError(f"the diff does not fit {self.written}: {before}")
            text = text.replace(before[1:], after[1:])
        file.write_text(text, encoding="utf-8")

    def toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def json(self, block: Block) -> None:
        json.loads(block.text)

    def ini(self, block: Block) -> None:
        configparser.ConfigParser().read_string(block.text)


RUNNERS = {
    "console": Run.console,
    "python": Run.python,
    "diff": Run.diff,
    "toml": Run.toml,
    "json": Run.json,
    "ini": Run.ini,
}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def commands(lines: Sequence[str]) -> Iterator[list[str]]:
    """A command and the lines quoted below it, for each command of a block; a line that ends in \\ continues."""
    found: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            if found:
                yield found
            found = [line[2:]]
        elif found and len(found) == 1 and found[0].endswith("\\"):
            found[0] += f"\n{line}"
        else:
            found.append(line)
    if found:
        yield found


def main(names: Sequence[str]) -> int:
    """Runs and rewrites pages; 1 if a page failed."""
    failed = 0
    for path in [Path(name).resolve() for name in names] or all_pages():
        page = Page(path)
        if not page.runs:
            continue
        try:
            print(f"{page.name}: {'rewritten' if page.run(rewrite=True) else 'as it was'}", flush=True)
        except PageError as error:
            failed = 1
            print(error, file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
