"""`runs prune`: remove old plans and journals of complete jobs from the state folder."""

from losant_tokens.cli._job_options import DEFAULT_PRUNE_AGE, PruneAge


def prune_runs(*, older_than: PruneAge = DEFAULT_PRUNE_AGE) -> int:
    """Remove plans and journals of complete jobs."""
    from losant_tokens.cli._state_files import prune_state_folder

    return prune_state_folder(older_than)
