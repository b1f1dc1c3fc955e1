"""An async toolkit for Losant API tokens. See `AsyncClient`."""

from losant_tokens import errors
from losant_tokens._bodies import (
    NEVER,
    ApiTokenPatch,
    ApiTokenPost,
    ApplicationApiTokenPost,
    OauthRequest,
    UserCredentials,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)
from losant_tokens._client import AsyncClient
from losant_tokens._models import (
    ApiToken,
    ApiTokens,
    AuthenticatedUser,
    OauthDetails,
    OrgRole,
    ResourceRole,
    Success,
    UserOauthToken,
    UserOauthTokens,
)
from losant_tokens._options import RequestOptions
from losant_tokens._owner import Owner, OwnerTokens
from losant_tokens._paging import Listing
from losant_tokens._retry import RetryPolicy
from losant_tokens._scopes import can_create_tokens
from losant_tokens._secret import Secret
from losant_tokens._transport import aiohttp_transport, httpx_transport
from losant_tokens._version import __version__

__all__ = [
    "NEVER",
    "ApiToken",
    "ApiTokenPatch",
    "ApiTokenPost",
    "ApiTokens",
    "ApplicationApiTokenPost",
    "AsyncClient",
    "AuthenticatedUser",
    "Listing",
    "OauthDetails",
    "OauthRequest",
    "OrgRole",
    "Owner",
    "OwnerTokens",
    "RequestOptions",
    "ResourceRole",
    "RetryPolicy",
    "Secret",
    "Success",
    "UserCredentials",
    "UserOauthToken",
    "UserOauthTokenPatch",
    "UserOauthTokenPost",
    "UserOauthTokens",
    "__version__",
    "aiohttp_transport",
    "can_create_tokens",
    "errors",
    "httpx_transport",
]
