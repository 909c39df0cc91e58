"""A program that serves: to whom, and that it does not look for garbage while people stand at its doors."""

import gc
import socket
from pathlib import Path

import aiohttp
import pytest
import typer
from aiohttp import web
from aiohttp.test_utils import TestServer

from menwei.cli import REFUSED, run
from menwei.cli_client import Api, ApiError, api
from menwei.serving import GARBAGE, serve, serving, settle


@pytest.fixture
def collector():
    thresholds, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    (gc.enable if enabled else gc.disable)()


def test_what_was_made_before_it_serves_is_not_looked_through_again(collector):
    kept = {"made": "before"}
    kept["self"] = kept
    gc.disable()
    settle()
    assert gc.isenabled()
    assert gc.get_threshold() == GARBAGE
    assert not any(thing is kept for thing in gc.get_objects())


@pytest.mark.slow
async def test_without_its_certificate_the_console_is_this_machines_and_no_name_pointed_at_it_is_ours(
    tmp_path: Path,
) -> None:
    """`web.host` names every interface; what is served in its place is loopback, and guarded as loopback is."""
    (tmp_path / "config.yaml").write_text(
        "site: {id: yard}\n"
        "web: {host: 0.0.0.0, tls: {certificate: gone.pem, key: gone.pem}}\n"
        "plugins:\n  simulator:\n",
        "utf-8",
    )
    async with serving(tmp_path / "config.yaml", port=0) as site, aiohttp.ClientSession() as browser:
        assert site.server.url.startswith("http://127.0.0.1:")
        health = f"{site.server.url}/api/health"
        async with browser.get(health, headers={"Host": "rebound.example"}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "web.host")
        async with browser.get(health, headers={"Host": "localhost"}) as answer:
            assert answer.status == 200


@pytest.mark.slow
@pytest.mark.parametrize(("language", "said"), [("zh-CN", "已被占用"), ("en", "is taken")])
def test_a_port_that_somebody_else_has_is_named_with_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    language: str,
    said: str,
) -> None:
    monkeypatch.setattr("menwei.cli._Settings.language", language)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = tmp_path / "config.yaml"
        config.write_text(f"site: {{id: yard}}\nweb: {{port: {port}}}\n", "utf-8")
        told_passwords: list[str] = []
        with pytest.raises(typer.Exit) as ended:
            run(serve(config, lambda _: None, told_passwords.append))
    assert ended.value.exit_code == REFUSED
    assert len(told_passwords) == 1, "the account is made all the same: its password must not be lost"
    told = capsys.readouterr().err
    assert said in told and str(port) in told and "web.port" in told.replace("\n", "")


async def test_a_command_that_is_the_first_on_a_folder_shows_the_first_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("site: {id: yard}\n", "utf-8")
    async with api(config, "en") as service:
        assert (await service.get("/api/people"))["people"] == []
        assert not service.serves
    first = capsys.readouterr()
    assert "admin" in first.err
    assert "admin" not in first.out
    async with api(config, "en"):
        pass
    assert "admin" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("language", "said"), [("zh-CN", "服务出错（HTTP 500）"), ("en", "failed (HTTP 500)")]
)
async def test_a_command_says_that_the_service_failed_when_its_answer_cannot_be_read(
    language: str, said: str
) -> None:
    """As aiohttp answers when not even our own answer to a failure can be made."""

    async def fail(_: web.Request) -> web.Response:
        raise RuntimeError

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fail)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        service = Api(session, {"Accept-Language": language}, str(server.make_url("")).rstrip("/"))
        with pytest.raises(ApiError) as refused:
            await service.get("/api/people")
        assert (refused.value.status, said in str(refused.value)) == (500, True)
        with pytest.raises(ApiError):
            await anext(service.lines("/api/people/export", {}))
