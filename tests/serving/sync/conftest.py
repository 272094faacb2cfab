"""ServiceNow and Jira as local servers over TLS, with an authority made for the test."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from features.store import Store
from serving.courier import Courier
from tests.serving.sync.telling import Clock, Receiver, endpoint

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Server:
    """A local server whose answers a test can disturb.

    ``disturb`` holds what happens to coming requests instead of an answer: a status, a status with
    headers, or ``"cut"``, where half of the answer is sent before the connection closes.
    """

    def __init__(self, certificate: Path) -> None:
        self.disturb: list[Any] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                content = self.rfile.read(length)
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
                server.asked.append((self.command, parts.path, query))
                body = json.loads(content) if content else None
                if body is not None:
                    server.bodies.append(body)
                trouble = server.disturb.pop(0) if server.disturb else None
                if isinstance(trouble, int):
                    self._send(trouble, {"error": {"message": "no"}}, {})
                elif isinstance(trouble, tuple):
                    self._send(trouble[0], {"error": {"message": "no"}}, trouble[1])
                elif server.refuses(self.headers):
                    self._send(401, {"error": {"message": "User Not Authenticated"}}, {})
                else:
                    answer = server.answer(self.command, parts.path, query, body)
                    self._send(*answer, cut=trouble == "cut")

            do_GET = do_PUT = do_POST = do_PATCH = _do  # noqa: N815 - the library's names

            def _send(
                self, status: int, content: Any, headers: dict[str, str], *, cut: bool = False
            ) -> None:
                data = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if cut else data)
                if cut:
                    self.close_connection = True

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def refuses(self, headers: Any) -> bool:
        return not headers.get("Authorization")

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        raise NotImplementedError

    def count(self, method: str, path: str) -> int:
        """Requests of a method whose path holds a text."""
        return sum(m == method and path in p for m, p, _ in self.asked)


# ServiceNow --------------------------------------------------------------------------------------


class ServiceNowServer(Server):
    """The Table API: rows of database values, and names of what they refer to."""

    def __init__(self, certificate: Path) -> None:
        self.tables: dict[str, list[dict[str, str]]] = {}
        self.names: dict[str, str] = {}
        self.forbidden: set[str] = set()
        self.stale_cookies = False
        super().__init__(certificate)

    def refuses(self, headers: Any) -> bool:
        stale = self.stale_cookies and "JSESSIONID" in (headers.get("Cookie") or "")
        return stale or super().refuses(headers)

    def add(self, table: str, **row: str) -> dict[str, str]:
        """A row; the ITSM's own columns are filled where they are missing."""
        rows = self.tables.setdefault(table, [])
        made = {
            "sys_id": f"{len(rows) + 1:08x}" + table.encode().hex()[:24].rjust(24, "0"),
            "sys_created_on": "2026-11-01 08:00:00",
            "sys_updated_on": "2026-11-01 08:00:00",
            "sys_mod_count": "0",
            **row,
        }
        rows.append(made)
        self.names[made["sys_id"]] = made.get("number") or made.get("name") or made["sys_id"]
        return made

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        found = re.fullmatch(r"/api/now/table/(\w+)(?:/(\w+))?", path)
        assert found is not None, path
        table, sys_id = found.groups()
        if table in self.forbidden:
            return 403, {"error": {"message": "Insufficient rights"}}, {}
        headers = {"Set-Cookie": "JSESSIONID=1; Path=/"} if self.stale_cookies else {}
        rows = self.tables.get(table, [])
        if sys_id is None:
            chosen = self._chosen(rows, query["sysparm_query"])
            offset, limit = int(query["sysparm_offset"]), int(query["sysparm_limit"])
            page = [self._shown(row) for row in chosen[offset : offset + limit]]
            return 200, {"result": page}, {**headers, "X-Total-Count": str(len(chosen))}
        for row in rows:
            if row["sys_id"] == sys_id:
                if method == "PATCH":
                    row.update(body)
                    row["work_notes"] = ""  # a journal shows nothing
                    row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)
                return 200, {"result": self._shown(row)}, headers
        return 404, {"error": {"message": "No Record found"}}, headers

    def _shown(self, row: dict[str, str]) -> dict[str, dict[str, str]]:
        return {
            column: {"value": value, "display_value": self.names.get(value, value)}
            for column, value in row.items()
        }

    def _chosen(self, rows: list[dict[str, str]], query: str) -> list[dict[str, str]]:
        conditions = [part for part in query.split("^") if not part.startswith("ORDERBY")]
        order = [part.removeprefix("ORDERBY") for part in query.split("^") if "ORDERBY" in part]

        def fits(row: dict[str, str]) -> bool:
            for condition in conditions:
                match = re.fullmatch(r"(\w+?)(>=|>|=|IN)(.*)", condition)
                assert match is not None, condition
                column, sign, value = match.groups()
                mine = row.get(column, "")
                holds = {
                    ">=": mine >= value, ">": mine > value, "=": mine == value,
                    "IN": mine in value.split(","),
                }[sign]  # fmt: skip
                if not holds:
                    return False
            return True

        return sorted(filter(fits, rows), key=lambda row: [row.get(name, "") for name in order])


# Jira --------------------------------------------------------------------------------------------


class JiraServer(Server):
    """REST v2 of Cloud or Data Center."""

    def __init__(self, certificate: Path) -> None:
        self.cloud = True
        self.fields: list[dict[str, str]] = []
        self.issues: dict[str, dict[str, Any]] = {}
        self.properties: dict[tuple[str, str], Any] = {}
        self.comments: list[tuple[str, Any]] = []
        super().__init__(certificate)

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        path = path.removeprefix("/rest/api/2/")
        if path == "serverInfo":
            kind = "Cloud" if self.cloud else "Server"
            return 200, {"versionNumbers": [10, 0], "deploymentType": kind}, {}
        if path == "field":
            return 200, self.fields, {}
        if path in ("search", "search/jql"):
            return 200, self._search(query), {}
        parts = path.split("/")
        if parts[0] != "issue" or parts[1] not in self.issues:
            return 404, {"errorMessages": ["Issue does not exist"]}, {}
        return self._issue(method, parts[1], parts[2:], body)

    def _issue(
        self, method: str, key: str, rest: list[str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        if rest[:1] == ["properties"]:
            if method == "PUT":
                self.properties[key, rest[1]] = body
                return 201, None, {}
            if (key, rest[1]) not in self.properties:
                return 404, {"errorMessages": ["The property does not exist."]}, {}
            return 200, {"key": rest[1], "value": self.properties[key, rest[1]]}, {}
        if rest == ["comment"]:
            self.comments.append((key, body))
            return 201, {"id": "1", **body}, {}
        if method == "PUT":
            self.issues[key]["fields"].update(body["fields"])
            return 204, None, {}
        return 200, {"self": f"{self.url}/rest/api/2/issue/{key}", **self.issues[key]}, {}

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        types = re.search(r"issuetype in \(([^)]*)\)", query["jql"])
        assert types is not None
        wanted = set(re.findall(r'"([^"]*)"', types.group(1)))
        since = datetime.min.replace(tzinfo=UTC)
        minutes = re.search(r'updated >= "-(\d+)m"', query["jql"])
        if minutes is not None:
            since = NOW - timedelta(minutes=int(minutes.group(1)))
        chosen = [
            issue
            for issue in self.issues.values()
            if issue["fields"]["issuetype"]["name"] in wanted
            and datetime.fromisoformat(issue["fields"]["updated"]) >= since
        ]
        chosen.sort(
            key=lambda issue: (datetime.fromisoformat(issue["fields"]["updated"]), issue["key"])
        )
        start = int(query.get("nextPageToken") or query.get("startAt") or 0)
        page = chosen[start : start + int(query["maxResults"])]
        end = start + len(page)
        if not self.cloud:
            return {"issues": page, "startAt": start, "total": len(chosen)}
        if end < len(chosen):
            return {"issues": page, "nextPageToken": str(end)}
        return {"issues": page, "isLast": True}


@pytest.fixture
def start(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[type[Server]], Any]]:
    """Starts servers whose certificate is trusted as an organisation's own would be."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    started: list[Server] = []

    def start(kind: type[Server]) -> Server:
        started.append(kind(certificate))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def servicenow(start: Callable[..., Any]) -> ServiceNowServer:
    return start(ServiceNowServer)


@pytest.fixture
def jira(start: Callable[..., Any]) -> JiraServer:
    return start(JiraServer)


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Callable[[Server], dict[str, str]]:
    """What the environment says of a server."""

    def environment(server: Server) -> dict[str, str]:
        if isinstance(server, JiraServer):
            return {"CHANGERISK_JIRA_URL": server.url, "CHANGERISK_JIRA_USER": "us",
                    "CHANGERISK_JIRA_TOKEN": "s3cret-token"}  # fmt: skip
        return {"CHANGERISK_SERVICENOW_URL": server.url, "CHANGERISK_SERVICENOW_USER": "us",
                "CHANGERISK_SERVICENOW_PASSWORD": "s3cret-token"}  # fmt: skip

    return environment


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty home."""
    return tmp_path / "place"


@pytest.fixture
def opened(place: Path) -> Iterator[Store]:
    """Its store, to look into."""
    store = Store(f"sqlite:///{place / 'history.db'}")
    yield store
    store.close()


# webhooks out ------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def service_with(serve: Callable[..., Any], home: Path, loaded: type) -> Callable[[str, str], Any]:
    """Starts a service with a file in its home."""

    def service_with(name: str, text: str) -> Any:
        (home / name).write_text(text, encoding="utf-8")
        return serve(home, kind=loaded)

    return service_with


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/history.db")
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def courier(store: Store, receiver: Receiver, clock: Clock) -> Callable[..., Courier]:
    """Makes couriers; the first one has seen the journal as it is."""

    def courier(**said: Any) -> Courier:
        more = {name: said.pop(name) for name in ("send", "draw") if name in said}
        made = Courier(endpoint(receiver, **said), lambda: store, clock, **more)
        made.gather(store)
        return made

    return courier
