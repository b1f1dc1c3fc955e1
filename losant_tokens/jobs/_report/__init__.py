"""Report the results of a job, as a value and as files."""
