import pytest
import torch

from lelkern.augment import Augment, Blur, Color, Crop, CutOut, Flip, Noise, Rotation, Sobel
from lelkern.methods.contrastive.simclr import SimCLRConfig

ALL = [Crop(), Flip(), Color(), Blur(), Rotation(), CutOut(), Sobel(), Noise()]


def apply(*augmentations, images, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Augment(tuple(augmentations), images.shape[-1])(images)


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: a.name)
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_keeps_shape_and_range_and_is_repeatable(augmentation, n):
    images = torch.rand(n, 3, 24, 24)
    one = apply(augmentation, images=images)
    assert one.shape == images.shape
    assert one.dtype == torch.float32
    assert ((one >= 0) & (one <= 1)).all()
    assert torch.equal(one, apply(augmentation, images=images))


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: a.name)
def test_each_image_of_a_batch_draws_its_own_parameters(augmentation):
    images = torch.rand(1, 3, 24, 24).repeat(64, 1, 1, 1)
    out = apply(augmentation, images=images)
    assert len({tuple(image.flatten().tolist()) for image in out}) > 1
    # For continuous parameters two images of the batch are never alike, where all are changed.
    if augmentation.name == "crop":
        assert len({tuple(image.flatten().tolist()) for image in out}) == 64


def test_rotation_turns_by_all_four_right_angles():
    images = torch.rand(1, 3, 24, 24).repeat(64, 1, 1, 1)
    turned = [torch.rot90(images[0], k, (1, 2)) for k in range(4)]
    seen = [
        [torch.equal(image, t) for t in turned].index(True)
        for image in apply(Rotation(), images=images)
    ]
    assert set(seen) == {0, 1, 2, 3}


def test_flip_mirrors_left_and_right():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(apply(Flip(p=1.0), images=images), images.flip(3))
    assert torch.equal(apply(Flip(p=0.0), images=images), images)


def test_crop_of_everything_changes_nothing_and_small_crops_enlarge():
    images = torch.rand(4, 3, 24, 24)
    whole = apply(Crop(min_scale=1.0, min_aspect=1.0, max_aspect=1.0), images=images)
    assert torch.allclose(whole, images, atol=1e-4)
    ramp = torch.linspace(0, 1, 24).expand(16, 3, 24, 24)
    cropped = apply(Crop(min_scale=0.2, max_scale=0.3), images=ramp)
    span = cropped.amax((1, 2, 3)) - cropped.amin((1, 2, 3))
    # A crop of area 0.3 and aspect 4/3 spans at most sqrt(0.3 * 4/3) = 0.63 of the width.
    assert span.max() < 0.7


def test_grey_scale_and_strength():
    images = torch.rand(8, 3, 8, 8)
    grey = apply(Color(p=0.0, grey_p=1.0), images=images)
    assert torch.allclose(grey[:, 0], grey[:, 1])
    assert torch.allclose(grey[:, 0], grey[:, 2])
    unchanged = apply(Color(p=1.0, strength=0.0, grey_p=0.0), images=images)
    assert torch.allclose(unchanged, images, atol=1e-5)


def test_hue_turns_red_into_other_hues():
    red = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1).expand(64, 3, 8, 8)
    hued = apply(
        Color(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.5, p=1.0, grey_p=0.0), images=red
    )
    strongest = hued[:, :, 0, 0].argmax(1)
    assert set(strongest.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("kind", "ranges"),
    [(Crop, {"min_scale": 0.5, "max_scale": 0.4}), (Blur, {"min_sigma": 2.0, "max_sigma": 1.0})],
)
def test_ranges_are_ordered(kind, ranges):
    with pytest.raises(ValueError, match=r"must be at most max_"):
        kind(**ranges)


def test_blur_smooths():
    images = torch.rand(4, 3, 24, 24)
    blurred = apply(Blur(p=1.0, min_sigma=2.0, max_sigma=2.0), images=images)
    assert blurred.std() < 0.6 * images.std()


def test_names_and_tables_mean_the_same_in_a_configuration():
    plain = SimCLRConfig.parse({"augment": ["crop", {"name": "color", "hue": 0.1}]}, "test")
    assert plain.augment == (Crop(), Color(hue=0.1))


def test_the_order_is_that_of_the_list():
    augment = Augment((Blur(), Crop()), 24)
    assert [type(step).__name__ for step in augment.steps] == [
        "_Blur",
        "_Crop",
    ]


def test_images_that_are_not_floating_point_are_refused():
    images = torch.full((2, 3, 24, 24), 255, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"images must be floating point, .* got torch\.uint8"):
        Augment((), 24)(images)


@pytest.mark.parametrize(
    "shape", [(3, 24, 24), (2, 1, 24, 24), (2, 3, 24, 12), (2, 3, 12, 12), (2, 4, 24, 24)]
)
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"images must be \(B, 3, 24, 24\), got \("):
        Augment((Noise(), Rotation()), 24)(torch.rand(shape))
