"""Make, write and read plans: the tokens that a job will change, and why.

`planner` lists the tokens of each owner. For each token, `selector` decides whether the rule
selects it and whether a guard protects it, and `writer` writes it. `header_builder` collects the
counts, the warnings and the reasons to refuse the plan. `reader` checks a plan before a job applies
it.
"""
