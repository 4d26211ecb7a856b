"""`serve`: what it gives, what it keeps, and what it does not."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.user_study.__main__ import main
from analysis.user_study.server import MOST_BYTES, StudyServer
from analysis.user_study.study import StudyFolder, read_study
from tests.analysis.user_studies import rater, small_study


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyServer]:
    folder = small_study(tmp_path_factory.mktemp("served"))
    with StudyServer(folder, 0) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(
    server: StudyServer, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def post(server: StudyServer, values: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    status, answer, _ = ask(server, "POST", "/answers", body, {"Content-Type": "application/json", **headers})
    return status, json.loads(answer)


def submission(server: StudyServer, who: int, choice: str = "left", question: str = "plain") -> dict[str, Any]:
    given = [{"showing": server.record.showings[0].id, "question": question, "choice": choice}]
    return {"study": server.record.id, "rater": rater(who), "answers": given}


def test_the_page_and_its_clips_are_served(server: StudyServer) -> None:
    status, page, headers = ask(server, "GET", "/")
    assert (status, headers.get_content_type()) == (200, "text/html")
    assert page == server.folder.index.read_bytes()
    name = server.record.showings[0].left
    status, clip, headers = ask(server, "GET", f"/clips/{name}.mp4")
    assert (status, headers.get_content_type()) == (200, "video/mp4")
    assert clip == server.folder.clip(name).read_bytes()


def test_a_part_of_a_clip_can_be_asked_for(server: StudyServer) -> None:
    name = server.record.showings[0].left
    whole = server.folder.clip(name).read_bytes()
    for asked, part in (("bytes=10-19", whole[10:20]), ("bytes=10-", whole[10:]), ("bytes=0-99999999", whole)):
        status, clip, headers = ask(server, "GET", f"/clips/{name}.mp4", headers={"Range": asked})
        assert (status, clip) == (206, part)
        assert headers["Content-Range"].endswith(f"/{len(whole)}")
    assert ask(server, "GET", f"/clips/{name}.mp4", headers={"Range": "bytes=99999999-"})[0] == 416


@pytest.mark.parametrize(
    "path",
    [
        "/pairs.json",
        "/answers.jsonl",
        "/../pairs.json",
        "/clips/../../pairs.json",
        "/clips/..%2f..%2fpairs.json",
        "/clips/%2e%2e/%2e%2e/pairs.json",
        "//etc/passwd",
        "/clips//etc/passwd",
        "/clips/",
        "/clips",
    ],
)
def test_nothing_else_is_served(server: StudyServer, path: str) -> None:
    assert ask(server, "GET", path)[0] == 404


def test_a_rater_s_showings_stay_the_same(server: StudyServer) -> None:
    first, again = (json.loads(ask(server, "GET", f"/assignment?rater={rater(50)}")[1]) for _ in range(2))
    assert first == again
    assert len(set(first["showings"])) == 2
    assert ask(server, "GET", "/assignment?rater=Ann")[0] == 400
    assert ask(server, "GET", "/assignment")[0] == 400


def test_answers_are_kept_once_and_the_first_one_stays(server: StudyServer) -> None:
    assert post(server, submission(server, 1, "left")) == (200, {"new": 1})
    assert post(server, submission(server, 1, "left")) == (200, {"new": 0})
    assert post(server, submission(server, 1, "right")) == (200, {"new": 0})
    assert post(server, submission(server, 1, "right", "told")) == (200, {"new": 1})
    lines = [json.loads(line) for line in server.folder.answers.read_text().splitlines()]
    assert [line for line in lines if line["rater"] == rater(1)] == [
        submission(server, 1, "left"),
        submission(server, 1, "right", "told"),
    ]


def test_wrong_answers_are_refused_with_the_reason(server: StudyServer) -> None:
    before = server.folder.answers.read_bytes() if server.folder.answers.exists() else b""
    assert post(server, submission(server, 2, "up")) == (
        400,
        {"error": "answers: answers.0.choice: input should be 'left' or 'right', got 'up'"},
    )
    assert post(server, b"{")[0] == 400
    assert post(server, b"[" * 200_000)[0] == 400
    assert post(server, b" " * (MOST_BYTES + 1))[0] == 413
    assert post(server, submission(server, 2), **{"Content-Type": "text/plain"})[0] == 415
    assert post(server, submission(server, 2), Host="elsewhere.example")[0] == 403
    assert ask(server, "POST", "/", b"{}", {"Content-Type": "application/json"})[0] == 404
    assert (server.folder.answers.read_bytes() if server.folder.answers.exists() else b"") == before


def test_answers_that_cannot_be_written_are_not_taken_for_kept(
    server: StudyServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("analysis.user_study.answers.os.fsync", full)
        assert post(server, submission(server, 3)) == (
            507,
            {"error": "the answers could not be kept: No space left on device"},
        )
    assert rater(3) not in server.folder.answers.read_text()
    assert post(server, submission(server, 3)) == (200, {"new": 1})


def test_many_raters_at_a_time_lose_nothing(server: StudyServer) -> None:
    threads = [threading.Thread(target=post, args=(server, submission(server, who))) for who in range(100, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = {json.loads(line)["rater"] for line in server.folder.answers.read_text().splitlines()}
    assert {rater(who) for who in range(100, 120)} <= written


def test_only_this_machine_is_listened_to(server: StudyServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_wrong_use_is_one_line(server: StudyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--study", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: no user study in {tmp_path}: pairs.json: No such file")
    study = str(server.folder.path)
    assert main(["serve", "--study", study, "--port", str(server.server_port)]) == 2
    assert "choose another --port" in capsys.readouterr().err
    assert main(["serve", "--study", study, "--port", "70000"]) == 2
    assert "--port must be from 0 to 65535" in capsys.readouterr().err
    (tmp_path / "pairs.json").write_text("{}")
    assert main(["score", "--study", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'pairs.json'}: id is missing")


def test_a_study_without_answers_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = small_study(tmp_path, pairs=2)
    assert main(["score", "--study", str(study.path)]) == 2
    assert "no answers yet in" in capsys.readouterr().err
    assert len(read_study(study).showings) == 2


def test_ctrl_c_ends_the_server_without_a_traceback(server: StudyServer) -> None:
    command = [sys.executable, "-m", "analysis.user_study", "serve", "--study", str(server.folder.path), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    port = int(first.split("http://127.0.0.1:")[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as idle:  # a browser that stays connected
        idle.sendall(b"GET / HT")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    rest = process.stderr.read()
    assert "Traceback" not in rest
    assert "answers in" in rest


def test_another_study_s_answers_are_refused(server: StudyServer, tmp_path: Path) -> None:
    other = tmp_path / "answers-1.json"
    other.write_text(json.dumps({**submission(server, 1), "study": "000000000000"}))
    assert main(["score", "--study", str(server.folder.path), str(other)]) == 2
    assert StudyFolder(server.folder.path).truth.exists()
