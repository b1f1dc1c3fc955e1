"""What the help of each command ends with: examples, the environment, exit codes."""

ROOT = """\
Environment:
  LOSANT_API_TOKEN  the API token; never an argument, because everybody on the
                    machine can see those
  LOSANT_API_URL    where the API is; default: https://api.losant.com
  LOSANT_INSECURE_HTTP
                    1 allows plain http to another host, such as a test server:
                    anyone on the network can then read the token
  HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR
                    the proxy, and the certificate authorities to trust
  NO_COLOR          no colours

Exit codes:
  0  done               4    blocked by a safety check
  1  error or declined  70   a bug: please report it
  2  usage error        130  stopped by Ctrl-C, SIGTERM or SIGHUP
  3  some failed

Examples:
  losant-tokens demo
  losant-tokens list --name 'ci-*'
  losant-tokens cleanup --expired
  losant-tokens COMMAND --help\
"""

_TOKEN = "The API token comes from LOSANT_API_TOKEN, never from an argument."  # noqa: S105 -- a sentence

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

Prints the id of each token as soon as it is deleted; exits with 3 if some were
not. The token that the command itself uses is refused.

Examples:
  losant-tokens delete 575ec7417ae143cd83dc4a95
  losant-tokens list --name 'ci-*' --json | jq -r '.[].id' |
    xargs losant-tokens delete --yes\
"""

_GLOB = "In a GLOB, * matches anything, ? one character, [ab] one of them."

PLAN = f"""\
{_TOKEN}

{_GLOB}

A plan can be read, and kept for review. If it is altered, it is refused.

Examples:
  losant-tokens plan --expired --out plan.jsonl
  losant-tokens plan --named 'ci-*' --not-updated-for 90d --protect 'ci-prod-*'
  losant-tokens plan --inactive --expired --any --owner user --owner oauth\
"""

APPLY = f"""\
{_TOKEN}

Each token is read again, and left alone where it has changed since the plan.
Ctrl-C stops: what is under way is finished, and --resume carries on.

Examples:
  losant-tokens apply plan.jsonl
  losant-tokens apply plan.jsonl --resume --yes --report report.html\
"""

CLEANUP = f"""\
{_TOKEN}

{_GLOB}

Examples:
  losant-tokens cleanup --expired
  losant-tokens cleanup --named 'ci-*' --older-than 30d --report cleanup.html
  losant-tokens cleanup --expired --yes --max-changes 500      # for cron\
"""

QUARANTINE = f"""\
{_TOKEN}

{_GLOB}

A token that is inactive is refused, and can be activated again. The report, as
JSON, is what `restore` and `sweep` read.

Examples:
  losant-tokens quarantine --not-updated-for 180d --report quarantine.json
  losant-tokens restore quarantine.json
  losant-tokens sweep quarantine.json --after 30d\
"""

SWEEP = f"""\
{_TOKEN}

Examples:
  losant-tokens sweep quarantine.json --after 30d
  losant-tokens sweep quarantine.json --after 4w --yes --report swept.html\
"""

RESTORE = f"""\
{_TOKEN}

Examples:
  losant-tokens restore quarantine.json\
"""

PRUNE = """\
Removes only files that `plan`, `cleanup`, `sweep` and `restore` named, and only
if each token of the job has an outcome, or the plan was never applied.
Quarantines, their reports and files named with --out stay. Other commands prune
what is older than 180 days by themselves.

Examples:
  losant-tokens prune
  losant-tokens prune --older-than 30d\
"""

COMPLETION = """\
Examples:
  losant-tokens completion bash > ~/.local/share/bash-completion/completions/losant-tokens
  losant-tokens completion zsh > ~/.zfunc/_losant-tokens
  losant-tokens completion fish > ~/.config/fish/completions/losant-tokens.fish\
"""

SANDBOX = """\
It prints how to connect to it. Exits with 0 when Ctrl-C ends it.

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
