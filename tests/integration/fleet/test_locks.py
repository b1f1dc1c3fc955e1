"""The locks that a process holds in the store when it stops working."""

import pytest
import sqlalchemy as sa

from losant_tokens.fleet import StoreError
from losant_tokens.fleet._store import database
from losant_tokens.fleet._store.database import Database, StoreUrl

pytestmark = pytest.mark.slow


def test_process_that_is_stopped_in_a_transaction(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks are released after a time, so another process can go on. It gets an error."""
    monkeypatch.setattr(database, "_IDLE_TIMEOUT", 200)
    stopped, other = (Database(StoreUrl.of(postgres_url)) for _ in range(2))
    change = sa.text("update numbers set number = number + 1")
    for one in (stopped, other):
        one.open()
    with other.begin() as connection:
        connection.execute(sa.text("create table numbers (number int)"))
        connection.execute(sa.text("insert into numbers values (0)"))

    def change_and_stop() -> None:
        """Change the number, and send nothing more until the other process has changed it too."""
        with stopped.begin() as connection:
            connection.execute(change)
            with other.begin() as second:
                second.execute(change)
            connection.execute(change)

    with pytest.raises(StoreError):
        change_and_stop()

    with stopped.begin() as connection:
        assert connection.execute(sa.text("select number from numbers")).scalar() == 1
    stopped.close()
    other.close()
