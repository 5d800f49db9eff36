"""Tests for tiny_gpt/runtime/files.py."""

import hashlib
import io
import os

import numpy as np
import pytest

from tiny_gpt.runtime.files import (
    DamagedFileError,
    hash_arrays,
    read_checkpoint,
    seal,
    set_aside,
    unseal,
    write_checkpoint,
    write_whole,
)

ARRAYS = [np.arange(6.0).reshape(2, 3), np.int32(7), np.ones(2, "float32")]


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = tmp_path / "a.checkpoint"
    write_checkpoint(path, ARRAYS, {"epoch": 3, "name": "ü"})
    arrays, info = read_checkpoint(path)
    assert info == {"epoch": 3, "name": "ü"}
    for one, other in zip(arrays, ARRAYS, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert [p.name for p in tmp_path.iterdir()] == ["a.checkpoint"]


def test_every_flipped_bit_and_every_cut_is_found(tmp_path):
    path = tmp_path / "a.checkpoint"
    write_checkpoint(path, [np.ones(1)], {})
    whole = path.read_bytes()
    for place in range(len(whole)):
        bit = bytes([whole[place] ^ (1 << place % 8)])
        path.write_bytes(whole[:place] + bit + whole[place + 1 :])
        with pytest.raises(DamagedFileError, match=r"a\.checkpoint"):
            read_checkpoint(path)
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedFileError, match=r"a\.checkpoint"):
            read_checkpoint(path)
    path.write_bytes(whole)
    assert read_checkpoint(path)[0][0] == 1.0


def test_a_file_with_a_pickle_is_refused(tmp_path):
    # Its checksum is right, so whoever wrote it knows the format.
    archive = io.BytesIO()
    np.savez(archive, info=np.array("{}"), value_0=np.array([print], object))
    body = archive.getvalue()
    digest = hashlib.sha256(body).hexdigest().encode()
    path = tmp_path / "a.checkpoint"
    path.write_bytes(b"tiny_gpt checkpoint 1 " + digest + b"\n" + body)
    with pytest.raises(DamagedFileError):
        read_checkpoint(path)


def test_the_hash_of_arrays_is_that_of_types_shapes_and_values():
    # By hand: type, shape and little-endian bytes of each array.
    text = b"<f4(2,)" + b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    text += b"<i8()" + bytes([5, 0, 0, 0, 0, 0, 0, 0])
    expected = hashlib.sha256(text).hexdigest()
    one = np.array([1.0, 2.0], "float32")
    assert hash_arrays([one, np.int64(5)]) == expected
    assert hash_arrays([one.astype(">f4"), np.array(5, ">i8")]) == expected
    others = ([one], [one * 2, np.int64(5)], [one[None], np.int64(5)])
    assert all(hash_arrays(arrays) != expected for arrays in others)
    # The order in memory does not count.
    table = np.arange(6.0).reshape(2, 3)
    assert hash_arrays([table]) == hash_arrays([np.asfortranarray(table)])


def test_sealed_json_is_json_and_every_change_is_found(tmp_path):
    path = tmp_path / "a.json"
    value = {"x": 0.1, "name": "ü", "rows": [[1, None]]}
    path.write_text(seal(value))
    assert unseal(path) == value
    whole = path.read_bytes()
    for place in range(len(whole)):
        bit = bytes([whole[place] ^ 1])
        path.write_bytes(whole[:place] + bit + whole[place + 1 :])
        with pytest.raises(DamagedFileError, match=r"a\.json"):
            unseal(path)
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedFileError, match=r"a\.json"):
            unseal(path)
    with pytest.raises(ValueError, match="JSON compliant"):
        seal({"x": float("nan")})


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.txt"
    write_whole(path, b"old")

    def no_room(*_):
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, no_room)
            with pytest.raises(OSError, match="No space left"):
                write_whole(path, b"new")
        assert path.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 1
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_damaged_files_are_set_aside_one_beside_the_other(tmp_path):
    path = tmp_path / "a.json"
    for text in ("one", "two"):
        path.write_text(text)
        set_aside(path)
    texts = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert texts == {"a.json.damaged": "one", "a.json.damaged_2": "two"}
