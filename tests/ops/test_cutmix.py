import math

import pytest
import torch
from covering import covering
from mixing_samples import (
    FLOATING,
    LAYOUTS,
    compiled,
    images,
    mixed,
    normals,
    pasted,
    permuted,
    same_bits,
)
from scipy import stats
from torch.autograd import gradcheck, gradgradcheck

import lelkern
from lelkern.reference import cutmix as reference

TYPES = [(dtype, dtype) for dtype in FLOATING] + [(torch.uint8, dtype) for dtype in FLOATING]
SIZES = [(1, 1, 1), (3, 5, 7), (2, 32, 32), (1, 3, 70), (4, 17, 1)]
SCALES = ["none", "numbers", "a channel each"]


def affine(how: str, channels: int):
    if how == "none":
        return {}
    if how == "numbers":
        return {"scale": 1 / 255, "offset": -0.3}
    return {"scale": torch.linspace(-1, 2, channels), "offset": torch.linspace(0, 1, channels) / 3}


def boxes_of(height: int, width: int) -> torch.Tensor:
    """Boxes of all kinds: none, all, the corners, a pixel, and some in between."""
    half, third = height // 2, width // 3
    return torch.tensor(
        [
            (0, 0, 0, 0),
            (0, 0, height, width),
            (half, third, height - half, width - third),
            (0, 0, (height + 1) // 2, (width + 1) // 2),
            (height - 1, width - 1, 1, 1),
            (height, width, 0, 0),
            (0, third, height, 1),
            (half, 0, 1, width),
        ]
    )


@pytest.mark.parametrize(
    ("layout", "types", "size", "how"), covering(LAYOUTS, TYPES, SIZES, SCALES), ids=str
)
def test_every_image_as_a_loop_has_it(layout, types, size, how, device):
    boxes = boxes_of(*size[1:])
    n = len(boxes)
    x, perm, options = images(types[0], n, *size), permuted(n), affine(how, size[0])
    given = layout.of(x.to(device))
    got, none = lelkern.cutmix(
        given, None, boxes.to(device), perm.to(device), dtype=types[1], **options
    )
    assert none is None
    assert same_bits(got, pasted(x, boxes, perm, dtype=types[1], **options))
    if layout.name == "channels_last" and size[0] > 1:
        assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.once
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS[:2], ids=str)
def test_kernels_and_reference_have_the_same_gradients(dtype, layout, device):
    for channels, height, width in SIZES:
        boxes = boxes_of(height, width).to(device)
        n, perm = len(boxes), permuted(len(boxes)).to(device)
        inner = channels if layout.name == "channels_last" else 1
        grad, x = (images(dtype, n, channels * height * width, seed=s).to(device) for s in (0, 1))
        number = torch.float64 if dtype == torch.float64 else torch.float32
        for scale in (None, torch.linspace(-1, 2, channels, device=device, dtype=number)):
            rest = (boxes, perm, scale, None, height, width, inner, dtype)
            got = torch.ops.lelkern.cut_rows_backward(grad, x, *rest)
            assert same_bits(got, reference.cut_rows_backward(grad, x, *rest))


def test_nan_and_infinities_stay_where_they_are(device):
    x = torch.full((2, 1, 4, 4), torch.nan, device=device)
    x[1] = torch.inf
    box = torch.tensor([1, 1, 2, 2], device=device)
    got, _ = lelkern.cutmix(x, None, box, torch.tensor([1, 0], device=device))
    assert got[0].isinf().sum() == 4
    assert got[1].isnan().sum() == 4


def test_labels_follow_the_area(device):
    boxes = torch.tensor([[0, 0, 2, 3], [1, 1, 0, 3], [0, 0, 4, 5]], device=device)
    x, y = torch.zeros(3, 1, 4, 5, device=device), torch.tensor([0, 1, 2], device=device)
    perm = torch.tensor([1, 2, 0], device=device)
    _, targets = lelkern.cutmix(x, y, boxes, perm, num_classes=3)
    lam = torch.tensor([1 - 6 / 20, 1, 0], dtype=torch.float64)
    assert same_bits(targets, mixed(torch.eye(3), lam, perm.cpu()))
    _, targets = lelkern.cutmix(x, y, boxes[0], perm, num_classes=3)
    assert same_bits(targets, mixed(torch.eye(3), lam[:1].expand(3), perm.cpu()))


def leaves(layout, device):
    x = layout.of(normals(4, 2, 3, 2)).to(device)
    return x.detach().requires_grad_(), normals(4, 2, seed=1).to(device).requires_grad_()


@pytest.mark.parametrize(
    ("layout", "how"), [(LAYOUTS[0], "none"), (LAYOUTS[1], "a channel each")], ids=str
)
def test_gradients(layout, how, device):
    boxes = torch.tensor([[0, 0, 2, 1], [1, 1, 2, 1], [0, 0, 0, 0], [0, 0, 3, 2]], device=device)
    perm = torch.tensor([2, 0, 3, 1], device=device)

    def cut(x, y):
        return lelkern.cutmix(x, y, boxes, perm, **affine(how, 2))

    leaf = leaves(layout, device)
    assert gradcheck(cut, leaf)
    assert gradgradcheck(lambda x: cut(x, leaf[1].detach())[0], leaf[0])


# Tracing sees schemas and fake functions, the same for every implementation behind.
@pytest.mark.once
@pytest.mark.parametrize(
    "asked",
    [
        ("test_schema", "test_autograd_registration", "test_faketensor"),
        pytest.param(("test_aot_dispatch_dynamic",), marks=pytest.mark.slow),
    ],
)
def test_opcheck(asked, device):
    for source in (torch.float64, torch.uint8):
        x = images(source, 8, 24).to(device)
        if source != torch.uint8:
            x.requires_grad_()
        boxes, perm = boxes_of(3, 4).to(device), permuted(8).to(device)
        number = torch.float32 if source == torch.uint8 else source
        scale = torch.tensor([0.5, 2.0], device=device, dtype=number)
        rest = (boxes, perm, scale, None, 3, 4, 1, number)
        torch.library.opcheck(torch.ops.lelkern.cut_rows.default, (x, *rest), test_utils=asked)
    grad = torch.ones(8, 24, dtype=torch.float64, device=device, requires_grad=True)
    x = normals(8, 24).to(device).requires_grad_()
    rest = (*rest[:2], scale.double(), *rest[3:-1], torch.float64)
    backward = torch.ops.lelkern.cut_rows_backward.default
    torch.library.opcheck(backward, (grad, x, *rest), test_utils=asked)


@pytest.mark.once
def test_compile_vmap_and_autocast(device):
    x, y = normals(8, 2, 5, 4).to(device), torch.arange(8, device=device)
    boxes, perm = boxes_of(5, 4).to(device), permuted(8).to(device)

    def cut(x):
        image, targets = lelkern.cutmix(x, y, boxes, perm, num_classes=8, scale=0.5)
        return image, targets

    torch._dynamo.reset()
    compiled = torch.compile(cut, fullgraph=True, backend="aot_eager")
    for got, want in zip(compiled(x), cut(x), strict=True):
        assert torch.equal(got, want)
    each = torch.func.vmap(lambda x: cut(x)[0])(torch.stack((x, 2 * x)))
    assert torch.equal(each, torch.stack((cut(x)[0], cut(2 * x)[0])))
    want = cut(x)[0], cut(x.float())[0]
    with torch.autocast(device, torch.bfloat16):
        for got, expected in zip((cut(x)[0], cut(x.float())[0]), want, strict=True):
            assert got.dtype == expected.dtype
            assert torch.equal(got, expected)


@pytest.mark.once
def test_sizes_whose_product_overflows_are_refused(device):
    if not compiled("cut_rows", torch.device(device).type):
        pytest.skip("the reference indexes, and can't overrun")
    x = torch.zeros(2, 60, device=device)
    height = 2**62 + 15  # times 4 it is 60
    box = torch.tensor([[2**40, 0, 1, 1]] * 2, device=device)
    perm = torch.tensor([1, 0], device=device)
    with pytest.raises(RuntimeError):
        torch.ops.lelkern.cut_rows(x, box, perm, None, None, height, 4, 1, torch.float32)


@pytest.mark.once
@pytest.mark.parametrize("box", [(2**62, 0, 2**62, 1), (2**63 - 1, 0, 1, 1), (0, 1, 1, 2**63 - 1)])
def test_boxes_whose_ends_overflow_are_refused(box):
    with pytest.raises(ValueError, match=rf"within 4 x 5, got \[{box[0]}, {box[1]}"):
        lelkern.cutmix(torch.zeros(1, 1, 4, 5), None, torch.tensor([box]), torch.tensor([0]))


def test_empty_batches(device):
    boxes = torch.zeros(0, 4, dtype=torch.int64, device=device)
    x, y = torch.zeros(0, 3, 4, 4, device=device), torch.zeros(0, dtype=torch.int64, device=device)
    got, targets = lelkern.cutmix(x, y, boxes, num_classes=2)
    assert (got.shape, targets.shape) == ((0, 3, 4, 4), (0, 2))


def test_one_class_and_images_that_were_expanded(device):
    boxes = boxes_of(4, 5).to(device)
    n = len(boxes)
    one, perm = normals(1, 2, 4, 5).to(device).expand(n, -1, -1, -1), permuted(n).to(device)
    y = torch.zeros(n, dtype=torch.int64, device=device)
    got, targets = lelkern.cutmix(one, y, boxes, perm, num_classes=1)
    assert torch.equal(got, one)  # each is cut out of its like
    torch.testing.assert_close(targets, torch.ones_like(targets), rtol=0, atol=2**-22)
    assert targets.shape == (n, 1)


# ----- boxes -----


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.75, 1.0])
def test_boxes_are_those_of_the_equation(lam, device):
    height, width, n = 24, 36, 20_000
    generator = torch.Generator().manual_seed(0)
    number = torch.tensor(lam, device=device)
    boxes = lelkern.sample_cutmix_boxes(n, height, width, number, generator=generator).cpu()
    assert boxes.dtype == torch.int64
    assert boxes.shape == (n, 4)
    for k, size in enumerate((height, width)):
        begin, side = boxes[:, k], boxes[:, k + 2]
        assert (begin >= 0).all()
        assert (side >= 0).all()
        assert (begin + side <= size).all()
        whole = round(size * math.sqrt(1 - float(number)))
        assert side.max() == whole
        inside = (begin > 0) & (begin + side < size)
        assert (side[inside] == whole).all()
        # The centre is uniform over the pixels: a pixel is in the box if the centre is near.
        pixel = size // 3
        covered = ((begin <= pixel) & (pixel < begin + side)).sum().item()
        near = sum(c - whole // 2 <= pixel < c - whole // 2 + whole for c in range(size)) / size
        assert stats.binomtest(covered, n, near).pvalue > 1e-6


def test_each_box_has_its_lambda(device):
    lam = torch.tensor([0.0, 1.0, 0.75], device=device)
    generator = torch.Generator().manual_seed(0)
    sides = torch.stack(
        [lelkern.sample_cutmix_boxes(3, 8, 8, lam, generator=generator) for _ in range(200)]
    )[:, :, 2:].amax(0)
    assert sides.tolist() == [[8, 8], [0, 0], [4, 4]]


def test_a_generator_gives_the_boxes(device):
    lam = torch.tensor(0.4, device=device)
    first, second = (
        lelkern.sample_cutmix_boxes(9, 8, 7, where, generator=torch.Generator().manual_seed(1))
        for where in (lam, 0.4)
    )
    assert torch.equal(first.cpu(), second)


@pytest.mark.once
def test_boxes_are_drawn_inside_compile(device):
    def draw(lam):
        return lelkern.sample_cutmix_boxes(9, 8, 7, lam)

    lam = torch.tensor(0.4, device=device)
    torch._dynamo.reset()
    compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
    results = []
    for call in (compiled, draw):
        torch.manual_seed(3)
        results.append(call(lam))
    assert torch.equal(*results)


# ----- errors -----


X, BOX = torch.zeros(3, 1, 4, 5), torch.tensor([0, 0, 2, 2])
WRONG = [
    (ValueError, {"x": X[0]}, r"x must be \(N, channels, H, W\), got \(1, 4, 5\)"),
    (TypeError, {"x": None}, "x must be a tensor, got NoneType"),
    (TypeError, {"boxes": BOX.int()}, "boxes must be int64, got torch.int32"),
    (TypeError, {"boxes": [0, 0, 2, 2]}, "boxes must be int64, got list"),
    (ValueError, {"boxes": BOX.expand(2, 4)}, r"boxes must be \(4,\) or \(3, 4\), got \(2, 4\)"),
    (ValueError, {"boxes": torch.tensor([0, 4, 2, 2])}, r"within 4 x 5, got \[0, 4, 2, 2\]"),
    (ValueError, {"boxes": torch.tensor([-1, 0, 2, 2])}, r"within 4 x 5, got \[-1, 0, 2, 2\]"),
    (ValueError, {"boxes": torch.tensor([0, 0, -2, 2])}, r"within 4 x 5, got \[0, 0, -2, 2\]"),
    (ValueError, {"perm": torch.tensor([0, 0, 1])}, "perm must be a permutation of 0 to 2"),
    (ValueError, {"y": torch.tensor([0, 1, 2])}, "num_classes must be given"),
    (ValueError, {"scale": torch.ones(2)}, r"scale must be a number or \(1,\)"),
]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("error", "changes", "message"), WRONG)
def test_wrong_arguments_are_named(error, changes, message):
    with pytest.raises(error, match=message):
        lelkern.cutmix(**{"x": X, "y": None, "boxes": BOX, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": -1}, "n must be at least 0, got -1"),
        ({"height": 0}, "height must be at least 1, got 0"),
        ({"width": -2}, "width must be at least 1, got -2"),
        ({"lam": 1.1}, r"lam must be in \[0, 1\], got 1.1"),
        ({"lam": torch.ones(2)}, r"lam must be a number or \(3,\)"),
    ],
)
def test_wrong_boxes_are_not_drawn(changes, message):
    with pytest.raises(ValueError, match=message):
        lelkern.sample_cutmix_boxes(**{"n": 3, "height": 4, "width": 5, "lam": 0.5, **changes})
