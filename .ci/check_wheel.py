"""Compare an installed wheel with the repository: every module and every data file is in it.

Usage, from outside the repository: ``python check_wheel.py <repository>``.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

FOLDERS = ("envs", "agents", "configs", "experiments")
SHIPPED = {".py", ".yaml", ".j2", ".css", ".safetensors", ".json", ".typed"}


def files(folder: Path) -> set[str]:
    """Return the files under a folder that a wheel has to carry."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix in SHIPPED or path.name == "py.typed"
    }


def main(repository: Path) -> int:
    """Print one line per folder; return 1 if a file is missing or the wrong copy is imported."""
    failed = False
    for folder in FOLDERS:
        package = importlib.import_module(f"misgen.{folder}")
        installed = Path(package.__path__[0])
        missing = files(repository / folder) - files(installed)
        wrong = installed.is_relative_to(repository) or importlib.util.find_spec(folder)
        failed |= bool(missing or wrong)
        print(f"misgen.{folder}: {len(files(installed))} files", *(f"missing {m}" for m in missing))
        if wrong:
            print(f"misgen.{folder} is imported from {installed}, or {folder} is importable too")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
