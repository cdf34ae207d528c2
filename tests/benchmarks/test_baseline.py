"""The baseline of the benchmarks does what it claims: a comparison with less would be unfair."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.baseline import (
    BaselineTraining,
    MaskedNetwork,
    PerImageDataset,
    Recipe,
    cifar_transform,
    evaluate,
    mnist_transform,
)


def digits(n: int) -> PerImageDataset:
    """Black images with one gray row, that of their label."""
    labels = np.arange(n) % 10
    images = np.zeros((n, 28, 28), dtype=np.uint8)
    images[np.arange(n), labels] = 100
    return PerImageDataset(images, labels, mnist_transform())


def linear() -> tuple[nn.Sequential, nn.Linear]:
    """A network of one layer, and this layer."""
    torch.manual_seed(0)
    layer = nn.Linear(784, 10)
    return nn.Sequential(nn.Flatten(), layer), layer


def test_an_mnist_image_is_scaled_and_normalized() -> None:
    """The published mean and deviation, on values from 0 to 1."""
    x, y = digits(10)[5]
    assert y == 5
    assert x.shape == (1, 28, 28)
    gray = torch.zeros(1, 28, 28)
    gray[0, 5] = 100 / 255
    assert torch.allclose(x, (gray - 0.1307) / 0.3081)


def test_a_cifar_image_is_normalized_by_channel() -> None:
    """Without augmentation the picture itself is kept, as (channel, row, column)."""
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    x, _ = PerImageDataset(image, np.zeros(1, int), cifar_transform(augment=False))[0]
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((image[0] / 255 - mean) / std).transpose(2, 0, 1)
    assert np.allclose(x.numpy(), expected, atol=1e-5)


def test_cifar_images_are_augmented() -> None:
    """A constant image shows a black border where it was shifted, at most 4 pixels wide."""
    white = np.full((1, 32, 32, 3), 255, dtype=np.uint8)
    dataset = PerImageDataset(white, np.zeros(1, int), cifar_transform(augment=True))
    torch.manual_seed(0)
    borders = {int((dataset[0][0][0] < 0).all(dim=0).sum()) for _ in range(50)}
    assert borders == {0, 1, 2, 3, 4}


def test_masks_hold_before_each_forward_pass() -> None:
    """Masked weights are zero in the output, and the other weights are untouched."""
    network, layer = linear()
    before = layer.weight.detach().clone()
    mask = (torch.rand(10, 784) < 0.5).float()
    masked = MaskedNetwork(network, {"1.weight": mask})
    x = torch.randn(3, 1, 28, 28)
    expected = x.flatten(1) @ (before * mask).T + layer.bias
    assert torch.allclose(masked(x), expected, atol=1e-5)
    assert torch.equal(layer.weight, before * mask)


def test_it_learns() -> None:
    """Loss falls over an epoch and a part: the loop goes on from one epoch to the next."""
    (network, _), dataset = linear(), digits(100)
    before = evaluate(network, {}, dataset)
    training = BaselineTraining(network, {}, dataset, Recipe(lr=0.01, batch_size=32))
    assert training.run(20) > 0
    assert training.run(15) > 0
    after = evaluate(network, {}, dataset)
    assert after.loss < before.loss - 0.5


def test_a_step_is_sgds() -> None:
    """Two steps equal the update with momentum and weight decay, written out."""
    (network, layer), dataset = linear(), digits(10)
    weight = layer.weight.detach().clone().double().requires_grad_()
    bias = layer.bias.detach().clone().double().requires_grad_()
    x = torch.stack([dataset[i][0] for i in range(10)]).flatten(1).double()
    velocity = torch.zeros_like(weight), torch.zeros_like(bias)
    for lr in (0.1, 0.01):
        loss = nn.functional.cross_entropy(x @ weight.T + bias, torch.arange(10))
        gradients = torch.autograd.grad(loss, (weight, bias))
        for value, gradient, v in zip((weight, bias), gradients, velocity, strict=True):
            v.mul_(0.9).add_(gradient + 1e-4 * value.detach())
            value.data -= lr * v
    BaselineTraining(network, {}, dataset, Recipe(milestones=(1,))).run(2)
    assert torch.allclose(layer.weight.double(), weight, atol=1e-5)
    assert torch.allclose(layer.bias.double(), bias, atol=1e-5)


def test_the_learning_rate_falls_at_milestones_and_rises_in_the_warm_up() -> None:
    """By gamma from each milestone on, and linearly from nothing."""
    recipe = Recipe(milestones=(10, 20), gamma=0.1, warmup=4)
    found = [recipe.factor(i) for i in (0, 1, 4, 9, 10, 19, 20)]
    assert found == pytest.approx([0, 0.25, 1, 1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize("batch_size", [1, 7, 128])
def test_evaluation_does_not_depend_on_the_batch_size(batch_size: int) -> None:
    """Accuracy and mean loss over all images, the last partial batch too."""
    (network, _), dataset = linear(), digits(30)
    x = torch.stack([dataset[i][0] for i in range(30)])
    y = torch.arange(30) % 10
    found = evaluate(network, {}, dataset, batch_size=batch_size)
    output = network(x)
    assert found.accuracy == pytest.approx((output.argmax(1) == y).float().mean().item())
    assert found.loss == pytest.approx(nn.functional.cross_entropy(output, y).item(), rel=1e-4)
    assert found.images_per_second > 0
