"""Map the top-level folders onto the import name ``misgen``.

The code lives in ``envs/ agents/ configs/ experiments/`` and is imported as ``misgen.envs`` and
so on, so that nothing generic lands in site-packages. Packages are found, not listed: a new
subfolder is never left out of a wheel. Everything else is declared in ``pyproject.toml``.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
FOLDERS = ("envs", "agents", "configs", "experiments")


def packages() -> list[str]:
    """Return every package under the four folders, by its import name."""
    return [
        f"misgen.{name}"
        for folder in FOLDERS
        for name in (folder, *(f"{folder}.{sub}" for sub in find_packages(str(ROOT / folder))))
    ]


if __name__ == "__main__":
    setup(
        packages=packages(),
        package_dir={f"misgen.{folder}": folder for folder in FOLDERS},
        package_data={
            "": ["py.typed"],
            "misgen.agents": ["zoo/**"],
            "misgen.configs": ["**/*.yaml"],
            "misgen.experiments": ["**/*.j2", "**/*.css", "**/*.json", "**/*.html", "**/*.js"],
        },
    )
