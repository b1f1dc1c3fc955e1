"""What came of a job: reports as files, and what a quarantine does with them."""
