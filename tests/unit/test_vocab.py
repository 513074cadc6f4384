"""Ids and their positions and hashes."""

import numpy as np
import pyarrow as pa
import pytest

from headstart.data.vocab import Vocabulary, entity_keys, keys
from headstart.errors import DataError

TEXTS = ["é", "z", "𐀀", "\uffff", "a", "", "ab", "日本"]


def test_text_is_in_the_order_of_its_bytes():
    vocabulary = Vocabulary.of(pa.array([*TEXTS, None, "a"]))
    assert vocabulary.ids.to_pylist() == sorted(TEXTS, key=str.encode)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64(), pa.string(), pa.large_string(), pa.string_view()])
def test_index_finds_every_id_in_every_type(kind):
    values = pa.array([3, 1, 3, 7]).cast(pa.string() if "string" in str(kind) else kind).cast(kind)
    vocabulary = Vocabulary.of(values)
    for asked in (
        pa.array([1, 2, 3, None], pa.int16()),
        pa.array([1, 2, 3, None], pa.uint64()),
        pa.array([*"123", None]),
    ):
        for form in (asked, pa.chunked_array([asked.slice(0, 1), asked.slice(1)]), asked.dictionary_encode()):
            assert vocabulary.index(form).tolist() == [0, -1, 1, -1]
    assert [vocabulary.index_one(value) for value in (1, 7, 2, "3", "03", None)] == [0, 2, -1, 1, -1, -1]


def test_signed_and_unsigned_numbers_do_not_wrap():
    signed, unsigned = Vocabulary(pa.array([-1, 5])), Vocabulary(pa.array([5, 2**64 - 1], pa.uint64()))
    assert signed.index(pa.array([2**64 - 1, 5], pa.uint64())).tolist() == [-1, 1]
    assert unsigned.index(pa.array([-1, 5])).tolist() == [-1, 0]
    assert (unsigned.index_one(2**64 - 1), unsigned.index_one(-1), signed.index_one(2**70)) == (1, -1, -1)


def test_few_ids_among_many_are_found_too():
    many = Vocabulary.of(pa.array([f"user {k}" for k in range(1000)]))
    assert many.index(pa.array(["user 7", None, "nobody"])).tolist() == [many.index_one("user 7"), -1, -1]


def test_nothing_is_found_in_nothing():
    assert Vocabulary(pa.array([], pa.string())).index(pa.array(["a"])).tolist() == [-1]
    assert Vocabulary(pa.array([1])).index(pa.array([], pa.int64())).tolist() == []


def test_keys_never_change():
    # Stored seeds and folds rest on these numbers.
    assert keys(pa.array([0, 1, -1])).tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1, 0xE4D971771B652C20]
    assert keys(pa.array(["", "a"])).tolist() == [14087677454934409008, 6857225946766476583]


def test_keys_are_of_the_value_not_of_its_column():
    numbers, texts = pa.array([1, 2**31 - 1]), pa.array(TEXTS)
    for kind in (pa.int32(), pa.uint32(), pa.uint64()):
        np.testing.assert_array_equal(keys(numbers), keys(numbers.cast(kind)))
    for form in (texts.cast(pa.large_string()), texts.dictionary_encode(), pa.chunked_array([texts[:3], texts[3:]])):
        np.testing.assert_array_equal(keys(texts), keys(form))
    assert len(set(keys(texts).tolist())) == len(TEXTS)


def test_other_types_are_no_ids():
    with pytest.raises(DataError, match="whole numbers or text; found double"):
        keys(pa.array([1.5]))


def test_entity_keys_survive_a_change_of_type():
    """For every number that 64 bits hold; a text that only looks like one keeps a key of its own."""
    numbers = [0, 7, -7, 10**18, 2**63 - 1, -(2**63)]
    texts = pa.array([str(number) for number in numbers])
    np.testing.assert_array_equal(entity_keys(pa.array(numbers)), entity_keys(texts))
    large = [2**63, 2**64 - 1]
    np.testing.assert_array_equal(
        entity_keys(pa.array(large, pa.uint64())), entity_keys(pa.array([str(number) for number in large]))
    )
    odd = pa.array(["", "-", "-0", "007", "1.0", " 1", "1e3", str(2**64), str(-(2**63) - 1), "99999999999999999999"])
    np.testing.assert_array_equal(entity_keys(odd), keys(odd))
    assert len({*entity_keys(odd).tolist(), *entity_keys(texts).tolist()}) == len(odd) + len(texts)


def test_vocabularies_are_plain_values_and_back():
    for ids in (pa.array([1, 5, 9], pa.int32()), pa.array([1, 2**64 - 1], pa.uint64()), pa.array(["a", "é"])):
        again = Vocabulary.from_json(Vocabulary(ids).to_json())
        assert again.ids.equals(ids)
        assert again.ids.type == ids.type


def test_ids_in_lists_are_found_as_one_by_one():
    numbers = Vocabulary(pa.array([-(2**63), -7, 0, 1, 30, 2**63 - 1]))
    unsigned = Vocabulary(pa.array([0, 30, 2**63, 2**64 - 1], pa.uint64()))
    texts = Vocabulary.of(pa.array([*(f"item {n}" for n in range(40)), "", "é", "ab", "abc", "30", "-7"]).slice(1))
    asked = [
        [30, -7, 2, 2**63 - 1, -(2**63)],
        [0, 2**63, 2**64 - 1],
        ["30", "-7", "-0", "030", "", "1e1", str(2**63), str(2**64), str(-(2**63)), str(2**64 - 1), None],
        ["item 7", "item 70", "abc", "ab", "a", "é", "ê", None, ""],
        [30, "30", "item 1", None, True, 30.0, 2**70],
        [True, False],
        [None],
        [],
    ]
    for vocabulary in (numbers, unsigned, texts):
        for values in asked:
            wanted = [vocabulary.index_one(value) for value in values]
            assert vocabulary.index_all(values).tolist() == wanted, values
            for value, at in zip(values, wanted, strict=True):
                assert vocabulary.index_all([value]).tolist() == [at], value
    assert numbers.index_all(np.array([30, 31], np.int8)).tolist() == [4, -1]
    assert texts.index(pa.chunked_array([["abc"], ["nothing", None]]))[1:].tolist() == [-1, -1]
