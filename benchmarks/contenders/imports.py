"""The CPU time of an import statement: the median of COUNT new processes.

The start of Python itself is not included, because it would hide the difference.
"""

import os
import statistics
import subprocess
import sys

from contenders.measure import arguments, more, report

# If click, rich and Pygments are installed, httpx imports them for its own command, which costs
# more than everything else. This program prevents that, so that the figure does not depend on them.
# With them, our ratio would look better.
_PROGRAM = """
import sys, time
sys.modules["click"] = None
began = time.process_time()
{statement}
print(time.process_time() - began)
"""


def cost(statement: str) -> float:
    """Return the CPU seconds of a statement in a new process."""
    program = [sys.executable, "-c", _PROGRAM.format(statement=statement)]
    # If this variable is set, each process would compile our modules again, but not those of httpx,
    # whose bytecode pip has written.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(program, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def main() -> None:
    """Run the statement once to compile all modules, and then measure it."""
    _, count, _ = arguments()
    (statement,) = more()
    cost(statement)
    report(cpu=statistics.median(cost(statement) for _ in range(count)) * 1000)


main()
