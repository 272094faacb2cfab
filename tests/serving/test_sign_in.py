"""Bearer tokens of a provider and names passed on by a proxy; scopes and rotation of keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from features.settings import Settings, SettingsError
from features.store import StoreUnavailableError
from serving.access import MAY
from serving.keys import caller, create, rotate
from serving.proxies import proxied
from serving.tokens import Tokens


def settings_of(home: Path, **more: str) -> Settings:
    return Settings.from_environment({"CHANGERISK_HOME": str(home), **more})


ISSUER, AUDIENCE = "https://id.example.org", "change-risk"


@pytest.fixture(scope="module")
def signing() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "a", "use": "sig"})


@pytest.fixture
def jwks(tmp_path: Path, signing: RSAKey) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KeySet([signing]).as_dict(private=False)))
    return path


@pytest.fixture
def oidc(jwks: Path) -> dict[str, str]:
    return {
        "CHANGERISK_OIDC_JWKS": str(jwks),
        "CHANGERISK_OIDC_ISSUER": ISSUER,
        "CHANGERISK_OIDC_AUDIENCE": AUDIENCE,
    }


@pytest.fixture
def token(signing: RSAKey, shared: Any) -> Callable[..., str]:
    def token(key: Any = None, header: Any = None, **changed: Any) -> str:
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "preferred_username": "Ada Lovelace",
            "email": "ada@example.org", "roles": ["approver"],
            "exp": int((shared.clock.now + timedelta(hours=1)).timestamp()), **changed,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header or {"alg": "RS256", "kid": "a"}, claims, key or signing)

    return token


def test_a_token_is_a_person_with_roles(
    oidc: dict[str, str], token: Any, shared: Any, tmp_path: Path
) -> None:
    tokens, now = Tokens(settings_of(tmp_path, **oidc)), shared.clock.now
    ada = tokens.caller(token(), now=now)
    assert ada is not None
    assert (ada.name, ada.role, ada.key_id) == ("Ada Lovelace", "approver", "oidc:u-1")
    assert ada.is_called("ADA@example.org")
    assert ada.permissions == MAY["approver"]
    both = tokens.caller(token(roles=["auditor", "requester", "chef"]), now=now)
    assert both is not None
    assert both.permissions == MAY["auditor"] | MAY["requester"]
    nested = {**oidc, "CHANGERISK_OIDC_ROLES": "realm_access.roles"}
    found = Tokens(settings_of(tmp_path, **nested)).caller(
        token(realm_access={"roles": ["admin"]}), now=now
    )
    assert found is not None
    assert found.role == "admin"


REFUSED: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example.org"},
    "no issuer": {"iss": None},
    "another audience": {"aud": ["somebody"]},
    "no audience": {"aud": None},
    "ended": {"exp": 1_000_000_000},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "not yet": {"nbf": 4_000_000_000},
    "no role": {"roles": []},
    "no known role": {"roles": ["chef"]},
    "roles of another shape": {"roles": {"admin": True}},
    "nobody": {"sub": ""},
}


@pytest.mark.parametrize("name", REFUSED)
def test_tokens_that_are_not_for_us(
    oidc: dict[str, str], token: Any, shared: Any, tmp_path: Path, name: str
) -> None:
    tokens = Tokens(settings_of(tmp_path, **oidc))
    assert tokens.caller(token(**REFUSED[name]), now=shared.clock.now) is None


def test_forged_tokens(
    oidc: dict[str, str], token: Any, shared: Any, tmp_path: Path, signing: RSAKey
) -> None:
    tokens, now = Tokens(settings_of(tmp_path, **oidc)), shared.clock.now
    other = RSAKey.generate_key(2048, {"kid": "a"})
    shared_secret = OctKey.generate_key(256)
    good = token()
    head, body, signature = good.split(".")
    forged = [
        token(key=other),
        token(key=ECKey.generate_key("P-256"), header={"alg": "ES256", "kid": "a"}),
        token(key=shared_secret, header={"alg": "HS256", "kid": "a"}),
        token(header={"alg": "RS256", "kid": "unknown"}),
        f"{head}.{body}.",
        f"{head}.{body[:-2]}AA.{signature}",
        "eyJhbGciOiJub25lIn0." + body + ".",
        "a.b.c",
        "..",
    ]
    assert [tokens.caller(one, now=now) for one in forged] == [None] * len(forged)
    assert tokens.caller(good, now=now) is not None


def test_keys_of_the_provider_that_cannot_be_read(
    oidc: dict[str, str], token: Any, shared: Any, tmp_path: Path, jwks: Path
) -> None:
    jwks.write_text("{}")
    tokens = Tokens(settings_of(tmp_path, **oidc))
    with pytest.raises(StoreUnavailableError, match="CHANGERISK_OIDC_JWKS"):
        tokens.caller(token(), now=shared.clock.now)


@pytest.mark.parametrize(
    "given",
    [
        {"CHANGERISK_OIDC_JWKS": "jwks.json"},
        {
            "CHANGERISK_OIDC_JWKS": "http://id.example.org/keys",
            "CHANGERISK_OIDC_ISSUER": ISSUER,
            "CHANGERISK_OIDC_AUDIENCE": AUDIENCE,
        },
        {"CHANGERISK_PROXY_PEERS": "10.0.0.0/8, somewhere"},
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="expected"):
        settings_of(tmp_path, **given)


def test_over_http(
    serve: Any, home: Path, loaded: Any, oidc: dict[str, str], token: Any, ticket: Any
) -> None:
    service = serve(home, kind=loaded, **oidc)
    headers = {"Authorization": f"Bearer {token()}"}
    body = ticket(requested_by="ada lovelace")
    assert service.ask("POST", "/v1/score", role=None, headers=headers, json=body).is_success
    path = f"/v1/changes/{body['change_id']}/decision"
    decision = {"decision": "reject", "reason": "this is not ready yet"}
    refused = service.ask("POST", path, role=None, headers=headers, json=decision)
    assert (refused.status_code, "requested" in refused.text) == (403, True)
    forged = {"Authorization": f"Bearer {token(roles=['admin'], iss='x')}"}
    assert service.ask("GET", "/v1/model", role=None, headers=forged).status_code == 401
    assert service.ask("GET", "/v1/model", role="admin").status_code == 200, "keys work beside it"


def test_the_pages_know_the_providers_tokens(
    serve: Any, home: Path, loaded: Any, oidc: dict[str, str], token: Any
) -> None:
    service = serve(home, kind=loaded, **oidc)
    bearer = {"Authorization": f"Bearer {token()}"}
    page = service.ask("GET", "/", role=None, headers=bearer)
    assert (page.status_code, "CAB agenda" in page.text) == (200, True)
    forged = {"Authorization": f"Bearer {token(iss='x')}"}
    there = service.ask("GET", "/", role=None, headers=forged, follow_redirects=False)
    assert there.status_code == 303
    # A proxy adds the token to whatever a browser sends, forms from elsewhere too.
    for site, status in (("cross-site", 403), ("same-origin", 303)):
        headers = {**bearer, "Sec-Fetch-Site": site}
        made = service.ask("POST", "/feeds", role=None, headers=headers, follow_redirects=False)
        assert made.status_code == status
    held = service.ask("GET", "/schedule", role=None, headers=bearer).text
    feed = held.partition("/schedule.ics?")[2].partition('"')[0]
    assert service.ask("GET", f"/schedule.ics?{feed}", role=None).status_code == 200


# a proxy -----------------------------------------------------------------------------------------


def scope(client: str | None, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "client": client and (client, 1), "headers": list(headers)}


ADA = (b"x-remote-user", b"Ada")
ROLE = (b"x-remote-roles", b"requester, approver")


def test_a_listed_proxy_is_believed_and_nobody_else(tmp_path: Path) -> None:
    peers = settings_of(tmp_path, CHANGERISK_PROXY_PEERS="10.1.0.0/16, ::1").proxy_peers
    for client in ("10.1.2.3", "::1"):
        ada = proxied(scope(client, ADA, ROLE), peers)
        assert ada is not None
        assert (ada.name, ada.role) == ("Ada", "approver")
        assert ada.permissions == MAY["approver"]
    for said in (
        scope("10.2.0.1", ADA, ROLE),
        scope(None, ADA, ROLE),
        scope("testclient", ADA, ROLE),
        scope("10.1.2.3", ADA),
        scope("10.1.2.3", ROLE),
        scope("10.1.2.3", ADA, (b"x-remote-roles", b"chef")),
        scope("10.1.2.3", (b"x-remote-user", b"  "), ROLE),
        scope("10.1.2.3", ADA, ROLE, (b"x-remote-user", b"Eve")),
        scope("10.1.2.3", ADA, ROLE, (b"x-remote-roles", b"admin")),
    ):
        assert proxied(said, peers) is None
    assert proxied(scope("10.1.2.3", ADA, ROLE), ()) is None


def test_a_proxy_over_http(serve: Any, home: Path, loaded: Any, ticket: Any) -> None:
    service = serve(home, kind=loaded, CHANGERISK_PROXY_PEERS="10.0.0.1")
    service.client._transport.client = ("10.0.0.1", 50000)
    headers = {"X-Remote-User": "Ada", "X-Remote-Roles": "approver"}
    assert service.ask("GET", "/v1/model", role=None, headers=headers).status_code == 200
    body = {"json": ticket(), "role": None}
    for site, status in (({}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
                         ({"Origin": "https://evil.example.org"}, 403),
                         ({"Sec-Fetch-Site": "same-origin"}, 200)):  # fmt: skip
        response = service.ask("POST", "/v1/score", headers={**headers, **site}, **body)
        assert response.status_code == status
    asked = {"role": None, "headers": {**headers, "Accept": "text/html"}}
    lost = service.ask("GET", "/nope", **asked)
    assert (lost.status_code, "There is no such page" in lost.text) == (404, True)
    service.client._transport.client = ("10.0.0.2", 50000)
    assert service.ask("GET", "/v1/model", role=None, headers=headers).status_code == 401


# keys --------------------------------------------------------------------------------------------


def test_a_key_can_be_narrowed(shared: Any, ticket: Callable[..., Any]) -> None:
    now = shared.clock.now
    key = create(
        shared.store, name="form", role="requester", now=now, expires_at=None, scopes=["score"]
    )
    headers = {"X-API-Key": key}
    assert shared.ask("POST", "/v1/score", role=None, headers=headers, json=ticket()).is_success
    refused = shared.ask("GET", "/v1/changes", role=None, headers=headers)
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("the scope of this key of the role requester leaves")
    with pytest.raises(ValueError, match="the role requester may not decide; it may inform"):
        create(
            shared.store, name="x", role="requester", now=now, expires_at=None, scopes=["decide"]
        )


def test_two_keys_live_while_one_replaces_the_other(shared: Any) -> None:
    now, store = shared.clock.now, shared.store
    old = create(store, name="itsm", role="service", now=now, expires_at=None, scopes=["score"])
    key_id = caller(store, old, now=now).key_id
    new = rotate(store, key_id, now=now, overlap=timedelta(days=7), expires_at=None)
    for moment, both in ((now + timedelta(days=6), True), (now + timedelta(days=7), False)):
        found = [caller(store, key, now=moment) for key in (old, new)]
        assert (found[0] is not None) is both
        assert (found[1].name, found[1].role, found[1].permissions) == (
            "itsm", "service", frozenset({"score"}),
        )  # fmt: skip
    with pytest.raises(ValueError, match="no live key"):
        rotate(store, "none", now=now, overlap=timedelta(0), expires_at=None)


def test_the_command_line_rotates(shared: Any, cli: Callable[..., Any]) -> None:
    ran = cli(shared.home, "keys", "create", "robot", "--scope", "score", "--json")
    key = ran.lines()[0]["key"]
    key_id = ran.lines()[0]["key_id"]
    assert caller(shared.store, key, now=shared.clock.now).key_id == key_id
    ran = cli(shared.home, "keys", "rotate", key_id, "--overlap-days", "1", "--json")
    assert ran.code == 0, ran.err
    assert caller(shared.store, ran.lines()[0]["key"], now=shared.clock.now).name == "robot"
    assert cli(shared.home, "keys", "create", "x", "--scope", "decide").code == 2
    assert cli(shared.home, "keys", "rotate", "none").code == 2
