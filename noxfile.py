"""What must pass, and how to run it: `nox`, or `nox -s tests`."""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.stop_on_first_error = True


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, and the direction of the imports; none of it needs the package installed."""
    session.install("ruff>=0.12", "import-linter>=2.3")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports", "--no-logo")


@nox.session
def typing(session: nox.Session) -> None:
    """Types, strictly."""
    session.install("--editable", ".[dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, and the coverage of the package by them."""
    session.install("--editable", ".[dev]")
    session.run("coverage", "erase")
    several = () if session.posargs else ("--numprocesses=auto", "--dist=worksteal")
    session.run("coverage", "run", "-m", "pytest", "--run-slow", *several, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs:
        session.run("coverage", "report")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, where a broken reference is an error."""
    session.install("--editable", ".[docs,aiohttp,testing]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "docs/_build")


@nox.session
def bench(session: nox.Session) -> None:
    """Clients beside each other, as ratios. Takes minutes, and wants a quiet machine."""
    session.install(".[bench]")
    node = Path(session.create_tmp()).resolve()
    if shutil.which("npm"):  # without its registry, the rows of Node.js say that it is not there
        bounds = ("--fetch-timeout=20000", "--fetch-retries=1")
        install = ("npm", "install", "--silent", *bounds, "--prefix", str(node), "losant-rest")
        session.run(*install, external=True, success_codes=range(256))
    session.run("python", "benchmarks/run.py", *session.posargs, env={"NODE_FOLDER": str(node)})


@nox.session
def bare(session: nox.Session) -> None:
    """The client alone, without any extra: it must import, and send."""
    session.install(".")
    session.run("python", "tests/bare.py")


@nox.session
def demo(session: nox.Session) -> None:
    """The demo, installed as a user would."""
    session.install(".[cli]")
    session.run("losant-tokens", "demo", *session.posargs)
