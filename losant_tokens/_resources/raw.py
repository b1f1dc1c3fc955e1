"""The resources of `client.with_raw_response`, whose methods return a `RawResponse`.

A method of such a resource is the function of the plain resource, with another way to send: it
calls `Session.call_raw` in place of `Session.call`. So no method is written twice, and a type
checker knows the arguments and the result of each.

`iter` and `snapshot` are left out, because a list has many responses. `get` returns one page.
"""

from collections.abc import Callable, Coroutine, Mapping
from types import MethodType
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from losant_tokens._api.custom_operation import (
    NOTHING,
    HttpMethod,
    QueryValue,
    custom_operation,
    custom_query,
    json_body,
)
from losant_tokens._api.models import NewApiToken, UserOauthToken
from losant_tokens._api.owner import Owner
from losant_tokens._api.payloads import ApiTokenPost, UserOauthTokenPost
from losant_tokens._calls.session import Session
from losant_tokens._http.call_options import RequestOptions
from losant_tokens._http.raw_response import RawResponse
from losant_tokens._resources import (
    application,
    audit_logs,
    auth,
    instance,
    owner_lists,
    user,
)
from losant_tokens._resources.base import Resource
from losant_tokens._resources.owner_tokens import OwnerTokens

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M")


class RawMethod(Generic[P, R]):
    """A method of a plain resource as a method of a raw one.

    It is a descriptor, because type checkers disagree whether a function that is the value of a
    class attribute takes `self`.

    Args:
        method: The method of the plain resource.
    """

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self.method = method

    def __get__(
        self, resource: "RawResource", owner: type["RawResource"]
    ) -> Callable[P, Coroutine[Any, Any, RawResponse[R]]]:
        """Return the method, bound to the resource that it is called on."""
        return cast(
            "Callable[P, Coroutine[Any, Any, RawResponse[R]]]",
            MethodType(self.method, resource.plain),
        )


class RawResource:
    """The base class of all raw resources.

    Attributes:
        plain: The plain resource, but its methods return a `RawResponse` at run time.
    """

    def __init__(self, resource: Resource) -> None:
        self.plain: Any = resource._returning_raw()  # noqa: SLF001 -- its own base class


class RawUserApiTokenResource(RawResource):
    """One API token of the user."""

    get: Final = RawMethod(user.UserApiTokenResource.get)
    patch: Final = RawMethod(user.UserApiTokenResource.patch)
    delete: Final = RawMethod(user.UserApiTokenResource.delete)


class RawUserApiTokensResource(RawResource):
    """The API tokens of the user."""

    get: Final = RawMethod(user.UserApiTokensResource.get)
    post: Final = RawMethod(user.UserApiTokensResource.post)


class RawUserOauthTokenResource(RawResource):
    """One OAuth token of the user."""

    get: Final = RawMethod(user.UserOauthTokenResource.get)
    patch: Final = RawMethod(user.UserOauthTokenResource.patch)
    delete: Final = RawMethod(user.UserOauthTokenResource.delete)


class RawUserOauthTokensResource(RawResource):
    """The OAuth tokens of the user."""

    get: Final = RawMethod(user.UserOauthTokensResource.get)
    post: Final = RawMethod(user.UserOauthTokensResource.post)


class RawApplicationApiTokenResource(RawResource):
    """One API token of an application."""

    get: Final = RawMethod(application.ApplicationApiTokenResource.get)
    patch: Final = RawMethod(application.ApplicationApiTokenResource.patch)
    delete: Final = RawMethod(application.ApplicationApiTokenResource.delete)


class RawApplicationApiTokensResource(RawResource):
    """The API tokens of an application."""

    get: Final = RawMethod(application.ApplicationApiTokensResource.get)
    post: Final = RawMethod(application.ApplicationApiTokensResource.post)


class RawInstanceApiTokenResource(RawResource):
    """One API token of an instance."""

    get: Final = RawMethod(instance.InstanceApiTokenResource.get)
    patch: Final = RawMethod(instance.InstanceApiTokenResource.patch)
    delete: Final = RawMethod(instance.InstanceApiTokenResource.delete)


class RawInstanceApiTokensResource(RawResource):
    """The API tokens of an instance."""

    get: Final = RawMethod(instance.InstanceApiTokensResource.get)
    post: Final = RawMethod(instance.InstanceApiTokensResource.post)


class RawApplicationsResource(RawResource):
    """The applications that the user can see."""

    get: Final = RawMethod(owner_lists.ApplicationsResource.get)


class RawInstancesResource(RawResource):
    """The instances that the user can see."""

    get: Final = RawMethod(owner_lists.InstancesResource.get)


class RawOrgsResource(RawResource):
    """The organizations of the user."""

    get: Final = RawMethod(owner_lists.OrgsResource.get)


class RawAuditLogResource(RawResource):
    """One entry of the audit log of an organization."""

    get: Final = RawMethod(audit_logs.AuditLogResource.get)


class RawAuditLogsResource(RawResource):
    """The audit log of an organization."""

    get: Final = RawMethod(audit_logs.AuditLogsResource.get)


class RawInstanceAuditLogResource(RawResource):
    """One entry of the audit log of an instance."""

    get: Final = RawMethod(audit_logs.InstanceAuditLogResource.get)


class RawInstanceAuditLogsResource(RawResource):
    """The audit log of an instance."""

    get: Final = RawMethod(audit_logs.InstanceAuditLogsResource.get)


class RawAuthResource(RawResource):
    """Logging in."""

    authenticate_user: Final = RawMethod(auth.AuthResource.authenticate_user)


class RawOwnerTokens(RawResource):
    """The tokens of one owner, as returned by `RawClient.tokens(owner)`."""

    get: Final = RawMethod(OwnerTokens.get)
    patch: Final = RawMethod(OwnerTokens.patch)
    delete: Final = RawMethod(OwnerTokens.delete)
    page: Final = RawMethod(OwnerTokens.page)

    @overload
    async def post(
        self, token: ApiTokenPost, **options: Unpack[RequestOptions]
    ) -> RawResponse[NewApiToken]: ...

    @overload
    async def post(
        self, token: UserOauthTokenPost, **options: Unpack[RequestOptions]
    ) -> RawResponse[UserOauthToken]: ...

    async def post(
        self, token: ApiTokenPost | UserOauthTokenPost, **options: Unpack[RequestOptions]
    ) -> Any:
        """Create a token. See `OwnerTokens.post`.

        Args:
            token: The settings of the token: a `UserOauthTokenPost` for the owner `oauth`.
            **options: See `RequestOptions`.

        Raises:
            NotFound: There is no such owner.
        """
        return await self.plain.post(token, **options)


class RawClient:
    """The methods of a client, each of which returns a `RawResponse`.

    `AsyncClient.with_raw_response` returns it. It has the same resources, with the same methods and
    arguments, except `iter` and `snapshot`: a list has many responses.
    """

    user_api_token: RawUserApiTokenResource
    """One API token of the user."""
    user_api_tokens: RawUserApiTokensResource
    """The API tokens of the user."""
    user_oauth_token: RawUserOauthTokenResource
    """One OAuth token of the user."""
    user_oauth_tokens: RawUserOauthTokensResource
    """The OAuth tokens of the user."""
    application_api_token: RawApplicationApiTokenResource
    """One API token of an application."""
    application_api_tokens: RawApplicationApiTokensResource
    """The API tokens of an application."""
    instance_api_token: RawInstanceApiTokenResource
    """One API token of an instance."""
    instance_api_tokens: RawInstanceApiTokensResource
    """The API tokens of an instance."""
    applications: RawApplicationsResource
    """The applications that the user can see."""
    instances: RawInstancesResource
    """The instances that the user can see."""
    orgs: RawOrgsResource
    """The organizations of the user."""
    audit_log: RawAuditLogResource
    """One entry of the audit log of an organization."""
    audit_logs: RawAuditLogsResource
    """The audit log of an organization."""
    instance_audit_log: RawInstanceAuditLogResource
    """One entry of the audit log of an instance."""
    instance_audit_logs: RawInstanceAuditLogsResource
    """The audit log of an instance."""
    auth: RawAuthResource
    """Logging in."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.user_api_token = RawUserApiTokenResource(user.UserApiTokenResource(session))
        self.user_api_tokens = RawUserApiTokensResource(user.UserApiTokensResource(session))
        self.user_oauth_token = RawUserOauthTokenResource(user.UserOauthTokenResource(session))
        self.user_oauth_tokens = RawUserOauthTokensResource(user.UserOauthTokensResource(session))
        self.application_api_token = RawApplicationApiTokenResource(
            application.ApplicationApiTokenResource(session)
        )
        self.application_api_tokens = RawApplicationApiTokensResource(
            application.ApplicationApiTokensResource(session)
        )
        self.instance_api_token = RawInstanceApiTokenResource(
            instance.InstanceApiTokenResource(session)
        )
        self.instance_api_tokens = RawInstanceApiTokensResource(
            instance.InstanceApiTokensResource(session)
        )
        self.applications = RawApplicationsResource(owner_lists.ApplicationsResource(session))
        self.instances = RawInstancesResource(owner_lists.InstancesResource(session))
        self.orgs = RawOrgsResource(owner_lists.OrgsResource(session))
        self.audit_log = RawAuditLogResource(audit_logs.AuditLogResource(session))
        self.audit_logs = RawAuditLogsResource(audit_logs.AuditLogsResource(session))
        self.instance_audit_log = RawInstanceAuditLogResource(
            audit_logs.InstanceAuditLogResource(session)
        )
        self.instance_audit_logs = RawInstanceAuditLogsResource(
            audit_logs.InstanceAuditLogsResource(session)
        )
        self.auth = RawAuthResource(auth.AuthResource(session))

    @overload
    async def request(
        self,
        method: HttpMethod,
        path: str,
        *,
        path_params: Mapping[str, str | int] = ...,
        params: Mapping[str, QueryValue] = ...,
        json: object = ...,
        cast_to: None = ...,
        **options: Unpack[RequestOptions],
    ) -> RawResponse[Any]: ...

    @overload
    async def request(
        self,
        method: HttpMethod,
        path: str,
        *,
        path_params: Mapping[str, str | int] = ...,
        params: Mapping[str, QueryValue] = ...,
        json: object = ...,
        cast_to: type[M],
        **options: Unpack[RequestOptions],
    ) -> RawResponse[M]: ...

    async def request(
        self,
        method: HttpMethod,
        path: str,
        *,
        path_params: Mapping[str, str | int] = NOTHING,
        params: Mapping[str, QueryValue] = NOTHING,
        json: object = None,
        cast_to: type[Any] | None = None,
        **options: Unpack[RequestOptions],
    ) -> RawResponse[Any]:
        """Call an operation of the API that has no method. See `AsyncClient.request`.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: The path below the base URL.
            path_params: The values of the placeholders in the path.
            params: The query, by the names in the URL.
            json: The body of a POST, PUT or PATCH.
            cast_to: The class of the result. Default: plain JSON.
            **options: See `RequestOptions`.

        Raises:
            ValidationError: An argument cannot be part of a request. Nothing was sent.
        """
        operation = custom_operation(method, path, path_params, cast_to)
        query, body = custom_query(params), json_body(method, json)
        return await self._session.call_raw(operation, None, query, body, **options)

    def tokens(self, owner: Owner | str) -> RawOwnerTokens:
        """Return the tokens of an owner, for code that works for all four kinds of owners.

        Args:
            owner: An `Owner`, or its string form: `user`, `oauth`, `application:ID` or
                `instance:ID`.

        Raises:
            ValidationError: The string has another form.
        """
        parsed = owner if isinstance(owner, Owner) else Owner.parse(owner)
        return RawOwnerTokens(OwnerTokens(self._session, parsed))
