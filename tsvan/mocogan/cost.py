"""How much work and memory MoCoGAN takes, from its layers."""

from __future__ import annotations

from tsvan.mocogan.config import MocoganConfig, ModelConfig

_LIVE_COPIES = 3  # of a layer's output while the next one is computed: input, output, and what a norm makes of it


def live_bytes_a_frame(config: ModelConfig) -> int:
    """Estimate the memory of the widest maps while a frame is generated, in bytes."""
    floats = 2 * config.ngf * 16**2 + config.ngf * 32**2 + 3 * 64**2
    return 4 * _LIVE_COPIES * floats


def gflop(config: MocoganConfig) -> float:
    """Count the GFLOP of a whole run at ten classes: convolutions alone, forward and backward.

    A layer's backward pass costs as much as its forward pass once for its weights and once for its inputs.
    """
    model, frames, batch = config.model, config.data.num_frames, config.optimiser.batch_size
    made, seen, watched = _generator(model), _image_discriminator(model), _video_discriminator(model, frames)
    images = made + 2 * 3 * seen  # the fake without a graph; real and fake forward and backward
    clips = frames * made + 2 * 3 * watched
    generator = 3 * (1 + frames) * made + 2 * (seen + watched)  # the discriminators' weights get no gradients
    return config.schedule.iterations * batch * (images + clips + generator)


def _generator(model: ModelConfig) -> float:
    """Count the generator's GFLOP for one frame, forward."""
    n, z = model.ngf, model.content_dim + 10 + model.motion_dim
    layers = [(z, 8 * n, 1), (8 * n, 4 * n, 4), (4 * n, 2 * n, 8), (2 * n, n, 16), (n, 3, 32)]  # side of the inputs
    return sum(2 * ins * outs * 4**2 * side**2 for ins, outs, side in layers) / 1e9


def _image_discriminator(model: ModelConfig) -> float:
    """Count D_I's GFLOP for one frame, forward."""
    n = model.ndf
    layers = [(3, n, 32), (n, 2 * n, 16), (2 * n, 4 * n, 8), (4 * n, 1, 4)]  # side of the outputs
    return sum(2 * ins * outs * 4**2 * side**2 for ins, outs, side in layers) / 1e9


def _video_discriminator(model: ModelConfig, frames: int) -> float:
    """Count D_V's GFLOP for one clip, forward."""
    n = model.ndf
    layers = [(3, n, 32), (n, 2 * n, 16), (2 * n, 4 * n, 8), (4 * n, 8 * n, 4), (8 * n, 11, 1)]
    positions = [frames - 3 * (number + 1) for number in range(5)]  # in time: each layer takes three
    return sum(
        2 * ins * outs * 4**3 * side**2 * times for (ins, outs, side), times in zip(layers, positions, strict=True)
    ) / 1e9
