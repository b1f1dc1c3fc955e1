"""`WebhookSink`: a message as JSON to a URL."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from losant_tokens._http.endpoint import check_header
from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._transports.tls import Verify
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.sinks._http import Webhook, host_of, valid_url
from losant_tokens.sinks._types import Message

_NO_HEADERS: Mapping[str, str | Secret] = MappingProxyType({})
_RETRY = RetryPolicy()


def _wrapped(headers: Mapping[str, str | Secret]) -> Mapping[str, Secret]:
    return MappingProxyType({name: Secret.of(value) for name, value in headers.items()})


def _check_headers(_: object, __: object, value: Mapping[str, Secret]) -> None:
    for name, content in value.items():
        check_header("The name of a header", name)
        if not _is_header_value(content):
            raise ValidationError(
                f"The header {name} must be a string of printable ASCII characters. Its value is "
                "not shown."
            )


def _is_header_value(content: Secret) -> bool:
    text = content.reveal()
    return text.isascii() and text.isprintable() and text == text.strip()


@frozen(init=False)
class WebhookSink:
    """A URL that accepts a message as a JSON document: `id`, `title`, `text` and the data.

    The document is posted over TLS, and again after a failure that may pass, such as 429 or 503.
    Redirects are not followed. A receiver that must not see a message twice compares the `id`.

    Raises:
        ValidationError: An argument is not valid.
    """

    url: Secret = field(repr=False, validator=valid_url)
    """The URL, which may be a secret: it is not shown. It starts with `https://`, or with `http://`
    for this machine.
    """
    headers: Mapping[str, Secret] = field(repr=False, validator=_check_headers)
    """Further headers, such as `Authorization`. Their values are not shown."""
    timeout: float = field(default=10.0, validator=validators.positive_number)
    """The maximum duration of one attempt, in seconds. Default: 10."""
    retry: RetryPolicy = field(default=_RETRY, validator=validators.instance_of(RetryPolicy))
    """How often the document is posted, and how long that may take."""
    verify: Verify = field(default=None, repr=False)
    """The trusted authorities, as for `httpx_transport`."""

    def __init__(
        self,
        url: str | Secret,
        *,
        headers: Mapping[str, str | Secret] = _NO_HEADERS,
        timeout: float = 10.0,
        retry: RetryPolicy = _RETRY,
        verify: Verify = None,
    ) -> None:
        # Secrets are wrapped before anything can raise, so that no traceback shows them.
        url = Secret.of(url)
        headers = _wrapped(headers)
        self.__attrs_init__(url, headers, timeout, retry, verify)

    @property
    def host(self) -> str:
        """The host of the URL."""
        return host_of(self.url)

    async def deliver(self, delivery: Message) -> None:
        """Post the message, and return when the receiver has accepted it.

        Raises:
            SinkError: The receiver did not accept it, or could not be reached.
        """
        webhook = Webhook(
            url=self.url,
            headers=self.headers,
            timeout=self.timeout,
            policy=self.retry,
            verify=self.verify,
        )
        await webhook.post(delivery.document)
