"""What must pass, and how to run it: `nox`, or `nox -s tests`.

`nox` alone leaves out `bench`, `contract` and `mutation`, which take from minutes to hours.
"""

import json
import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.stop_on_first_error = True
nox.options.sessions = ["lint", "typing", "docs", "bare", "demo", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, and the direction of the imports; none of it needs the package installed."""
    session.install("ruff>=0.12", "import-linter>=2.3")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports", "--no-logo")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types strictly, those of the code blocks in the README and the documentation too."""
    session.install("--editable", ".[dev]", "pyright[nodejs]>=1.1.400")
    session.run("mypy")
    folder = Path(session.create_tmp()).resolve() / "code_blocks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    session.run("python", "-m", "tests.support.documentation", str(folder))
    session.run("mypy", "--strict", "--config-file=", str(folder))
    session.run("pyright", "--project", str(folder))


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, and the coverage of the package by them."""
    session.install("--editable", ".[dev]")
    session.run("coverage", "erase")
    # The tests wait for half of their time: for timeouts, and for processes of their own.
    workers = (os.cpu_count() or 1) + 1
    several = () if session.posargs else (f"--numprocesses={workers}", "--dist=worksteal")
    session.run("coverage", "run", "-m", "pytest", "--run-slow", *several, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs:
        session.run("coverage", "report")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation. A broken reference is an error."""
    session.install("--editable", ".[docs]")
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
def contract(session: nox.Session) -> None:
    """Other people's tools: Schemathesis, Prism, and the official clients for Python and Node.js.

    Takes about two minutes. `nox -s contract -- --run-slow` sends many more requests.
    """
    session.install("--editable", ".[dev]", "schemathesis>=4.0")
    tools = Path(session.create_tmp()).resolve()
    if shutil.which("npm"):
        bounds = ("--fetch-timeout=20000", "--fetch-retries=1", "--no-audit", "--no-fund")
        packages = ("@stoplight/prism-cli@5", "losant-rest@2")
        install = ("npm", "install", "--silent", *bounds, "--prefix", str(tools), *packages)
        session.run(*install, external=True, success_codes=range(256))
    else:
        session.warn("npm is not installed: the checks with Prism and Node.js are skipped")
    env = {"CONTRACT_TOOLS": str(tools)}
    session.run("pytest", "-p", "no:cacheprovider", "tests/contract", *session.posargs, env=env)


@nox.session
def bare(session: nox.Session) -> None:
    """The client alone, without any extra: it must import, and send."""
    session.install(".")
    session.run("python", "tests/support/bare.py")


@nox.session
def demo(session: nox.Session) -> None:
    """The demo, installed as a user would."""
    session.install(".[cli]")
    session.run("losant-tokens", "demo", *session.posargs)


# Modules that decide about credentials, each with the smallest set of tests that must notice a
# change to it. Each set takes a few seconds, because it runs once for each change.
_MUTATED = {
    "losant_tokens/_credential.py": "tests/unit/test_credential.py",
    "losant_tokens/_retry.py": "tests/unit/test_retry.py",
    "losant_tokens/_scopes.py": "tests/unit/test_scopes.py",
    "losant_tokens/jobs/_plan/account.py": "tests/unit/jobs/plan/test_account.py",
    "losant_tokens/jobs/_execution/executor.py": "tests/unit/jobs/execution/test_executor.py",
    "losant_tokens/jobs/_plan/guards.py": "tests/unit/jobs/plan/test_guards.py",
    "losant_tokens/jobs/_execution/journal.py": "tests/unit/jobs/execution/test_journal.py",
    "losant_tokens/jobs/_name_patterns.py": "tests/unit/jobs/test_name_patterns.py",
    "losant_tokens/jobs/_plan/planner.py": (
        "tests/unit/jobs/plan/test_planner.py tests/unit/jobs/plan/test_plan_clock.py"
        " tests/unit/jobs/test_name_patterns.py"
        " tests/unit/jobs/plan/test_page_reader.py"
        " --deselect=tests/unit/jobs/plan/test_planner.py::test_memory_is_constant"
    ),
    "losant_tokens/jobs/_rules.py": "tests/unit/jobs/test_rules.py",
}
# Not applied: operators that change type annotations (`int | None`), comparisons by identity, the
# `*` of a signature (to `/`), and most ways to replace an arithmetic operator; one is enough.
_UNUSED_OPERATORS = [
    ".*Bit(Or|And|Xor).*",
    ".*(Eq|Lt|LtE|Gt|GtE|NotEq)_Is(Not)?$",
    ".*_(Is_Eq|IsNot_NotEq)$",
    "core/ReplaceBinaryOperator_.*_(Mod|Pow|FloorDiv|RShift|LShift)$",
    "core/ReplaceBinaryOperator_Mul_Div$",
    "core/Variable.*",
]


@nox.session
def mutation(session: nox.Session) -> None:
    """Make one small change at a time to modules that decide about credentials.

    A test must fail for at least nine changes in ten. Takes hours for all modules; name modules to
    choose some: `nox -s mutation -- losant_tokens/_retry.py`.
    """
    session.install("--editable", ".[dev]", "cosmic-ray>=8.3")
    copy = Path(session.create_tmp()).resolve() / "copy"  # the changes are made on disk
    for module in session.posargs or _MUTATED:
        shutil.rmtree(copy, ignore_errors=True)
        keep_out = shutil.ignore_patterns(".*", "_build", "build", "dist")
        shutil.copytree(Path.cwd(), copy, ignore=keep_out)
        options = "-x -q -p no:cacheprovider -p no:xdist"
        tests = f"python -m pytest {options} {_MUTATED[module]}"
        settings = f"""
            [cosmic-ray]
            module-path = "{module}"
            timeout = 60.0
            excluded-modules = []
            test-command = "{tests}"
            [cosmic-ray.distributor]
            name = "local"
            [cosmic-ray.filters.operators-filter]
            exclude-operators = {json.dumps(_UNUSED_OPERATORS)}
        """
        (copy / "mutation.toml").write_text(settings)
        with session.chdir(copy):
            session.run("cosmic-ray", "baseline", "mutation.toml")
            session.run("cosmic-ray", "init", "mutation.toml", "mutation.sqlite")
            session.run("cr-filter-operators", "mutation.sqlite", "mutation.toml")
            session.run("cosmic-ray", "exec", "mutation.toml", "mutation.sqlite")
            session.run("cr-report", "--surviving-only", "--show-diff", "mutation.sqlite")
            session.run("cr-rate", "--fail-over", "10", "mutation.sqlite")
