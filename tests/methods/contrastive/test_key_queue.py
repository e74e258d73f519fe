"""The queue of keys against a deque of the standard library."""

from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lelkern.methods.contrastive._key_queue import KeyQueue


def numbered(start, n, device="cpu"):
    """Keys that say which ones they are: (n, 2)."""
    number = torch.arange(start, start + n, dtype=torch.float32, device=device)
    return torch.stack([number, -number], dim=1)


def contents(queue):
    return sorted(queue.keys()[:, 0].int().tolist())


@given(st.integers(1, 9), st.lists(st.integers(0, 25), max_size=12))
def test_holds_the_last_keys_whatever_the_sizes_of_batches(size, batches):
    queue, expected, start = KeyQueue(size, 2), deque(maxlen=size), 0
    for n in batches:
        queue.enqueue(numbered(start, n))
        expected.extend(range(start, start + n))
        start += n
        assert contents(queue) == list(expected)
        assert torch.equal(queue.keys()[:, 1], -queue.keys()[:, 0])
        assert int(queue.count) == start
        for number in expected:
            assert queue.rows[number % size, 0] == number


@given(st.integers(1, 9), st.lists(st.integers(0, 12), max_size=6), st.integers(0, 25))
def test_goes_on_from_its_state(size, before, after):
    queue, start = KeyQueue(size, 2), 0
    for n in before:
        queue.enqueue(numbered(start, n))
        start += n
    copy = KeyQueue(size, 2)
    copy.load_state_dict(queue.state_dict())
    for q in (queue, copy):
        q.enqueue(numbered(start, after))
    assert torch.equal(copy.rows, queue.rows)
    assert torch.equal(copy.count, queue.count)
    assert contents(copy) == contents(queue)


def test_its_state_is_its_keys_and_their_count():
    assert {k: (v.dtype, tuple(v.shape)) for k, v in KeyQueue(3, 2).state_dict().items()} == {
        "rows": (torch.float32, (3, 2)),
        "count": (torch.int64, ()),
    }


def test_a_count_beyond_32_bits_wraps_right():
    queue = KeyQueue(7, 2)
    queue.count.fill_(2**40)
    queue.enqueue(numbered(0, 3))
    places = [(2**40 + i) % 7 for i in range(3)]
    assert queue.rows[places, 0].tolist() == [0, 1, 2]


def test_lives_on_the_device_of_the_model(device):
    queue = KeyQueue(3, 2).to(device)
    queue.enqueue(numbered(0, 5, device))
    assert queue.keys().device.type == device
    assert contents(queue) == [2, 3, 4]


def test_keys_of_another_length_are_refused():
    with pytest.raises(RuntimeError, match="shape"):
        KeyQueue(3, 2).enqueue(torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((0, 3), "size must be at least 1, got 0"), ((3, 0), "features must be at least 1, got 0")],
)
def test_an_empty_queue_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        KeyQueue(*sizes)
