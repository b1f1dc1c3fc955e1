"""The fleet: its workers, runs, pages and demo."""
