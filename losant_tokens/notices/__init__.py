"""Notices: messages about tokens that expire soon, each delivered once.

`find_expiring` lists tokens that expire soon or expired lately. `notify` delivers one message about
those that a `NoticeLedger` has no record of, and then records them.

Example::

    days = [timedelta(days=30), timedelta(days=7), timedelta(days=1)]
    async with AsyncClient() as client:
        found = await find_expiring(client, within=days)
    await notify(found, SlackSink(url), ledger=NoticeLedger("notices.json"))
"""

from losant_tokens.notices._errors import NoticeError, NoticeWarning
from losant_tokens.notices._expiring import (
    MAX_EXPIRED_AGE,
    ExpiringToken,
    find_expiring,
    with_last_seen,
)
from losant_tokens.notices._ledger import NoticeLedger
from losant_tokens.notices._message import expiry_message
from losant_tokens.notices._notify import Notification, notify

__all__ = [
    "MAX_EXPIRED_AGE",
    "ExpiringToken",
    "NoticeError",
    "NoticeLedger",
    "NoticeWarning",
    "Notification",
    "expiry_message",
    "find_expiring",
    "notify",
    "with_last_seen",
]
