"""What the help of each command ends with: examples, the environment, exit codes."""

ROOT = """\
Environment:
  LOSANT_API_TOKEN  the API token to go by; never an argument, since everybody on
                    the machine can see those
  LOSANT_API_URL    where the API is; default: https://api.losant.com
  NO_COLOR          no colours

Exit codes:
  0  done                      3    some failed
  1  failed, or not agreed to  130  interrupted by Ctrl-C
  2  not understood

Examples:
  losant-tokens demo
  losant-tokens list --name 'ci-*'
  losant-tokens COMMAND --help\
"""

_TOKEN = "The API token to go by comes from LOSANT_API_TOKEN, never from an argument."  # noqa: S105 -- a sentence

LIST = f"""\
{_TOKEN}

Examples:
  losant-tokens list --name 'ci-*' --status inactive
  losant-tokens list --sort-field expirationDate --limit 20
  losant-tokens list --owner application:575ec8687ae143cd83dc4a97
  losant-tokens list --json | jq -r '.[] | select(.status == "active") | .id'\
"""

SHOW = f"""\
{_TOKEN}

Examples:
  losant-tokens show 575ec7417ae143cd83dc4a95
  losant-tokens show 575ec7417ae143cd83dc4a95 --json\
"""

CREATE = f"""\
{_TOKEN}

Without --scope, Losant decides what the token may do.

Examples:
  losant-tokens create ci --scope all.User.read --expires 90d
  TOKEN=$(losant-tokens create ci --scope all.User.read --expires 90d)\
"""

PATCH = f"""\
{_TOKEN}

Examples:
  losant-tokens patch 575ec7417ae143cd83dc4a95 --status inactive
  losant-tokens patch 575ec7417ae143cd83dc4a95 --name ci --description 'nightly build'\
"""

DELETE = f"""\
{_TOKEN}

Writes the id of each token that was deleted; exits with 3 where some were not.

Examples:
  losant-tokens delete 575ec7417ae143cd83dc4a95
  losant-tokens list --name 'ci-*' --json | jq -r '.[].id' |
    xargs losant-tokens delete --yes\
"""

SANDBOX = """\
It tells how to connect to it. Exits with 0 when Ctrl-C ends it.

Examples:
  losant-tokens sandbox
  losant-tokens sandbox --port 8080 --tokens 50\
"""

DEMO = """\
Needs no account and touches none: what it deletes are tokens of the fake.

Examples:
  losant-tokens demo
  losant-tokens demo --tokens 10000 --concurrency 50\
"""
