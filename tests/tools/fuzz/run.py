"""Fuzz one reader with atheris, or each in turn.

    make fuzz                          every target, a minute each
    make fuzz TARGET=npz SECONDS=1800

Inputs that reach new code are kept in build/fuzz/<target>, so the next run goes on from there. A
finding stops the run and is left in build/fuzz/found/<target>: mend what it shows, then move it to
tests/tools/fuzz/regressions/<target>, where the ordinary tests replay it.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY_MB = 600
"""Of the whole process, of which the interpreter and its libraries are 150."""
HANG_SECONDS = 20
LONGEST_INPUT = 1 << 14
ROOT = Path(__file__).parents[3]
RAM_DISK = Path("/dev/shm")  # noqa: S108 - a few kilobytes, in a folder of its own


def fuzz(target_name: str, seconds: str, scratch: Path) -> None:
    """Run the fuzzer in this process; it does not return."""
    import atheris

    with atheris.instrument_imports(include=["gpt2_convert", "zipfile"]):
        import gpt2_convert

        # The package imports late, when nothing would be instrumented any more.
        for module in pkgutil.walk_packages(gpt2_convert.__path__, "gpt2_convert."):
            importlib.import_module(module.name)
    from tools.fuzz.targets import TARGETS

    target = TARGETS[target_name]
    regressions = Path(__file__).with_name("regressions") / target_name
    kept, found = (ROOT / "build" / "fuzz" / part for part in (target_name, f"found/{target_name}"))
    for folder in (kept, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds(scratch)):
        (kept / f"seed-{number}").write_bytes(seed)
    words = scratch / "words"
    words.write_text("".join(f'"{spell(word)}"\n' for word in target.words))
    place = scratch / "files"
    place.mkdir()
    options = [
        f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST_INPUT}", f"-dict={words}", f"-artifact_prefix={found}/",
        "-print_final_stats=1", str(kept), *([str(regressions)] if regressions.is_dir() else []),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], lambda data: target.run(data, place))
    atheris.Fuzz()


def spell(word: bytes) -> str:
    """Return a word as the fuzzer's dictionary has it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def start(target_name: str, seconds: str) -> int:
    """Run the fuzzer in a process of its own, which may end anyhow, and clear up behind it."""
    with tempfile.TemporaryDirectory(dir=RAM_DISK if RAM_DISK.is_dir() else None) as scratch:
        command = [sys.executable, "-m", "tools.fuzz.run", target_name, seconds, scratch]
        return subprocess.run(command, check=False).returncode


def main() -> int:
    match sys.argv[1:]:
        case [target_name, seconds, scratch]:
            fuzz(target_name, seconds, Path(scratch))
        case ["all", seconds]:
            from tools.fuzz.targets import TARGETS

            return max([start(name, seconds) for name in TARGETS], key=abs)
        case [target_name, seconds]:
            return start(target_name, seconds)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    sys.exit(main())
