"""What a statement that imports costs in fresh processes: `COUNT` of them, and the median.

It is what the statement takes and not what Python takes to start, which would hide it.
"""

import statistics
import subprocess
import sys

from contenders.measure import arguments, more, tell

# Where click, rich and Pygments happen to be installed, httpx imports them for a command of its
# own, at more than all else costs. It is kept from that, so that the figure is the same
# everywhere; with them, ours would look better.
_PROGRAM = """
import sys, time
sys.modules["click"] = None
began = time.process_time()
{statement}
print(time.process_time() - began)
"""


def cost(statement: str) -> float:
    """The CPU seconds of a statement in a fresh process."""
    program = [sys.executable, "-c", _PROGRAM.format(statement=statement)]
    return float(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Runs it once so that all is compiled, and then for the figure."""
    _, count, _ = arguments()
    (statement,) = more()
    cost(statement)
    tell(cpu=statistics.median(cost(statement) for _ in range(count)) * 1000)


main()
