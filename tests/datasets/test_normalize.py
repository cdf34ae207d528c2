"""Normalization against torchvision's, statistics against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from datasets.data import pixel_major
from datasets.normalize import normalize, statistics
from tests.datasets.samples import random_split

CPU = torch.device("cpu")


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_normalization_equals_torchvisions_to_rounding(memory_format: torch.memory_format) -> None:
    """Each value is that of ToTensor and Normalize on a PIL image, in the layout asked for."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = random_split(5, (3, 6, 9), 3).images
    reference = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    expected = torch.stack([reference(picture) for picture in pictures])
    found = normalize(mean, std, 9, CPU, memory_format)(pixel_major(images))
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_statistics_equal_numpys() -> None:
    """Mean and standard deviation of each channel, of pixels from 0 to 1."""
    images = random_split(50, (3, 6, 9), 3).images
    mean, std = statistics(images)
    values = images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, values.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, values.std((0, 2, 3)), rtol=1e-12)


def test_a_uniform_channel_has_a_deviation_to_divide_by() -> None:
    """Black images stay finite."""
    assert statistics(torch.zeros(2, 1, 3, 3, dtype=torch.uint8)) == ((0.0,), (1.0,))
