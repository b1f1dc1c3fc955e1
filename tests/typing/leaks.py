"""The types of leaks."""

from datetime import datetime
from typing import assert_type

from losant_tokens import AsyncClient, AuditLog, InstanceAuditLog, Secret, jobs, leaks


async def respond(client: AsyncClient, operator: AsyncClient, now: datetime) -> None:
    (secret, *_) = leaks.find_secrets("Authorization: Bearer eyJ...")
    assert_type(secret, Secret)
    claims = leaks.read_claims(secret)
    assert_type(claims, leaks.Claims)
    assert_type(await leaks.check_secret(claims, client), leaks.Check)
    found = await leaks.investigate(claims, client, operator)
    assert_type(found, leaks.Investigation)
    assert_type(leaks.match_tokens(claims, found.created, works=True, now=now), leaks.Match)
    assert_type(leaks.created_with("a", found.created), tuple[leaks.OwnedToken, ...])
    assert_type(
        await leaks.latest_actions(operator, [jobs.LogSource.parse("org:1")], ["a"], limit=3),
        tuple[AuditLog | InstanceAuditLog, ...],
    )
    assert_type(await leaks.list_created("a", operator), leaks.CreatedTokens)
    if found.match.token is not None:
        assert_type(await leaks.deactivate(found.match.token, claims, client), leaks.Check)
