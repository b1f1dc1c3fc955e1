"""Sessions that check the project. Run them all with `nox`, or one with `nox -s tests`.

Plain `nox` leaves out `bench`, `contract`, `dependencies`, `drill` and `mutation`, which take much
longer, and `screenshots`, which changes files.

With `--no-venv`, sessions run in the environment of nox itself, as `.ci/run` does with most of
them. It must have the packages that they install otherwise.
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
nox.options.sessions = [
    *("lint", "typing", "docs", "package", "minimal", "demo", "browser", "httpx2", "tests"),
]


def install(session: nox.Session, *packages: str) -> None:
    """Install packages in the environment of a session, if it has one."""
    if session.venv_backend != "none":
        session.install(*packages)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, spelling and import rules. The package need not be installed."""
    install(session, "codespell>=2.4", "import-linter>=2.14", "ruff>=0.16.4")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("codespell")
    session.run("lint-imports", "--no-logo")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types strictly, including the code blocks of the README and the documentation."""
    # The extra installs Node.js, because pyright is a program for it.
    install(session, "--editable", ".[dev]", "pyright[nodejs]>=1.1.400")
    session.run("mypy")
    folder = Path(session.create_tmp()).resolve() / "code_blocks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    session.run("python", "-m", "tests.support.documentation", str(folder))
    (folder / "pyrightconfig.json").write_text('{"include": ["."]}')  # this folder and no other
    session.run("mypy", "--strict", "--config-file=", str(folder))
    session.run("pyright", "--project", str(folder))
    session.run("pyright", "--project", "tests/typing")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests. They must cover every line and branch of the package."""
    install(session, "--editable", ".[dev]")
    session.run("coverage", "erase")
    # More workers than cores, because with --run-slow jobs start at their real rate, so tests wait
    # for much of their time. But each takes some seconds of processor time to import all tests.
    workers = (os.cpu_count() or 1) + 4
    several = () if session.posargs else (f"--numprocesses={workers}", "--dist=worksteal")
    session.run("coverage", "run", "-m", "pytest", "--run-slow", *several, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs:
        session.run("coverage", "report")


@nox.session
def httpx2(session: nox.Session) -> None:
    """Run the tests with httpx2 in the place of httpx, as an application may do.

    `nox -s httpx2 -- tests/unit` runs some of them.
    """
    install(session, "--editable", ".[dev]")
    options = ("-p", "tests.support.httpx2_in_place", "-p", "no:cacheprovider")
    session.run("python", "-m", "pytest", *options, *(session.posargs or ("--numprocesses=auto",)))


@nox.session
def browser(session: nox.Session) -> None:
    """Open the pages of reports and plans in Chromium, and check them with axe.

    Without Chromium, the session is skipped, but in CI it fails.
    """
    programs = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    is_installed = "CHROMIUM" in os.environ or any(map(shutil.which, programs))
    if not is_installed and "CI" not in os.environ:
        session.skip("Chromium is not installed. Install it, or set CHROMIUM to its path.")
    install(session, "--editable", ".[browser]")
    several = () if session.posargs else ("--run-slow", "--numprocesses=2")
    command = ("pytest", "-p", "no:cacheprovider", "tests/browser", *several, *session.posargs)
    session.run(*command, env={"BROWSER_TESTS": "1"})


@nox.session
def screenshots(session: nox.Session) -> None:
    """Make screenshots of the pages of reports and plans, and recordings of the command.

    `nox -s screenshots -- FOLDER` writes them to a folder, by default those of the documentation.
    """
    session.install("--editable", ".[browser,dev]")
    session.run("python", "-m", "tests.browser.screenshots", *session.posargs)
    session.run("python", "-m", "tests.support.recordings", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation. A broken reference is an error."""
    install(session, "--editable", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "docs/_build")


@nox.session
def bench(session: nox.Session) -> None:
    """Compare clients, as ratios. Takes minutes and needs a machine that does nothing else.

    `nox -s bench -- --smoke` only checks that all clients run.
    """
    install(session, ".[bench]")
    node = Path(session.create_tmp()).resolve()
    if shutil.which("npm"):
        # If this fails, the rows of the client for Node.js report that it is not installed.
        bounds = ("--fetch-timeout=20000", "--fetch-retries=1")
        command = ("npm", "install", "--silent", *bounds, "--prefix", str(node), "losant-rest")
        session.run(*command, external=True, success_codes=range(256))
    session.run("python", "benchmarks/run.py", *session.posargs, env={"NODE_FOLDER": str(node)})


@nox.session
def contract(session: nox.Session) -> None:
    """Check client and fake with Schemathesis, Prism and the official clients.

    Takes two minutes. `nox -s contract -- --run-slow` sends many more requests.
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
@nox.parametrize("versions", [nox.param("lowest", id="lowest"), nox.param("newest", id="newest")])
def dependencies(session: nox.Session, versions: str) -> None:
    """Run the tests with the lowest or the newest dependencies that `pyproject.toml` allows.

    Choose one with `nox -s "dependencies(lowest)"`.
    """
    resolution = {"lowest": "lowest-direct", "newest": "highest"}[versions]
    session.install("uv")
    # nox reuses the environment, so versions of an earlier run must be replaced.
    install = ("uv", "pip", "install", "--quiet", "--upgrade", f"--resolution={resolution}")
    session.run(*install, f"--python={session.virtualenv.location}", "--editable", ".[dev]")
    session.run("pytest", "--quiet", "--numprocesses=auto", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the package into `dist/`, check it, and import it in an empty environment."""
    session.install("build", "check-wheel-contents", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", silent=True)
    (wheel,) = Path("dist").glob("*.whl")
    (sdist,) = Path("dist").glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))
    session.run("check-wheel-contents", str(wheel))
    empty = Path(session.create_tmp()).resolve() / "empty"
    python = str(empty / ("Scripts" if os.name == "nt" else "bin") / "python")
    session.run("python", "-m", "venv", "--clear", str(empty))
    session.run(python, "-m", "pip", "install", "--quiet", str(wheel), external=True)
    code = "import losant_tokens; print('installed and imported', losant_tokens.__version__)"
    with session.chdir(empty):
        session.run(python, "-W", "error", "-c", code, external=True)


@nox.session
def minimal(session: nox.Session) -> None:
    """Install the client without extras. It must import and send requests."""
    session.install(".")
    session.run("python", "tests/support/minimal_install.py")


@nox.session
def demo(session: nox.Session) -> None:
    """Run both demos, installed the way a user installs them."""
    session.install(".[cli,fleet]")
    session.run("losant-tokens", "demo", *session.posargs)
    session.run("losant-tokens", "fleet", "demo", *session.posargs)


@nox.session
def drill(session: nox.Session) -> None:
    """Kill, stop and upgrade the workers of a fleet at random, for ten minutes by default.

    PostgreSQL must be installed. `nox -s drill -- --minutes 60 --seed 7` chooses the duration and
    the random numbers.
    """
    install(session, "--editable", ".[dev]")
    session.run("python", "-m", "tests.support.random_drill", *session.posargs)


# Modules that decide what happens to credentials, each with the tests that must notice a change to
# it. Each set takes only a few seconds, because it runs once for each change.
_MUTATED = {
    "losant_tokens/_credentials/token_claims.py": "tests/unit/credentials/test_token_claims.py",
    "losant_tokens/_retries/retry_policy.py": "tests/unit/retries/test_retry_policy.py",
    "losant_tokens/_credentials/scope_check.py": "tests/unit/credentials/test_scope_check.py",
    "losant_tokens/jobs/_plan/account_check.py": "tests/unit/jobs/plan/test_account_check.py",
    "losant_tokens/jobs/_execution/token_executor.py": (
        "tests/unit/jobs/execution/test_token_executor.py"
    ),
    "losant_tokens/jobs/_plan/clock.py": "tests/unit/jobs/plan/test_clock.py",
    "losant_tokens/_complete_listing/completeness.py": (
        "tests/unit/complete_listing/test_completeness.py"
    ),
    "losant_tokens/jobs/_plan/header_builder.py": (
        "tests/unit/jobs/plan/test_planner.py tests/unit/jobs/test_name_patterns.py"
        " tests/unit/jobs/plan/test_page_reader.py"
    ),
    "losant_tokens/jobs/_plan/guards.py": "tests/unit/jobs/plan/test_guards.py",
    "losant_tokens/_complete_listing/page_cursor.py": (
        "tests/unit/complete_listing/test_page_cursor.py"
    ),
    "losant_tokens/jobs/_execution/journal.py": "tests/unit/jobs/execution/test_journal.py",
    "losant_tokens/jobs/_name_patterns.py": "tests/unit/jobs/test_name_patterns.py",
    "losant_tokens/jobs/_plan/planner.py": (
        "tests/unit/jobs/plan/test_planner.py tests/unit/jobs/plan/test_clock.py"
        " tests/unit/jobs/test_name_patterns.py"
        " tests/unit/jobs/plan/test_page_reader.py"
    ),
    "losant_tokens/jobs/_plan/selector.py": (
        "tests/unit/jobs/plan/test_selector.py tests/unit/jobs/plan/test_clock.py"
    ),
    "losant_tokens/jobs/_token_rules.py": "tests/unit/jobs/test_token_rules.py",
}
# Excluded operators change type annotations (`int | None`), comparisons by identity or the `*` of a
# signature. One way to replace an arithmetic operator is enough, so most others are excluded too.
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
    """Change one small thing at a time in modules that decide what happens to credentials.

    A test must fail for at least nine of ten changes. All modules together take hours. Choose some
    by path: `nox -s mutation -- losant_tokens/_retries/retry_policy.py`.
    """
    session.install("--editable", ".[dev]", "cosmic-ray>=8.3")
    copy = Path(session.create_tmp()).resolve() / "copy"  # changes are written to disk
    for module in session.posargs or _MUTATED:
        shutil.rmtree(copy, ignore_errors=True)
        ignored = shutil.ignore_patterns(".*", "_build", "build", "dist")
        shutil.copytree(Path.cwd(), copy, ignore=ignored)
        options = "-x -q -p no:cacheprovider"
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
