"""Access to a local server, and where it listens."""

import socket

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from densepose_ext.web.access import Access, is_loopback
from densepose_ext.web.listening import listen


def client(token=None, base_url="http://127.0.0.1:8000") -> TestClient:
    routes = [Route("/", lambda request: PlainTextResponse("hello"), methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Access, token=token, cookie="own")])
    return TestClient(app, base_url=base_url, follow_redirects=False)


def test_addresses_of_this_machine():
    mine = ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]
    others = ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.1.example.org", ""]
    assert [host for host in mine + others if is_loopback(host)] == mine


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
def test_a_name_that_leads_here(host):
    answer = client().get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json() == {"error": "this server is only for this machine"}


@pytest.mark.parametrize("token", [None, "secret"])
@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8001", "null", ""])
def test_pages_of_other_sites(token, origin):
    headers = {"Origin": origin, "Authorization": "Bearer secret"}
    assert client(token).post("/", headers=headers).status_code == 403
    headers["Origin"] = "http://127.0.0.1:8000"
    assert client(token).post("/", headers=headers).text == "hello"


def test_a_token_of_a_page():
    page = client("secret", "http://192.0.2.1:8000")
    assert page.get("/").status_code == 401
    assert page.get("/?token=wrong").status_code == 401
    answer = page.get("/?token=secret")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["set-cookie"].startswith("own=secret; HttpOnly")
    assert page.get("/").text == "hello"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer secret", 200),
        ("bearer  secret ", 200),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic secret", 401),
        ("secret", 401),
        ("Bearer sécret", 401),
    ],
)
def test_a_token_of_a_program(header, status):
    headers = {"Authorization": header.encode("latin-1")}
    answer = client("secret").post("/", headers=headers)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_address_of_this_machine_needs_no_token():
    with listen("127.0.0.1", 0) as listener:
        assert listener.token is None
        port = listener.socket.getsockname()[1]
        assert listener.address == f"http://127.0.0.1:{port}/"
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1, port {port}: .+"):
            listen("127.0.0.1", port).__enter__()


def test_other_addresses_do():
    with listen("0.0.0.0", 0) as listener:
        assert len(listener.token) >= 24
        assert listener.address.endswith(f"/?token={listener.token}")
        assert "0.0.0.0" not in listener.address
    with listen("127.0.0.1", 0, "given") as listener:
        assert listener.address.endswith("?token=given")


def test_ports_that_do_not_exist():
    with pytest.raises(OSError, match="port 99999"):
        listen("127.0.0.1", 99999).__enter__()
