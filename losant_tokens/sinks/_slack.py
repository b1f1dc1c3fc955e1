"""`SlackSink`: a message to an incoming webhook of Slack."""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from attrs import field, frozen

from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._transports.tls import Verify
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.sinks._http import Webhook, host_of, valid_url
from losant_tokens.sinks._types import Message

# The limits of Slack: https://docs.slack.dev/reference/block-kit/blocks
_MAX_HEADER = 150  # characters
_MAX_SECTION = 3000  # characters
_MAX_SECTIONS = 48  # of 50 blocks, with the header and the number of lines that are left out
_MAX_LINE = 500  # characters; names have at most 255

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MENTION = re.compile("@(?=channel|here|everyone|all)", re.IGNORECASE)
_INVISIBLE = "\u2060"  # word joiner
_CUT = "..."
_RETRY = RetryPolicy()


@frozen(init=False)
class SlackSink:
    """An incoming webhook of Slack, or of a service that accepts the same documents.

    Names in the message are shown as they are: they mention nobody, link to nothing and format
    nothing.

    Raises:
        ValidationError: An argument is not valid.
    """

    url: Secret = field(repr=False, validator=valid_url)
    """The URL of the webhook, which is a secret: it is not shown."""
    timeout: float = field(default=10.0, validator=validators.positive_number)
    """The maximum duration of one attempt, in seconds. Default: 10."""
    retry: RetryPolicy = field(default=_RETRY, validator=validators.instance_of(RetryPolicy))
    """How often the message is posted, and how long that may take."""
    verify: Verify = field(default=None, repr=False)
    """The trusted authorities, as for `httpx_transport`."""

    def __init__(
        self,
        url: str | Secret,
        *,
        timeout: float = 10.0,
        retry: RetryPolicy = _RETRY,
        verify: Verify = None,
    ) -> None:
        # Secrets are wrapped before anything can raise, so that no traceback shows them.
        url = Secret.of(url)
        self.__attrs_init__(url, timeout, retry, verify)

    @property
    def host(self) -> str:
        """The host of the URL."""
        return host_of(self.url)

    async def deliver(self, delivery: Message) -> None:
        """Post the message, and return when Slack has accepted it.

        Raises:
            SinkError: Slack did not accept it, or could not be reached.
        """
        webhook = Webhook(url=self.url, timeout=self.timeout, policy=self.retry, verify=self.verify)
        await webhook.post(slack_document(delivery))


def slack_document(message: Message) -> dict[str, Any]:
    """Return a message as a document for Slack, within the limits of Slack.

    Everything is plain text, in which Slack formats nothing. Other services may look for mentions
    there, so an invisible character is put into each.
    """
    sections = list(_sections(message.lines))
    shown = sections[:_MAX_SECTIONS]
    left_out = sum(section.count("\n") + 1 for section in sections[_MAX_SECTIONS:])
    if left_out:
        shown.append(f"{left_out} more line{'s' if left_out > 1 else ''}")
    return {
        "text": _escaped(message.title),
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "blocks": [
            {"type": "header", "text": _plain(_fitted(message.title, _MAX_HEADER))},
            *({"type": "section", "text": _plain(section)} for section in shown),
        ],
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _sections(lines: Iterable[str]) -> Iterator[str]:
    """Join lines to sections that are as long as Slack allows."""
    section = ""
    for line in lines:
        text = _fitted(line, _MAX_LINE) or " "
        if section and len(section) + 1 + len(text) > _MAX_SECTION:
            yield section
            section = text
        else:
            section = f"{section}\n{text}" if section else text
    if section:
        yield section


def _escaped(text: str) -> str:
    return _without_mentions(text).translate(_ESCAPES)


def _without_mentions(text: str) -> str:
    return _MENTION.sub(f"@{_INVISIBLE}", text)


def _fitted(text: str, length: int) -> str:
    """Return a text with escapes, cut to a length between two escapes."""
    whole = _escaped(text)
    if len(whole) <= length:
        return whole
    forms = [char.translate(_ESCAPES) for char in _without_mentions(text)[:length]]
    ends = accumulate(map(len, forms))
    kept = (form for form, end in zip(forms, ends, strict=True) if end <= length - len(_CUT))
    return "".join(kept) + _CUT
