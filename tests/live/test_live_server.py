"""`misgen play`: who is answered, what a page is told, and that nothing is lost by a mistake."""

from __future__ import annotations

import http.client
import json
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from misgen.envs.core.level_text.level_set import LevelSet
from misgen.experiments.commands import cli
from misgen.experiments.live.config import PlayConfig, configured
from misgen.experiments.live.server import PageServer
from misgen.experiments.live.session import Session

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "experiments" / "live" / "page"
SMALL = ["env=cheese_on_a_dish", "id=5"]


@pytest.fixture
def session(tmp_path) -> Session:
    return Session(configured([*SMALL, f"runs={tmp_path}", "agent=goal_seeker"]))


@pytest.fixture
def server(session) -> Iterator[PageServer]:
    with PageServer(session) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def ask(
    server: PageServer,
    method: str = "POST",
    path: str | None = None,
    body: bytes | str = "{}",
    **headers: str | None,
) -> tuple[int, str, dict[str, str]]:
    """Send a request as the page does, with some headers changed, or left out (None)."""
    own = f"127.0.0.1:{server.server_port}"
    sent = {"Host": own, "Origin": f"http://{own}", "Content-Type": "application/json"}
    sent |= {"Content-Length": str(len(body))} if method == "POST" else {}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    found = {name: value for name, value in (sent | given).items() if value is not None}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest(method, path or f"/{server.token}/do/again", True, True)
    for name, value in found.items():
        connection.putheader(name, value)
    connection.endheaders()
    if method == "POST":
        connection.send(body if isinstance(body, bytes) else body.encode())
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


# --- who is answered


def test_it_listens_on_loopback_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in own - {"127.0.0.1"}:
        with socket.socket() as other:
            other.settimeout(2)
            assert other.connect_ex((address, server.server_port)) != 0


def test_the_page_itself_is_answered(server):
    status, text, headers = ask(server)
    assert (status, json.loads(text)["state"]["world"]) == (200, "cheese_on_a_dish")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    local = f"localhost:{server.server_port}"
    assert ask(server, Host=local, Origin=f"http://{local}")[0] == 200
    assert ask(server, Sec_Fetch_Site="same-origin")[0] == 200
    assert ask(server, "GET", f"/{server.token}/", Origin=None)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": None},
        {"Host": "[::1]:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_who_is_not_the_page_is_refused(server, session, headers):
    game = session.game
    for method in ("POST", "GET") if headers != {"Origin": None} else ("POST",):
        path = f"/{server.token}/" if method == "GET" else None
        status, text, _ = ask(server, method, path, **headers)
        assert status == 403
        assert text.startswith("misgen play: ")
        assert server.token not in text
    assert session.game is game, "and nothing was done"


@pytest.mark.parametrize("token", ["", "x" * 32, "..", "%2e%2e", "tok%C3%A9n"])
def test_without_the_token_nothing_is_told(server, token):
    assert ask(server, path=f"/{token}/do/again")[0] == 403
    assert ask(server, "GET", f"/{token}/index.html")[0] == 403
    assert ask(server, "GET", "/")[0] == 403
    assert ask(server, "GET", f"/{server.token}")[0] == 403, "an address without its last sign"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{", {}, 400),
        ("[1]", {}, 400),
        (b"\xff\xfe", {}, 400),
        ("[" * 100_000, {}, 400),
        ("{}", {"Content_Type": "text/plain"}, 415),
        ("{}", {"Content_Length": "-1"}, 413),
        ("{}", {"Content_Length": "99999999999"}, 413),
        ("{}", {"Content_Length": None}, 413),
    ],
)
def test_what_is_no_request_is_refused(server, body, headers, status):
    assert ask(server, body=body, **headers)[0] == status


@pytest.mark.parametrize(
    "name", ["../server.py", "%2e%2e/server.py", "__init__.py", "nothing.js", "/etc/passwd", ".js"]
)
def test_only_files_of_the_page_are_sent(server, name):
    assert ask(server, "GET", f"/{server.token}/{name}")[0] == 404


def test_two_servers_have_two_tokens_and_a_port_that_is_taken_is_named(server, session, capsys):
    with PageServer(session) as other:
        assert other.token != server.token
    argv = ["play", *SMALL, f"port={server.server_port}", "open=false"]
    assert cli.main(argv) == 2
    assert f"port={server.server_port} cannot be used" in capsys.readouterr().err


# --- what the page consists of


def test_every_file_of_the_page_is_served_and_in_the_wheel(server):
    found = {path.name for path in PAGE.iterdir() if path.suffix in (".html", ".css", ".js")}
    assert {"index.html", "style.css", "main.js"} <= found
    for name in found:
        status, text, _ = ask(server, "GET", f"/{server.token}/{name}", Origin=None)
        assert (status, text) == (200, (PAGE / name).read_text())
    patterns = re.findall(r'"\*\*/\*(\.\w+)"', (ROOT / "setup.py").read_text())
    assert {Path(name).suffix for name in found} <= set(patterns)
    packages = runpy.run_path(str(ROOT / "setup.py"))["packages"]()
    assert "misgen.experiments.live.page" in packages


def test_the_page_asks_nobody_else_and_takes_nothing_as_html():
    for path in PAGE.iterdir():
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text()
            addresses = re.findall(r"https?://[^\s\"')]+", text)
            assert addresses == [], path.name
            for dangerous in (
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "eval(",
                "document.write",
            ):
                assert dangerous not in text, (path.name, dangerous)


def test_every_request_of_the_page_is_known():
    from misgen.experiments.live.session import _CALLS

    asked = {
        name
        for path in PAGE.glob("*.js")
        for name in re.findall(r'\bcall\("(\w+)"', path.read_text())
    }
    assert asked == set(_CALLS)


# --- what can be asked for


def do(session: Session, name: str, /, **fields) -> dict:
    sent = json.loads(json.dumps(fields))
    told = json.loads(json.dumps(session.call(name, sent), default=lambda one: one.item()))
    assert "error" not in told, told
    return told


def test_play_watch_take_over_and_hand_back(session):
    do(session, "let")
    do(session, "let")
    taken = do(session, "act", action=session.world.no_op)["state"]
    assert taken["turns"] == [["goal_seeker", 2], ["human", 1]]
    while session.game.running:
        state = do(session, "let")["state"]
    assert state["info"]["outcome"] == "GOAL"
    (row,) = do(session, "episodes")["rows"]
    assert (row["role"], row["agent"]) == ("mixed", "you and goal_seeker")
    back = do(session, "go", to=2)["state"]
    assert (back["at"], back["running"], back["length"]) == (2, True, state["length"])
    assert sum(back["agent"]["probabilities"]) == 1
    do(session, "act", action=0)
    assert session.game.who == ["goal_seeker", "goal_seeker", "human"]


def test_the_goal_moves_and_the_agent_goes_there(session):
    do(session, "let")
    level = session.game.level
    told = do(session, "move", **{"from": level.goal_cell, "to": [4, 9], "how": "here"})["state"]
    assert (told["at"], told["level"]["marks"]["goal"], told["note"]) == (1, [4, 9], "")
    while session.game.running:
        do(session, "let")
    assert session.game.path[-1] == (4.5, 9.5)
    stood = [int(k) for k in session.game.path[2]]
    session.game.go_to(4)
    told = do(session, "move", **{"from": [4, 9], "to": stood, "how": "here"})["state"]
    assert told["at"] == 0
    assert "from here is not possible" in told["note"]


def test_a_level_is_painted_undone_saved_and_read_back(session, capsys):
    before = session.game.level
    cell = next(c for c in ((4, 9), (5, 9)) if before.tiles[c[1], c[0]] == 0)
    painted = do(session, "paint", cell=cell, sign="#")["state"]["level"]
    assert painted["byHand"]
    checked = do(session, "check")
    assert checked["lines"][0].startswith("in conflict: goal at")
    assert not checked["wrong"]
    saved = do(session, "save", name="mine")
    assert "is there already" in session.call("save", {"name": "mine.txt"})["error"]
    file = saved["file"]
    content = session.game.level.content_hash
    (to_evaluate,) = LevelSet.read(str(Path(file).parent), session.world).levels()
    assert to_evaluate.content_hash == content
    assert do(session, "undo")["state"]["level"]["byHand"] is False
    assert session.game.level.content_hash == before.content_hash
    do(session, "read", text=Path(file).read_text())
    assert session.game.level.content_hash == content
    for command in (["play", f"file={file}", "agent=goal_seeker"], ["check", f"file={file}"]):
        assert cli.main(["levels", *command]) == 0
    assert content in capsys.readouterr().out
    again = Session(configured([f"file={file}", f"runs={session.config.runs}"]))
    assert again.game.level.content_hash == content


def test_a_text_may_be_of_another_world_with_other_parameters(session):
    from misgen.envs.core.distribution import LevelDistribution
    from misgen.envs.core.level_text.text import level_to_text
    from misgen.envs.core.registry import make_world

    world = make_world("corner_maze", mode="easy")
    (level,) = LevelDistribution(world, 0.0).levels([4])
    state = do(session, "read", text=level_to_text(level, world))["state"]
    assert (state["world"], state["agent"]) == ("corner_maze", None)
    assert session.world.mode == "easy"
    do(session, "open", world="corner_maze", id=7, correlation=0, placement="anywhere")
    assert session.world.mode == "easy", "it stays in the world that is shown"
    assert do(session, "undo")["state"]["world"] == "cheese_on_a_dish"


def test_a_mistake_changes_nothing(session):
    do(session, "let")
    wrong = [
        ("act", {"action": 99}, "action=99 is out of range: give a number from 0 to 4"),
        ("act", {"action": "up"}, "action='up' is not a whole number"),
        ("act", {}, "action=None is not a whole number"),
        ("act", {"action": True}, "action=True is not a whole number"),
        ("open", {"world": "nowhere", "id": 1}, "world='nowhere' is not known"),
        ("open", {"world": "corner_maze", "id": -1, "correlation": 0}, "ids=-1:0 is not a range"),
        (
            "open",
            {"world": "cheese_on_a_dish", "id": 1, "correlation": 2, "placement": "usual"},
            "correlation=2.0 is out of range",
        ),
        (
            "open",
            {"world": "cheese_on_a_dish", "id": 1, "correlation": 0, "placement": "<b>"},
            "placement='<b>' is not known",
        ),
        ("agent", {"name": "/etc", "seed": 0}, "agent='/etc' is not known"),
        ("agent", {"name": "", "seed": -1}, "seed=-1 is out of range"),
        ("move", {"from": [0, 0], "to": [1, 1], "how": "start"}, "nothing that can be moved"),
        ("move", {"from": [0, 0], "to": [1, 1], "how": "later"}, "how='later' is not known"),
        ("move", {"from": [0], "to": [1, 1], "how": "start"}, "from=[0] is not a cell"),
        ("paint", {"cell": [2, 2], "sign": "?"}, "sign='?' is not known"),
        ("paint", {"cell": [1e99, 2], "sign": "#"}, "cell=[1e+99, 2] is not a cell"),
        ("read", {"text": "hello"}, "the first line must be 'misgen level 1'"),
        ("save", {"name": "../x"}, "name='../x' is no name of a file here"),
        ("save", {"name": ""}, "name='' is no name of a file here"),
        ("go", {"to": None}, "to=None is not a whole number"),
        ("view", {"width": float("nan"), "height": 1}, "width=nan is not a number"),
        ("undo", {}, "nothing was changed that could be undone"),
        ("test", {"called": "", "levels": 2}, "called='' is no name for a table"),
        ("test", {"called": "a\u202eb", "levels": 2}, "is no name for a table"),
        ("test", {"called": "Ada", "levels": 0}, "levels=0 is out of range"),
        ("test_next", {}, "no test is going on"),
        ("fly", {}, "request='fly' is not known"),
    ]
    before = do(session, "go", to=1)["state"]
    for name, fields, message in wrong:
        told = session.call(name, fields)
        assert message in told.get("error", ""), (name, fields, told.get("error"))
    after = do(session, "go", to=1)["state"]
    assert after == before


def test_a_name_with_html_in_it_stays_text(session):
    do(session, "test", called="<img src=x onerror=alert(1)>", levels=1)
    assert session.diary.person == "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["port=80"], "port=80 is reserved"),
        (["port=70000"], "port=70000 is out of range"),
        (["called="], "called='' is no name for a table"),
        (["name=../x"], "name='../x' is no folder's name"),
        (["agent=nobody"], "agent='nobody' is not known"),
        (["correlation=3"], "correlation=3.0 is out of range"),
        (["file=nowhere.txt"], "nowhere.txt cannot be read"),
        (["terminal=true", "port=8123"], "with terminal=true there is no page"),
    ],
)
def test_settings_are_checked_before_anything_is_served(argv, message, capsys, tmp_path):
    assert cli.main(["play", *SMALL, "open=false", f"runs={tmp_path}", *argv]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_settings_can_be_printed(capsys):
    assert cli.main(["play", "--cfg"]) == 0
    out = capsys.readouterr().out
    for field in PlayConfig.__dataclass_fields__:
        assert f"{field}:" in out


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_loses_nothing(number, tmp_path):
    code = (
        "import sys; from misgen.experiments.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", code, "play", *SMALL, "open=false", f"runs={tmp_path}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split(": ", 1)[1].strip()
        own = address.rpartition("/")[0].rpartition("/")[0]
        headers = {"Origin": own, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}do/act", b'{"action": 2}', headers)
        assert json.load(urllib.request.urlopen(request, timeout=60))["state"]["at"] == 1
        process.send_signal(number)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "written: " in rest
    (plays,) = tmp_path.glob("play/*/plays.jsonl")
    assert json.loads(plays.read_text())["actions"] == [2]


def test_an_episode_is_kept_whole_though_somebody_looks_at_its_beginning(session):
    for _ in range(3):
        do(session, "let")
    do(session, "go", to=1)
    do(session, "again")
    assert [row["steps"] for row in do(session, "episodes")["rows"]] == [3]


def test_a_page_needs_no_torch(tmp_path):
    code = (
        "import sys; from misgen.experiments.live.config import configured; "
        "from misgen.experiments.live.session import Session; "
        f"s = Session(configured({[*SMALL, f'runs={tmp_path}', 'agent=goal_seeker']!r})); "
        "s.call('hello', {}); s.call('let', {}); "
        "print([m for m in ('torch', 'matplotlib', 'wandb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
