"""GazeML's network in TensorFlow itself, in GazeML's own words, and the SavedModel that its demo writes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow.compat.v1 as tf

LANDMARKS = 18


def _variable(name: str, shape: list[int]) -> Any:
    """A variable of the current scope, with values as a training may leave them."""
    if name == "moving_variance":
        start = tf.random_uniform_initializer(0.01, 440_735)
    elif name == "gamma":
        start = tf.random_uniform_initializer(50, 300)
    elif name == "kernel":
        gain = 0.1 if "hmap" in tf.get_variable_scope().name else 1  # heatmaps reach about 1
        start = tf.random_normal_initializer(stddev=float(gain / np.sqrt(np.prod(shape[:-1]))))
    else:
        start = tf.random_normal_initializer(stddev=0.3)
    return tf.get_variable(name, shape, initializer=start)


def _conv(x: Any, features: int, size: int = 1, stride: int = 1) -> Any:
    with tf.variable_scope("conv"):
        kernel = _variable("kernel", [size, size, x.shape[3], features])
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, "SAME"), _variable("bias", [features]))


def _bn_relu(x: Any) -> Any:
    with tf.variable_scope("BatchNorm"):
        beta, gamma, mean, variance = (
            _variable(name, [x.shape[-1]]) for name in ("beta", "gamma", "moving_mean", "moving_variance")
        )
        return tf.nn.relu(tf.nn.batch_normalization(x, mean, variance, beta, gamma, 0.001))


def _fc(x: Any, units: int) -> Any:
    with tf.variable_scope("fc"):
        return x @ _variable("kernel", [x.shape[1], units]) + _variable("bias", [units])


def _residual(x: Any, features: int, name: str) -> Any:
    with tf.variable_scope(name):
        y = x
        for number, size, width in ((1, 1, features // 2), (2, 3, features // 2), (3, 1, features)):
            with tf.variable_scope(f"conv{number}"):
                y = _conv(_bn_relu(y), width, size)
        with tf.variable_scope("skip"):
            return y + (x if x.shape[3] == features else _conv(x, features))


def _hourglass(x: Any, features: int, depth: int = 1) -> Any:
    with tf.variable_scope(f"depth{depth}"):
        up = _residual(x, features, "up1_1")
        low = _residual(tf.nn.max_pool2d(x, 2, 2, "SAME"), features, "low1_1")
        low = _hourglass(low, features, depth + 1) if depth < 4 else _residual(low, features, "low2_1")
        low = _residual(low, features, "low3_1")
        return up + tf.image.resize_bilinear(low, up.shape[1:3], align_corners=True)


def elg(eye: Any, features: int, modules: int, stride: int) -> dict[str, Any]:
    """Return heatmaps [N, H, W, 18], landmarks [N, 18, 2] and radius [N, 1] of eyes [N, H, W, 1]."""
    with tf.variable_scope("hourglass"):
        with tf.variable_scope("pre"):
            x = _bn_relu(_conv(eye, features, 7, stride))
            x = _residual(_residual(x, 2 * features, "res1"), features, "res2")
        before = x
        for module in range(1, modules + 1):
            with tf.variable_scope(f"hg_{module}"):
                x = _hourglass(before, features)
                with tf.variable_scope("after"):
                    x = _bn_relu(_conv(_residual(x, features, "after_hg_1"), features))
                    with tf.variable_scope("hmap"):
                        heatmaps = _conv(x, LANDMARKS)
                if module < modules:
                    with tf.variable_scope("merge"):
                        with tf.variable_scope("h"):
                            merged = _conv(heatmaps, features)
                        with tf.variable_scope("x"):
                            _conv(x, features)  # GazeML computes it and does not use it
                    before = x + before + merged
    _, height, width, _ = heatmaps.shape.as_list()
    weights = tf.nn.softmax(100.0 * tf.reshape(tf.transpose(heatmaps, (0, 3, 1, 2)), [-1, LANDMARKS, height * width]))
    xs, ys = (grid.reshape(1, -1) for grid in np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height)))
    landmarks = stride * tf.stack(
        [
            tf.reduce_sum(xs.astype(np.float32) * weights, axis=2) * (width - 1.0) + 0.5,
            tf.reduce_sum(ys.astype(np.float32) * weights, axis=2) * (height - 1.0) + 0.5,
        ],
        axis=2,
    )
    with tf.variable_scope("radius"):
        x = tf.reshape(tf.transpose(landmarks, [0, 2, 1]), [-1, 2 * LANDMARKS])
        for number in (1, 2, 3):
            with tf.variable_scope(f"fc{number}"):
                x = _bn_relu(_fc(x, 100))
        with tf.variable_scope("out"):
            radius = _fc(x, 1)
    return {"heatmaps": heatmaps, "landmarks": landmarks, "radius": radius}


def save_model(folder: Path) -> None:
    """Write a SavedModel as GazeML's demo does: two eyes at a time, out of a queue; inputs are outputs, too."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        queue = tf.FIFOQueue(8, [tf.float32, tf.int64, tf.int64], [[36, 60, 1], [], []])
        names = ("eye", "frame_index", "eye_index")
        inputs = dict(zip(names, queue.dequeue_many(2), strict=True))
        outputs = {**inputs, **elg(inputs["eye"], 32, 2, 1)}
        session.run(tf.global_variables_initializer())
        builder = tf.saved_model.Builder(str(folder))
        signature = tf.saved_model.predict_signature_def(inputs=inputs, outputs=outputs)
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={"serving_default": signature})
        builder.save()
