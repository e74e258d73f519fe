"""The queue of keys against a deque of the standard library."""

from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lelkern import info_nce
from lelkern.nn import KeyQueue


def numbered(start, n, device="cpu"):
    """Keys that say which ones they are: (n, 2)."""
    number = torch.arange(start, start + n, dtype=torch.float32, device=device)
    return torch.stack([number, -number], dim=1)


def id_of(number):
    """The id of a key: none is its number, and several keys have the same."""
    return 2**40 + number // 3


def numbered_ids(start, n):
    return id_of(torch.arange(start, start + n))


def contents(queue):
    return sorted(queue.keys()[:, 0].int().tolist())


@given(st.integers(1, 9), st.lists(st.integers(0, 25), max_size=12), st.booleans())
def test_holds_the_last_keys_whatever_the_sizes_of_batches(size, batches, with_ids):
    queue, expected, start = KeyQueue(size, 2, ids=with_ids), deque(maxlen=size), 0
    for n in batches:
        queue.enqueue(numbered(start, n), numbered_ids(start, n) if with_ids else None)
        expected.extend(range(start, start + n))
        start += n
        assert contents(queue) == list(expected)
        assert torch.equal(queue.keys()[:, 1], -queue.keys()[:, 0])
        if with_ids:
            keys, ids = queue.keys_and_ids()
            assert torch.equal(keys, queue.keys())
            assert torch.equal(ids, id_of(keys[:, 0].long()))
        assert int(queue.count) == start
        for number in expected:
            assert queue.rows[number % size, 0] == number


@given(
    st.integers(1, 9), st.lists(st.integers(0, 12), max_size=6), st.integers(0, 25), st.booleans()
)
def test_goes_on_from_its_state(size, before, after, with_ids):
    queue, start = KeyQueue(size, 2, ids=with_ids), 0
    for n in before:
        queue.enqueue(numbered(start, n), numbered_ids(start, n) if with_ids else None)
        start += n
    copy = KeyQueue(size, 2, ids=with_ids)
    copy.load_state_dict(queue.state_dict())
    for q in (queue, copy):
        q.enqueue(numbered(start, after), numbered_ids(start, after) if with_ids else None)
    state = copy.state_dict()
    assert all(torch.equal(state[name], x) for name, x in queue.state_dict().items())
    assert contents(copy) == contents(queue)


def test_no_query_has_its_own_image_among_its_negatives(device):
    """As if the keys with its id had never been in the queue, also before the queue is full."""
    torch.manual_seed(0)
    queue = KeyQueue(7, 4, ids=True, device=device, dtype=torch.float64)
    for start in (0, 3, 6):  # four images, each several times in the queue
        images = torch.arange(start, start + 3, device=device) % 4
        q, k = torch.randn(2, 3, 4, device=device, dtype=torch.float64)
        keys, ids = queue.keys_and_ids()
        losses = info_nce(q, k, keys, ids=images, negative_ids=ids, reduction="none")
        for i in range(3):
            others = keys[ids != images[i]]
            want = info_nce(q[i : i + 1], k[i : i + 1], others)
            torch.testing.assert_close(losses[i], want)
        queue.enqueue(k, images)


def test_keys_are_stored_without_their_graph_and_in_the_dtype_of_the_queue():
    queue = KeyQueue(3, 2, dtype=torch.float64)
    keys = (torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True) * 3).requires_grad_()
    queue.enqueue(keys)
    assert queue.rows.dtype == torch.float64
    assert not queue.rows.requires_grad
    assert not queue.keys().requires_grad
    assert (queue.keys() == 3).all()


def test_what_a_loss_still_needs_cannot_be_overwritten_unnoticed():
    queue = KeyQueue(2, 2)
    queue.enqueue(torch.eye(2))
    query = torch.ones(1, 2, requires_grad=True)
    loss = info_nce(query, torch.ones(1, 2), queue.keys())
    queue.enqueue(torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.slow
def test_it_is_compiled_whole():
    def step(queue, q, k, ids):
        keys, key_ids = queue.keys_and_ids()
        loss = info_nce(q, k, keys, ids=ids, negative_ids=key_ids, reduction="none")
        queue.enqueue(k, ids)
        return loss

    torch.manual_seed(0)
    eager, other = KeyQueue(5, 4, ids=True), KeyQueue(5, 4, ids=True)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for start in range(0, 18, 3):  # from an empty queue until after it is full
            q, k = torch.randn(2, 3, 4)
            ids = numbered_ids(start, 3)
            assert torch.equal(compiled(other, q, k, ids), step(eager, q, k, ids))
    assert torch.equal(other.rows, eager.rows)
    assert torch.equal(other.row_ids, eager.row_ids)


def test_its_state_is_its_keys_their_ids_and_their_count():
    def state(queue):
        return {k: (v.dtype, tuple(v.shape)) for k, v in queue.state_dict().items()}

    keys = {"rows": (torch.float32, (3, 2)), "count": (torch.int64, ())}
    assert state(KeyQueue(3, 2)) == keys
    assert state(KeyQueue(3, 2, ids=True)) == {**keys, "row_ids": (torch.int64, (3,))}


def test_a_count_beyond_32_bits_wraps_right():
    queue = KeyQueue(7, 2)
    queue.count.fill_(2**40)
    queue.enqueue(numbered(0, 3))
    places = [(2**40 + i) % 7 for i in range(3)]
    assert queue.rows[places, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("moved", [False, True])
def test_lives_on_the_device_of_the_model(device, moved):
    queue = KeyQueue(3, 2).to(device) if moved else KeyQueue(3, 2, device=device)
    queue.enqueue(numbered(0, 5, device))
    assert queue.keys().device.type == device
    assert contents(queue) == [2, 3, 4]


WRONG_KEYS = [
    (False, torch.zeros(1, 3), None, r"keys must be \(N, 2\), got \(1, 3\)"),
    (False, torch.zeros(2), None, r"keys must be \(N, 2\), got \(2,\)"),
    (False, torch.zeros(1, 2, dtype=torch.int64), None, "keys must be float64, .* got torch.int64"),
    (False, torch.zeros(1, 2, device="meta"), None, "keys must be on .* cpu, got meta"),
    (False, torch.zeros(1, 2), torch.zeros(1), "ids must be None: the queue .* ids=False"),
    (True, torch.zeros(1, 2), None, "ids must be given: the queue was made with ids=True"),
    (True, torch.zeros(1, 2), torch.zeros(2), r"ids must be \(1,\), one a row, got \(2,\)"),
    (
        True,
        torch.zeros(1, 2),
        torch.full((1,), 0.5),
        "ids must be whole numbers, got torch.float32",
    ),
]


@pytest.mark.parametrize(("with_ids", "keys", "ids", "message"), WRONG_KEYS)
def test_wrong_keys_change_nothing(with_ids, keys, ids, message):
    queue = KeyQueue(3, 2, ids=with_ids)
    queue.enqueue(numbered(1, 1), numbered_ids(1, 1) if with_ids else None)
    before = {name: x.clone() for name, x in queue.state_dict().items()}
    with pytest.raises((TypeError, ValueError), match=message):
        queue.enqueue(keys, ids)
    assert all(torch.equal(x, before[name]) for name, x in queue.state_dict().items())


def test_a_queue_without_ids_has_none_to_give():
    with pytest.raises(ValueError, match="the queue must be made with ids=True to have ids"):
        KeyQueue(3, 2).keys_and_ids()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((0, 3), "size must be at least 1, got 0"), ((3, 0), "features must be at least 1, got 0")],
)
def test_an_empty_queue_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        KeyQueue(*sizes)


def test_keys_of_whole_numbers_are_refused():
    with pytest.raises(TypeError, match=r"dtype must be floating point, got torch.int64"):
        KeyQueue(3, 2, dtype=torch.int64)
