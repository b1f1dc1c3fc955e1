"""Texts for the help of each command: notes, examples, environment variables and exit codes."""

ROOT = """\
Environment:
  LOSANT_API_TOKEN
      The API token. It is never an argument, because other
      users can see the arguments of a process.
  LOSANT_API_TOKEN_FILE
      A file with the API token, which only you can read.
  LOSANT_API_URL
      The base URL of the API. An account has its own.
      Default: https://api.losant.com
  LOSANT_TOKENS_CONFIG
      The configuration file, which names accounts.
      Default: ~/.config/losant-tokens/config.toml
  LOSANT_TOKENS_FLEET
      The store of the fleet, such as
      postgresql://db.example.com/fleet
      Default: a file in the state folder
  LOSANT_TOKENS_BY
      The person to record with runs and decisions.
      Default: the user and the machine
  LOSANT_INSECURE_HTTP
      1 allows http:// to another host, such as a test
      server. Everyone on the network can read the token.
  HTTPS_PROXY, ALL_PROXY, NO_PROXY
      The proxy.
  SSL_CERT_FILE, SSL_CERT_DIR
      The certificate authorities to trust.
  NO_COLOR
      Disables colors in any case.
  FORCE_COLOR, CLICOLOR_FORCE
      Enable colors without a terminal. 0 has no effect.
  CLICOLOR
      0 disables colors, and so does TERM=dumb.
  LOSANT_TOKENS_PAGER, PAGER
      The pager for long output on a terminal.
      The first one that is set is used. Default: less.
      cat means no pager.

Exit codes:
  0    success
  1    error or declined
  2    usage error
  3    some tokens, accounts or owners failed
  4    blocked by a safety check
  5    changes planned, plans or audits differ, or findings,
       with --exit-code or --fail-on; a problem of the fleet
  70   a bug in this command: please report it
  130  stopped by Ctrl-C, SIGTERM or SIGHUP
  141  the reader of the output ended, such as head

Examples:
  losant-tokens demo
  losant-tokens list --named 'ci-*'
  losant-tokens cleanup --expired
  losant-tokens COMMAND --help\
"""

_TOKEN = "The API token comes from --account or LOSANT_API_TOKEN, never from an argument."  # noqa: S105 -- a sentence

_GLOB = "In a GLOB, * matches any characters, ? one character, and [ab] a or b."

_OWNER = "OWNER is user, oauth, application:ID or instance:ID."

_LOG = "LOG is org:ID or instance:ID."

_SEEN = f"""\
{_LOG} An audit log names the tokens that changed
something, and these are in use. It does not record reads, so a token that it
does not name may still be in use.\
"""

_AGE = """\
AGE is like 12h, 30d, 4w, 18mo or 2y: hours, days, weeks,
months of 30 days, or years of 365 days.\
"""

_SELECTION = f"""\
A token is selected if it matches all selection options, or any with --any.

{_OWNER}
AGE and DURATION are like 12h, 30d, 4w, 18mo or 2y: hours,
days, weeks, months of 30 days, or years of 365 days.
{_GLOB}\
"""

NOTIFY = f"""\
{_TOKEN}

Without a receiver, the message is printed. One message names all tokens that
expire within DURATION, and those that expired in the last 30 days; the next run
names the others if there are more than 500. Inactive tokens are left out. Each
token is reported once to each receiver, and again if a shorter DURATION is
reached, or after it expired. If a run is killed after it sent the message, the
next run sends it again, with the same id.

The exit code is 3 if some accounts or owners could not be read, so that the
message may not name all tokens.

{_OWNER}
LOG is org:ID or instance:ID.
DURATION is like 12h, 30d, 4w, 18mo or 2y: hours, days,
weeks, months of 30 days, or years of 365 days.
{_GLOB}
NAME is an environment variable that holds the URL or the token, because other
users can see arguments. FILE must be readable only by you.
COMMAND is run without a shell.

Examples:
  losant-tokens notify --dry-run
  losant-tokens notify --expires-within 30d --expires-within 7d
  losant-tokens notify --slack-webhook SLACK_URL --quiet       # for cron
  losant-tokens notify --to-command 'tee notice.txt'\
"""

LIST = f"""\
{_TOKEN}

Without selection options, all tokens are listed.
{_SELECTION}
COLUMN is id, name, status, expires, created, updated, scopes, creator, owner,
account, seen or description. COLUMNS are separated by commas: id,name,expires.
FIELDS are members of the API's JSON, or owner: id,name,expirationDate.
With several accounts, account is the first column, and a field. The exit code
is 3 if some accounts or discovered owners cannot be listed.
{_SEEN}

On a terminal, the table fits its width, and a long one is shown in a pager. In
a pipe, each token is one line of complete values separated by tabs, without a
header. Only --limit leaves out tokens.

Examples:
  losant-tokens list --named 'ci-*' --inactive
  losant-tokens list --expires-within 30d --sort expires
  losant-tokens list --sort created:desc --limit 20 --columns id,name,creator
  losant-tokens list --expired --owner user --owner oauth --csv > expired.csv
  losant-tokens list --never-expires --json id,name | jq -r '.[].id'
  losant-tokens list --seen-in org:58c9e0d5f2b6740001de93b7 --sort seen:desc\
"""

SHOW = f"""\
{_TOKEN}

{_OWNER}
{_SEEN}

Examples:
  losant-tokens show 575ec7417ae143cd83dc4a95
  losant-tokens show 575ec7417ae143cd83dc4a95 --json\
"""

CREATE = f"""\
{_TOKEN}

{_OWNER}
WHEN is a time from now (12h, 90d, 4w, 18mo, 2y), a date
(2030-01-01, UTC), or never.

The secret is shown only once. Only the secret is written to stdout; messages
are written to stderr. Without --scope, Losant chooses the scopes. A misspelt
scope is refused. Without --expires, a terminal asks for it. A time from now
starts at the server's time.

Examples:
  losant-tokens create ci --scope all.User.read --expires 90d
  losant-tokens create ci --scope all.User.read --expires never
  TOKEN=$(losant-tokens create ci --scope all.User.read --expires 90d)\
"""

PATCH = f"""\
{_TOKEN}

{_OWNER}

The scopes and the expiration date of a token cannot be changed.

Examples:
  losant-tokens patch 575ec7417ae143cd83dc4a95 --status inactive
  losant-tokens patch 575ec7417ae143cd83dc4a95 --description 'nightly build'\
"""

DELETE = f"""\
{_TOKEN}

{_OWNER}

The command asks for confirmation, and continues after a failure. It writes the
id of each deleted token to stdout.

Examples:
  losant-tokens delete 575ec7417ae143cd83dc4a95
  losant-tokens list --named 'ci-*' --columns id |
    xargs losant-tokens delete --yes\
"""

PLAN = f"""\
{_TOKEN}

{_SELECTION}

The plan is a file. `losant-tokens plan show` shows it for review, and
`losant-tokens apply` applies it, unless it was altered.

CLEANUP is the name of a clean-up in a policy file. The selection and the guards
are those of the file, and other options can only select fewer tokens. For a
ladder, the step that is due is planned: delete if tokens of its quarantines are
due, otherwise deactivate.

{_SEEN}

Examples:
  losant-tokens plan --expired --out plan.jsonl
  losant-tokens plan show plan.jsonl --full
  losant-tokens plan --named 'ci-*' --not-updated-for 90d --protect 'ci-prod-*'
  losant-tokens plan --inactive --expired --any --owner user --owner oauth
  losant-tokens plan --older-than 1y --seen-in org:58c9e0d5f2b6740001de93b7
  losant-tokens plan --policy expired --policy-file policy.toml\
"""

PLAN_SHOW = """\
The last line states whether the plan is valid, was started, or is complete.
Nothing is sent, so the command needs no API token.

Examples:
  losant-tokens plan show plan.jsonl
  losant-tokens plan show plan.jsonl --full
  losant-tokens plan show plan.jsonl --html plan.html
  losant-tokens plan show plan.jsonl --json | jq '.totals'\
"""

PLAN_DIFF = """\
A token was added or removed if only one of the plans selects or protects it. It
was changed if the plans do something else with it, or for another reason.

Examples:
  losant-tokens plan diff monday.jsonl tuesday.jsonl
  losant-tokens plan diff monday.jsonl tuesday.jsonl --exit-code\
"""

APPLY = f"""\
{_TOKEN}

{_AGE}

Each token is read again before its change, and left alone if it has changed
since the plan. Ctrl-C stops after the requests in flight; --resume continues.
If an audit log protects tokens of the plan, its new entries are read first.

Examples:
  losant-tokens apply plan.jsonl
  losant-tokens apply plan.jsonl --resume --yes --report report.html\
"""

CLEANUP = f"""\
{_TOKEN}

{_SELECTION}
{_SEEN}

Examples:
  losant-tokens cleanup --expired
  losant-tokens cleanup --named 'ci-*' --older-than 30d --report cleanup.html
  losant-tokens cleanup --expired --yes --max-changes 500      # for cron\
"""

_QUARANTINE_NAME = """\
QUARANTINE is an id of `losant-tokens quarantine list` or its first digits, the
JSON report of a quarantine, or last.\
"""

QUARANTINE = f"""\
{_TOKEN}

{_SELECTION}
{_SEEN}

The API rejects requests with an inactive token. The quarantine is recorded in
the state folder, under an id for `losant-tokens restore` and `sweep`.

Examples:
  losant-tokens quarantine --not-updated-for 180d --grace 30d
  losant-tokens quarantine list
  losant-tokens restore last --named 'ci-*'
  losant-tokens sweep --due\
"""

QUARANTINE_LIST = f"""\
{_TOKEN}

{_QUARANTINE_NAME}

The command compares the records of this machine with the tokens that the API
lists. With --offline, it only reads the records: tokens that somebody else
activated or deleted are shown as waiting.

Examples:
  losant-tokens quarantine list
  losant-tokens quarantine list --offline
  losant-tokens quarantine list last --json\
"""

SWEEP = f"""\
{_TOKEN}

{_QUARANTINE_NAME}
{_AGE}
{_GLOB}
{_SEEN}

Examples:
  losant-tokens sweep --due --yes      # for cron
  losant-tokens sweep 1f3a9c20
  losant-tokens sweep quarantine.json --after 4w --report swept.html\
"""

RESTORE = f"""\
{_TOKEN}

{_QUARANTINE_NAME}
{_GLOB}

Examples:
  losant-tokens restore last
  losant-tokens restore last --named 'ci-*' --named nightly
  losant-tokens restore quarantine.json --id 575ec7417ae143cd83dc4a95\
"""

_ROTATION = """\
ROTATION is an id of `losant-tokens rotate list` or its first digits, the
journal of a rotation, or last.\
"""

ROTATE = f"""\
{_TOKEN}

{_SELECTION}
WHEN is a time from now (12h, 90d, 4w, 18mo, 2y), or a date (2030-01-01, UTC).

For each token, a successor with the same name, description, scopes and roles is
created, verified with a request, and delivered. The old token stays active
until the overlap has ended and the rotation is resumed. Then it is quarantined.

COMMAND is started without a shell. It must exit with 0 if it has stored the
secret, and with another code if it has not. LOSANT_TOKEN_NAME and
LOSANT_TOKEN_REPLACES, the id of the old token, are set for it. In FILE,
{{replaces}} is that id. Without either option, the secret is written to stdout.

Examples:
  losant-tokens rotate 575ec7417ae143cd83dc4a95 --expires 90d > secret.txt
  losant-tokens rotate --named 'ci-*' --expires 90d --dry-run
  losant-tokens rotate --named 'ci-*' --expires 90d --to-file '{{replaces}}.txt'
  losant-tokens rotate resume --due      # for cron\
"""

ROTATE_LIST = """\
The state of a rotation is running, interrupted, overlap or complete. During the
overlap, the old and the new token work.

Examples:
  losant-tokens rotate list
  losant-tokens rotate list --json\
"""

ROTATE_RESUME = f"""\
{_TOKEN}

{_ROTATION}

A rotation that was interrupted, or whose COMMAND failed, delivers the missing
secrets. When the overlap has ended, the old tokens are deactivated, and are in
quarantine: see losant-tokens sweep --help. If the token in use was rotated, set
LOSANT_API_TOKEN to its successor first.

Examples:
  losant-tokens rotate resume last
  losant-tokens rotate resume --due      # for cron\
"""

ROTATE_CANCEL = f"""\
{_TOKEN}

{_ROTATION}

A successor that nobody has is deleted. One that was delivered is kept, because
it may be in use, and its id is printed. No old token is changed. To activate an
old token that was deactivated, see losant-tokens restore --help.

Examples:
  losant-tokens rotate cancel last\
"""

_RUN = """\
A run is a plan and its journal. Its state is planned, running, interrupted or
complete. The state folder holds the runs of plans without --out.\
"""

RUNS = f"""\
{_RUN}

Examples:
  losant-tokens runs list
  losant-tokens runs show last
  losant-tokens runs prune --older-than 30d\
"""

RUNS_LIST = f"""\
{_RUN}

Examples:
  losant-tokens runs list
  losant-tokens runs list --json | jq -r '.[] | select(.failed > 0) | .id'\
"""

RUNS_SHOW = f"""\
{_RUN}

RUN is an id of `losant-tokens runs list` or its first digits, the file of a
plan, or last.

Examples:
  losant-tokens runs show last
  losant-tokens runs show 1f3a9c20
  losant-tokens runs show plan.jsonl --json\
"""

RUNS_PRUNE = f"""\
The state folder holds the plans and journals of jobs without --out, and those
of rotations. A job is complete if each of its tokens has an outcome, or if it
was never applied. Files named with --out are kept, and so are quarantines while
tokens wait. Commands for jobs remove files older than 180 days automatically.

{_AGE}

Examples:
  losant-tokens runs prune
  losant-tokens runs prune --older-than 30d\
"""

AUDIT = f"""\
{_TOKEN}

{_OWNER}
LOG is org:ID or instance:ID. An audit log shows which tokens are in use.
RULE is the name of a rule, such as never-expires.
SEVERITY is info, low, medium, high or critical.

Nothing is changed. All tokens are listed, and their findings are ranked by
severity. An account that cannot be listed does not stop the others, and leads
to exit code 3.

Examples:
  losant-tokens audit
  losant-tokens audit --owner user --owner oauth --fail-on high
  losant-tokens audit --json > monday.json
  losant-tokens audit --html audit.html --sarif audit.sarif\
"""

AUDIT_DIFF = """\
OLD and NEW are JSON files of `losant-tokens audit --json`. Nothing is sent.
SEVERITY is info, low, medium, high or critical.

Examples:
  losant-tokens audit diff monday.json tuesday.json
  losant-tokens audit diff monday.json tuesday.json --fail-on high\
"""

_POLICY = """\
A policy file has rules, which find problem tokens, and clean-ups, which change
or delete tokens.\
"""

POLICY = f"""\
{_POLICY}

Examples:
  losant-tokens policy check policy.toml
  losant-tokens policy test policy.toml
  losant-tokens policy schema > policy.schema.json\
"""

POLICY_CHECK = f"""\
{_POLICY}

Each mistake is one line on stdout, with its line in the file and its path. The
exit code is 1 if there is a mistake.

Examples:
  losant-tokens policy check policy.toml
  losant-tokens policy check policy.toml --json | jq -r '.[].path'\
"""

POLICY_TEST = f"""\
{_POLICY}

A test is a table [[tests]] of the file: a token, and the names of the rules and
clean-ups that match it. The exit code is 1 if a test fails. A snapshot has the
real tokens: the command shows how many match, now.

Examples:
  losant-tokens policy test policy.toml
  losant-tokens list --json > tokens.json
  losant-tokens policy test policy.toml --snapshot tokens.json\
"""

POLICY_WARN = f"""\
{_TOKEN}

CLEANUP is the name of a clean-up whose first step is warn. Without a receiver,
the message is printed, and nothing is recorded. Otherwise, the warning of each
token is recorded in the state folder. `losant-tokens plan --policy CLEANUP` on
the same machine deactivates only tokens that were warned about long enough ago,
and that the clean-up has selected ever since.

{_OWNER}
NAME of a webhook is an environment variable that holds the URL, because other
users can see arguments. FILE must be readable only by you. COMMAND is run
without a shell.

Examples:
  losant-tokens policy warn stale
  losant-tokens policy warn stale --to-command 'tee mail.txt'\
"""

POLICY_SCHEMA = """\
Editors that use it complete keys, and mark most mistakes while you type.

Examples:
  losant-tokens policy schema > policy.schema.json\
"""

_CONFIG = """\
The configuration file is ~/.config/losant-tokens/config.toml, the file of
--config, or that of LOSANT_TOKENS_CONFIG. It names the place of each token:

  [accounts.prod]
  owners = ["user", "applications", "instances"]
  token = { command = ["op", "read", "op://work/losant"] }

  [accounts.staging]
  url = "https://api.staging.example.com"
  token = { env = "LOSANT_STAGING_TOKEN" }\
"""

ACCOUNT = f"""\
{_CONFIG}

Examples:
  losant-tokens account list
  losant-tokens account check\
"""

ACCOUNT_LIST = f"""\
No request is sent, and no token is read.

{_CONFIG}

Examples:
  losant-tokens account list
  losant-tokens account list --json | jq -r '.[].name'\
"""

ACCOUNT_CHECK = f"""\
{_TOKEN}
Without --account, all accounts of the configuration file are checked: each
token is read, and lists one token. Nothing is changed. The exit code is 1 if all
checks fail, and 3 if some do.

Examples:
  losant-tokens account check
  losant-tokens account check --account prod --json
  losant-tokens account check --quiet\
"""

WHOAMI = f"""\
{_TOKEN}
The token is checked with a harmless request, which lists one token. The account
and the scopes come from the claims of the token.

Examples:
  losant-tokens whoami
  losant-tokens whoami --json | jq -r .expiresAt\
"""

_STORE = """\
STORE is postgresql://HOST/DATABASE, the path of an SQLite file, or @FILE for a
private file that holds the URL. A password is refused on the command line: use
@FILE, LOSANT_TOKENS_FLEET or PGPASSFILE. By default, the store is an SQLite file
in the state folder.\
"""

_FLEET_RUN = "RUN is an id of `losant-tokens fleet runs`, or its first characters."

_DECISION = f"""\
{_FLEET_RUN}
NAME is recorded with the decision, and not verified. It defaults to
LOSANT_TOKENS_BY, or to the user and the machine. The first decision counts: a
different one is refused with exit code 4, and the same one changes nothing.\
"""

FLEET = f"""\
Workers plan the clean-ups of a policy file, and apply the plans that people or
rules approve. If a machine fails, another worker continues. The other commands
read and decide from any machine that can reach the store.

{_STORE}

Examples:
  losant-tokens fleet runs --state waiting\
"""

FLEET_DEMO = """\
The accounts, the store and the workers are on this machine, and are removed at
the end. Plans are approved, a worker is killed in the middle of its work,
another one continues, and one account is restored. At the end, the servers
show that only the planned tokens have changed. It takes less than a minute.

Examples:
  losant-tokens fleet demo\
"""

FLEET_WORK = f"""\
A worker needs the policy file, and the configuration file with the accounts and
the places of their tokens. It runs the schedules of the policy, plans and
applies clean-ups, and sweeps quarantines. Each event is one line. SIGTERM and
Ctrl-C finish the tokens in flight, and other workers continue with the rest.
An SQLite file allows one worker, and PostgreSQL many.

{_STORE}

Examples:
  losant-tokens fleet work --until-idle
  losant-tokens fleet work --page 8787 --json\
"""

FLEET_PLAN = f"""\
CLEANUP is the name of a clean-up in the policy file of the workers. The id of
each run is written to stdout. With --all-accounts, the policy file and the
configuration file of this machine name the accounts. With --account, a name
that these files lack causes a warning, or an error if --policy or --config is used.

{_STORE}
NAME is recorded with the run, and not verified. It defaults to
LOSANT_TOKENS_BY, or to the user and the machine.

Examples:
  losant-tokens fleet plan expired --account prod\
"""

_STATES = """\
STATE is planning, waiting, approved, applying, quarantined, sweeping,
restoring, done, restored, empty, rejected, expired, cancelled, refused or
failed.\
"""

FLEET_RUNS = f"""\
{_STATES}
{_AGE}

{_STORE}

Examples:
  losant-tokens fleet runs
  losant-tokens fleet runs --state waiting --json | jq -r '.[].id'
  losant-tokens fleet runs --failed-tokens
  losant-tokens fleet runs --account prod --since 30d\
"""

FLEET_SHOW = f"""\
{_FLEET_RUN}

{_STORE}

Examples:
  losant-tokens fleet show 1f3a9c20
  losant-tokens fleet show 1f3a9c20 --tokens
  losant-tokens fleet show 1f3a9c20 --html plan.html\
"""

FLEET_APPROVE = f"""\
{_DECISION}
DIGEST is the digest of the plan that you have reviewed, or its first 8 digits or
more. If the run has another plan, the approval is refused. Without --digest,
the command approves the plan that the question shows.

{_STORE}

Examples:
  losant-tokens fleet approve 1f3a9c20
  losant-tokens fleet approve 1f3a9c20 --yes --reason 'change 4711'\
"""

FLEET_REJECT = f"""\
{_DECISION}

{_STORE}

Examples:
  losant-tokens fleet reject 1f3a9c20 --reason 'ci-deploy is in use'\
"""

FLEET_CANCEL = f"""\
A worker finishes the tokens that it works on. Deactivated tokens are not
deleted later, and `losant-tokens fleet restore` activates them again.

{_DECISION}

{_STORE}

Examples:
  losant-tokens fleet cancel 1f3a9c20\
"""

FLEET_RESTORE = f"""\
Tokens that somebody has changed since are left alone. The tokens of the run are
not deleted later.

{_DECISION}

{_STORE}

Examples:
  losant-tokens fleet restore 1f3a9c20\
"""

FLEET_RETRY = f"""\
A run that failed keeps its approval, and needs no second one. If tokens failed
in a run that continued, only these tokens are repeated, unless somebody has
changed them. A quarantine that gets more tokens begins its grace period again.

{_DECISION}

{_STORE}

Examples:
  losant-tokens fleet retry 1f3a9c20\
"""

FLEET_REPORT = f"""\
{_AGE}

{_STORE}

Examples:
  losant-tokens fleet report
  losant-tokens fleet report --since 60d --exit-code
  losant-tokens fleet report --since 90d --csv > quarter.csv\
"""

FLEET_PRUNE = f"""\
Each run is removed with its plan, outcomes, decisions and tasks. Unfinished
runs, runs whose tokens `losant-tokens fleet restore` can activate, and the
latest run of each clean-up and account are kept. Workers can keep running.

{_AGE}

{_STORE}

Examples:
  losant-tokens fleet prune --dry-run
  losant-tokens fleet prune --older-than 1y --yes\
"""

FLEET_DOCTOR = f"""\
The command reads the store, and the tokens of the accounts as a worker on this
machine would. It sends no request to Losant, and changes nothing. The exit code
is 5 if a problem is high or critical, because work is not done, or will not be.

{_STORE}

Examples:
  losant-tokens fleet doctor
  losant-tokens fleet doctor --json | jq -r '.problems[].message'\
"""

FLEET_PAGE = f"""\
The URL is written to stdout. The page refreshes itself, has no buttons, and
shows no secret. It can be opened only on this machine, by any of its users.

{_STORE}

Examples:
  losant-tokens fleet page
  losant-tokens fleet page --port 8787\
"""

COMPLETION = """\
TAB then completes commands, options, scopes, files, runs of a fleet, and the
ids and names of tokens, which are cached for a minute.

Examples:
  losant-tokens completion bash
  eval "$(losant-tokens completion bash)"  # in ~/.bashrc
  source <(losant-tokens completion zsh)   # in ~/.zshrc
  losant-tokens completion fish \\
    > ~/.config/fish/completions/losant-tokens.fish\
"""

HELP = """\
Examples:
  losant-tokens help list
  losant-tokens help runs prune\
"""

VERSION = """\
Please add the output to a bug report.

Examples:
  losant-tokens version\
"""

SANDBOX = """\
The command prints the environment variables to set. With --env-file it writes
them to a file, which another terminal reads with a dot: . ./sandbox.env

Ctrl-C stops it with exit code 0.

KIND is a status such as 503, or timeout (no response), reset (the connection
is closed), lost (the same, after the change was made), truncate, html or
garbage. SHARE is a percentage.
TIME is a latency such as 50ms or 1.5s, or a range such as 20ms-200ms.
OFFSET is +30d or -2h, to try rules about time. Type it while the sandbox runs
to move the clock again. Rules about time then need --clock-check off.

Examples:
  losant-tokens sandbox
  losant-tokens sandbox --env-file sandbox.env
  losant-tokens sandbox --port 8080 --tokens 50
  losant-tokens sandbox --rate-limit 20 --latency 20ms-200ms
  losant-tokens sandbox --fail 503:2% --fail timeout:1% --clock +30d\
"""

LEAKED = f"""\
{_TOKEN}
The leaked secret comes from stdin, never from an argument, and is never
printed. On a terminal, paste it. Everything around it is ignored: pass a
line of a log, JSON, or a header. Several secrets are handled one by one.

The secret is sent to LOSANT_API_URL or the URL of the account only, and not if
its claims name another host. Its token is found by a claimed id, or by its
dates, among the tokens of each OWNER and those that the secret itself may
list. Without --owner, all applications and instances are searched if needed.
The token is deactivated only if it is the only candidate and the secret works.
Then the secret is tried again.

{_OWNER}
LOG is org:ID or instance:ID.

Exit codes of this command:
  0    the secret does not work, or no longer works
  1    cannot determine whether it works, or declined
  3    the quarantine of created tokens failed in part
  4    a safety check blocked that quarantine
  5    the secret works

Examples:
  losant-tokens leaked < leak.txt
  losant-tokens leaked --json < leak.txt
  losant-tokens leaked --yes --with-created < leak.txt\
"""

DEMO = """\
The demo needs no account, and changes only tokens of the fake.

Examples:
  losant-tokens demo
  losant-tokens demo --tokens 10000 --concurrency 50\
"""
