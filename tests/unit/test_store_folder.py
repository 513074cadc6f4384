import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from headstart.errors import ModelError
from headstart.store import ModelFolder
from headstart.store.files import locked


def _commit(path, text, overwrite=False, **fields):
    with ModelFolder.draft(path, overwrite=overwrite) as draft:
        (draft.folder / "terms").mkdir()
        (draft.folder / "terms" / "a.txt").write_text(text)
        (draft.folder / "b.txt").write_text(text * 1000)
        draft.commit({"text": text, **fields})


def _tree(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def _text(path):
    model = ModelFolder.open(path)
    assert model.file("b.txt").read_text() == model.fields["text"] * 1000
    return model.file("terms/a.txt").read_text()


def test_a_committed_version_can_be_opened(tmp_path):
    path = tmp_path / "deep" / "model"
    _commit(path, "one", settings={"rate": 0.25, "ticks": (1, 2), 3: None}, name="é\n")
    model = ModelFolder.open(path)
    assert _text(path) == "one"
    assert model.fields == {"text": "one", "settings": {"rate": 0.25, "ticks": [1, 2], "3": None}, "name": "é\n"}
    assert model.nbytes == 3003
    assert sorted(_tree(path)) == [".lock", "manifest.json", "versions/000001/b.txt", "versions/000001/terms/a.txt"]
    assert (path / "manifest.json").stat().st_mode == (path / "versions/000001/b.txt").stat().st_mode
    with pytest.raises(ModelError, match=r"has no c\.txt"):
        model.file("c.txt")


def test_overwriting_must_be_asked_for(tmp_path):
    _commit(tmp_path / "m", "one")
    before = _tree(tmp_path)
    with pytest.raises(ModelError, match="--overwrite"):
        _commit(tmp_path / "m", "two")
    assert _tree(tmp_path) == before
    _commit(tmp_path / "m", "two", overwrite=True)
    assert _text(tmp_path / "m") == "two"
    assert [entry.name for entry in (tmp_path / "m" / "versions").iterdir()] == ["000002"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "manifest.json", "versions/000001/a.txt", ".lock/x", ".hidden"])
def test_what_is_no_model_is_never_touched(tmp_path, name, overwrite):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match="choose another folder"):
        _commit(tmp_path, "one", overwrite=overwrite)
    assert _tree(tmp_path) == {name: b"{}"}


def test_foreign_files_beside_a_model_stay(tmp_path):
    _commit(tmp_path / "m", "one")
    (tmp_path / "m" / "notes.txt").write_text("mine")
    (tmp_path / "m" / "versions" / "notes.txt").write_text("mine")
    _commit(tmp_path / "m", "two", overwrite=True)
    assert (tmp_path / "m" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "m" / "versions" / "notes.txt").read_text() == "mine"


def test_a_lost_manifest_does_not_free_the_folder(tmp_path):
    _commit(tmp_path, "one")
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ModelError, match="holds no finished model"):
        ModelFolder.open(tmp_path)
    with pytest.raises(ModelError, match="--overwrite"):
        _commit(tmp_path, "two")
    assert (tmp_path / "versions/000001/b.txt").exists()
    _commit(tmp_path, "two", overwrite=True)
    assert _text(tmp_path) == "two"


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "m").write_text("x")
    with pytest.raises(ModelError, match="is a file"):
        _commit(tmp_path / "m", "one", overwrite=True)
    with pytest.raises(ModelError, match="cannot be written"):
        _commit(tmp_path / "m" / "below", "one")
    with pytest.raises(ModelError, match="is a file"):
        ModelFolder.open(tmp_path / "m")


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_leaving_without_a_commit_leaves_nothing(tmp_path, error):
    def fail(path, overwrite):
        with ModelFolder.draft(path, overwrite=overwrite) as draft:
            (draft.folder / "a.txt").write_text("half")
            raise error

    with pytest.raises(error):
        fail(tmp_path / "new", False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(error):
        fail(tmp_path / "empty", False)
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]
    _commit(tmp_path / "empty", "one")
    before = _tree(tmp_path)
    with pytest.raises(error):
        fail(tmp_path / "empty", True)
    assert _tree(tmp_path) == before


def test_fields_that_are_not_plain_leave_the_old_model(tmp_path):
    _commit(tmp_path, "one")
    before = _tree(tmp_path)
    for bad in (object(), float("nan")):
        with pytest.raises(ModelError, match=r"plain|JSON"):
            _commit(tmp_path, "two", overwrite=True, bad=bad)
        assert _tree(tmp_path) == before


def test_leftovers_of_a_killed_writer_go(tmp_path):
    _commit(tmp_path / "m", "one")
    shutil.copytree(tmp_path / "m" / "versions" / "000001", tmp_path / "m" / "versions" / "000007")
    (tmp_path / "m" / "versions" / ".draft").mkdir()
    (tmp_path / "m" / "versions" / ".draft" / "a.txt").write_text("half")
    (tmp_path / "m" / ".manifest.json.tmp").write_text("half")
    assert _text(tmp_path / "m") == "one"
    _commit(tmp_path / "m", "two", overwrite=True)
    assert sorted(_tree(tmp_path / "m")) == [
        ".lock",
        "manifest.json",
        "versions/000002/b.txt",
        "versions/000002/terms/a.txt",
    ]


def test_a_first_fit_that_was_killed_is_no_obstacle(tmp_path):
    (tmp_path / "versions" / ".draft").mkdir(parents=True)
    (tmp_path / ".lock").touch()
    with pytest.raises(ModelError, match="run the fit again"):
        ModelFolder.open(tmp_path)
    _commit(tmp_path, "one")
    assert _text(tmp_path) == "one"


def test_two_writers_do_not_meet(tmp_path):
    _commit(tmp_path / "m", "one")
    with ModelFolder.draft(tmp_path / "m", overwrite=True) as draft:
        with pytest.raises(ModelError, match="another process is writing"):
            _commit(tmp_path / "m", "two", overwrite=True)
        assert draft.folder.is_dir()
        assert _text(tmp_path / "m") == "one"
    with ModelFolder.draft(tmp_path / "new"), pytest.raises(ModelError, match="another process is writing"):
        _commit(tmp_path / "new", "two")
    _commit(tmp_path / "new", "two")


def test_the_lock_survives_the_removal_of_its_folder(tmp_path):
    with locked(tmp_path / "m"):
        shutil.rmtree(tmp_path / "m")
        with locked(tmp_path / "m"):
            assert (tmp_path / "m" / ".lock").exists()


def _missing(path):
    (path / "versions/000001/terms/a.txt").unlink()
    return r"a\.txt is missing"


def _flipped(path):
    data = bytearray((path / "versions/000001/b.txt").read_bytes())
    data[1234] ^= 1
    (path / "versions/000001/b.txt").write_bytes(data)
    return r"b\.txt is damaged: it is not what was written"


def _truncated(path):
    os.truncate(path / "versions/000001/b.txt", 2999)
    return r"b\.txt is damaged: 2999 bytes, not 3000"


def _garbage(path):
    (path / "manifest.json").write_bytes(b"\x00garbage")
    return r"manifest\.json is damaged"


def _empty(path):
    (path / "manifest.json").write_bytes(b"")
    return r"manifest\.json is damaged"


def _edit(path, **changes):
    body = json.loads((path / "manifest.json").read_text()) | changes
    (path / "manifest.json").write_text(json.dumps(body))


def _newer(path):
    _edit(path, format_version=2, files=None)
    return "upgrade headstart"


def _foreign(path):
    _edit(path, format="other")
    return "not the manifest of a headstart model"


def _edited(path):
    _edit(path, fields={"text": "two"})
    return "was edited"


def _outside(path):
    _edit(path, version="../..")
    return "was edited"


def _wrong_type(path):
    _edit(path, files=[])
    return r"manifest\.json is damaged"


def _no_folder(path):
    shutil.rmtree(path)
    return "there is no model at .*headstart fit --out"


def _other_folder(path):
    shutil.rmtree(path)
    path.mkdir()
    return "is not a headstart model"


DAMAGES = [
    _missing,
    _flipped,
    _truncated,
    _garbage,
    _empty,
    _newer,
    _foreign,
    _edited,
    _outside,
    _wrong_type,
    _no_folder,
    _other_folder,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_opening_says_what_is_wrong(tmp_path, damage):
    _commit(tmp_path / "m", "one")
    message = damage(tmp_path / "m")
    with pytest.raises(ModelError, match=message) as caught:
        ModelFolder.open(tmp_path / "m")
    assert "\n" not in str(caught.value)


def test_any_flipped_byte_is_found(tmp_path):
    _commit(tmp_path / "m", "x")
    for name in ("manifest.json", "versions/000001/terms/a.txt"):
        good = (tmp_path / "m" / name).read_bytes()
        for position in range(len(good)):
            bad = bytearray(good)
            bad[position] ^= 0x02
            (tmp_path / "m" / name).write_bytes(bad)
            try:
                model = ModelFolder.open(tmp_path / "m")
            except ModelError:
                continue
            # Nothing but white space may pass, and it changes nothing.
            assert json.loads(bad) == json.loads(good), (name, position)
            assert model.fields == {"text": "x"}
        (tmp_path / "m" / name).write_bytes(good)


def test_verification_can_be_left_out(tmp_path):
    _commit(tmp_path / "m", "one")
    _flipped(tmp_path / "m")
    assert ModelFolder.open(tmp_path / "m", verify=False).fields == {"text": "one"}


def test_readers_always_find_a_whole_model(tmp_path):
    _commit(tmp_path / "m", "0")

    def read(_):
        return [ModelFolder.open(tmp_path / "m").fields["text"] for _ in range(40)]

    with ThreadPoolExecutor(2) as pool:
        reads = pool.map(read, range(2))
        for version in range(1, 20):
            _commit(tmp_path / "m", str(version), overwrite=True)
        for seen in reads:
            assert [int(text) for text in seen] == sorted(int(text) for text in seen)


def test_rewriting_links_what_does_not_change(tmp_path):
    _commit(tmp_path / "m", "one", kept=1)
    inode = ModelFolder.open(tmp_path / "m").file("b.txt").stat().st_ino

    def edit(folder):
        assert (folder / "terms/a.txt").read_text() == "one"
        (folder / "terms/a.txt").unlink()
        (folder / "terms/c.txt").write_text("three")

    model = ModelFolder.rewrite(tmp_path / "m", edit)
    assert model.fields == {"text": "one", "kept": 1}
    assert sorted(model.manifest.files) == ["b.txt", "terms/c.txt"]
    assert model.file("b.txt").stat().st_ino == inode
    assert ModelFolder.open(tmp_path / "m") == model
    assert ModelFolder.rewrite(tmp_path / "m", lambda folder: {"new": 2}).fields == {"new": 2}


def test_rewriting_that_fails_changes_nothing(tmp_path):
    _commit(tmp_path / "m", "one")
    before = _tree(tmp_path)

    def edit(folder):
        (folder / "b.txt").unlink()
        raise ModelError("no")

    with pytest.raises(ModelError, match="no"):
        ModelFolder.rewrite(tmp_path / "m", edit)
    assert _tree(tmp_path) == before
    with pytest.raises(ModelError, match="there is no model"):
        ModelFolder.rewrite(tmp_path / "none", edit)
    assert not (tmp_path / "none").exists()


def test_damage_is_not_blessed_by_rewriting(tmp_path):
    _commit(tmp_path / "m", "one")
    _flipped(tmp_path / "m")
    with pytest.raises(ModelError, match=r"b\.txt is damaged"):
        ModelFolder.rewrite(tmp_path / "m", lambda folder: None)


def test_without_hard_links_files_are_copied(tmp_path, monkeypatch):
    _commit(tmp_path / "m", "one")

    def refuse(old, new):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    ModelFolder.rewrite(tmp_path / "m", lambda folder: None)
    assert _text(tmp_path / "m") == "one"
