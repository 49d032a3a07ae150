"""A delivery: nothing has its name in the folder before all is proven, and what is right stays."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support import web as server

from gpt2_convert.download.client import Client
from gpt2_convert.download.content import SHA256, Digest, Known
from gpt2_convert.download.delivery import deliver
from gpt2_convert.download.plan import Plan, Wanted
from gpt2_convert.download.stage import NAME
from gpt2_convert.errors import (
    ChecksumError,
    FetchError,
    FormatError,
    SourceNotFoundError,
    TargetError,
    TargetExistsError,
    UnreadableError,
    UnsupportedError,
)
from gpt2_convert.progress import ignore_progress
from gpt2_convert.reports.fetch import Proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.web import Server

    from gpt2_convert.download.delivery import Delivery
    from gpt2_convert.progress import Progress

FILES = {
    "small": b"small",
    "plain": b"of which no digest is known",
    "large": bytes(range(256)) * 99,
}


def digest(body: bytes) -> Digest:
    return Digest(SHA256, hashlib.sha256(body).hexdigest())


@pytest.fixture
def plan(client: Client, web: Server) -> Plan:
    """Three files, and of one of them nothing is known."""
    for name, body in FILES.items():
        web.give(f"/{name}", body)
    wanted = tuple(
        Wanted(
            name,
            client.site.address.below(name),
            *(
                (Known(), Proof.SIZE)
                if name == "plain"
                else (Known(len(body), digest(body)), Proof.STATED)
            ),
        )
        for name, body in FILES.items()
    )
    return Plan("tiny", client.site, client.site.address, "tensorflow", wanted)


class Proved(NamedTuple):
    """What was in a folder when it was to be proven."""

    path: Path
    files: dict[str, bytes]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def run(
    plan: Plan,
    folder: Path,
    *,
    force: bool = False,
    prove: Callable[[Path], None] = lambda _: None,
) -> tuple[Delivery, list[Proved]]:
    proved: list[Proved] = []

    def note(path: Path, progress: Progress) -> None:
        files = {name: body for name, body in contents(path).items() if not name.startswith(".")}
        proved.append(Proved(path, files))
        prove(path)

    client = Client(plan.site)
    delivery = deliver(plan, folder, lambda: client, note, force=force, progress=ignore_progress)
    return delivery, proved


def test_all_files_are_there_and_were_proven_before(plan: Plan, tmp_path: Path) -> None:
    def nothing_yet(path: Path) -> None:
        assert not contents(tmp_path / "models")
        assert path.samefile(tmp_path / "models" / NAME)

    delivery, proved = run(plan, tmp_path / "models", prove=nothing_yet)
    assert [each.files for each in proved] == [FILES]
    assert contents(tmp_path / "models") == FILES
    assert os.listdir(tmp_path / "models").count(NAME) == 0
    assert [(each.wanted.name, each.fetched) for each in delivery.files] == [
        ("small", True), ("plain", True), ("large", True),
    ]  # fmt: skip
    assert [each.content.sha256 for each in delivery.files] == [
        digest(body).value for body in FILES.values()
    ]
    assert delivery.nbytes == sum(map(len, FILES.values()))


def test_what_is_there_and_right_is_not_fetched_again(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    run(plan, tmp_path)
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    asked = len(web.requests)
    delivery, proved = run(plan, tmp_path)
    assert proved == [Proved(tmp_path, FILES)]
    assert [each.fetched for each in delivery.files] == [False] * 3
    assert delivery.nbytes == 0
    assert {path.name: path.stat().st_ino for path in tmp_path.iterdir()} == before
    assert [request.method for request in web.requests[asked:]] == ["HEAD"]


def test_only_what_is_missing_is_fetched(plan: Plan, tmp_path: Path, web: Server) -> None:
    run(plan, tmp_path)
    (tmp_path / "small").unlink()
    kept = (tmp_path / "large").stat()
    web.requests.clear()
    delivery, proved = run(plan, tmp_path)
    assert proved[0].files == FILES
    assert [request.path for request in web.requests if request.method == "GET"] == ["/small"]
    assert (tmp_path / "large").stat().st_ino == kept.st_ino
    assert (tmp_path / "large").stat().st_nlink == 1
    assert contents(tmp_path) == FILES
    assert delivery.nbytes == len(FILES["small"])


def test_a_file_that_is_something_else_is_refused_before_anything_is_fetched(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    (tmp_path / "large").write_bytes(b"my own")
    with pytest.raises(TargetExistsError) as caught:
        run(plan, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'large'}: is there already, and is another file than at {web.url}/large: "
        f"6 bytes, where {len(FILES['large']):,} are expected; force=True replaces it"
    )
    assert contents(tmp_path) == {"large": b"my own"}
    assert all(request.method == "HEAD" for request in web.requests)


def test_a_file_of_the_same_size_is_read(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"smell")
    with pytest.raises(TargetExistsError, match=r"small: is there already.*SHA-256"):
        run(plan, tmp_path)


def test_with_force_it_is_replaced_when_all_is_proven(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"my own")

    def still_there(_: Path) -> None:
        assert (tmp_path / "large").read_bytes() == b"my own"

    run(plan, tmp_path, force=True, prove=still_there)
    assert contents(tmp_path) == FILES


def test_a_file_that_survives_every_failure_is_the_old_one(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    (tmp_path / "large").write_bytes(b"my own")
    web.always["/large"] = server.answer_with(500)
    with pytest.raises(FetchError):
        run(plan, tmp_path, force=True)
    assert contents(tmp_path) == {"large": b"my own"}


def test_a_link_that_leads_nowhere_is_something_else(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "small").symlink_to("nowhere")
    with pytest.raises(
        TargetExistsError, match=r"small: is there already.*a link that leads nowhe"
    ):
        run(plan, tmp_path)
    run(plan, tmp_path, force=True)
    assert not (tmp_path / "small").is_symlink()


def test_a_folder_in_the_place_of_a_file_is_never_replaced(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for force in (False, True):
        with pytest.raises(UnreadableError, match="small: not a regular file"):
            run(plan, tmp_path, force=force)


def test_a_file_in_the_place_of_the_folder_is_never_replaced(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"x")
    with pytest.raises(TargetError, match="models: is no folder; name one"):
        run(plan, tmp_path / "models", force=True)


def test_a_file_without_a_digest_is_compared_by_its_size(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"short")
    with pytest.raises(TargetExistsError, match=r"plain: is there already.*5 bytes, where 27"):
        run(plan, tmp_path)


def test_of_a_file_that_is_there_and_proves_itself_nobody_is_asked(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    run(plan, tmp_path)
    web.requests.clear()
    wanted = tuple(
        replace(each, proof=Proof.CONTENTS) if each.proof is Proof.SIZE else each
        for each in plan.wanted
    )
    delivery, proved = run(replace(plan, wanted=wanted), tmp_path)
    assert proved == [Proved(tmp_path, FILES)]
    assert delivery.nbytes == 0
    assert not web.requests


def test_what_nobody_can_prove_is_fetched_again_with_force(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    run(plan, tmp_path)
    (tmp_path / "plain").write_bytes(bytes(27))

    def prove(path: Path) -> None:
        if not any((path / "plain").read_bytes()):
            raise ChecksumError(f"{path / 'plain'}: zeros")

    with pytest.raises(TargetExistsError, match=r"cannot be proven: .*plain: zeros; force=True"):
        run(plan, tmp_path, prove=prove)
    web.requests.clear()
    run(plan, tmp_path, force=True, prove=prove)
    assert contents(tmp_path) == FILES
    assert [request.path for request in web.requests if request.method == "GET"] == ["/plain"]


def test_a_wrong_digest_is_refused_and_discarded(plan: Plan, tmp_path: Path, web: Server) -> None:
    web.give("/large", bytes(len(FILES["large"])))
    with pytest.raises(ChecksumError) as caught:
        run(plan, tmp_path / "models")
    found, expected = digest(bytes(len(FILES["large"]))), digest(FILES["large"])
    assert str(caught.value).startswith(
        f"{web.url}/large: {found}, where {expected} is expected; it was discarded; the server has "
        "another file, or something on the way changes it"
    )
    assert not contents(tmp_path / "models")
    assert not (tmp_path / "models" / NAME / "large").exists()
    assert len(web.asked("/large")) == 1


def test_a_wrong_digest_of_pieces_is_tried_once_more_from_the_start(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    body = FILES["large"]

    def mix(handler: server.Handler, _: server.File) -> None:
        """Give other bytes under the same name of the version."""
        tag = web.files["/large"].headers["ETag"]
        server.break_after(5000)(handler, server.File(bytes(len(body)), {"ETag": tag}))

    web.spoil("/large", mix)
    run(plan, tmp_path)
    assert contents(tmp_path) == FILES
    assert [each.headers.get("range") for each in web.asked("/large")] == [
        None, "bytes=5000-", None,
    ]  # fmt: skip


def test_what_makes_no_model_is_discarded_and_nothing_stays(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    def refuse(path: Path) -> None:
        raise FormatError(f"{path / 'large'}: no weights")

    with pytest.raises(FormatError) as caught:
        run(plan, tmp_path / "models", prove=refuse)
    assert str(caught.value) == f"{web.url}: cannot be proven, and was discarded: large: no weights"
    assert not os.listdir(tmp_path)


def test_what_is_of_another_kind_is_unsupported(plan: Plan, tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise SourceNotFoundError(f"{path}: nothing here")

    with pytest.raises(UnsupportedError, match="cannot be proven, and was discarded"):
        run(plan, tmp_path, prove=refuse)


def test_a_disk_that_cannot_be_read_discards_nothing(plan: Plan, tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise UnreadableError(f"{path}: input/output error")

    with pytest.raises(UnreadableError):
        run(plan, tmp_path, prove=fail)
    assert (tmp_path / NAME / "large").read_bytes() == FILES["large"]


def test_a_break_keeps_what_has_come_and_a_later_run_asks_for_the_rest(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    def break_then_fail(handler: server.Handler, file: server.File) -> None:
        if len(web.asked("/large")) > 1:
            handler.send(503, b"", {})
        else:
            server.break_after(5000)(handler, file)

    web.always["/large"] = break_then_fail
    with pytest.raises(FetchError) as caught:
        run(plan, tmp_path)
    kept = len(FILES["small"]) + len(FILES["plain"]) + 5000
    assert caught.value.__notes__ == [
        f"the {kept:,} bytes that have come are kept, and the next fetch goes on from there"
    ]
    assert not contents(tmp_path)
    web.always.clear()
    web.requests.clear()
    delivery, _ = run(plan, tmp_path)
    assert contents(tmp_path) == FILES
    (again,) = (request for request in web.requests if request.method == "GET")
    assert (again.path, again.headers["range"]) == ("/large", "bytes=5000-")
    assert delivery.nbytes == len(FILES["large"]) - 5000


def test_a_missing_file_is_told_before_the_others_are_fetched(
    plan: Plan, tmp_path: Path, web: Server
) -> None:
    del web.files["/plain"]
    with pytest.raises(SourceNotFoundError, match="/plain: 404 Not Found; check the address"):
        run(plan, tmp_path / "models")
    assert [request.method for request in web.requests] == ["HEAD"]
    assert not os.listdir(tmp_path)


def test_a_disk_without_room_is_told_before_the_first_byte(
    plan: Plan, tmp_path: Path, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk(NamedTuple):
        f_blocks: int = 1000
        f_bavail: int = 25
        f_bfree: int = 25
        f_frsize: int = 1000

    monkeypatch.setattr(os, "statvfs", lambda _: Disk())
    needed = sum(map(len, FILES.values()))
    with pytest.raises(TargetError) as caught:
        run(plan, tmp_path / "models")
    assert str(caught.value) == (
        f"{tmp_path / 'models'}: cannot be written: {needed:,} bytes are needed, and the file "
        "system has 25,000 free; make room, or name a target on another one"
    )
    assert [request.method for request in web.requests] == ["HEAD"]
    assert not os.listdir(tmp_path)


def test_a_disk_that_fills_keeps_what_has_come(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def fill(fd: int, data: memoryview) -> int:
        if len(data) > 1000:
            write(fd, data[:1000])
            raise OSError(28, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(TargetError, match="cannot be written: no space left on device"):
        run(plan, tmp_path)
    monkeypatch.setattr(os, "write", write)
    assert (tmp_path / NAME / "large").stat().st_size == 1000
    run(plan, tmp_path)
    assert contents(tmp_path) == FILES


def test_an_interruption_keeps_what_has_come(plan: Plan, tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int) -> None:
        if phase == "large" and done == total:
            raise KeyboardInterrupt

    client = Client(plan.site)
    with pytest.raises(KeyboardInterrupt):
        deliver(plan, tmp_path, lambda: client, lambda *_: None, force=False, progress=interrupt)
    assert not contents(tmp_path)
    assert run(plan, tmp_path)[0].nbytes == 0
    assert contents(tmp_path) == FILES
