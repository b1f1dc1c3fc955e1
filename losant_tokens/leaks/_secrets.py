"""Find secrets in a string, such as a line of a log."""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from types import MappingProxyType

from losant_tokens._utils.secret import Secret

# The header and the claims of a JWT are JSON objects, so both begin with `{"`, which is `eyJ` in
# base64. The length of a header is limited, because a hostile string would take too long.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{2,512}\.eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*", re.ASCII)
_BEARER = re.compile(r"\bBearer\s+([!-~]{8,8192})", re.ASCII | re.IGNORECASE)
_WORD = re.compile(r"[!-~]{8,8192}", re.ASCII)
_RSA = frozenset({342, 512, 683})  # keys of 2,048, 3,072 and 4,096 bits
# The characters of a signature in base64 (RFC 7518 and RFC 8037).
_SIGNATURE_LENGTHS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "HS256": frozenset({43}),
        "HS384": frozenset({64}),
        "HS512": frozenset({86}),
        "ES256": frozenset({86}),
        "ES384": frozenset({128}),
        "ES512": frozenset({176}),
        "EdDSA": frozenset({86, 152}),
        "PS256": _RSA,
        "PS384": _RSA,
        "PS512": _RSA,
        "RS256": _RSA,
        "RS384": _RSA,
        "RS512": _RSA,
    }
)


def find_secrets(text: str | Secret) -> tuple[Secret, ...]:
    """Return the secrets of tokens in a string: each one once, in their order.

    A secret is a JWT anywhere in the string. If there is none, it is the word after `Bearer`, or
    the string itself if it is one word. A JWT that is broken into several lines is found if the
    string has nothing else.

    Args:
        text: The string, for example a line of a log, a header or JSON. Pass a `Secret`, so that
            no traceback of your own code shows it.
    """
    # Nothing here raises, because the locals hold secrets.
    plain = (text.reveal() if isinstance(text, Secret) else text).strip()
    found = _JWT.findall(plain)
    joined = "".join(map(str.strip, plain.splitlines()))
    if (not found or (len(found) == 1 and is_cut_off(Secret(found[0])))) and _JWT.fullmatch(joined):
        found = [joined]
    elif not found:
        found = _BEARER.findall(plain)
    if not found and _WORD.fullmatch(plain):
        found = [plain]
    return tuple(map(Secret, dict.fromkeys(found)))


def is_cut_off(secret: Secret) -> bool:
    """Return whether the signature of a JWT has another length than its algorithm makes."""
    header, _, rest = secret.reveal().partition(".")
    try:
        # The decoder ignores superfluous padding.
        algorithm = json.loads(urlsafe_b64decode(f"{header}==="))["alg"]
        lengths = _SIGNATURE_LENGTHS.get(algorithm)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return lengths is not None and len(rest.rpartition(".")[2]) not in lengths
