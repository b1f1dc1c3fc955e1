"""Log in with an email address and a password.

Source: `auth.md` in https://github.com/Losant/losant-rest-python/tree/master/docs
"""

from typing import Unpack

from losant_tokens._api import operations
from losant_tokens._api.models import AuthenticatedUser
from losant_tokens._api.payloads import UserCredentials
from losant_tokens._http.call_options import RequestOptions
from losant_tokens._resources.base import Resource


class AuthResource(Resource):
    """Logging in."""

    async def authenticate_user(
        self, credentials: UserCredentials, **options: Unpack[RequestOptions]
    ) -> AuthenticatedUser:
        """Log a user in, and return an access token. The client itself needs no token.

        Args:
            credentials: The email, the password and, if required, the two-factor code.
            **options: See `RequestOptions`.

        Raises:
            Unauthorized: The email, the password or the two-factor code is wrong.
        """
        return await self._call(operations.AUTHENTICATE_USER, None, None, credentials, **options)
